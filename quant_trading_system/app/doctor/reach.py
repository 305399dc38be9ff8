"""Preconditions outside the machine: the servers named by URL, and the broker. Each is asked once, briefly."""

from __future__ import annotations

import asyncio
import random

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.hosts import LIVE, PAPER
from quant_trading_system.adapters.alpaca.http import AlpacaHttp
from quant_trading_system.adapters.alpaca.limits import RequestBudget
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.doctor.findings import Finding, fail, ok, skip, warn
from quant_trading_system.app.settings import Loaded
from quant_trading_system.app.steps.broker_access import broker_endpoints
from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.errors import OperatorError, Refused, VenueError
from quant_trading_system.core.types import Mode
from quant_trading_system.persistence.database import Database, redact_dsn
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.redis_state import RedisState

SECONDS_MAX = 5.0


async def check_reach(loaded: Loaded) -> list[Finding]:
    """Ask everything that is configured by URL."""
    return [await _database(loaded), await _redis(loaded), *await _broker(loaded)]


async def _database(loaded: Loaded) -> Finding:
    url = loaded.settings.database.url
    if url is None:
        return skip("database", "no URL: an embedded PostgreSQL will be started")
    shown = redact_dsn(url.get_secret_value())
    database = Database(url.get_secret_value())
    try:
        async with asyncio.timeout(SECONDS_MAX):
            await database.connect()
            is_writable = await database.is_writable()
    except (StoreUnavailable, OperatorError, TimeoutError) as error:
        return fail("database", f"{shown}: {error}", "check database.url and that the server runs")
    finally:
        await database.close(timeout_s=1.0)
    return ok("database", shown) if is_writable else fail("database", f"{shown} is read-only", "use the primary server")


async def _redis(loaded: Loaded) -> Finding:
    url = loaded.settings.redis.url
    if url is None:
        return skip("Redis", "no URL: an embedded Valkey will be started")
    state = RedisState(url.get_secret_value())
    try:
        await state.connect()
    except StoreUnavailable as error:
        return fail("Redis", error.detail, "check redis.url and that the server runs")
    finally:
        await state.close()
    return ok("Redis", "answers")


async def _broker(loaded: Loaded) -> list[Finding]:
    if loaded.mode is Mode.SIM:
        return [skip("broker", "mode sim brings its own exchange")]
    if loaded.keys is None:
        return [fail("broker", "no keys", "set APCA_API_KEY_ID and APCA_API_SECRET_KEY")]
    clock = SystemClock()
    endpoints = broker_endpoints(loaded.settings, LIVE if loaded.mode is Mode.LIVE else PAPER)
    credentials = Credentials(loaded.keys.key_id, loaded.keys.secret_key)
    async with AlpacaHttp(endpoints, credentials, clock=clock, budget=RequestBudget(clock=clock)) as http:
        read = ReadClient(http, clock=clock, rng=random.Random())  # noqa: S311  jitter
        try:
            async with asyncio.timeout(SECONDS_MAX):
                account = await read.account()
                reading = await read.clock()
        except Refused as error:
            return [fail("broker", f"the keys are refused: {error}", "check that they belong to this mode")]
        except (VenueError, TimeoutError) as error:
            return [fail("broker", f"cannot be reached: {error}", "check the network")]
        skew_s = http.skew_s
    market = "open" if reading.is_open else f"closed until {to_new_york(reading.next_open_ns):%a %H:%M} New York"
    number = f"{account.account_number[:2]}…{account.account_number[-3:]}"
    findings = [ok("broker", f"account {number}, {account.status}, equity ${account.equity_usd:,.2f}, market {market}")]
    if skew_s is not None and abs(skew_s) > loaded.settings.risk.clock_skew_seconds_max:  # type: ignore[attr-defined]
        findings.append(warn("clock", f"differs from the broker's by {skew_s:.1f} s", "synchronise the clock (NTP)"))
    elif skew_s is not None:
        findings.append(ok("clock", f"differs from the broker's by {skew_s:.1f} s at most"))
    return findings
