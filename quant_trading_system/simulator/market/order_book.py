"""The book of a generated crypto pair around its best quote. Decides its levels; they are functions of quote and seed.

Levels beyond the best stand on a grid of prices, so that most of them stay where they are when the best one moves, and
an increment names only what changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from quant_trading_system.simulator.assets import crypto_profile_of
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
    profile = crypto_profile_of(quote.symbol)
    ticks = profile.ticks_per_usd
    step = max(1, math.ceil(profile.price_usd * ticks * STEP_BPS / 1e4))
    bid, ask = round(quote.bid_price * ticks), round(quote.ask_price * ticks)
    below, above = (bid - 1) // step, ask // step + 1
    unit = max(1.0, profile.trade_usd / profile.price_usd * profile.units_per_coin) * SIZE_TRADES
    bucket = quote.ts_ns // SIZE_HOLDS_NS
    key = np.array([key_of(seed, "book", quote.symbol, bucket)], dtype=np.uint64)

    places = np.arange(LEVELS - 1)
    return SimOrderbook(
        quote.symbol,
        ((quote.bid_price, quote.bid_size), *_levels(key, _BID, below - places, (step, unit, quote.symbol))),
        ((quote.ask_price, quote.ask_size), *_levels(key, _ASK, above + places, (step, unit, quote.symbol))),
        True,
        quote.ts_ns,
    )


def _levels(key: Keys, kind: int, grid: Ints, shape: tuple[int, float, str]) -> Iterator[tuple[float, float]]:
    """Prices and sizes of places on the grid; none at or below zero."""
    step, unit, pair = shape
    profile = crypto_profile_of(pair)
    grid = grid[grid > 0]
    units = 1 + np.floor(unit * exponential(key, kind, grid)).astype(np.int64)
    prices, sizes = grid * step / profile.ticks_per_usd, units / profile.units_per_coin
    return zip(prices.tolist(), sizes.tolist(), strict=True)


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
