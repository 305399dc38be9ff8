"""Reads one consistent picture of the broker: orders, positions, account, executions, orders again. Judges nothing.

A pass with activity in between is discarded and read again; a page that fails fails the pass. The engine decides what a
difference means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.errors import VenueError
from quant_trading_system.core.events import BrokerSnapshot, SnapshotFailed
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

PASS_SECONDS_MAX = 10.0
ATTEMPTS_MAX = 3  # a pass that orders moved under is read again at once, this often
OVERLAP_NS = 120 * NANOS_PER_SECOND  # stamps of the broker may lag; what is read twice is booked once


class Reconciler:
    """Runs one pass at a time; requests that come meanwhile share the next one."""

    def __init__(
        self,
        *,
        read: ReadClient,
        inbox: Inbox,
        clock: Clock,
        since_ns: Nanos,
        oldest_live_ns: Callable[[], Nanos | None],
    ) -> None:
        self._read = read
        self._inbox = inbox
        self._clock = clock
        self._since_ns = since_ns
        self._oldest_live_ns = oldest_live_ns
        self._wanted = asyncio.Event()
        self.passes = 0

    def request(self) -> None:
        """Ask for a pass; a pass under way is followed by another."""
        self._wanted.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.read_once()

    async def read_once(self) -> None:
        """Read one pass and tell the engine what was found, or why nothing is proven."""
        try:
            async with asyncio.timeout(PASS_SECONDS_MAX):
                for _ in range(ATTEMPTS_MAX):
                    if await self._pass():
                        return
            self._fail("orders moved during each of the attempts", discarded=True)
        except VenueError as error:
            self._fail(str(error))
        except TimeoutError:
            self._fail(f"the pass took longer than {PASS_SECONDS_MAX:.0f} s")

    async def _pass(self) -> bool:
        started_mono_ns = self._clock.mono_ns()
        started_venue_ns = self._clock.venue_ns()
        live_since = self._oldest_live_ns()
        after = Nanos(min(self._since_ns, live_since or self._since_ns) - OVERLAP_NS)
        before = await self._read.open_orders()
        positions = await self._read.positions()
        account = await self._read.account()
        closed = await self._read.closed_orders(after)
        executions = await self._read.executions(after)
        if _fingerprint(before) != _fingerprint(await self._read.open_orders()):
            return False
        self._inbox.put(
            BrokerSnapshot(
                started_mono_ns=started_mono_ns,
                open_orders=tuple(before),
                closed_orders=tuple(closed),
                positions=tuple(positions),
                account=account,
                executions=tuple(executions),
                **stamps(self._clock),
            ),
            Lane.ORDERS,
        )
        self._since_ns = started_venue_ns
        self.passes += 1
        return True

    def _fail(self, reason: str, *, discarded: bool = False) -> None:
        self._inbox.put(SnapshotFailed(reason=reason, discarded=discarded, **stamps(self._clock)), Lane.ORDERS)


def _fingerprint(orders: Sequence[BrokerOrder]) -> set[tuple[str, str, str]]:
    return {(order.broker_order_id, order.status, str(order.filled_quantity)) for order in orders}
