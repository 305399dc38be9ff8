"""`exchange`: the embedded exchange alone. Decides what its flags mean; heavy imports wait until it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quant_trading_system.cli.exchange_types import (
    LISTEN_DEFAULT,
    CashType,
    FaultType,
    FolderType,
    HostPortType,
    KeyType,
    ParameterType,
    SpeedType,
    SymbolsType,
    TimeType,
)
from quant_trading_system.core.errors import ExitCode, OperatorError

if TYPE_CHECKING:
    from quant_trading_system.simulator.server.faults import FaultRule
    from quant_trading_system.simulator.server.service import ServiceSettings

PROFILES = ("current", "before-2026-07", "legacy-2021")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """The flags as they were given; None where nothing was said."""

    listen: tuple[str, int]
    data: Path | None
    speed: float
    all_hours: bool
    start_ns: int | None
    seed: int | None
    cash: Decimal | None
    faults: Path | None
    fault: tuple[str, ...]
    fault_seed: int | None
    tuning: tuple[tuple[str, str], ...]
    profile: str
    rate_limit: int
    rate_limit_headers: str
    trade_frames: str
    client_ids: str
    trade_connections: int
    stream_symbols: int
    stream_reap: float
    key_id: str
    secret_key: str
    symbols: tuple[str, ...] | None
    state_dir: Path | None


@click.command("exchange", short_help="The embedded Alpaca-compatible exchange alone.")
@click.option("--listen", type=HostPortType(), default=LISTEN_DEFAULT, show_default=True, help="Where it listens.")
@click.option("--data", type=FolderType(), help="Play recorded days from this data directory.")
@click.option("--speed", type=SpeedType(), default=60.0, show_default=True, help="Venue seconds in a real one.")
@click.option("--all-hours", is_flag=True, help="Play nights and weekends too, instead of skipping to the next open.")
@click.option("--start", "start_ns", type=TimeType(), help="Venue time of a new world; New York without an offset.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Chance of a new world.  [default: 0]")
@click.option("--cash", type=CashType(), help="Cash of a new account.  [default: 100000]")
@click.option("--faults", type=click.Path(path_type=Path), help="A fault plan as JSON, in force from the start.")
@click.option(
    "--fault",
    type=FaultType(),
    multiple=True,
    help="One fault more, like 'error_500@GET /v2/account:at=2,body=html'; GET /simulator/v1/faults lists the kinds.",
)
@click.option("--fault-seed", type=click.IntRange(0), help="Chance of the faults.  [default: the plan's, else 0]")
@click.option(
    "--set",
    "tuning",
    type=ParameterType(),
    multiple=True,
    help="One parameter of account, fills or latency, like fills.impact_temporary=0; docs/exchange.md lists them.",
)
@click.option("--profile", type=click.Choice(PROFILES), default="current", show_default=True, help="Whose manners.")
@click.option(
    "--rate-limit",
    type=click.IntRange(0, 1_000_000),
    default=200,
    show_default=True,
    metavar="PER_MINUTE",
    help="Requests a venue minute; 0 = none.",
)
@click.option(
    "--rate-limit-headers",
    type=click.Choice(("on", "off")),
    default="on",
    show_default=True,
    help="Whether answers have the X-RateLimit headers.",
)
@click.option(
    "--trade-frames",
    type=click.Choice(("binary", "text")),
    default="binary",
    show_default=True,
    help="JSON of trade_updates in binary frames, as paper hosts send it, or in text frames.",
)
@click.option(
    "--client-ids",
    type=click.Choice(("ever", "open")),
    default="ever",
    show_default=True,
    help="Whether a client_order_id is taken for ever, or while its order is open.",
)
@click.option(
    "--trade-connections",
    type=click.IntRange(1, 1_000),
    default=16,
    show_default=True,
    help="trade_updates connections at a time; Alpaca allows one.",
)
@click.option(
    "--stream-symbols",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Symbols for trades and quotes that a data connection may name; 0 = any, Alpaca's free plan 30.",
)
@click.option(
    "--stream-reap",
    type=click.FloatRange(0, 3_600),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a lost connection still holds its place; Alpaca about 90.",
)
@click.option("--key-id", type=KeyType(), default="PKSIM", show_default=True, help="Key that clients log in with.")
@click.option("--secret-key", type=KeyType(), default="sim", show_default=True, help="Its secret.")
@click.option("--symbols", type=SymbolsType(), help="Symbols of a new world.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keep books and venue time here; resume from here.")
def exchange(**flags: object) -> None:
    """The embedded Alpaca-compatible exchange alone: trading and market-data REST, trade_updates and data streams.

    Point a bot at it: TradingClient(key, secret, url_override="http://127.0.0.1:8090").
    """
    code = run(ExchangeOptions(**flags))  # type: ignore[arg-type]  # click gives what the options above declare
    if code:
        raise SystemExit(code)


def run(options: ExchangeOptions) -> int:
    """Serve until SIGTERM or SIGINT, then answer with the exit code. What is wrong is said on stderr in one line."""
    from quant_trading_system.simulator.journal import JournalError
    from quant_trading_system.simulator.server.listener import PortTaken
    from quant_trading_system.simulator.server.service import serve
    from quant_trading_system.simulator.server.world import StateLocked, WorldConflict

    try:
        asyncio.run(serve(_service_settings(options), say=lambda line: click.echo(line, err=True)))
    except OperatorError as error:
        return _refuse(error.message + (f" ({error.fix})" if error.fix else ""), error.exit_code)
    except StateLocked as error:
        return _refuse(str(error), ExitCode.SAFETY)
    except (JournalError, PortTaken, WorldConflict) as error:
        return _refuse(str(error), ExitCode.CONFIGURATION)
    except OSError as error:
        return _refuse(f"{error.filename or 'the exchange'}: {error.strerror or error}", ExitCode.CONFIGURATION)
    return ExitCode.OK


def _service_settings(options: ExchangeOptions) -> ServiceSettings:
    from quant_trading_system.simulator.numbers import plain
    from quant_trading_system.simulator.server.auth import Credentials
    from quant_trading_system.simulator.server.service import ServiceSettings
    from quant_trading_system.simulator.server.settings import Profile, ServerSettings, TradeFrames
    from quant_trading_system.simulator.server.world import WorldWish

    rules, seed = _read_faults(options)
    return ServiceSettings(
        host=options.listen[0],
        port=options.listen[1],
        speed=options.speed,
        skips_closed_hours=not options.all_hours,
        state_dir=options.state_dir,
        wish=WorldWish(
            data=str(options.data.resolve()) if options.data else None,
            start_ns=options.start_ns,
            seed=options.seed,
            cash=plain(options.cash) if options.cash is not None else None,
            symbols=options.symbols,
        ),
        server=ServerSettings(
            credentials=Credentials(key_id=options.key_id, secret_key=options.secret_key),
            requests_per_minute=options.rate_limit,
            has_rate_limit_headers=options.rate_limit_headers == "on",
            profile=Profile(options.profile),
            trade_frames=TradeFrames(options.trade_frames),
            trade_connections_max=options.trade_connections,
            stream_symbols_max=options.stream_symbols,
            stream_reap_seconds=options.stream_reap,
            frees_client_ids=options.client_ids == "open",
        ),
        faults=tuple(rules),
        faults_seed=seed,
        tuning=dict(options.tuning),
    )


def _read_faults(options: ExchangeOptions) -> tuple[list[FaultRule], int]:
    """The plan of the file with the flags behind it."""
    from quant_trading_system.simulator.server.faults import FaultPlanError, parse_flag, parse_plan

    rules, seed = _read_plan(options.faults) if options.faults else ([], 0)
    try:
        more, _ = parse_plan({"faults": [parse_flag(text) for text in options.fault]})
    except FaultPlanError as error:
        raise OperatorError(f"--fault: {error}", exit_code=ExitCode.CONFIGURATION) from None
    return rules + more, seed if options.fault_seed is None else options.fault_seed


def _read_plan(path: Path) -> tuple[list[FaultRule], int]:
    import json

    from quant_trading_system.simulator.server.faults import FaultPlanError, parse_plan

    try:
        return parse_plan(json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
    except FaultPlanError as error:
        raise OperatorError(f"{path}: {error}", exit_code=ExitCode.CONFIGURATION) from None
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}", exit_code=ExitCode.CONFIGURATION) from None
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{path}: not readable as JSON ({error})", exit_code=ExitCode.CONFIGURATION) from None


def _refuse(message: str, code: ExitCode) -> int:
    click.echo(f"exchange: {message}", err=True)
    return code
