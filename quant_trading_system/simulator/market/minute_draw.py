"""Trades and quotes inside generated minutes. Decides them so that they make exactly each minute's bar.

One call draws many minutes of many symbols, equities and crypto alike. The price of a minute goes through some points:
the first is its open, the last its close, its high and low lie between. A point is a trade, printing at the bid or the
ask of the quote just before it; in a silent minute it is that quote alone, and its middle is the point's price.

Prices are whole numbers of ticks, sizes whole numbers of units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.market.draws import (
    Floats,
    Ints,
    Keys,
    below,
    exponential,
    group_places,
    normal,
    uniform,
)

QUOTE_LEAD_NS = 2_000_000  # a trade comes this long after the quote that it prints against
OPENING_NS_MAX = 1_000_000_000  # the opening print comes within this time of the bell
TRADE_IDS_PER_MINUTE = 100_000
_WALK_SCALE = 1 << 20  # a random walk's steps as whole numbers
_WEIGHT_SCALE = 1 << 12  # so that volume x weight stays below 2^63 for a volume of 2^40 units

_AT, _WALK, _SIDE, _SPREAD, _EXTRA_AT, _EXTRA_SPREAD, _BID_SIZE, _ASK_SIZE, _ODD, _ODD_SIZE, _WEIGHT = range(0, 44, 4)
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What is known of some minutes before they are drawn: one row for each, of any symbol and time."""

    owner: Ints  # the symbol's place in the caller's list
    keys: Keys
    begin_ns: Ints
    first_id: Ints
    open: Ints  # ticks; as are the next three
    high: Ints
    low: Ints
    close: Ints
    volume: Ints  # units; at least `lot` for every trade
    points: Ints  # through which the price goes: trades, in a silent minute quotes
    is_silent: Bools
    extra_quotes: Ints
    spread_ticks: Floats  # typical, not yet a whole number
    depth: Floats  # mean size of a side of the book, in lots
    lot: int  # units of the smallest ordinary trade
    odd_share: float  # of trades that may be smaller than a lot
    opening: Ints  # units of the opening print, 0 where the minute has none

    def rows(self, wanted: Ints) -> Minutes:
        """Some of the rows."""
        taken = {name: getattr(self, name)[wanted] for name in _COLUMNS}
        return Minutes(lot=self.lot, odd_share=self.odd_share, **taken)


_COLUMNS = tuple(name for name in Minutes.__slots__ if name not in ("lot", "odd_share"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTrades:
    """The trades of some minutes, by minute and time."""

    row: Ints  # of the minute
    ts_ns: Ints
    price: Ints
    size: Ints
    trade_id: Ints
    is_bought: Bools
    is_odd: Bools  # smaller than a lot
    is_pinned: Bools  # first, last, highest or lowest: it makes the bar

    def moved(self, place: int, ticks: int) -> DrawnTrades:
        """The same with one trade's price moved."""
        price = self.price.copy()
        price[place] += ticks
        return replace(self, price=price)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnQuotes:
    """The quotes of some minutes, not in order."""

    row: Ints
    ts_ns: Ints
    bid: Ints
    bid_size: Ints
    ask: Ints
    ask_size: Ints


def draw(minutes: Minutes) -> tuple[DrawnTrades, DrawnQuotes]:
    """All trades and quotes of some minutes."""
    firsts, row, place = group_places(minutes.points)
    keys = minutes.keys[row]
    last = place == minutes.points[row] - 1
    at_ns = _times(minutes, keys, row, place)
    price, pinned = _path(minutes, keys, firsts, row, place)
    is_bought = uniform(keys, _SIDE, place) < 0.5
    spread = _whole_ticks(keys, _SPREAD, minutes.spread_ticks[row], place)
    silent = minutes.is_silent[row]
    spread = np.where(silent, spread + spread % 2, spread)  # so that the middle is a price
    bid = np.where(silent, price - spread // 2, np.where(is_bought, price - spread, price))
    quotes = _quotes(minutes, (row, place, at_ns, bid, spread))
    pinned |= (place == 0) | last
    heard = ~silent
    size, odd = _sizes(minutes, row[heard], place[heard], pinned[heard])
    trades = DrawnTrades(
        row=row[heard],
        ts_ns=(minutes.begin_ns[row] + at_ns)[heard],
        price=price[heard],
        size=size,
        trade_id=(minutes.first_id[row] + place)[heard],
        is_bought=is_bought[heard],
        is_odd=odd,
        is_pinned=pinned[heard],
    )
    return trades, quotes


def fit_few_points(points: Ints, prices: tuple[Ints, Ints, Ints, Ints]) -> tuple[Ints, Ints, Ints, Ints]:
    """Open, high, low and close of minutes whose few points cannot touch all four: what those points make.

    One point is the close; two are open and close; three are open, high and close.
    """
    open_, high, low, close = prices
    open_ = np.where(points == 1, close, open_)
    high = np.where(points <= 2, np.maximum(open_, close), high)
    low = np.where(points <= 3, np.minimum(open_, close), low)
    return open_, high, low, close


def _times(minutes: Minutes, keys: Keys, row: Ints, place: Ints) -> Ints:
    """When each point comes, ascending within its minute; an opening print early."""
    drawn = below(keys, _AT, NANOS_PER_MINUTE - QUOTE_LEAD_NS, place) + QUOTE_LEAD_NS
    at_ns = np.sort(row * NANOS_PER_MINUTE + drawn) - row * NANOS_PER_MINUTE
    opens = (place == 0) & (minutes.opening[row] > 0)
    early = QUOTE_LEAD_NS + below(keys, _AT + 1, OPENING_NS_MAX - QUOTE_LEAD_NS)
    return np.asarray(np.where(opens, np.minimum(at_ns, early), at_ns))


def _path(minutes: Minutes, keys: Keys, firsts: Ints, row: Ints, place: Ints) -> tuple[Ints, Bools]:
    """Prices in ticks that begin at the open, end at the close and touch the extremes; which ones do."""
    points = minutes.points[row]
    steps = np.rint(normal(keys, _WALK, place) * _WALK_SCALE).astype(np.int64)
    total = np.cumsum(steps)
    walk = (total - total[firsts][row]).astype(np.float64)
    along = place / np.maximum(points - 1, 1)
    bridge = walk - walk[(firsts + minutes.points - 1)][row] * along
    reach = np.maximum.reduceat(np.abs(bridge), firsts) + 1.0
    high, low = minutes.high[row], minutes.low[row]
    scale = (high - low) / (2.0 * reach[row])
    straight = minutes.open[row] + (minutes.close - minutes.open)[row] * along
    path = np.clip(np.rint(straight + scale * bridge), low, high).astype(np.int64)
    return _pinned(minutes, firsts, row, place, path)


def _pinned(minutes: Minutes, firsts: Ints, row: Ints, place: Ints, path: Ints) -> tuple[Ints, Bools]:
    """The path with its ends and extremes set."""
    points = minutes.points[row]
    path = np.where(place == 0, minutes.open[row], path)
    path = np.where(place == points - 1, minutes.close[row], path)
    inner = (place > 0) & (place < points - 1)
    highest = _first_of_extreme(path, inner, firsts, row, place)
    lowest = _first_of_extreme(-path, inner, firsts, row, place)
    inside = np.maximum(minutes.points - 2, 1)
    lowest = np.where(highest == lowest, 1 + highest % inside, lowest)
    is_high = inner & (place == highest[row])
    is_low = inner & (place == lowest[row]) & ~is_high
    path = np.where(is_high, minutes.high[row], np.where(is_low, minutes.low[row], path))
    return path, is_high | is_low


def _first_of_extreme(path: Ints, inner: Bools, firsts: Ints, row: Ints, place: Ints) -> Ints:
    """The place of the first highest inner point of each minute."""
    nowhere = np.iinfo(np.int64).min // 2
    values = np.where(inner, path, nowhere)
    highest = np.maximum.reduceat(values, firsts)
    return np.asarray(np.minimum.reduceat(np.where(inner & (values == highest[row]), place, 1 << 40), firsts))


def _sizes(minutes: Minutes, row: Ints, place: Ints, pinned: Bools) -> tuple[Ints, Bools]:
    """Sizes in units that sum to each minute's volume; those of ordinary trades are a lot or more."""
    if not len(row):
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    keys, lot = minutes.keys[row], minutes.lot
    odd = ~pinned & (uniform(keys, _ODD, place) < minutes.odd_share)
    least = np.where(odd, 1 + below(keys, _ODD_SIZE, max(lot - 1, 1), place), lot)
    weight = np.where(odd, 0, 1 + np.rint(exponential(keys, _WEIGHT, place) * _WEIGHT_SCALE)).astype(np.int64)
    firsts = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
    of_minute = row[firsts]
    group = np.searchsorted(of_minute, row)
    left = (minutes.volume - minutes.opening)[of_minute] - np.add.reduceat(least, firsts)
    sizes = least + left[group] * weight // np.add.reduceat(weight, firsts)[group]
    rest = (minutes.volume - minutes.opening)[of_minute] - np.add.reduceat(sizes, firsts)
    sizes[firsts] += rest + minutes.opening[of_minute]
    return sizes, odd


def _quotes(minutes: Minutes, points: tuple[Ints, Ints, Ints, Ints, Ints]) -> DrawnQuotes:
    """A quote before every point, and others around the way from point to point."""
    row, place, at_ns, bid, spread = points
    _, extra_row, extra_place = group_places(minutes.extra_quotes)
    keys = minutes.keys[extra_row]
    extra_ns = below(keys, _EXTRA_AT, NANOS_PER_MINUTE, extra_place)
    middle = _middle_at(minutes, (row, at_ns, bid + spread / 2.0), extra_row, extra_ns)
    extra_spread = _whole_ticks(keys, _EXTRA_SPREAD, minutes.spread_ticks[extra_row], extra_place)
    extra_bid = np.rint(middle - extra_spread / 2.0).astype(np.int64)
    all_row = np.concatenate((row, extra_row))
    all_place = np.concatenate((place, (1 << 20) + extra_place))
    bids = np.maximum(np.concatenate((bid, extra_bid)), 1)
    return DrawnQuotes(
        row=all_row,
        ts_ns=minutes.begin_ns[all_row] + np.concatenate((at_ns - QUOTE_LEAD_NS, extra_ns)),
        bid=bids,
        bid_size=_shown(minutes, all_row, all_place, _BID_SIZE),
        ask=bids + np.concatenate((spread, extra_spread)),
        ask_size=_shown(minutes, all_row, all_place, _ASK_SIZE),
    )


def _middle_at(minutes: Minutes, points: tuple[Ints, Ints, Floats], row: Ints, at_ns: Ints) -> Floats:
    """The middle price between the points of a minute, and between its ends and the nearest of them."""
    count = len(minutes.points)
    every = np.arange(count)
    point_row, point_ns, point_middle = points
    axis = np.concatenate(
        (
            every * (2 * NANOS_PER_MINUTE),
            point_row * (2 * NANOS_PER_MINUTE) + point_ns,
            every * (2 * NANOS_PER_MINUTE) + NANOS_PER_MINUTE,
        )
    )
    values = np.concatenate((minutes.open.astype(np.float64), point_middle, minutes.close.astype(np.float64)))
    order = np.argsort(axis, kind="stable")
    axis, values = axis[order], values[order]
    right = np.searchsorted(axis, row * (2 * NANOS_PER_MINUTE) + at_ns, side="right")
    left = right - 1
    share = (row * (2 * NANOS_PER_MINUTE) + at_ns - axis[left]) / np.maximum(axis[right] - axis[left], 1)
    return np.asarray(values[left] + (values[right] - values[left]) * share)


def _whole_ticks(keys: Keys, kind: int, typical: Floats, place: Ints) -> Ints:
    drawn = typical * (0.7 + 0.6 * uniform(keys, kind, place)) + uniform(keys, kind + 1, place)
    return np.maximum(np.floor(drawn), 1).astype(np.int64)


def _shown(minutes: Minutes, row: Ints, place: Ints, kind: int) -> Ints:
    """The size of a side of the book in units: whole lots, geometrically distributed."""
    mean = np.maximum(minutes.depth[row], 1.0 + 1e-9)
    lots = 1 + np.floor(exponential(minutes.keys[row], kind, place) / -np.log1p(-1.0 / mean)).astype(np.int64)
    return np.asarray(lots * minutes.lot)
