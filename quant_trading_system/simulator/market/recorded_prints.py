"""Recorded trades with their conditions: which were auctions, which outside regular hours. Decides it by time and size.

Files do not say what kind of trade a row is. An auction's print is far bigger than what is traded around it: the
biggest one that an exchange reported soon after a bell, where it is four times the next. Without one the session's
first and last trade stand for its auctions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Literal

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.datafiles import DataDirectory, TradeRow, read_trades
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.conditions import CLOSING, EXTENDED_HOURS, IEX, OFF_EXCHANGE, OPENING, regular_of
from quant_trading_system.simulator.events import SimTrade

OPENING_WITHIN_NS = 180 * NANOS_PER_SECOND  # so long auctions of a busy morning took in 2013
CLOSING_WITHIN_NS = 120 * NANOS_PER_SECOND
TIMES_THE_NEXT = 4.0
DEFAULT_EXCHANGE = IEX  # where a file does not say who reported a trade

_Part = Literal["early", "opening", "regular", "closing", "late"]
_Numbered = tuple[int, TradeRow]


def read_day_trades(directory: DataDirectory, symbol: str, day: date) -> Iterator[SimTrade]:
    """A symbol's trades of one day, numbered in their order."""
    rows = enumerate(read_trades(directory.path("trades", symbol, day)), start=1)
    session = calendar.session_on(day)
    if session is None:
        return (_trade(symbol, row, (regular_of(symbol),)) for row in rows)
    return _with_conditions(rows, symbol, session)


def _with_conditions(rows: Iterable[_Numbered], symbol: str, session: Session) -> Iterator[SimTrade]:
    marker = _Marker(symbol)
    for part, group in groupby(rows, key=lambda row: _part_of(row[1].timestamp_ns, session)):
        match part:
            case "opening":
                yield from marker.opening(list(group))
            case "regular":
                yield from marker.regular(group)
            case "closing":
                yield from marker.closing(list(group))
            case _:
                yield from marker.outside(group)
    yield from marker.held_back(is_last=True)


class _Marker:
    """Marks one symbol's day, part by part. The last trade of regular hours is held back: it may be the closing."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._regular = (regular_of(symbol),)
        self._extended = (*self._regular, EXTENDED_HOURS)
        self._opening = (*self._regular, OPENING)
        self._closing = (*self._regular, CLOSING)
        self._is_open = False
        self._held: _Numbered | None = None

    def opening(self, rows: Sequence[_Numbered]) -> Iterator[SimTrade]:
        opening = _auction_place(rows) or 0
        self._is_open = True
        for place, row in enumerate(rows):
            yield _trade(self._symbol, row, self._opening if place == opening else self._regular)

    def regular(self, rows: Iterable[_Numbered]) -> Iterator[SimTrade]:
        for row in rows:
            if not self._is_open:
                self._is_open = True
                yield _trade(self._symbol, row, self._opening)
                continue
            yield from self.held_back(is_last=False)
            self._held = row

    def closing(self, rows: Sequence[_Numbered]) -> Iterator[SimTrade]:
        closing = _auction_place(rows)
        yield from self.held_back(is_last=closing is None)
        for place, row in enumerate(rows):
            yield _trade(self._symbol, row, self._closing if place == closing else self._extended)

    def outside(self, rows: Iterable[_Numbered]) -> Iterator[SimTrade]:
        yield from self.held_back(is_last=True)
        yield from (_trade(self._symbol, row, self._extended) for row in rows)

    def held_back(self, *, is_last: bool) -> Iterator[SimTrade]:
        if self._held is not None:
            row, self._held = self._held, None
            yield _trade(self._symbol, row, self._closing if is_last else self._regular)


def _part_of(stamp_ns: int, session: Session) -> _Part:
    if stamp_ns < session.open_ns:
        return "early"
    if stamp_ns < session.close_ns:
        return "opening" if stamp_ns < session.open_ns + OPENING_WITHIN_NS else "regular"
    return "closing" if stamp_ns < session.close_ns + CLOSING_WITHIN_NS else "late"


def _auction_place(rows: Sequence[_Numbered]) -> int | None:
    """The place of the print that is far bigger than the others, None where there is none."""
    sizes = [0.0 if row.exchange == OFF_EXCHANGE else row.size for _, row in rows]
    place = max(range(len(sizes)), key=sizes.__getitem__)
    others = max((size for other, size in enumerate(sizes) if other != place), default=0.0)
    return place if others and sizes[place] >= TIMES_THE_NEXT * others else None


def _trade(symbol: str, numbered: _Numbered, conditions: tuple[str, ...]) -> SimTrade:
    number, row = numbered
    exchange = row.exchange or DEFAULT_EXCHANGE
    return SimTrade(symbol, row.price, row.size, row.timestamp_ns, exchange, number, conditions)
