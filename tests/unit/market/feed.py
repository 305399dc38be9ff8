"""Builders of feed messages. Every field has a default, so that what a test writes is what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.events import BarSeen, HistorySeen, QuoteSeen, StatusSeen, TradeSeen
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Bar
from quant_trading_system.market.state import Market

IBM = Symbol("IBM")
SPY = Symbol("SPY")
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
OPEN_NS = to_nanos(OPEN)
MINUTE_NS = 60 * NANOS_PER_SECOND


def ns(seconds: float) -> Nanos:
    """Venue time so many seconds after the open."""
    return Nanos(OPEN_NS + round(seconds * NANOS_PER_SECOND))


def mono(seconds: float) -> MonoNanos:
    return MonoNanos(round(seconds * NANOS_PER_SECOND))


def market(*, indicators: tuple[str, ...] = (), bar_seconds: int = 60, history_bars: int = 128) -> Market:
    return Market(
        symbols=[IBM],
        reference_symbol=SPY,
        indicators=indicators,
        bar_seconds=bar_seconds,
        history_bars=history_bars,
    )


def trade(
    seconds: float,
    price: float = 100.0,
    *,
    size: float = 100.0,
    symbol: Symbol = IBM,
    conditions: tuple[str, ...] = (),
    mono_s: float | None = None,
) -> TradeSeen:
    return TradeSeen(
        symbol,
        OPEN + timedelta(seconds=seconds),
        ns(seconds),
        mono(seconds if mono_s is None else mono_s),
        price=price,
        size=size,
        conditions=conditions,
    )


def quote(
    seconds: float, bid: float = 99.99, ask: float = 100.01, *, symbol: Symbol = IBM, mono_s: float | None = None
) -> QuoteSeen:
    return QuoteSeen(
        symbol,
        OPEN + timedelta(seconds=seconds),
        ns(seconds),
        mono(seconds if mono_s is None else mono_s),
        bid_price=bid,
        bid_size=300.0,
        ask_price=ask,
        ask_size=200.0,
    )


def feed_bar(minute: int, close: float = 100.0, *, volume: float = 5_000.0, symbol: Symbol = IBM, **other) -> BarSeen:
    """The feed's own bar of a minute after the open, arriving right after its end."""
    prices = {"open": close, "high": close + 0.05, "low": close - 0.05, "vwap": close, **other}
    return BarSeen(
        symbol,
        OPEN + timedelta(minutes=minute),
        ns(60 * minute + 60),
        mono(60 * minute + 60),
        close=close,
        volume=volume,
        trade_count=9,
        **prices,
    )


def status(seconds: float, code: str, *, symbol: Symbol = IBM) -> StatusSeen:
    return StatusSeen(symbol, OPEN + timedelta(seconds=seconds), ns(seconds), mono(seconds), status_code=code)


def bar(minute: int, close: float = 100.0, *, symbol: Symbol = IBM, volume: float = 1_000.0) -> Bar:
    return Bar(symbol, ns(60 * minute), close, close + 0.05, close - 0.05, close, volume, 7)


def history(*bars: Bar, symbol: Symbol = IBM) -> HistorySeen:
    return HistorySeen(venue_ns=ns(0), seen_ns=ns(0), mono_ns=mono(0), symbol=symbol, bars=bars)
