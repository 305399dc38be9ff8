"""The history of stocks as a question sees it: under the names of its day, with the adjustments it asks for.

Decides which stretches of which tickers are read, and what is done to their bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from quant_trading_system.simulator.corporate_actions import (
    UNADJUSTED,
    ActionKind,
    AdjustmentFactors,
    CorporateAction,
    parse_adjustment,
)
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import NEW_YORK, new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY, BarSpan, DayAuctions, MarketSource, Reading
from quant_trading_system.simulator.server.actions import FIRST_DAY, effective_actions
from quant_trading_system.simulator.server.bar_history import bars_between
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.names import Name, names_of
from quant_trading_system.simulator.server.ranges import backward_ticks
from quant_trading_system.simulator.server.timeframes import Timeframe
from quant_trading_system.simulator.server.venue import Venue

PRICE_DECIMALS, PRICE_DECIMALS_BELOW_ONE = 2, 4  # recorded 2026-09: a close of 1140.525 is 114.05 after ten for one
VWAP_DECIMALS = 6
NO_MAPPING = "-"

Row = TypeVar("Row")
Tick = TypeVar("Tick", SimTrade, SimQuote)
Change = Callable[[SimBar], SimBar]
ReadSymbol = Callable[[str, int, int], Iterable[Row]]


class StockHistory:
    """One question's view of the market's stocks.

    Args:
        asof: the day whose names are meant; None for tickers alone.
    """

    def __init__(self, venue: Venue, *, asof: date | None, is_descending: bool) -> None:
        self._market: MarketSource = venue.market
        self._is_descending = is_descending
        self._asof = asof
        self._actions = effective_actions(venue.market, FIRST_DAY, new_york_date(venue.exchange.now_ns))
        self._changes = [action for action in self._actions if action.kind == "name_change"]

    def names(self, symbol: str) -> tuple[Name, ...]:
        """The names under which the data of a symbol are found, the earliest first."""
        return names_of(symbol, self._changes, self._asof) if self._asof is not None else (Name(symbol),)

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade | None]:
        return self._ticks("trades", self._market.trades, symbol, start_ns, end_ns)

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote | None]:
        return self._ticks("quotes", self._market.quotes, symbol, start_ns, end_ns)

    def bars(self, timeframe: Timeframe, kinds: Sequence[ActionKind]) -> ReadSymbol[SimBar | None]:
        """How bars of a timeframe are read, with the effects of some kinds of action undone."""

        def read(symbol: str, start_ns: int, end_ns: int) -> Iterator[SimBar | None]:
            names = self.names(symbol)
            change = self._adjusting(names, kinds) if kinds else None

            def source(span: BarSpan, first_ns: int, last_ns: int) -> Iterator[SimBar | None]:
                def read_name(name: str, begin_ns: int, stop_ns: int) -> Iterable[SimBar]:
                    return self._market.bars(name, span, begin_ns, stop_ns)

                for bar in self._through(names, span, read_name, first_ns, last_ns):
                    yield bar if bar is None or change is None else change(bar)

            return bars_between(source, timeframe, start_ns, end_ns, zone=NEW_YORK, is_descending=self._is_descending)

        return read

    def auctions(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[DayAuctions | None]:
        """The days' auctions, in the order that is asked for."""

        def read_name(name: str, begin_ns: int, stop_ns: int) -> Sequence[DayAuctions]:
            return self._market.auctions(name, new_york_date(begin_ns), new_york_date(stop_ns))

        found: list[DayAuctions] = []
        for day in self._through(self.names(symbol), "auctions", read_name, start_ns, end_ns):
            if day is None:
                yield None
            else:
                found.append(day)
        yield from reversed(found) if self._is_descending else found

    def _ticks(
        self, reading: Reading, read: ReadSymbol[Tick], symbol: str, start_ns: int, end_ns: int
    ) -> Iterable[Tick | None]:
        names = self.names(symbol)

        def read_names(first_ns: int, last_ns: int) -> Iterator[Tick | None]:
            return self._through(names, reading, read, first_ns, last_ns)

        if self._is_descending:
            return backward_ticks(read_names, start_ns, end_ns)
        return read_names(start_ns, end_ns)

    def _through(
        self, names: Sequence[Name], reading: Reading, read: ReadSymbol[Row], start_ns: int, end_ns: int
    ) -> Iterator[Row | None]:
        """Rows of all names of a company, each from its own time; the market gets ready in steps."""
        for name in names:
            first_ns, last_ns = max(start_ns, name.first_ns), min(end_ns, name.last_ns)
            if first_ns <= last_ns:
                yield from self._market.prepare(reading, name.symbol, first_ns, last_ns)
                yield from read(name.symbol, first_ns, last_ns)

    def _adjusting(self, names: tuple[Name, ...], kinds: Sequence[ActionKind]) -> Change | None:
        tickers = [name.symbol for name in names]
        wanted = [action for action in self._actions if action.symbol in tickers and action.kind in kinds]
        if not wanted:
            return None
        return adjusting(AdjustmentFactors(
            wanted, kinds=kinds, close_before=lambda day: self._close_before(names, day),
            value_of_spin_off=self._first_price_of,
        ))  # fmt: skip

    def _close_before(self, names: tuple[Name, ...], day: date) -> float | None:
        day_ns = new_york_ns(day)
        name = next(name for name in names if name.first_ns < day_ns <= name.last_ns + 1)
        return self._market.last_close(name.symbol, day)

    def _first_price_of(self, action: CorporateAction) -> float | None:
        if action.new_symbol is None:
            return None
        day_ns = new_york_ns(action.ex_date)
        bars = self._market.bars(action.new_symbol, DAY, day_ns, day_ns)
        return bars[0].open if bars else None


def adjusting(factors: AdjustmentFactors) -> Change:
    """What makes a raw bar an adjusted one."""

    def change(bar: SimBar) -> SimBar:
        found = factors.at(new_york_date(bar.ts_ns))
        if found == UNADJUSTED:
            return bar
        return msgspec.structs.replace(
            bar,
            open=_price(bar.open * found.price),
            high=_price(bar.high * found.price),
            low=_price(bar.low * found.price),
            close=_price(bar.close * found.price),
            vwap=round(bar.vwap * found.price, VWAP_DECIMALS),
            volume=float(round(bar.volume * found.volume)),
        )

    return change


def asof_of(query: DataQuery, today: date) -> date | None:
    """The day whose names are meant; None where no names are looked up."""
    return None if query.text("asof") == NO_MAPPING else query.date_alone("asof") or today


def adjustment_of(query: DataQuery) -> tuple[ActionKind, ...]:
    try:
        return parse_adjustment(query.text("adjustment", "raw"))
    except ValueError as error:
        raise invalid_data(str(error)) from None


def _price(price_usd: float) -> float:
    return round(price_usd, PRICE_DECIMALS if price_usd >= 1.0 else PRICE_DECIMALS_BELOW_ONE)
