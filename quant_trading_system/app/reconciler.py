"""Reads one consistent picture of the broker: orders, positions, account, executions, orders again.

A pass with activity in between is discarded and read again; a page that fails, or that contradicts another, fails the
pass. The engine decides what a difference means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.broker import BrokerAccount, BrokerOrder, BrokerPosition
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.errors import Unavailable, VenueError
from quant_trading_system.core.events import BrokerSnapshot, SnapshotFailed
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

PASS_SECONDS_MAX = 10.0
ATTEMPTS_MAX = 3  # a pass that orders moved under is read again at once, this often
VALUE_FRACTION_TOLERANCE = Decimal("0.02")  # prices move between the two reads
VALUE_USD_TOLERANCE = Decimal(10)
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
        failpoint("reconciler.before_pass")
        before = await self._read.open_orders()
        failpoint("reconciler.after_open_orders")
        positions = await self._read.positions()
        failpoint("reconciler.after_positions")
        account = await self._read.account()
        failpoint("reconciler.after_account")
        closed = await self._read.closed_orders(after)
        failpoint("reconciler.after_closed_orders")
        executions = await self._read.executions(after)
        failpoint("reconciler.after_executions")
        if _fingerprint(before) != _fingerprint(await self._read.open_orders()):
            return False
        contradiction = _contradiction(positions, account)
        if contradiction:
            raise Unavailable(contradiction)
        failpoint("reconciler.before_tell")
        self._inbox.put(
            BrokerSnapshot(
                started_mono_ns=started_mono_ns,
                since_ns=after,
                open_orders=tuple(before),
                closed_orders=tuple(closed),
                positions=tuple(positions),
                account=account,
                executions=tuple(executions),
                **stamps(self._clock),
            ),
            Lane.ORDERS,
        )
        failpoint("reconciler.after_tell")
        self._since_ns = started_venue_ns
        self.passes += 1
        return True

    def _fail(self, reason: str, *, discarded: bool = False) -> None:
        self._inbox.put(SnapshotFailed(reason=reason, discarded=discarded, **stamps(self._clock)), Lane.ORDERS)


def _contradiction(positions: Sequence[BrokerPosition], account: BrokerAccount) -> str:
    """Why the list of positions cannot be whole or of now: the account counts them too. "" where the two agree.

    An empty or old list that is answered with 200 is no proof of being flat (fault C8).
    """
    shown_usd = gross_usd = ZERO
    for position in positions:
        value_usd = position.market_value_usd
        if value_usd is None:
            return ""
        shown_usd += value_usd
        gross_usd += abs(value_usd)
    counted_usd = account.equity_usd - account.cash_usd
    room_usd = max(VALUE_USD_TOLERANCE, VALUE_FRACTION_TOLERANCE * max(gross_usd, abs(counted_usd)))
    if abs(shown_usd - counted_usd) <= room_usd:
        return ""
    return f"the positions shown are worth {shown_usd:.2f} USD, the account counts {counted_usd:.2f} USD in positions"


def _fingerprint(orders: Sequence[BrokerOrder]) -> set[tuple[str, str, str]]:
    return {(order.broker_order_id, order.status, str(order.filled_quantity)) for order in orders}
