"""`trade`: start the daemon. Parses flags and hands them on; decides nothing."""

from __future__ import annotations

import gc
from decimal import Decimal
from pathlib import Path

import click

from quant_trading_system.cli.options import (
    AMOUNT,
    DURATION,
    LISTEN,
    SEED,
    SPEED,
    SYMBOLS,
    VENUE_TIME,
    config_option,
    state_dir_option,
    verbose_option,
)


@click.command()
@click.option("--mode", type=click.Choice(["sim", "paper", "live"]), default="sim", show_default=True)
@click.option("--account", metavar="NUMBER", help="live: the account's number, as the second of three signs.")
@config_option
@click.option("--symbols", type=SYMBOLS, help="What strategies may trade, such as AAPL,MSFT.")
@click.option("--capital", type=AMOUNT, metavar="USD", help="What strategies may use, never more than the equity.")
@click.option("--max-position-size", type=AMOUNT, metavar="USD", help="Largest position of one symbol.")
@click.option("--dry-run", is_flag=True, default=None, help="Everything but the wire.")
@click.option(
    "--standby", is_flag=True, default=None, help="Wait until the daemon that trades with this database ends; follow."
)
@click.option(
    "--adopt-account",
    is_flag=True,
    default=None,
    help="Begin anew on an account whose database is lost.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The session's report as JSON.")
@verbose_option
@click.option("--http", "listen", type=LISTEN, metavar="HOST:PORT", help="Dashboard, API and metrics.")
@click.option("--duration", type=DURATION, metavar="SECONDS", help="Then stop in order.")
@click.option("--data", type=click.Path(path_type=Path), help="sim: play this market data.")
@click.option("--speed", type=SPEED, metavar="X", help="sim: venue seconds a second (60).")
@click.option(
    "--start", type=VENUE_TIME, metavar="TIME", help="sim: venue time of a new world; New York without offset."
)
@click.option("--seed", type=SEED, metavar="N", help="sim: of a new world.")
@click.option("--cash", type=AMOUNT, metavar="USD", help="sim: first cash of a new world (100,000).")
@click.option("--exchange", "exchange_url", metavar="URL", help="sim: an exchange that runs already.")
@state_dir_option
def trade(
    *,
    mode: str,
    account: str | None,
    config_file: Path | None,
    symbols: tuple[str, ...] | None,
    capital: Decimal | None,
    max_position_size: Decimal | None,
    dry_run: bool | None,
    standby: bool | None,
    adopt_account: bool | None,
    output: Path | None,
    verbose: bool,
    listen: str | None,
    duration: float | None,
    data: Path | None,
    speed: float | None,
    start: str | None,
    seed: int | None,
    cash: Decimal | None,
    exchange_url: str | None,
    state_dir: Path | None,
) -> None:
    """Trade until stopped: on the embedded exchange (sim), on Alpaca's paper account, or live."""
    simulation = {
        "data": data,
        "speed": speed,
        "start": start,
        "seed": seed,
        "cash_usd": cash,
        "exchange_url": exchange_url,
    }
    given = [name for name, value in simulation.items() if value is not None]
    if mode != "sim" and given:
        names = {"cash_usd": "--cash", "exchange_url": "--exchange"}
        raise click.UsageError(f"{names.get(given[0], f'--{given[0]}')} is for mode sim only, found --mode {mode}")
    world = [name for name in given if name not in ("exchange_url",)]
    if exchange_url is not None and world:
        raise click.UsageError("--exchange uses an exchange that runs already: its data, speed and cash are its own")
    if account is not None and mode != "live":
        raise click.UsageError(f"--account is a sign of mode live, found --mode {mode}")

    gc.disable()  # what is loaded stays: to look through it again and again costs a twentieth of the start
    from quant_trading_system.app.daemon import run
    from quant_trading_system.app.options import TradeOptions
    from quant_trading_system.core.types import Mode

    gc.freeze()
    gc.enable()
    flags: dict[str, object] = {
        "trade.account": account,
        "universe.symbols": symbols,
        "portfolio.capital_usd": capital,
        "risk.position_size_usd_max": max_position_size,
        "trade.is_dry_run": dry_run,
        "trade.is_standby": standby,
        "trade.adopts_account": adopt_account,
        "trade.output": output,
        "http.listen": listen,
        "trade.duration_seconds": duration,
        "logging.level": "DEBUG" if verbose else None,
        **{f"simulation.{name}": value for name, value in simulation.items()},
    }
    code = run(
        TradeOptions(mode=Mode(mode), flags=flags, config_file=config_file, state_dir=state_dir, is_verbose=verbose)
    )
    raise SystemExit(code)
