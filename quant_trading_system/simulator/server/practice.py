"""FAKEPACA, the symbol of `/v2/test` that trades around the clock. Decides its prices; nobody can order it."""

from __future__ import annotations

from collections.abc import Iterator

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimQuote, SimTrade

PRACTICE_SYMBOL = "FAKEPACA"
SECONDS_PER_TICK_MAX = 60  # at speed 60 a tick is one venue second; after a jump the rest is left out
_BASE_PRICE_USD = 133.85
_STEPS = (0.00, 0.05, 0.15, 0.10, -0.05, -0.15, -0.10, 0.20)
_EXCHANGE = "V"


class PracticeSymbol:
    """One quote and one trade a venue second, one bar a venue minute."""

    def __init__(self) -> None:
        self._done_s: int | None = None

    def events_until(self, now_ns: int) -> list[MarketEvent]:
        """What happened in the seconds since the last call."""
        now_s = now_ns // NANOS_PER_SECOND
        first_s = now_s if self._done_s is None else self._done_s + 1
        self._done_s = now_s
        seconds = range(max(first_s, now_s - SECONDS_PER_TICK_MAX), now_s + 1)
        return [event for second in seconds for event in _events_of(second)]


def _price(second: int) -> float:
    return round(_BASE_PRICE_USD + _STEPS[second % len(_STEPS)], 2)


def _events_of(second: int) -> Iterator[MarketEvent]:
    price, stamp_ns = _price(second), second * NANOS_PER_SECOND
    yield SimQuote(PRACTICE_SYMBOL, round(price - 0.01, 2), 100, round(price + 0.01, 2), 100, stamp_ns)
    yield SimTrade(PRACTICE_SYMBOL, price, 50, stamp_ns, _EXCHANGE, second)
    if second % 60 == 0:
        yield _bar_before(second)


def _bar_before(second: int) -> SimBar:
    prices = [_price(at) for at in range(second - 60, second)]
    average = round(sum(prices) / len(prices), 6)
    stamp_ns = (second - 60) * NANOS_PER_SECOND
    return SimBar(
        PRACTICE_SYMBOL, prices[0], max(prices), min(prices), prices[-1], 3_000, stamp_ns, len(prices), average
    )
