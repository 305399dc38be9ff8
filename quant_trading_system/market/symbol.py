"""What is known of one symbol: its quote, its last print, the bar being formed and the closed ones. Decides nothing."""

from __future__ import annotations

import math
from collections import deque

from quant_trading_system.core.clock import EPOCH, to_datetime
from quant_trading_system.core.events import QuoteSeen
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Bar
from quant_trading_system.market.indicators import IndicatorSet

VWAP_NS = 30 * 60 * NANOS_PER_SECOND
CLOSED_MARKET_NS = 4 * 3_600 * NANOS_PER_SECOND
"""Bars further apart than this lie in different sessions; the extended hours are eight hours apart overnight."""


class SymbolState:
    """Mutable state of one symbol. Prices are NaN where nothing valid was received.

    The bar being formed covers `start_at` to `end_at`; while none is, both are the first instant of which a print is
    not late, so that one comparison finds the common case.
    """

    __slots__ = (
        "anchor",
        "bars",
        "close",
        "closed_ns",
        "end_at",
        "end_ns",
        "halted_ns",
        "high",
        "indicators",
        "is_forming",
        "last_close",
        "last_trade",
        "low",
        "notional",
        "open",
        "quote",
        "quote_sum",
        "seen_mono_ns",
        "start_at",
        "start_ns",
        "suspect_price",
        "suspect_quote",
        "symbol",
        "trade_mono_ns",
        "trades",
        "turnover",
        "volume",
        "vwap",
    )

    def __init__(self, symbol: Symbol, indicators: IndicatorSet, *, history_bars: int) -> None:
        self.symbol = symbol
        self.indicators = indicators
        self.bars: deque[Bar] = deque(maxlen=history_bars)
        self.closed_ns = -1  # start of the last closed interval
        self.turnover: deque[tuple[int, float, float]] = deque(maxlen=history_bars)  # start, USD, shares of closed bars
        self.vwap = math.nan
        self.last_close = math.nan

        self.quote: QuoteSeen | None = None
        self.quote_sum = math.nan  # bid + ask of the last quote that was believed
        self.suspect_quote: QuoteSeen | None = None
        self.anchor = math.nan  # price of the last print that was believed, whatever its conditions
        self.last_trade = math.nan
        self.suspect_price = math.nan
        self.trade_mono_ns: MonoNanos | None = None
        self.seen_mono_ns: MonoNanos | None = None
        self.halted_ns: Nanos | None = None

        self.is_forming = False
        self.start_at = EPOCH
        self.end_at = EPOCH
        self.start_ns = 0
        self.end_ns = 0
        self.open = self.high = self.low = self.close = math.nan
        self.volume = 0.0
        self.notional = 0.0
        self.trades = 0

    # the bar being formed

    def begin(self, start_ns: int, bar_ns: int) -> None:
        """Open the interval that starts at `start_ns`, still without a print."""
        self.is_forming = True
        self.start_ns, self.end_ns = start_ns, start_ns + bar_ns
        self.start_at, self.end_at = to_datetime(start_ns), to_datetime(start_ns + bar_ns)
        self.open = self.high = self.low = self.close = math.nan
        self.volume = 0.0
        self.notional = 0.0
        self.trades = 0

    def skip_to(self, end_ns: int) -> None:
        """Form nothing; prints before `end_ns` are late."""
        self.is_forming = False
        self.start_ns = self.end_ns = end_ns
        self.start_at = self.end_at = to_datetime(end_ns)

    def add_price(self, price: float) -> None:
        """Let a print move the forming bar's prices."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        elif self.open != self.open:  # NaN: the first print with a price
            self.open = self.high = self.low = price
        self.close = price

    def formed(self) -> Bar | None:
        """The forming bar as it stands; None while no print gave it a price and shares."""
        if not (self.volume > 0.0 and self.open > 0.0):
            return None
        return Bar(
            self.symbol, Nanos(self.start_ns), self.open, self.high, self.low, self.close, self.volume, self.trades
        )

    # closed bars

    def add(self, bar: Bar, notional: float) -> None:
        """Append a closed bar and bring indicators and VWAP up to it. `notional` is the USD its shares cost."""
        bars = self.bars
        if bars and bar.start_ns - bars[-1].start_ns > CLOSED_MARKET_NS:
            self.last_close = bars[-1].close
        bars.append(bar)
        self.closed_ns = bar.start_ns
        self.indicators.update(bar, bars)
        turnover = self.turnover
        turnover.append((bar.start_ns, notional, bar.volume))
        oldest_ns = bar.start_ns - VWAP_NS
        while turnover[0][0] <= oldest_ns:
            turnover.popleft()
        # Summed anew: a running sum would drift over months.
        self.vwap = sum([usd for _, usd, _ in turnover]) / sum([shares for _, _, shares in turnover])

    def rebuild(self, bars: list[Bar]) -> None:
        """Take `bars`, oldest first, as the whole history."""
        self.bars.clear()
        self.turnover.clear()
        self.indicators.reset()
        for bar in bars:
            self.add(bar, _notional(bar))

    def split(self, ratio: float) -> None:
        """Tell everything that is known in the shares that one share became `ratio` of; a quote has to come anew."""
        self.rebuild([_split(bar, ratio) for bar in self.bars])
        self.last_close /= ratio
        self.quote = self.suspect_quote = None
        self.quote_sum /= ratio
        self.anchor /= ratio
        self.last_trade /= ratio
        self.suspect_price = math.nan
        self.skip_to(self.end_ns)

    # prices

    @property
    def has_mid(self) -> bool:
        quote = self.quote
        return quote is not None and 0.0 < quote.bid_price <= quote.ask_price

    @property
    def reference_close(self) -> float:
        """Close of the session before, else of the last bar."""
        return self.last_close if self.last_close > 0.0 or not self.bars else self.bars[-1].close


def _split(bar: Bar, ratio: float) -> Bar:
    return Bar(
        bar.symbol,
        bar.start_ns,
        bar.open / ratio,
        bar.high / ratio,
        bar.low / ratio,
        bar.close / ratio,
        bar.volume * ratio,
        bar.trades,
    )


def _notional(bar: Bar) -> float:
    """USD a bar's shares cost, where its prints are not known: the typical price stands for their average."""
    return (bar.high + bar.low + bar.close) / 3.0 * bar.volume
