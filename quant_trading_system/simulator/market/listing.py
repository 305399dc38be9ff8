"""Turns drawn columns into market messages: names, prices, conditions. Decides how ticks and units are written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quant_trading_system.simulator.assets import crypto_profile_of
from quant_trading_system.simulator.conditions import EXTENDED_HOURS, IEX, ODD_LOT, regular_of
from quant_trading_system.simulator.events import MarketEvent, SimQuote, SimTrade
from quant_trading_system.simulator.market.draws import Floats, Ints
from quant_trading_system.simulator.market.minute_draw import Bools, DrawnQuotes, DrawnTrades

CENTS_PER_USD = 100.0
_Objects = NDArray[np.object_]
Part = tuple[Sequence[MarketEvent], Sequence[int] | Ints]


class Listing:
    """How each of some symbols is written. Rows of `Minutes` name symbols by their place here."""

    def __init__(self, symbols: Sequence[str], *, ticks_per_usd: Floats, units: Floats, conditions: _Objects) -> None:
        self.symbols = tuple(symbols)
        self._names = _objects(symbols)
        self._ticks_per_usd = ticks_per_usd
        self._units = units
        self._conditions = conditions  # of each symbol: ordinary, odd lot, extended hours, both

    @classmethod
    def of_equities(cls, symbols: Sequence[str]) -> Listing:
        """Cents and shares; conditions of each symbol's tape."""
        table = np.empty((len(symbols), 4), dtype=object)
        for place, symbol in enumerate(symbols):
            regular = regular_of(symbol)
            for column, marks in enumerate(((), (ODD_LOT,), (EXTENDED_HOURS,), (EXTENDED_HOURS, ODD_LOT))):
                table[place, column] = (regular, *marks)
        ones = np.ones(len(symbols))
        return cls(symbols, ticks_per_usd=ones * CENTS_PER_USD, units=ones, conditions=table)

    @classmethod
    def of_pairs(cls, pairs: Sequence[str]) -> Listing:
        """Ticks and units of each pair's profile; crypto has no conditions."""
        table = np.empty((len(pairs), 4), dtype=object)
        for place in range(len(pairs)):
            for column in range(4):
                table[place, column] = ()
        profiles = [crypto_profile_of(pair) for pair in pairs]
        return cls(
            pairs,
            ticks_per_usd=np.array([float(profile.ticks_per_usd) for profile in profiles]),
            units=np.array([float(profile.units_per_coin) for profile in profiles]),
            conditions=table,
        )

    def trades(self, drawn: DrawnTrades, owner: Ints, *, extended: Bools | None = None) -> list[SimTrade]:
        """The messages of drawn trades; `owner` and `extended` are of the minutes they were drawn from."""
        owners = owner[drawn.row]
        column = drawn.is_odd.astype(np.int64)
        if extended is not None:
            column = column + 2 * extended[drawn.row]
        return list(
            map(
                SimTrade,
                self._names[owners].tolist(),
                (drawn.price / self._ticks_per_usd[owners]).tolist(),
                (drawn.size / self._units[owners]).tolist(),
                drawn.ts_ns.tolist(),
                [IEX] * len(owners),
                drawn.trade_id.tolist(),
                self._conditions[owners, column].tolist(),
            )
        )

    def sided_trades(self, drawn: DrawnTrades, owner: Ints) -> list[SimTrade]:
        """As `trades`, with the taker's side, as crypto has it."""
        owners = owner[drawn.row]
        return list(
            map(
                SimTrade,
                self._names[owners].tolist(),
                (drawn.price / self._ticks_per_usd[owners]).tolist(),
                (drawn.size / self._units[owners]).tolist(),
                drawn.ts_ns.tolist(),
                [""] * len(owners),
                drawn.trade_id.tolist(),
                [()] * len(owners),
                np.where(drawn.is_bought, "B", "S").tolist(),
            )
        )

    def quotes(self, drawn: DrawnQuotes, owner: Ints) -> list[SimQuote]:
        owners = owner[drawn.row]
        ticks, units = self._ticks_per_usd[owners], self._units[owners]
        return list(
            map(
                SimQuote,
                self._names[owners].tolist(),
                (drawn.bid / ticks).tolist(),
                (drawn.bid_size / units).tolist(),
                (drawn.ask / ticks).tolist(),
                (drawn.ask_size / units).tolist(),
                drawn.ts_ns.tolist(),
            )
        )


class Script:
    """Market messages in the order in which they are said, and how far they have been told.

    Attributes:
        place: of the message that is told next; whoever tells it moves on first.
        is_quiet: of each message whether it is told only where somebody watches; None where all are told anyway.
    """

    __slots__ = ("end_ns", "events", "is_quiet", "place", "said_ns")

    def __init__(self, parts: Sequence[Part], end_ns: int, *, begin_ns: int | None = None) -> None:
        """Parts are messages and when each is said; of those said at one moment the earlier part's come first.

        With `begin_ns`, what is said before it and from `end_ns` on is left to other scripts.
        """
        self.end_ns = end_ns
        self.place = 0
        self.is_quiet: list[bool] | None = None
        events: list[MarketEvent] = []
        for messages, _ in parts:
            events.extend(messages)
        said = np.concatenate([np.zeros(0, np.int64), *(np.asarray(said_ns, np.int64) for _, said_ns in parts)])
        order = np.argsort(said, kind="stable")
        if begin_ns is not None:
            first, last = np.searchsorted(said[order], (begin_ns, end_ns))
            order = order[first:last]
        self.said_ns: list[int] = said[order].tolist()
        self.events = list(map(events.__getitem__, order.tolist()))

    @property
    def next_ns(self) -> int | None:
        """When the next message is said, None at the end."""
        return self.said_ns[self.place] if self.place < len(self.said_ns) else None

    def take(self) -> MarketEvent:
        """The next message, which is told by this."""
        self.place += 1
        return self.events[self.place - 1]

    def drop_until(self, stamp_ns: int) -> None:
        """Leave out what is said up to and including a moment."""
        self.place = bisect_right(self.said_ns, stamp_ns, self.place)


def _objects(values: Sequence[object]) -> _Objects:
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array
