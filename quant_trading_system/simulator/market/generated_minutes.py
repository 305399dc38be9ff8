"""Trades and quotes inside one generated minute. Decides them so that they make exactly the minute's bar.

Every trade prints at the bid or the ask of the quote just before it.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.assets import profile_of
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.market.generated_days import Day, Floats, generator

QUOTES_PER_TRADE = 2  # between trades, beside the quote that each trade prints against
QUOTE_LEAD_NS = 2_000_000  # a trade comes this long after the quote that it prints against
TRADE_IDS_PER_MINUTE = 100_000
EXCHANGE = "V"
ROUND_LOT = 100

_Ints = NDArray[np.int64]


def bar_at(symbol: str, day: Day, minute: int) -> SimBar:
    """The minute's bar; its mean price is the typical price, which the trades need not average to."""
    high, low, close = float(day.high[minute]), float(day.low[minute]), float(day.close[minute])
    return SimBar(
        symbol,
        float(day.open[minute]),
        high,
        low,
        close,
        float(day.volume[minute]),
        day.session.open_ns + minute * NANOS_PER_MINUTE,
        int(day.trades[minute]),
        round((high + low + close) / 3.0, 6),
    )


def whole_day_bar(symbol: str, day: Day) -> SimBar:
    """The session as one bar, stamped with New York midnight: what its minute bars make."""
    volume = float(day.volume.sum())
    typical = (day.high + day.low + day.close) / 3.0
    return SimBar(
        symbol,
        float(day.open[0]),
        float(day.high.max()),
        float(day.low.min()),
        float(day.close[-1]),
        volume,
        new_york_ns(day.session.day),
        int(day.trades.sum()),
        round(float((typical * day.volume).sum()) / volume, 6),
    )


def events_at(seed: int, symbol: str, day: Day, minute: int) -> list[SimQuote | SimTrade]:
    """The minute's quotes and trades in order of time."""
    rng = generator(seed, "events", symbol, _key(day.session.day), block=minute)
    count = int(day.trades[minute])
    trade_ns = QUOTE_LEAD_NS + np.sort(rng.integers(0, NANOS_PER_MINUTE - QUOTE_LEAD_NS, count))
    cents = _trade_cents(rng, day, minute, count)
    sizes = _sizes(rng, int(day.volume[minute]), count)
    is_bought = rng.random(count) < 0.5
    spread = float(day.spread_ticks[minute])
    start_ns = day.session.open_ns + minute * NANOS_PER_MINUTE

    spreads = _whole_ticks(rng, spread, count)
    bids = np.where(is_bought, cents - spreads, cents)
    extra_ns, extra_bids, extra_spreads = _quotes_between(rng, trade_ns, bids, spreads, spread)
    quote_ns = np.concatenate((trade_ns - QUOTE_LEAD_NS, extra_ns))
    quote_bids = np.maximum(np.concatenate((bids, extra_bids)), 1)
    quote_asks = quote_bids + np.concatenate((spreads, extra_spreads))
    shown = ROUND_LOT * rng.geometric(1.0 / _depth_lots(symbol), (2, len(quote_ns)))

    quotes = map(
        _quote,
        [symbol] * len(quote_ns),
        (quote_bids / 100.0).tolist(),
        shown[0].tolist(),
        (quote_asks / 100.0).tolist(),
        shown[1].tolist(),
        (start_ns + quote_ns).tolist(),
    )
    first_id = minute * TRADE_IDS_PER_MINUTE + 1
    trades = (
        SimTrade(symbol, price, float(size), ts_ns, EXCHANGE, first_id + place)
        for place, (price, size, ts_ns) in enumerate(
            zip((cents / 100.0).tolist(), sizes.tolist(), (start_ns + trade_ns).tolist(), strict=True)
        )
    )
    return sorted((*quotes, *trades), key=lambda event: event.ts_ns)


def _quote(symbol: str, bid: float, bid_size: int, ask: float, ask_size: int, ts_ns: int) -> SimQuote:
    return SimQuote(symbol, bid, float(bid_size), ask, float(ask_size), ts_ns)


def _key(day: date) -> str:
    return day.isoformat()


def _trade_cents(rng: np.random.Generator, day: Day, minute: int, count: int) -> _Ints:
    """Prices in cents that begin at the open, end at the close and touch the extremes."""
    first, high, low, last = (round(float(a[minute]) * 100) for a in (day.open, day.high, day.low, day.close))
    walk = np.cumsum(rng.standard_normal(count))
    bridge = walk - np.linspace(walk[0], walk[-1], count)
    scale = (high - low) / (2.0 * np.abs(bridge).max() + 1e-9)
    path: _Ints = np.clip(np.rint(np.linspace(first, last, count) + scale * bridge), low, high).astype(np.int64)
    inner = path[1:-1]
    highest, lowest = int(inner.argmax()), int(inner.argmin())
    if highest == lowest:
        lowest = (highest + 1) % len(inner)
    inner[highest], inner[lowest] = high, low
    path[0], path[-1] = first, last
    return path


def _sizes(rng: np.random.Generator, volume: int, count: int) -> _Ints:
    """Whole shares, at least one a trade, that sum to the volume."""
    weights = rng.exponential(1.0, count)
    sizes: _Ints = 1 + np.floor((volume - count) * weights / weights.sum()).astype(np.int64)
    sizes[int(weights.argmax())] += volume - int(sizes.sum())
    return sizes


def _whole_ticks(rng: np.random.Generator, typical: float, count: int) -> _Ints:
    return np.maximum(np.floor(typical * rng.uniform(0.7, 1.3, count) + rng.random(count)), 1).astype(np.int64)


def _quotes_between(
    rng: np.random.Generator, trade_ns: _Ints, bids: _Ints, spreads: _Ints, typical: float
) -> tuple[_Ints, _Ints, _Ints]:
    """Quotes at other times, around the way from trade to trade."""
    count = QUOTES_PER_TRADE * len(trade_ns)
    at_ns = np.sort(rng.integers(0, NANOS_PER_MINUTE, count))
    middles: Floats = np.interp(at_ns, trade_ns, bids + spreads / 2.0)
    own = _whole_ticks(rng, typical, count)
    return at_ns, np.rint(middles - own / 2.0).astype(np.int64), own


def _depth_lots(symbol: str) -> float:
    """Mean size of a side of the book in round lots."""
    return min(30.0, max(2.0, profile_of(symbol).volume_day / 5e6))
