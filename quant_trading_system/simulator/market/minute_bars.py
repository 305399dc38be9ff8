"""Builds minute bars from trades, stamped with their beginning. Decides nothing: conditions say what counts for what.

A print that was taken back counts for nothing; one that sets no price (an odd lot) for volume and count alone, and
makes no bar where it stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.conditions import counts_in_volume, sets_price
from quant_trading_system.simulator.events import DAILY_BAR, REGULAR_TRADE, SimBar, SimTrade

PRICE_DECIMALS = 6
TAKEN_BACK = ("canceled", "incorrect")


class _Forming:
    """One symbol's minute so far. Changed a few hundred thousand times a day, so a class with slots and no more."""

    __slots__ = ("close", "count", "high", "low", "open", "turnover", "volume")

    def __init__(self) -> None:
        self.open = self.close = 0.0  # 0: nothing has set a price
        self.high, self.low = 0.0, math.inf
        self.volume = self.turnover = 0.0
        self.count = 0

    def set_price(self, price: float) -> None:
        if not self.open:
            self.open = price
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price
        self.close = price

    def count_in(self, price: float, size: float) -> None:
        self.volume += size
        self.turnover += price * size
        self.count += 1

    def bar(self, symbol: str, ts_ns: int) -> SimBar:
        vwap = round(self.turnover / self.volume, PRICE_DECIMALS)
        return SimBar(symbol, self.open, self.high, self.low, self.close, self.volume, ts_ns, self.count, vwap)


class MinuteBarBuilder:
    """The minute bars of one day, of all symbols."""

    def __init__(self) -> None:
        self._forming: dict[str, _Forming] = {}
        self._complete: dict[str, list[SimBar]] = {}
        self._minute_ns = 0
        self.minute_end_ns = 0

    def add(self, trade: SimTrade) -> None:
        """Take a trade; the minutes before its own must have been finished."""
        ts_ns = trade.ts_ns
        if ts_ns >= self.minute_end_ns:
            assert not self._forming, "expected the last minute to be finished before a trade of the next"
            self._minute_ns = ts_ns - ts_ns % NANOS_PER_MINUTE
            self.minute_end_ns = self._minute_ns + NANOS_PER_MINUTE
        if trade.update in TAKEN_BACK or not counts_in_volume(trade.conditions):
            return
        forming = self._forming.get(trade.symbol)
        if forming is None:
            forming = self._forming[trade.symbol] = _Forming()
        if trade.conditions is REGULAR_TRADE or sets_price(trade.conditions):
            forming.set_price(trade.price)
        forming.count_in(trade.price, trade.size)

    @property
    def is_forming(self) -> bool:
        return bool(self._forming)

    def finish_minute(self) -> list[SimBar]:
        """End the running minute: its bars by symbol."""
        priced = sorted(symbol for symbol, forming in self._forming.items() if forming.open)
        bars = [self._forming[symbol].bar(symbol, self._minute_ns) for symbol in priced]
        for bar in bars:
            self._complete.setdefault(bar.symbol, []).append(bar)
        self._forming.clear()
        return bars

    def so_far(self, symbol: str) -> list[SimBar]:
        """The day's bars of a symbol, the forming one last."""
        bars = list(self._complete.get(symbol, ()))
        if symbol in self._forming and self._forming[symbol].open:
            bars.append(self._forming[symbol].bar(symbol, self._minute_ns))
        return bars

    def last_complete(self, symbol: str) -> SimBar | None:
        bars = self._complete.get(symbol)
        return bars[-1] if bars else None


def bars_of_trades(trades: Iterable[SimTrade]) -> list[SimBar]:
    """All minute bars of one symbol's trades, in order."""
    builder = MinuteBarBuilder()
    symbol = ""
    for trade in trades:
        if trade.ts_ns >= builder.minute_end_ns and builder.is_forming:
            builder.finish_minute()
        builder.add(trade)
        symbol = trade.symbol
    builder.finish_minute()
    return builder.so_far(symbol)


def daily_bar(minutes: Sequence[SimBar], day_ns: int) -> SimBar | None:
    """One bar of a day's minute bars, stamped `day_ns`; None of none."""
    if not minutes:
        return None
    volume = sum(bar.volume for bar in minutes)
    turnover = sum(bar.vwap * bar.volume for bar in minutes)
    return SimBar(
        minutes[0].symbol,
        minutes[0].open,
        max(bar.high for bar in minutes),
        min(bar.low for bar in minutes),
        minutes[-1].close,
        volume,
        day_ns,
        sum(bar.trade_count for bar in minutes),
        round(turnover / volume, PRICE_DECIMALS) if volume else minutes[-1].close,
    )


class RunningDays:
    """The day's bars as they grow minute by minute."""

    def __init__(self) -> None:
        self._days: dict[str, SimBar] = {}

    def add(self, minute: SimBar, day_ns: int) -> SimBar:
        """The symbol's day with one more minute, as it is told."""
        known = self._days.get(minute.symbol)
        joined = daily_bar([minute] if known is None else [known, minute], day_ns)
        assert joined is not None, "expected a day of at least one minute"
        self._days[minute.symbol] = joined
        return msgspec.structs.replace(joined, kind=DAILY_BAR)
