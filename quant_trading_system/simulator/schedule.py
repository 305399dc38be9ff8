"""What will happen at which venue time: acknowledgements, matching, cancels, the bell. Decides only the order."""

from __future__ import annotations

import heapq
from enum import StrEnum

from quant_trading_system.core.types import Nanos

NEVER_NS = (1 << 63) - 1


class Action(StrEnum):
    OPEN = "open"
    CLOSE = "close"
    ACKNOWLEDGE = "acknowledge"
    MATCH = "match"
    CANCEL = "cancel"
    REPLACE = "replace"
    REJECT = "reject"


class Schedule:
    """A queue by time; what is due at the same moment happens in the order in which it was planned."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, str]] = []
        self._planned = 0
        self.next_due_ns: int = NEVER_NS

    def plan(self, due_ns: int, action: Action, order_id: str = "") -> None:
        self._planned += 1
        heapq.heappush(self._heap, (due_ns, self._planned, action, order_id))
        self.next_due_ns = self._heap[0][0]

    def pop_due(self, now_ns: int) -> tuple[Nanos, Action, str] | None:
        """The next thing that is due at or before a moment."""
        if self.next_due_ns > now_ns:
            return None
        due_ns, _, action, order_id = heapq.heappop(self._heap)
        self.next_due_ns = self._heap[0][0] if self._heap else NEVER_NS
        return Nanos(due_ns), action, order_id
