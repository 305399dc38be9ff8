"""The way to the broker: hosts, keys, the venue's time. Decides whether this account may be traded by this database."""

from __future__ import annotations

from contextlib import AsyncExitStack

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.hosts import LIVE, PAPER, Endpoints, exchange_endpoints
from quant_trading_system.adapters.alpaca.limits import RequestBudget
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.patience import ask_patiently
from quant_trading_system.app.settings import Settings
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.venue import SIM_KEYS, anchor_clock, start_exchange
from quant_trading_system.core.broker import BrokerAccount
from quant_trading_system.core.errors import (
    ExitCode,
    OperatorError,
    Refused,
    SafetyRefusal,
    TemporaryFailure,
    VenueError,
)
from quant_trading_system.core.events import ClockSeen
from quant_trading_system.core.types import Mode
from quant_trading_system.persistence.instance import bind_account
from quant_trading_system.persistence.request_log import FILE_NAME as REQUESTS_FILE
from quant_trading_system.persistence.request_log import RequestLog


async def open_broker(parts: Parts, stack: AsyncExitStack) -> BrokerAccount:
    """Reach the broker, see that it is the account that was meant, and set venue time by its clock.

    Raises:
        OperatorError: keys refused, or the account may not trade.
        SafetyRefusal: it is not the account that was named, or not this database's.
        TemporaryFailure: the broker cannot be reached.
    """
    parts.endpoints = await _endpoints(parts, stack)
    await _open_http(parts, stack)
    account = await _verify_account(parts)
    await _anchor(parts)
    return account


async def _endpoints(parts: Parts, stack: AsyncExitStack) -> Endpoints:
    settings = parts.settings
    if parts.mode is Mode.SIM:
        url = settings.simulation.exchange_url or await start_exchange(parts, stack)
        parts.port.exchange_url = url
        return exchange_endpoints(url, feed=settings.broker.feed)
    return broker_endpoints(settings, LIVE if parts.mode is Mode.LIVE else PAPER)


def broker_endpoints(settings: Settings, base: Endpoints) -> Endpoints:
    """The broker's hosts, or the loopback addresses that paper may put in their place."""
    trading = settings.broker.trading_url or base.trading_url
    stream = f"{trading.replace('http', 'ws', 1)}/stream" if settings.broker.trading_url else base.trade_stream_url
    return Endpoints(
        trading_url=trading,
        data_url=settings.broker.data_url or base.data_url,
        stream_url=settings.broker.stream_url or base.stream_url,
        trade_stream_url=stream,
        feed=settings.broker.feed,
    )


async def _open_http(parts: Parts, stack: AsyncExitStack) -> None:
    settings = parts.settings.broker
    metrics = parts.metrics
    assert metrics is not None, "metrics come before the broker"
    keys = SIM_KEYS if parts.keys is None or parts.mode is Mode.SIM else (parts.keys.key_id, parts.keys.secret_key)
    parts.credentials = Credentials(*keys)
    parts.http = await stack.enter_async_context(
        parts.edge.make_http(
            parts.endpoints,
            parts.credentials,
            clock=parts.clock,
            budget=RequestBudget(
                settings.requests_per_minute,
                settings.requests_reserved_per_minute,
                clock=parts.clock,
                log=RequestLog(
                    parts.state_dir / REQUESTS_FILE,
                    per_minute=settings.requests_per_minute,
                    on_failure=lambda reason: parts.log.error("requests_not_written_down", reason=reason),
                ),
            ),
            on_request=metrics.on_request,
            on_breaker=lambda target, state: metrics.set_breaker(target, state.value),
        )
    )
    parts.read = ReadClient(parts.http, clock=parts.clock, rng=parts.rng)


async def _verify_account(parts: Parts) -> BrokerAccount:
    """Ask who we are."""
    try:
        account = await ask_patiently(parts.read.account)
    except Refused as error:
        raise OperatorError(
            f"the broker refused the keys: {error}",
            fix="check the keys and that they belong to this mode",
            exit_code=ExitCode.BROKER,
        ) from error
    except VenueError as error:
        url = parts.settings.simulation.exchange_url
        fix = f"see that `python main.py exchange` runs at {url}" if url else "check the network, then start again"
        raise TemporaryFailure(f"the broker cannot be reached: {error}", fix=fix) from error
    named = parts.settings.trade.account
    if parts.mode is Mode.LIVE and account.account_number != named:
        raise SafetyRefusal(
            f"--account names {named}, but the broker reports another account",
            fix="use the keys of the account you mean",
        )
    if account.blocked or account.status != "ACTIVE":
        raise OperatorError(
            f"the account may not trade: status {account.status}, blocked {account.blocked}",
            fix="see the broker's dashboard",
            exit_code=ExitCode.BROKER,
        )
    await bind_account(parts.database, account.account_number)
    parts.account_number = account.account_number
    parts.port.account = account.account_number
    parts.logs.set_context(account=account.account_number[-3:])
    if parts.metrics is not None:
        parts.metrics.set_mode(parts.mode.value, account.account_number[-3:])
    return account


async def _anchor(parts: Parts) -> None:
    try:
        reading = await ask_patiently(lambda: anchor_clock(parts))
    except VenueError as error:
        raise TemporaryFailure(f"the broker's clock cannot be read: {error}") from error
    parts.inbox.put(ClockSeen(reading=reading, **stamps(parts.clock)), Lane.OPERATOR)
