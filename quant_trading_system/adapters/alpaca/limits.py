"""Decides when a request may leave: the request budget with its priority lanes.

The circuit breaker, which decides when a sick target is left alone, is in `breaker` and named here too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from quant_trading_system.adapters.alpaca.breaker import BreakerState, CircuitBreaker
from quant_trading_system.adapters.alpaca.failures import BudgetExhausted
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND

__all__ = ["BreakerState", "CircuitBreaker", "Lane", "RequestBudget"]

PER_MINUTE = 200  # Alpaca: requests a minute and account, trading and basic data plan alike
RESERVED = 40  # control P24: kept for cancels and the kill switch
READ_PART = 0.15  # of a minute that cancels used their reserve of, for reads: only they show that nothing is left
ORDER_SHARE = 5  # a fifth of the budget is kept for orders when reads are many
WAITERS_MAX = 200  # of one lane; more cannot be served within a minute anyway
RECHECK_S = 0.02  # venue time may run faster than ours, so a waiter looks rather than computes
PAUSE_AFTER_429_S = 10.0  # venue seconds; a 429 often comes without its headers
HEADER_HORIZON_S = 120  # a reset further away than this is not about our minute


class Lane(IntEnum):
    """Whose request goes first."""

    CANCEL = 0
    CLOSE = 1
    ORDER = 2
    POLL = 3
    LOOKUP = 4
    """Questions for single orders: a pass answers many of them at once."""


_HIGHER = {lane: tuple(higher for higher in Lane if higher < lane) for lane in Lane}


class Log(Protocol):
    """What outlives a process of its requests: the broker's minute does."""

    @property
    def earlier_ns(self) -> Sequence[int]:
        """When requests of earlier processes left at the latest, in venue time; 0: nobody knows."""

    async def learn_time(self, venue_ns: int) -> None:
        """Told before each request: 0 until the venue's time is known."""

    async def note(self, venue_ns: int) -> None:
        """Count one request that is about to leave; durable when this returns."""


class RequestBudget:
    """At most `per_minute` requests in any sliding minute of venue time, the last `reserved` of them for cancels.

    A sliding minute never holds more than a fixed one of the broker's, wherever its windows begin. What the broker
    itself reports as left (X-RateLimit-Remaining, -Reset) is believed when it is less than what we count, because
    others may use the same account; cancels go out even then, since a refused attempt costs nothing. Any number of
    cancels that are repeated leaves a few polls room: what none of them sees stays cancelled for ever.

    Args:
        per_minute: requests a minute; 0 means no limit.
        reserved: requests of each minute that only `Lane.CANCEL` may use.
        clock: its venue time is the time of the windows. Where it is 0 (not known yet) or goes back, what left until
            then counts as if it left in the first moment that is known.
        log: goes on counting over the end of a process.
    """

    def __init__(
        self, per_minute: int = PER_MINUTE, reserved: int = RESERVED, *, clock: Clock, log: Log | None = None
    ) -> None:
        assert per_minute == 0 or 0 <= reserved < per_minute, "the reserve is a part of the budget"
        self.per_minute = per_minute
        self.reserved = reserved
        self._clock = clock
        self._log = log
        self._sent: deque[tuple[int, Lane]] = deque()
        self._count = dict.fromkeys(Lane, 0)
        self._polls_owed = round(per_minute * READ_PART) if reserved else 0
        self._earlier_ns: Sequence[int] | None = () if log is None else log.earlier_ns
        """Of earlier processes, until venue time is known."""
        self._reported_left: int | None = None
        self._reported_until_ns = 0
        self._queues: dict[Lane, deque[object]] = {lane: deque() for lane in Lane}

    @property
    def remaining(self) -> int:
        """Requests that may still leave in this minute, the reserve included; `per_minute` 0 gives 0."""
        self._forget_old()
        own = max(0, self.per_minute - len(self._sent))
        return own if self._reported_left is None else min(own, self._reported_left)

    async def acquire(self, lane: Lane, timeout_s: float) -> None:
        """Take one request, waiting at most `timeout_s` behind higher lanes and earlier requests of the same lane.

        Raises:
            BudgetExhausted: no room within the time, or too many wait already.
        """
        if self.per_minute == 0:
            return
        if self._log is not None:
            await self._log.learn_time(self._clock.venue_ns())
        if not (self._is_next(lane, None) and self._take(lane)):
            await self._wait(lane, timeout_s)
        if self._log is not None:
            await self._log.note(self._clock.venue_ns())

    async def _wait(self, lane: Lane, timeout_s: float) -> None:
        queue = self._queues[lane]
        if len(queue) >= WAITERS_MAX:
            raise BudgetExhausted(f"{WAITERS_MAX} requests of lane {lane.name} wait already")
        ticket = object()
        queue.append(ticket)
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._is_next(lane, ticket) and self._take(lane)):  # noqa: ASYNC110 - venue time has no timers
                    await asyncio.sleep(RECHECK_S)
        except TimeoutError:
            raise BudgetExhausted(
                f"no room for lane {lane.name} within {timeout_s:g} s: {self.remaining} a minute left"
            ) from None
        finally:
            queue.remove(ticket)

    def observe(self, status: int, headers: Mapping[str, str]) -> None:
        """Correct the count by what an answer says of the budget."""
        now_ns = self._clock.venue_ns()
        left, reset_s = _whole(headers.get("X-RateLimit-Remaining")), _whole(headers.get("X-RateLimit-Reset"))
        if status == 429 and (left is None or left > 0):
            self._report(0, now_ns + int(PAUSE_AFTER_429_S * NANOS_PER_SECOND))
            return
        if left is None or reset_s is None:
            return
        reset_ns = reset_s * NANOS_PER_SECOND
        if now_ns < reset_ns <= now_ns + HEADER_HORIZON_S * NANOS_PER_SECOND:
            self._report(left, reset_ns)

    def _report(self, left: int, until_ns: int) -> None:
        if until_ns == self._reported_until_ns and self._reported_left is not None:
            left = min(left, self._reported_left)  # answers overtake one another
        elif until_ns < self._reported_until_ns:
            return
        self._reported_left = left
        self._reported_until_ns = until_ns

    def _is_next(self, lane: Lane, ticket: object) -> bool:
        if not (lane is Lane.POLL and self._owed()) and any([self._queues[higher] for higher in _HIGHER[lane]]):
            return False
        queue = self._queues[lane]
        return not queue or queue[0] is ticket

    def _take(self, lane: Lane) -> bool:
        self._forget_old()
        own = self.per_minute - len(self._sent)
        if lane is Lane.CANCEL:
            may_leave = own > self._owed()
        else:
            left = own if self._reported_left is None else min(own, self._reported_left)
            may_leave = left > self._floor(lane)
        if may_leave:
            self._sent.append((self._clock.venue_ns(), lane))
            self._count[lane] += 1
            if self._reported_left is not None:
                self._reported_left = max(0, self._reported_left - 1)
        return may_leave

    def _owed(self) -> int:
        """Polls that have room whatever waits above them: once cancels used their reserve, which is theirs alone."""
        if self._count[Lane.CANCEL] < self.reserved:
            return 0
        return max(0, self._polls_owed - self._count[Lane.POLL])

    def _floor(self, lane: Lane) -> int:
        """Requests a lane leaves to the lanes above it: polls may starve neither orders nor cancels."""
        if lane is Lane.POLL and self._owed():
            return 0
        return self.reserved + (self.per_minute // ORDER_SHARE if lane >= Lane.POLL else 0)

    def _settle(self, now_ns: int) -> None:
        """The clock is known now, or went back: nothing left later than now."""
        earlier = [(stamp_ns, Lane.ORDER) for stamp_ns in self._earlier_ns or ()]
        self._earlier_ns = None
        sent = [(min(stamp_ns or now_ns, now_ns), lane) for stamp_ns, lane in (*earlier, *self._sent)]
        self._sent = deque(sorted(sent))
        self._count = {lane: sum(each is lane for _, each in sent) for lane in Lane}

    def _forget_old(self) -> None:
        now_ns = self._clock.venue_ns()
        if (self._earlier_ns is not None and now_ns) or (self._sent and self._sent[-1][0] > now_ns):
            self._settle(now_ns)
        oldest_ns = now_ns - NANOS_PER_MINUTE
        while self._sent and self._sent[0][0] <= oldest_ns:
            self._count[self._sent.popleft()[1]] -= 1
        if now_ns >= self._reported_until_ns:
            self._reported_left = None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 12 else None
