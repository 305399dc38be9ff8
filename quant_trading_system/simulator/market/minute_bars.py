"""Builds minute bars from trades. Decides what a bar holds: every trade of its minute, stamped with its beginning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.events import SimBar, SimTrade

PRICE_DECIMALS = 6


class _Forming:
    """One symbol's minute so far. Changed a few hundred thousand times a day, so a class with slots and no more."""

    __slots__ = ("close", "count", "high", "low", "open", "turnover", "volume")

    def __init__(self, price: float, size: float) -> None:
        self.open = self.high = self.low = self.close = price
        self.volume = size
        self.turnover = price * size
        self.count = 1

    def add(self, price: float, size: float) -> None:
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
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
        forming = self._forming.get(trade.symbol)
        if forming is None:
            self._forming[trade.symbol] = _Forming(trade.price, trade.size)
        else:
            forming.add(trade.price, trade.size)

    @property
    def is_forming(self) -> bool:
        return bool(self._forming)

    def finish_minute(self) -> list[SimBar]:
        """End the running minute: its bars by symbol."""
        bars = [self._forming[symbol].bar(symbol, self._minute_ns) for symbol in sorted(self._forming)]
        for bar in bars:
            self._complete.setdefault(bar.symbol, []).append(bar)
        self._forming.clear()
        return bars

    def so_far(self, symbol: str) -> list[SimBar]:
        """The day's bars of a symbol, the forming one last."""
        bars = list(self._complete.get(symbol, ()))
        if symbol in self._forming:
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
