"""FAKEPACA, the symbol of `/v2/test` that trades around the clock. Decides its prices; nobody can order it."""

from __future__ import annotations

from collections.abc import Iterator

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.server.data_frames import (
    BarMessage,
    Encoding,
    MarketMessage,
    QuoteMessage,
    TradeMessage,
)

PRACTICE_FEED = "/v2/test"
SYMBOL = "FAKEPACA"
SECONDS_PER_TICK_MAX = 60  # at speed 60 a tick is one venue second; after a jump the rest is left out
_BASE_PRICE_USD = 133.85
_STEPS = (0.00, 0.05, 0.15, 0.10, -0.05, -0.15, -0.10, 0.20)


class PracticeSymbol:
    """One quote and one trade a venue second, one bar a venue minute."""

    def __init__(self) -> None:
        self._done_s: int | None = None

    def messages_until(self, now_ns: int) -> list[MarketMessage]:
        """Messages of the seconds since the last call."""
        now_s = now_ns // NANOS_PER_SECOND
        first_s = now_s if self._done_s is None else self._done_s + 1
        self._done_s = now_s
        seconds = range(max(first_s, now_s - SECONDS_PER_TICK_MAX), now_s + 1)
        return [message for second in seconds for message in _messages_of(second)]


def _price(second: int) -> float:
    return round(_BASE_PRICE_USD + _STEPS[second % len(_STEPS)], 2)


def _messages_of(second: int) -> Iterator[MarketMessage]:
    price, stamp_ns = _price(second), second * NANOS_PER_SECOND

    def quote(encoding: Encoding) -> object:
        stamp = encoding.stamp(stamp_ns)
        return QuoteMessage(
            "q", SYMBOL, "V", round(price - 0.01, 2), 100, "V", round(price + 0.01, 2), 100, ["R"], stamp, "C"
        )

    def trade(encoding: Encoding) -> object:
        return TradeMessage("t", SYMBOL, second, "V", price, 50, ["@"], encoding.stamp(stamp_ns), "C")

    yield MarketMessage("quotes", SYMBOL, quote)
    yield MarketMessage("trades", SYMBOL, trade)
    if second % 60 == 0:
        yield _bar_before(second)


def _bar_before(second: int) -> MarketMessage:
    prices = [_price(at) for at in range(second - 60, second)]
    stamp_ns = (second - 60) * NANOS_PER_SECOND
    average = round(sum(prices) / len(prices), 6)

    def bar(encoding: Encoding) -> object:
        stamp = encoding.stamp(stamp_ns)
        return BarMessage("b", SYMBOL, prices[0], max(prices), min(prices), prices[-1], 3_000, stamp, 60, average)

    return MarketMessage("bars", SYMBOL, bar)
