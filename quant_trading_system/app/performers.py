"""Carries out what the engine asks. One short method an effect; everything slow is handed to a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from quant_trading_system.adapters.alpaca.cancel import CancelClient
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.gateway import OrderGateway
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.kill_latch import KillLatch
from quant_trading_system.app.reconciler import Reconciler
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.supervisor import TaskEnded
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.effects import (
    AllowHealing,
    Answer,
    AskOrder,
    CancelEverything,
    CancelOrder,
    ClearLatch,
    CycleStream,
    Effect,
    EngageLatch,
    Remember,
    RequestReconciliation,
    SendOrder,
)
from quant_trading_system.core.errors import Bug, Unavailable, VenueError
from quant_trading_system.core.events import CancelAnswered, CancelInDoubt, LookupAnswered, LookupFailed
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.records import Record
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId

STOP_SECONDS_MAX = 1.0
CALLS_MAX = 200  # cancels and questions of single orders under way; the engine repeats what did not leave
TASKS_MAX = 250  # all tasks: a kill finds room beside any number of calls
CANCEL_ALL_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # the last one repeats: a kill is not given up (fault E10)
CANCEL_ALL_TRIES_MAX = 10_000  # a day of a broker that does not answer

Asked = TypeVar("Asked", CancelOrder, AskOrder)


class Performers:
    """Dispatches effects by type. `remember` and `answer` are given, so that stores and HTTP stay out of here."""

    def __init__(
        self,
        *,
        group: asyncio.TaskGroup,
        inbox: Inbox,
        clock: Clock,
        gateway: OrderGateway,
        read: ReadClient,
        cancel: CancelClient,
        reconciler: Reconciler,
        latch: KillLatch,
        remember: Callable[[Record], None],
        answer: Callable[[Answer], None],
        standing_stops: Callable[[], frozenset[BrokerOrderId]] = frozenset,
        on_failure: Callable[[TaskEnded], None],
        cycle_stream: Callable[[CycleStream], None] = lambda _effect: None,
        allow_healing: Callable[[AllowHealing], None] = lambda _effect: None,
        refusal_to_cancel: Callable[[bool], str | None] = lambda _is_urgent: None,
    ) -> None:
        self._group = group
        self._inbox = inbox
        self._clock = clock
        self._gateway = gateway
        self._read = read
        self._cancel = cancel
        self._reconciler = reconciler
        self._latch = latch
        self._remember = remember
        self._answer = answer
        self._standing_stops = standing_stops
        self._on_failure = on_failure
        self._refusal_to_cancel = refusal_to_cancel
        self._running: set[asyncio.Task[None]] = set()
        self._calls: set[tuple[type[Effect], ClientOrderId]] = set()
        """What is under way of single orders."""
        self._is_cancelling_all = False
        self._actions: dict[type[Effect], Callable[[Any], None]] = {
            SendOrder: lambda effect: self._gateway.submit(effect.approved),
            CancelOrder: self._start_cancel,
            CancelEverything: self._start_cancel_all,
            AskOrder: self._start_ask,
            RequestReconciliation: lambda _effect: self._reconciler.request(),
            EngageLatch: self._start_engage,
            ClearLatch: self._start_clear,
            CycleStream: cycle_stream,
            AllowHealing: allow_healing,
            Remember: lambda effect: self._remember(effect.record),
            Answer: lambda effect: self._answer(effect),
        }

    def perform(self, effects: Sequence[Effect]) -> None:
        """Start every effect, in order."""
        for effect in effects:
            self._actions[type(effect)](effect)

    @property
    def tasks(self) -> int:
        return len(self._running)

    async def stop(self) -> None:
        """Give what is under way a moment, then end it: a stop must not wait until an absent broker is back.

        A stop that is itself cancelled, as that of a start whose time is over, ends it at once.
        """
        try:
            if self._running:
                await asyncio.wait(tuple(self._running), timeout=STOP_SECONDS_MAX)
        finally:
            for task in tuple(self._running):
                task.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=STOP_SECONDS_MAX)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if len(self._running) >= TASKS_MAX:
            work.close()
            raise Bug(f"{len(self._running)} broker calls are under way, limit {TASKS_MAX}")
        task = self._group.create_task(self._watched(name, work), name=f"perform-{name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # border: a background task; what is no venue error is a bug of ours and stops us
            self._on_failure(TaskEnded(f"perform-{name}", error))

    def _start_cancel(self, effect: CancelOrder) -> None:
        self._call(effect, "cancel", self._cancel_order, self._tell_cancel_in_doubt)

    def _start_ask(self, effect: AskOrder) -> None:
        self._call(effect, "ask", self._ask, self._tell_lookup_failed)

    def _call(
        self,
        effect: Asked,
        name: str,
        begin: Callable[[Asked], Coroutine[Any, Any, None]],
        tell_not_sent: Callable[[Asked, str], None],
    ) -> None:
        """Begin what concerns one order, unless the same is under way: its answer is this one's, too."""
        key = (type(effect), effect.client_order_id)
        if key in self._calls:
            return
        if len(self._calls) >= CALLS_MAX:
            tell_not_sent(effect, f"not sent: {CALLS_MAX} broker calls are under way")
            return
        self._calls.add(key)
        self._spawn(name, begin(effect)).add_done_callback(lambda _task: self._calls.discard(key))

    async def _cancel_order(self, effect: CancelOrder) -> None:
        failpoint("performers.before_cancel")
        try:
            reply = await self._cancel.cancel(effect.broker_order_id, before_write=self._may_cancel)
        except VenueError as error:
            self._tell_cancel_in_doubt(effect, str(error))
            return
        failpoint("performers.after_cancel")
        self._inbox.put(
            CancelAnswered(
                client_order_id=effect.client_order_id,
                accepted=reply.accepted,
                http_status=reply.http_status,
                code=reply.code,
                message=reply.message,
                **stamps(self._clock),
            ),
            Lane.ORDERS,
        )

    def _tell_cancel_in_doubt(self, effect: CancelOrder, reason: str) -> None:
        event = CancelInDoubt(client_order_id=effect.client_order_id, reason=reason, **stamps(self._clock))
        self._inbox.put(event, Lane.ORDERS)

    def _tell_lookup_failed(self, effect: AskOrder, reason: str) -> None:
        event = LookupFailed(client_order_id=effect.client_order_id, reason=reason, **stamps(self._clock))
        self._inbox.put(event, Lane.ORDERS)

    def _may_cancel(self) -> None:
        """In the loop step of the write: what another daemon leads by now is not ours to touch (fault K2)."""
        _raise_if(self._refusal_to_cancel(False))

    def _may_cancel_all(self) -> None:
        _raise_if(self._refusal_to_cancel(True))

    def _start_engage(self, effect: EngageLatch) -> None:
        self._spawn("latch", self._latch.engage(effect.operator, effect.reason))

    def _start_clear(self, effect: ClearLatch) -> None:
        self._spawn("latch", self._latch.clear(effect.operator, effect.reason))

    def _start_cancel_all(self, effect: CancelEverything) -> None:
        if not self._is_cancelling_all:
            self._is_cancelling_all = True
            self._spawn("cancel-all", self._cancel_all(effect))

    async def _cancel_all(self, effect: CancelEverything) -> None:
        """Cancel until the broker shows no open order, with growing pauses; the reconciler reports what is left.

        Stops that are spared are known by their ids; while there are any, the others are cancelled one by one.
        """
        try:
            for number in range(CANCEL_ALL_TRIES_MAX):
                await asyncio.sleep(CANCEL_ALL_DELAYS_S[min(number, len(CANCEL_ALL_DELAYS_S) - 1)])
                failpoint("performers.before_cancel_all")
                try:
                    spared = self._standing_stops() if effect.spares_stops else frozenset()
                    if spared:
                        await self._cancel_all_but(spared)
                    else:
                        await self._cancel.cancel_all(before_write=self._may_cancel_all)
                    failpoint("performers.after_cancel_all")
                    if all(order.broker_order_id in spared for order in await self._read.open_orders()):
                        return
                except VenueError:
                    continue  # tried again after the next pause; the last failure shows in the reconciliation
        finally:
            self._is_cancelling_all = False
            self._reconciler.request()

    async def _cancel_all_but(self, spared: frozenset[BrokerOrderId]) -> None:
        for order in await self._read.open_orders():
            if order.broker_order_id not in spared:
                with contextlib.suppress(VenueError):  # the others are not to wait for it; the next round tries again
                    await self._cancel.cancel(order.broker_order_id, before_write=self._may_cancel_all)

    async def _ask(self, effect: AskOrder) -> None:
        failpoint("performers.before_ask")
        try:
            order = await self._read.order_by_client_id(effect.client_order_id)
        except VenueError as error:
            self._tell_lookup_failed(effect, str(error))
            return
        failpoint("performers.after_ask")
        self._inbox.put(
            LookupAnswered(client_order_id=effect.client_order_id, order=order, **stamps(self._clock)), Lane.ORDERS
        )


def _raise_if(refusal: str | None) -> None:
    if refusal is not None:
        raise Unavailable(f"not sent: {refusal}")
