"""The order gateway: the only place that sends POST on orders. Decides nothing; it stores, re-checks, sends, and tells.

For each approved order: the intent row is committed; in the loop step of the socket write the latch, the lease, the
state and the version of the limits are looked at once more; then its bytes leave. What came of it goes back to the
engine as an event. An order of which no byte left is tried again, byte-identical under the same id; anything else that
is not a clear answer is in doubt, and only the broker can say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from quant_trading_system.adapters.alpaca.limits import Lane as RequestLane
from quant_trading_system.adapters.alpaca.orders import OrderClient, is_duplicate, payload
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import Stamps, stamps
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.errors import Bug, InDoubt, Refused, Unavailable
from quant_trading_system.core.events import (
    Event,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
)
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.pulse import Pulse, no_pulse
from quant_trading_system.core.types import NANOS_PER_SECOND, ClientOrderId
from quant_trading_system.core.values import Approved, OrderIntent
from quant_trading_system.persistence.errors import IntentNotStored
from quant_trading_system.persistence.intents import IntentStore

WORKERS = 4
QUEUE_MAX = 200  # twenty times what a minute may send (control P24)
RETRY_DELAYS_S = (1.0, 2.0, 4.0)  # R098
COMMITS_MEASURED = 100
COMMIT_SECONDS_MAX = 5.0  # each of its statements gives up after half a second
STOPPED = "the gateway was stopped before a byte of it left"
ATTEMPT_SECONDS_MAX = 15.0  # five for a place in the request budget, ten for the answer


class RefusedAtTheWire(Exception):
    """The re-check in the loop step of the write said no; not one byte left."""


class Checks(Protocol):
    """What the gateway asks the engine before bytes leave."""

    def refusal_before_write(self, approved: Approved, *, mono_ns: int) -> str | None: ...

    def refusal_before_retry(self, approved: Approved) -> str | None: ...


class OrderGateway:
    """Sends what the gate approved, a few at a time, in the order it was approved."""

    def __init__(
        self,
        *,
        client: OrderClient,
        intents: IntentStore,
        checks: Checks,
        inbox: Inbox,
        clock: Clock,
        epoch: Callable[[], int],
        on_first_byte: Callable[[float], None] = lambda _seconds: None,
        pulse: Pulse = no_pulse,
    ) -> None:
        self._pulse = pulse
        self._due_ns: dict[ClientOrderId, int] = {}
        self._client = client
        self._intents = intents
        self._checks = checks
        self._inbox = inbox
        self._clock = clock
        self._epoch = epoch
        self._on_first_byte = on_first_byte
        self._queue: asyncio.Queue[Approved] = asyncio.Queue(maxsize=QUEUE_MAX)
        self.in_flight = 0
        self._commits_s: deque[float] = deque(maxlen=COMMITS_MEASURED)

    @property
    def commit_p99_s(self) -> float | None:
        """Slowest but one in a hundred of the last commits, in seconds; None before there are enough to say."""
        if len(self._commits_s) < COMMITS_MEASURED:
            return None
        return sorted(self._commits_s)[-2]

    def submit(self, approved: Approved) -> None:
        """Queue one approved order; a full queue drops it, and says so."""
        try:
            self._queue.put_nowait(approved)
            if not self._due_ns:
                self._pulse(0.0)
        except asyncio.QueueFull:
            self._drop(approved, f"the gateway's queue holds {QUEUE_MAX} orders")

    async def run(self) -> None:
        """Send until cancelled. A worker that is cancelled alone ends them all: what waits would wait for nobody.

        However the gateway ends, its workers end: one that slept before a retry may not send for who leads no more.
        """
        whole = asyncio.current_task()
        assert whole is not None, "a gateway runs in a task"
        workers: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(WORKERS):
                    workers.append(group.create_task(self._worker(whole), name=f"gateway-{number}"))
        finally:
            for worker in workers:
                worker.cancel()

    @property
    def is_idle(self) -> bool:
        return self._queue.empty() and self.in_flight == 0

    async def _worker(self, whole: asyncio.Task[None]) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            if whole.cancelling() or whole.done():
                raise
            raise Bug("a worker of the gateway was cancelled, and nobody stopped the gateway") from None

    async def _work(self) -> None:
        while True:
            if self.is_idle:
                self._pulse(None)
            approved = await self._queue.get()
            self.in_flight += 1
            try:
                await self._send(approved)
            finally:
                self.in_flight -= 1
                self._due_ns.pop(approved.intent.client_order_id, None)
                self._show_life()

    def _take_step(self, approved: Approved, seconds_max: float) -> None:
        """What is done with this order now ends by then, or a worker hangs."""
        due_ns = self._clock.mono_ns() + int(seconds_max * NANOS_PER_SECOND)
        self._due_ns[approved.intent.client_order_id] = due_ns
        self._show_life()

    def _show_life(self) -> None:
        """The earliest promise counts. One that has passed stands as it is: the supervisor made it last longer where
        the process stood still meanwhile (fault H2)."""
        left_ns = min(self._due_ns.values(), default=0) - self._clock.mono_ns()
        if self._due_ns and left_ns >= 0:
            self._pulse(left_ns / NANOS_PER_SECOND)

    async def _send(self, approved: Approved) -> None:
        intent = approved.intent
        started_ns = self._clock.mono_ns()
        self._take_step(approved, COMMIT_SECONDS_MAX)
        failpoint("gateway.before_intent_commit")
        try:
            async with self._dropping(approved):
                await self._intents.commit(approved, payload=payload(intent), epoch=self._epoch())
            self._commits_s.append((self._clock.mono_ns() - started_ns) / NANOS_PER_SECOND)
        except IntentNotStored as error:
            self._drop(approved, f"intent not stored: {error}")
            return
        failpoint("gateway.after_intent_commit")
        for delay_s in (*RETRY_DELAYS_S, None):
            self._take_step(approved, ATTEMPT_SECONDS_MAX)
            if await self._attempt(approved):
                return
            if delay_s is None:
                self._drop(approved, f"no connection in {len(RETRY_DELAYS_S) + 1} attempts")
                return
            self._take_step(approved, delay_s)
            async with self._dropping(approved):
                await asyncio.sleep(delay_s)
            failpoint("gateway.before_retry")
            refusal = self._checks.refusal_before_retry(approved)
            if refusal is not None:
                self._drop(approved, f"refused before a retry: {refusal}")
                return

    @asynccontextmanager
    async def _dropping(self, approved: Approved) -> AsyncIterator[None]:
        """Whatever stops the gateway in here stops it before a byte of this order left, and that is known now."""
        try:
            yield
        except IntentNotStored:
            raise
        except BaseException:
            self._drop(approved, STOPPED)
            raise

    async def _attempt(self, approved: Approved) -> bool:
        """Send once. Returns False where no byte left and it may be tried again."""
        intent = approved.intent
        guard = _WriteGuard(approved, gateway=self)
        try:
            lane = RequestLane.CLOSE if approved.reduces_exposure else RequestLane.ORDER
            order = await self._client.submit(intent, before_write=guard, lane=lane)
        except Refused as error:
            self._tell_refusal(intent, error)
        except InDoubt as error:
            self._tell_doubt(intent, str(error))
        except (Unavailable, RefusedAtTheWire) as error:
            if guard.refusal is not None:
                self._drop(approved, guard.refusal)
            elif guard.has_written:
                self._tell_doubt(intent, str(error))
            else:
                return False
        except BaseException:
            if guard.has_written:
                self._tell_doubt(intent, "the gateway was stopped while the answer was awaited")
            else:
                self._drop(approved, STOPPED)
            raise
        else:
            self._answer(intent, order)
        return True

    def check(self, approved: Approved) -> str | None:
        """Called in the loop step of the write; a refusal keeps every byte back."""
        failpoint("gateway.before_check")
        now_ns = self._clock.mono_ns()
        refusal = self._checks.refusal_before_write(approved, mono_ns=now_ns)
        if refusal is None:
            self._on_first_byte((now_ns - approved.intent.decided_mono_ns) / NANOS_PER_SECOND)
            self._put(OrderSending(client_order_id=approved.intent.client_order_id, **self._stamps()))
        return refusal

    def _answer(self, intent: OrderIntent, order: BrokerOrder) -> None:
        failpoint("gateway.before_answer")
        self._put(OrderAnswered(client_order_id=intent.client_order_id, order=order, **self._stamps()))
        failpoint("gateway.after_answer")

    def _tell_refusal(self, intent: OrderIntent, error: Refused) -> None:
        if is_duplicate(error):
            # Ours only if the order found by that id equals the payload: the engine asks and compares.
            self._tell_doubt(intent, f"the broker knows this id already: {error.message}", is_duplicate=True)
            return
        failpoint("gateway.before_refusal")
        self._put(
            OrderRefused(
                client_order_id=intent.client_order_id,
                http_status=error.http_status,
                code=error.code,
                message=error.message,
                **self._stamps(),
            )
        )

    def _tell_doubt(self, intent: OrderIntent, reason: str, *, is_duplicate: bool = False) -> None:
        failpoint("gateway.before_doubt")
        client_order_id = intent.client_order_id
        self._put(
            OrderInDoubt(client_order_id=client_order_id, reason=reason, is_duplicate=is_duplicate, **self._stamps())
        )

    def _drop(self, approved: Approved, reason: str) -> None:
        failpoint("gateway.dropped")
        self._put(OrderDropped(client_order_id=approved.intent.client_order_id, reason=reason, **self._stamps()))

    def _put(self, event: Event) -> None:
        self._inbox.put(event, Lane.ORDERS)

    def _stamps(self) -> Stamps:
        return stamps(self._clock)


class _WriteGuard:
    """The callable that runs right before the first byte. Remembers whether bytes may have left."""

    def __init__(self, approved: Approved, *, gateway: OrderGateway) -> None:
        self._approved = approved
        self._gateway = gateway
        self.refusal: str | None = None
        self.has_written = False

    def __call__(self) -> None:
        self.refusal = self._gateway.check(self._approved)
        if self.refusal is not None:
            raise RefusedAtTheWire(self.refusal)
        failpoint("gateway.before_bytes")
        self.has_written = True
