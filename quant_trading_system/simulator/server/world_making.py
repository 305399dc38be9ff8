"""Makes the market and the account of a world's shape. Decides the defaults of a new world; refuses an empty one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from quant_trading_system.core.types import Nanos
from quant_trading_system.datafiles import DataDirectory
from quant_trading_system.simulator.assets import DEFAULT_CRYPTO, DEFAULT_SYMBOLS, is_pair
from quant_trading_system.simulator.calendar import FIRST_YEAR, LAST_YEAR, sessions_before
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.market.recorded import RecordedMarket
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.rulebook import TODAY, Rulebook
from quant_trading_system.simulator.server.data_check import check_recorded
from quant_trading_system.simulator.server.stamps import eastern_text
from quant_trading_system.simulator.server.world import WorldConflict, WorldShape, WorldWish
from quant_trading_system.simulator.settings import ExchangeSettings

CASH_USD_DEFAULT = "100000"  # a new paper account at Alpaca
SEED_DEFAULT = 0
HISTORY_YEARS = 1  # a generated world needs this much calendar before its start, for warm-up bars


def default_shape(wish: WorldWish) -> WorldShape:
    """What a world is made of where the wish says nothing: the first recorded open, or the bell of the last session.

    Raises:
        DataFileError: the recorded data cannot be played.
    """
    symbols: tuple[str, ...]
    if wish.data is not None:
        market = RecordedMarket(DataDirectory(Path(wish.data)))
        start_ns, symbols = market.start_ns, tuple(market.symbols)
    else:
        tomorrow = new_york_date(time.time_ns()) + timedelta(days=1)
        start_ns, symbols = sessions_before(tomorrow, 1)[-1].open_ns, tuple(sorted((*DEFAULT_SYMBOLS, *DEFAULT_CRYPTO)))
    return WorldShape(data=wish.data, start_ns=start_ns, seed=SEED_DEFAULT, cash=CASH_USD_DEFAULT, symbols=symbols)


def make_market(shape: WorldShape, *, state_dir: Path | None = None) -> MarketSource:
    """The market of a world.

    Args:
        shape: what it is made of.
        state_dir: where it is remembered which files were judged.

    Raises:
        DataFileError: the recorded data cannot be played from the start on, or lacks a symbol.
        WorldConflict: the start lies outside the calendar.
    """
    pairs = [symbol for symbol in shape.symbols if is_pair(symbol)]
    equities = [symbol for symbol in shape.symbols if not is_pair(symbol)]
    if not equities:
        raise WorldConflict(f"--symbols: expected at least one equity beside {', '.join(pairs) or 'nothing'}")
    if shape.data is not None:
        made: MarketSource = _make_recorded(shape, Path(shape.data), equities, state_dir)
    else:
        made = _make_generated(shape, equities)
    if not pairs:
        return made
    from quant_trading_system.simulator.market.both import BothMarkets  # loads numpy, as below
    from quant_trading_system.simulator.market.crypto import CryptoMarket

    return BothMarkets(made, CryptoMarket(seed=shape.seed, start_ns=Nanos(shape.start_ns), pairs=pairs))


def _make_generated(shape: WorldShape, symbols: Sequence[str]) -> MarketSource:
    year = new_york_date(shape.start_ns).year
    if not FIRST_YEAR + HISTORY_YEARS <= year < LAST_YEAR:
        raise WorldConflict(
            f"--start: expected a time from {FIRST_YEAR + HISTORY_YEARS} to {LAST_YEAR - 1},"
            f" found {eastern_text(shape.start_ns, with_fraction=False)}"
        )
    from quant_trading_system.simulator.market.generated import GeneratedMarket  # loads numpy

    return GeneratedMarket(seed=shape.seed, start_ns=Nanos(shape.start_ns), symbols=symbols)


def _make_recorded(shape: WorldShape, data: Path, symbols: Sequence[str], state_dir: Path | None) -> RecordedMarket:
    market = RecordedMarket(DataDirectory(data).only(symbols))
    market.check_start(shape.start_ns)
    judge_data(shape, market, now_ns=shape.start_ns, state_dir=state_dir)
    return market


def judge_data(shape: WorldShape, market: MarketSource, *, now_ns: int, state_dir: Path | None) -> None:
    """Judge the recorded files that a world plays first from a moment on; a generated one has none.

    Raises:
        DataFileError: the first thing that is wrong.
    """
    if shape.data is None:
        return
    session = market.session_closing_after(now_ns)
    directory = DataDirectory(Path(shape.data)).only(symbol for symbol in shape.symbols if not is_pair(symbol))
    check_recorded(directory, first_day=session.day if session else None, state_dir=state_dir)


def make_exchange_settings(shape: WorldShape, rulebook: Rulebook = TODAY) -> ExchangeSettings:
    """The account of a world."""
    return ExchangeSettings(
        start_ns=Nanos(shape.start_ns), seed=shape.seed, cash=Decimal(shape.cash), rulebook=rulebook
    )
