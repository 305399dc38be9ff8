"""One round of the engine: the recorded day's mix through `engine.handle`. Prints one JSON object.

The whole floor runs (exchange, orders, fills, reconciliation), and each `handle` of a market message is timed alone.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator

from benchmarks.bench import Unavailable
from benchmarks.recorded import OPEN, SYMBOLS, messages
from quant_trading_system.core.events import AnyEvent, MarketEvent
from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote, SimTrade
from tests.support.floor import Floor

MESSAGES = 150_000


class RecordedFloor(Floor):
    """A floor on which the recorded day is heard instead of a script."""

    def __init__(self, recorded: Iterator[SimQuote | SimTrade]) -> None:
        super().__init__(symbols=SYMBOLS, start_ns=OPEN)
        self.spent_ns: list[int] = []
        self._recorded = recorded
        self._next: SimQuote | SimTrade | None = next(recorded)

    @property
    def is_over(self) -> bool:
        return self._next is None

    def tell(self, event: AnyEvent) -> None:
        if not isinstance(event, MarketEvent):
            super().tell(event)
            return
        started_ns = time.perf_counter_ns()
        effects = self.engine.handle(event)
        self.spent_ns.append(time.perf_counter_ns() - started_ns)
        for effect in effects:
            self._perform(effect)

    def _market_speaks(self) -> None:
        while self._next is not None and self._next.ts_ns <= self.now_ns:
            self.market.say(self._next)
            self._next = next(self._recorded, None)


def empty_handler_ns(rounds: int) -> float:
    """What timing itself costs, per message."""

    def handle(_event: object) -> tuple[()]:
        return ()

    spent_ns = []
    for _ in range(rounds):
        started_ns = time.perf_counter_ns()
        handle(None)
        spent_ns.append(time.perf_counter_ns() - started_ns)
    return statistics.fmean(spent_ns)


def work() -> dict[str, float]:
    floor = RecordedFloor(iter(list(messages(MESSAGES))))
    floor.start()
    gc.collect()
    gc.freeze()  # as the daemon does once it is ready
    while not floor.is_over:
        floor.advance(1)
    spent_ns = sorted(floor.spent_ns)
    return {
        "messages": len(spent_ns),
        "venue_minutes": (floor.now_ns - OPEN) / NANOS_PER_SECOND / 60,
        "decisions": len(floor.decisions),
        "orders": len(floor.sent),
        "mean_us": statistics.fmean(spent_ns) / 1_000,
        "p50_us": spent_ns[len(spent_ns) // 2] / 1_000,
        "p99_us": spent_ns[len(spent_ns) * 99 // 100] / 1_000,
        "floor_us": empty_handler_ns(len(spent_ns)) / 1_000,
    }


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(work()) + "\n")
    except Unavailable as reason:
        sys.exit(str(reason))
