"""What will happen at which venue time: steps of orders, bells, the ends of halts. Decides only the order."""

from __future__ import annotations

import heapq
from enum import StrEnum

from quant_trading_system.core.types import Nanos

NEVER_NS = (1 << 63) - 1


class Action(StrEnum):
    SAMPLE = "sample"  # of the account's equity
    """What is planned; steps are of an order, the ends of halts of a symbol."""

    ACKNOWLEDGE = "acknowledge"
    MATCH = "match"
    CANCEL = "cancel"
    REPLACE = "replace"
    REJECT = "reject"

    PRE_OPEN = "pre_open"  # 04:00: a day begins
    SEND_OPENING = "send_opening"  # 09:28: orders for the opening auction go to the venue
    OPEN = "open"
    CROSS_OPENING = "cross_opening"  # no opening auction was printed
    CLOSE = "close"
    CROSS_CLOSING = "cross_closing"
    LATE_CLOSE = "late_close"  # 20:00, on half-days 17:00
    AGE = "age"  # 16:15: orders good till cancelled that are too old
    CRYPTO_DAY = "crypto_day"  # New York midnight

    RESUME = "resume"
    LIMIT_STATE = "limit_state"  # 15 s at a band are over


class Schedule:
    """A queue by time; what is due at the same moment happens in the order in which it was planned."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, str]] = []
        self._planned = 0
        self.next_due_ns: int = NEVER_NS

    def plan(self, due_ns: int, action: Action, subject: str = "") -> None:
        """Plan something for an order's id or a symbol; a due time that has passed is due now."""
        self._planned += 1
        heapq.heappush(self._heap, (due_ns, self._planned, action, subject))
        self.next_due_ns = self._heap[0][0]

    def pop_due(self, now_ns: int) -> tuple[Nanos, Action, str] | None:
        """The next thing that is due at or before a moment."""
        if self.next_due_ns > now_ns:
            return None
        due_ns, _, action, subject = heapq.heappop(self._heap)
        self.next_due_ns = self._heap[0][0] if self._heap else NEVER_NS
        return Nanos(due_ns), action, subject
