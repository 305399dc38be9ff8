"""The engine's inbox: four lanes in fixed priority, each bounded. Decides what waits, what coalesces, what is dropped.

Operator and kill come first, then order updates and broker answers, then timers, then market data. Order updates are
never dropped. When market data piles up, quotes coalesce to the latest of each symbol; what still does not fit is
dropped, counted, and said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum

from quant_trading_system.core.events import AnyEvent, MarketEvent, QuoteSeen
from quant_trading_system.core.types import Symbol


class Lane(IntEnum):
    OPERATOR = 0
    ORDERS = 1
    TIMERS = 2
    MARKET = 3


LANE_NAMES = {Lane.OPERATOR: "operator", Lane.ORDERS: "orders", Lane.TIMERS: "timers", Lane.MARKET: "market"}
MARKET_EVENTS_MAX = 50_000  # 2.5 s of twice the recorded peak of a hundred symbols
COALESCE_ABOVE = 5_000  # below it the engine catches up within 50 ms
CONTROL_EVENTS_MAX = 10_000  # a lane this long means that the engine is stuck; the overflow stops the daemon


class InboxOverflow(Exception):
    """A lane that must not drop anything is full: the engine does not keep up, and the daemon must stop."""


class Inbox:
    """Bounded lanes; one reader (the engine loop), any number of writers in the same event loop."""

    def __init__(self, *, on_drop: Callable[[Lane, int], None] = lambda _lane, _count: None) -> None:
        self._control: tuple[deque[AnyEvent], ...] = (deque(), deque(), deque())
        self._market: deque[MarketEvent] = deque()
        self._ready = asyncio.Event()
        self._on_drop = on_drop
        self.dropped = dict.fromkeys(Lane, 0)
        self.coalesced = 0
        self._coalesce_at = COALESCE_ABOVE

    def put(self, event: AnyEvent, lane: Lane) -> None:
        """Queue one event that must not be lost.

        Raises:
            InboxOverflow: the lane holds `CONTROL_EVENTS_MAX` events. A timer is dropped instead: the next one tells as
                much.
        """
        assert lane is not Lane.MARKET, "market data comes in batches"
        queue = self._control[lane]
        if len(queue) >= CONTROL_EVENTS_MAX:
            if lane is not Lane.TIMERS:
                raise InboxOverflow(f"lane {LANE_NAMES[lane]} holds {len(queue)} events, limit {CONTROL_EVENTS_MAX}")
            self._drop(lane, 1)
            return
        queue.append(event)
        self._ready.set()

    def put_market(self, events: Iterable[MarketEvent]) -> None:
        """Queue a frame of market data, coalescing and dropping where the backlog is too long."""
        self._market.extend(events)
        if len(self._market) > self._coalesce_at:
            self._coalesce()
            self._coalesce_at = max(COALESCE_ABOVE, 2 * len(self._market))  # doubling keeps the cost per event flat
        excess = len(self._market) - MARKET_EVENTS_MAX
        if excess > 0:
            self._coalesce()
            excess = max(0, len(self._market) - MARKET_EVENTS_MAX)
            for _ in range(excess):
                self._market.popleft()
            if excess:
                self._drop(Lane.MARKET, excess)
        self._ready.set()

    def take_control(self) -> AnyEvent | None:
        """The next event of the highest lane above market data, or None."""
        for queue in self._control:
            if queue:
                return queue.popleft()
        return None

    def take_market(self, most: int) -> list[MarketEvent]:
        """Up to `most` market-data events, oldest first."""
        queue = self._market
        if len(queue) <= most:
            taken = list(queue)
            queue.clear()
            return taken
        return [queue.popleft() for _ in range(most)]

    async def wait(self) -> None:
        """Return when something is queued."""
        if self.is_empty:
            self._ready.clear()
            await self._ready.wait()

    @property
    def is_empty(self) -> bool:
        return not self._market and not any(self._control)

    @property
    def is_control_empty(self) -> bool:
        return not any(self._control)

    def depth(self, lane: Lane) -> int:
        return len(self._market) if lane is Lane.MARKET else len(self._control[lane])

    def _coalesce(self) -> None:
        newest: dict[Symbol, int] = {}
        events = list(self._market)
        for index, event in enumerate(events):
            if isinstance(event, QuoteSeen):
                newest[event.symbol] = index
        kept = [
            event
            for index, event in enumerate(events)
            if not isinstance(event, QuoteSeen) or newest[event.symbol] == index
        ]
        self.coalesced += len(events) - len(kept)
        self._market = deque(kept)

    def _drop(self, lane: Lane, count: int) -> None:
        self.dropped[lane] += count
        self._on_drop(lane, count)
