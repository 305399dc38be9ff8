"""The book of a generated crypto pair around its best quote. Decides its levels; they are functions of quote and seed.

Levels beyond the best stand on a grid of prices, so that most of them stay where they are when the best one moves, and
an increment names only what changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quant_trading_system.simulator.assets import CryptoProfile, crypto_profile_of
from quant_trading_system.simulator.events import SimOrderbook, SimQuote
from quant_trading_system.simulator.market.draws import Ints, Keys, exponential, key_of

LEVELS = 10  # of each side
STEP_BPS = 2.0  # between levels of the grid
SIZE_HOLDS_NS = 10_000_000_000  # a level's size stays this long
SIZE_TRADES = 12.0  # mean size of a level, in mean trades
_BID, _ASK = 1, 2

Side = tuple[tuple[float, float], ...]


def book_of(seed: int, quote: SimQuote) -> SimOrderbook:
    """The whole book at the moment of a quote."""
    return books_of(seed, [quote])[0]


def books_of(seed: int, quotes: Sequence[SimQuote]) -> list[SimOrderbook]:
    """The whole books at the moments of some quotes of one pair."""
    if not quotes:
        return []
    pair = quotes[0].symbol
    profile = crypto_profile_of(pair)
    step = max(1, math.ceil(profile.price_usd * profile.ticks_per_usd * STEP_BPS / 1e4))
    buckets = [quote.ts_ns // SIZE_HOLDS_NS for quote in quotes]
    key_of_bucket = {bucket: key_of(seed, "book", pair, bucket) for bucket in buckets}
    keys = np.array([key_of_bucket[bucket] for bucket in buckets], dtype=np.uint64)[:, None]
    best = np.array([(quote.bid_price, quote.ask_price) for quote in quotes]) * profile.ticks_per_usd
    ticks = np.rint(best).astype(np.int64)
    places = np.arange(LEVELS - 1)[None, :]
    bids = _levels(keys, _BID, (ticks[:, :1] - 1) // step - places, (profile, step))
    asks = _levels(keys, _ASK, ticks[:, 1:] // step + 1 + places, (profile, step))
    return [
        SimOrderbook(pair, ((q.bid_price, q.bid_size), *below), ((q.ask_price, q.ask_size), *above), True, q.ts_ns)
        for q, below, above in zip(quotes, bids, asks, strict=True)
    ]


def _levels(keys: Keys, kind: int, grid: Ints, shape: tuple[CryptoProfile, int]) -> list[Side]:
    """Prices and sizes of places on the grid, a row for each book; none at or below zero."""
    profile, step = shape
    unit = max(1.0, profile.trade_usd / profile.price_usd * profile.units_per_coin) * SIZE_TRADES
    units = 1 + np.floor(unit * exponential(keys, kind, np.maximum(grid, 0))).astype(np.int64)
    prices = (grid * step / profile.ticks_per_usd).tolist()
    sizes = (units / profile.units_per_coin).tolist()
    return [
        tuple(level for level in zip(row, held, strict=True) if level[0] > 0)
        for row, held in zip(prices, sizes, strict=True)
    ]


def increment(before: SimOrderbook, after: SimOrderbook) -> SimOrderbook:
    """What makes one book of the other: levels that changed, those that went with size 0."""
    return SimOrderbook(
        after.symbol, _changes(before.bids, after.bids), _changes(before.asks, after.asks), False, after.ts_ns
    )


def apply(book: SimOrderbook, change: SimOrderbook) -> SimOrderbook:
    """The book after a message, as a client keeps it."""
    if change.is_reset:
        return change
    bids, asks = dict(book.bids) | dict(change.bids), dict(book.asks) | dict(change.asks)
    return SimOrderbook(
        book.symbol,
        tuple(sorted(((price, size) for price, size in bids.items() if size), reverse=True)),
        tuple(sorted((price, size) for price, size in asks.items() if size)),
        True,
        change.ts_ns,
    )


def _changes(before: Side, after: Side) -> Side:
    held, wanted = dict(before), dict(after)
    gone = [(price, 0.0) for price, _ in before if price not in wanted]
    return (*((price, size) for price, size in after if held.get(price) != size), *gone)
