"""Reads one consistent picture of the broker: orders and executions, then holdings, then orders and executions again.

A pass with activity in between is discarded and read again; a page that fails, or that contradicts another, fails the
pass. Passes take at most a fifth of the request budget. The engine decides what a difference means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from quant_trading_system.adapters.alpaca.failures import NoSuchPath
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.broker import Activity, BrokerAccount, BrokerOrder, BrokerPosition, Execution
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.errors import Refused, Unavailable, VenueError
from quant_trading_system.core.events import BrokerSnapshot, SnapshotFailed
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.pulse import Pulse, no_pulse
from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos

One = TypeVar("One")
Other = TypeVar("Other")
PASS_SECONDS_MAX = 10.0
ATTEMPTS_MAX = 3  # a pass that orders moved under is read again at once, this often
VALUE_FRACTION_TOLERANCE = Decimal("0.02")  # prices move between the two reads
VALUE_USD_TOLERANCE = Decimal(10)
OVERLAP_NS = 120 * NANOS_PER_SECOND  # stamps of the broker may lag; what is read twice is booked once
ACTIVITIES_BACK_NS = 4 * 24 * 60 * NANOS_PER_MINUTE  # fees and transfers are booked with dates of days before
ACTIVITIES_EVERY = 20  # passes: what moves cash or shares is looked up at once, by a pass that reads far back
DEEP_NS = 12 * 60 * NANOS_PER_MINUTE
REQUESTS_PER_MINUTE_MAX = 40  # a fifth of the broker's 200 (fault C13)
BUDGET_LOOK_SECONDS = 0.25
BUDGET_WAIT_SECONDS_MAX = 10.0
IDLE_SECONDS = 5.0  # between two signs of life while nobody wants a pass


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
        reaches_back_ns: Callable[[], Nanos | None] = lambda: None,
        pulse: Pulse = no_pulse,
    ) -> None:
        self._read = read
        self._inbox = inbox
        self._clock = clock
        self._since_ns = since_ns
        self._oldest_live_ns = oldest_live_ns
        self._reaches_back_ns = reaches_back_ns
        self._pulse = pulse
        self._spent: deque[tuple[int, int]] = deque()
        self._wanted = asyncio.Event()
        self.passes = 0

    def request(self) -> None:
        """Ask for a pass; a pass under way is followed by another."""
        self._wanted.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            self._pulse(0.0)
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            self._wanted.clear()
            await self.read_once()

    async def read_once(self) -> None:
        """Read one pass and tell the engine what was found, or why nothing is proven."""
        await self._wait_for_budget()
        self._pulse(PASS_SECONDS_MAX)
        before = self._read.requests
        try:
            async with asyncio.timeout(PASS_SECONDS_MAX):
                for _ in range(ATTEMPTS_MAX):
                    if await self._pass():
                        return
            self._fail("orders moved during each of the attempts", discarded=True)
        except Refused as error:
            self._fail(str(error), is_refused=error.http_status in (401, 403))
        except VenueError as error:
            self._fail(str(error))
        except TimeoutError:
            self._fail(f"the pass took longer than {PASS_SECONDS_MAX:.0f} s")
        finally:
            self._spent.append((self._clock.venue_ns(), self._read.requests - before))

    async def _wait_for_budget(self) -> None:
        """Let a minute of venue time hold no more requests of passes than their part; freshness comes first."""
        for _ in range(int(BUDGET_WAIT_SECONDS_MAX / BUDGET_LOOK_SECONDS)):
            while self._spent and self._spent[0][0] <= self._clock.venue_ns() - NANOS_PER_MINUTE:
                self._spent.popleft()
            costs = [requests for _, requests in self._spent]
            if sum(costs) + min(costs, default=0) <= REQUESTS_PER_MINUTE_MAX:
                return
            self._pulse(BUDGET_LOOK_SECONDS)
            await asyncio.sleep(BUDGET_LOOK_SECONDS)

    async def _pass(self) -> bool:
        started_mono_ns = self._clock.mono_ns()
        started_venue_ns = self._clock.venue_ns()
        after = self._after_ns()
        failpoint("reconciler.before_pass")
        before = await self._read.open_orders()  # alone: a breaker that is half open lets one request through
        failpoint("reconciler.after_open_orders")
        told_before = await self._read.executions(after)
        (positions, account), (closed, activities) = await _together(
            _together(self._read.positions(), self._read.account()),
            _together(self._read.closed_orders(after), self._activities(after)),
        )
        failpoint("reconciler.after_positions")
        failpoint("reconciler.after_account")
        failpoint("reconciler.after_closed_orders")
        again, executions = await _together(self._read.open_orders(), self._read.executions(after))
        failpoint("reconciler.after_executions")
        if _fingerprint(before, told_before) != _fingerprint(again, executions):
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
                started_venue_ns=started_venue_ns,
                activities=tuple(activities),
                **stamps(self._clock),
            ),
            Lane.ORDERS,
        )
        failpoint("reconciler.after_tell")
        self.passes += 1
        return True

    async def _activities(self, after: Nanos) -> list[Activity]:
        """What is no fill: by the first pass, by one that looks for a reason far back, and now and then."""
        is_deep = after <= self._clock.venue_ns() - DEEP_NS
        if not is_deep and self.passes % ACTIVITIES_EVERY:
            return []
        try:
            return await self._read.activities(Nanos(after - ACTIVITIES_BACK_NS))
        except NoSuchPath:
            return []  # fees and flows then show as differences of cash; orders and shares are known without

    def _after_ns(self) -> Nanos:
        """Where lists begin: at the last pass that the engine believed, or at the oldest order that is still live."""
        since = self._reaches_back_ns()
        since = self._since_ns if since is None else since
        live_since = self._oldest_live_ns()
        return Nanos(min(since, live_since or since) - OVERLAP_NS)

    def _fail(self, reason: str, *, discarded: bool = False, is_refused: bool = False) -> None:
        self._inbox.put(
            SnapshotFailed(reason=reason, discarded=discarded, is_refused=is_refused, **stamps(self._clock)),
            Lane.ORDERS,
        )


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


def _fingerprint(orders: Sequence[BrokerOrder], executions: Sequence[Execution]) -> set[tuple[str, str, str]]:
    """What moves when anything does: also an order that came and was filled between the two readings."""
    shown = {(order.broker_order_id, order.status, str(order.filled_quantity)) for order in orders}
    return shown | {(fill.execution_id, str(fill.quantity), str(fill.price)) for fill in executions}


async def _together(one: Coroutine[Any, Any, One], other: Coroutine[Any, Any, Other]) -> tuple[One, Other]:
    """Two reads at once; the failure of one ends both.

    Raises:
        VenueError: what the first that failed raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as failed:
        causes = [error for error in failed.exceptions if isinstance(error, VenueError)]
        if len(causes) < len(failed.exceptions):
            raise
        raise causes[0] from None
    return first.result(), second.result()
