"""Decides when a delayed feed tells of something: the delay after it happened, the history of that time included."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import MarketEvent, SimBar
from quant_trading_system.simulator.market.source import MINUTE, MarketSource
from quant_trading_system.simulator.server.feeds import channel_of

RECALLED_CHANNELS = ("trades", "quotes", "bars")
EVENTS_MAX = 500_000  # a quarter of an hour of five hundred messages a second; then the oldest are dropped and counted
_MINUTE_NS = 60 * NANOS_PER_SECOND

Pair = tuple[str, str]  # channel and symbol
_Told = tuple[int, MarketEvent]  # venue time at which the undelayed feeds told it


class DelayLine:
    """What delayed subscribers asked for and may not know yet.

    Events are noted as they happen. A new subscription begins where a delayed feed stands, in the past: trades, quotes
    and minute bars of that time are read from the market's history when their turn comes. (Statuses and the like have
    no history: of them the first is the first after the subscription.)
    """

    def __init__(self, market: MarketSource, delay_ns: int) -> None:
        self._market = market
        self._delay_ns = delay_ns
        self._waiting: deque[_Told] = deque()
        self._history: list[tuple[int, int, MarketEvent, Iterator[_Told]]] = []  # a heap of the next of each reading
        self._readings = 0
        self.dropped = 0

    def note(self, event: MarketEvent, now_ns: int) -> None:
        """Keep an event until its time comes."""
        if len(self._waiting) >= EVENTS_MAX:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((now_ns, event))

    def recall(self, pairs: Iterable[Pair], now_ns: int) -> None:
        """Begin subscriptions to (channel, symbol) pairs with what happened while they were not there."""
        for channel, symbol in pairs:
            self._read_on(self._past(channel, symbol, now_ns - self._delay_ns + 1, now_ns))

    def forget(self, pairs: Collection[Pair]) -> None:
        """End subscriptions; one that begins again reads its past anew."""
        if not pairs:
            return
        self._waiting = deque(told for told in self._waiting if _pair(told[1]) not in pairs)
        self._history = [entry for entry in self._history if _pair(entry[2]) not in pairs]
        heapq.heapify(self._history)

    def due(self, now_ns: int) -> list[MarketEvent]:
        """What may be told by now, oldest first."""
        horizon_ns = now_ns - self._delay_ns
        told: list[MarketEvent] = []
        while self._history and self._history[0][0] <= horizon_ns:
            _, _, event, reading = heapq.heappop(self._history)
            told.append(event)
            self._read_on(reading)
        while self._waiting and self._waiting[0][0] <= horizon_ns:
            told.append(self._waiting.popleft()[1])
        return told

    def _read_on(self, reading: Iterator[_Told]) -> None:
        following = next(reading, None)
        if following is not None:
            self._readings += 1  # breaks ties of time: events are not compared
            heapq.heappush(self._history, (following[0], self._readings, following[1], reading))

    def _past(self, channel: str, symbol: str, start_ns: int, end_ns: int) -> Iterator[_Told]:
        if channel == "trades":
            yield from ((trade.ts_ns, trade) for trade in self._market.trades(symbol, start_ns, end_ns))
        elif channel == "quotes":
            yield from ((quote.ts_ns, quote) for quote in self._market.quotes(symbol, start_ns, end_ns))
        elif channel == "bars":
            bars = self._market.bars(symbol, MINUTE, start_ns - _MINUTE_NS, end_ns - _MINUTE_NS)
            yield from ((_told_ns(bar), bar) for bar in bars)


def _pair(event: MarketEvent) -> Pair:
    return channel_of(event), event.symbol


def _told_ns(bar: SimBar) -> int:
    return bar.ts_ns + _MINUTE_NS
