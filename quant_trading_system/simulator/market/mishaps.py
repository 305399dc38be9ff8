"""Rare things that happen to prints: late reports, corrections, cancels. Decides where, and what is said when.

None of them touches a minute's open, high, low or close: the trade that it happens to is an ordinary one in between.
What a bar said at first and what it should have said differ in volume and count alone; the updated bar puts that
right half a minute after the minute's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND
from quant_trading_system.simulator.conditions import OUT_OF_SEQUENCE
from quant_trading_system.simulator.events import MarketEvent, SimCancelError, SimCorrection, SimTrade
from quant_trading_system.simulator.market.draws import Floats, Keys, below, uniform
from quant_trading_system.simulator.market.listing import Listing
from quant_trading_system.simulator.market.minute_draw import DrawnTrades, Minutes, draw

UPDATED_AFTER_NS = 30 * NANOS_PER_SECOND  # behind the minute's end (reference 9.4)
LATE_SECONDS = (2, 25)  # behind the minute's end
MENDED_SECONDS = (3, 20)  # behind the trade
CORRECTED_IDS, CANCELED_IDS = 60_000, 70_000  # added to the trade's id
CANCELED_AFTER_NS = 1_000  # a print that never was stands just behind the one it repeats

_HAPPENS, _WHICH, _WHEN, _SIZE = range(400, 416, 4)
Fate = Literal["late", "corrected", "canceled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MishapRates:
    """How often a symbol's minute of regular trading has one, as a fraction of all minutes; at most one each."""

    late: float = 1 / 1_000
    corrected: float = 1 / 4_000
    canceled: float = 1 / 4_000

    def __post_init__(self) -> None:
        for name in ("late", "corrected", "canceled"):
            value = getattr(self, name)
            assert 0 <= value <= 1, f"{name}: expected a fraction, found {value}"
        assert self.late + self.corrected + self.canceled <= 1, "expected rates that sum to at most 1"

    @property
    def total(self) -> float:
        return self.late + self.corrected + self.canceled


class Mishap(msgspec.Struct, frozen=True):
    """What happened to one print of one minute."""

    symbol: str
    minute_ns: int  # the minute's beginning
    original: SimTrade | None  # as it was told in its time, None where it was late
    final: SimTrade | None  # as it should have been, None where there never was one
    notice: MarketEvent  # what puts it right
    noticed_ns: int
    excess_volume: float  # of the minute as it was first told
    excess_count: int

    def is_mended(self, now_ns: int) -> bool:
        return self.noticed_ns <= now_ns

    def as_told(self, now_ns: int) -> list[SimTrade]:
        """The prints of history that this one has become by a moment."""
        if not self.is_mended(now_ns):
            return [] if self.original is None else [self.original]
        told: list[SimTrade] = []
        if self.original is not None:
            update = "canceled" if self.final is None else "incorrect"
            told.append(msgspec.structs.replace(self.original, update=update))
        if self.final is not None:
            update = "" if self.original is None else "corrected"
            told.append(msgspec.structs.replace(self.final, update=update))
        return told


def chosen(minutes: Minutes, rates: MishapRates) -> list[int]:
    """The rows that something may happen to."""
    return [int(row) for row in np.flatnonzero(_luck(minutes.keys) < rates.total)]


def mishap_of(row: Minutes, listing: Listing, rates: MishapRates) -> Mishap | None:
    """What happens in one minute (`row` has a single row); None where no trade lends itself to it."""
    drawn, _ = draw(row)
    places = np.flatnonzero(~drawn.is_pinned & ~drawn.is_odd)
    if not len(places):
        return None
    place = int(places[int(below(row.keys, _WHICH, len(places))[0])])
    trade = listing.trades(drawn, row.owner)[place]
    luck = float(_luck(row.keys)[0])
    if luck < rates.late:
        return _late(row, trade)
    if luck < rates.late + rates.corrected:
        return _corrected(row, trade, drawn, place, listing)
    return _canceled(row, trade)


def _luck(keys: Keys) -> Floats:
    return uniform(keys, _HAPPENS)


def _seconds(row: Minutes, bounds: tuple[int, int]) -> int:
    low, high = bounds
    return low * NANOS_PER_SECOND + int(below(row.keys, _WHEN, (high - low) * NANOS_PER_SECOND)[0])


def _late(row: Minutes, trade: SimTrade) -> Mishap:
    begin_ns = int(row.begin_ns[0])
    final = msgspec.structs.replace(trade, conditions=(trade.conditions[0], OUT_OF_SEQUENCE))
    noticed_ns = begin_ns + NANOS_PER_MINUTE + _seconds(row, LATE_SECONDS)
    return Mishap(trade.symbol, begin_ns, None, final, final, noticed_ns, -trade.size, -1)


def _corrected(row: Minutes, trade: SimTrade, drawn: DrawnTrades, place: int, listing: Listing) -> Mishap:
    """A size with a hundred or more shares too many, and a price one tick beside where the bar has room for it."""
    too_many = row.lot * (1 + int(below(row.keys, _SIZE, 9)[0]))
    tick = next((step for step in (1, -1) if int(row.low[0]) <= int(drawn.price[place]) + step <= int(row.high[0])), 0)
    wrong = listing.trades(drawn.moved(place, tick), row.owner)[place]
    original = msgspec.structs.replace(wrong, size=trade.size + too_many)
    final = msgspec.structs.replace(trade, trade_id=trade.trade_id + CORRECTED_IDS)
    noticed_ns = trade.ts_ns + _seconds(row, MENDED_SECONDS)
    notice = SimCorrection(
        trade.symbol,
        trade.exchange,
        original.trade_id,
        original.price,
        original.size,
        original.conditions,
        final.trade_id,
        final.price,
        final.size,
        final.conditions,
        noticed_ns,
    )
    return Mishap(trade.symbol, int(row.begin_ns[0]), original, final, notice, noticed_ns, too_many, 0)


def _canceled(row: Minutes, trade: SimTrade) -> Mishap:
    """A print that repeats another by error."""
    original = msgspec.structs.replace(
        trade, ts_ns=trade.ts_ns + CANCELED_AFTER_NS, trade_id=trade.trade_id + CANCELED_IDS
    )
    noticed_ns = original.ts_ns + _seconds(row, MENDED_SECONDS)
    notice = SimCancelError(
        trade.symbol, original.trade_id, original.exchange, original.price, original.size, "C", noticed_ns
    )
    return Mishap(trade.symbol, int(row.begin_ns[0]), original, None, notice, noticed_ns, original.size, 1)
