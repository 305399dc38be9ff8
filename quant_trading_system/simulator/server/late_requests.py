"""Requests that arrive late or in another order than they were sent. Decides when each is carried out."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable

WAITING_MAX = 10_000  # requests under way that nobody waits for

CarryOut = Callable[[], Awaitable[object]]


class LateRequests:
    """What the network still holds: requests with the real time of their arrival, and those that let others pass."""

    def __init__(self) -> None:
        self._under_way: list[tuple[float, int, CarryOut]] = []
        self._count = 0
        self._turn = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        return not self._under_way

    def send(self, carry_out: CarryOut, *, seconds: float) -> None:
        """Let a request arrive later."""
        assert len(self._under_way) < WAITING_MAX, f"expected at most {WAITING_MAX} requests under way"
        self._count += 1
        heapq.heappush(self._under_way, (time.monotonic() + seconds, self._count, carry_out))

    async def deliver_due(self) -> None:
        """Carry out what has arrived by now, in the order of arrival."""
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, carry_out = heapq.heappop(self._under_way)
            await carry_out()
            self.note_turn()

    def note_turn(self) -> None:
        """A request was carried out: whoever let it pass may go on."""
        passed, self._turn = self._turn, asyncio.Event()
        passed.set()

    async def let_pass(self, *, seconds: float) -> None:
        """Wait until another request was carried out, at most some real seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._turn.wait()
        except TimeoutError:
            return
