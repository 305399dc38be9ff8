"""Carries out what the engine asks. One short method an effect; everything slow is handed to a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

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
from quant_trading_system.core.types import BrokerOrderId

STOP_SECONDS_MAX = 1.0
TASKS_MAX = 200  # broker calls under way; more wait in their lane of the request budget
CANCEL_ALL_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # the last one repeats: a kill is not given up (fault E10)
CANCEL_ALL_TRIES_MAX = 10_000  # a day of a broker that does not answer


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
        self._is_cancelling_all = False
        self._actions: dict[type[Effect], Callable[[Any], None]] = {
            SendOrder: lambda effect: self._gateway.submit(effect.approved),
            CancelOrder: lambda effect: self._spawn("cancel", self._cancel_order(effect)),
            CancelEverything: self._start_cancel_all,
            AskOrder: lambda effect: self._spawn("ask", self._ask(effect)),
            RequestReconciliation: lambda _effect: self._reconciler.request(),
            EngageLatch: lambda effect: self._spawn("latch", self._latch.engage(effect.operator, effect.reason)),
            ClearLatch: lambda effect: self._spawn("latch", self._latch.clear(effect.operator, effect.reason)),
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
        """Give what is under way a moment, then end it: a stop must not wait until an absent broker is back."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=STOP_SECONDS_MAX)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=STOP_SECONDS_MAX)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if len(self._running) >= TASKS_MAX:
            work.close()
            raise Bug(f"{len(self._running)} broker calls are under way, limit {TASKS_MAX}")
        task = self._group.create_task(self._watched(name, work), name=f"perform-{name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # border: a background task; what is no venue error is a bug of ours and stops us
            self._on_failure(TaskEnded(f"perform-{name}", error))

    async def _cancel_order(self, effect: CancelOrder) -> None:
        failpoint("performers.before_cancel")
        try:
            reply = await self._cancel.cancel(effect.broker_order_id, before_write=self._may_cancel)
        except VenueError as error:
            self._inbox.put(
                CancelInDoubt(client_order_id=effect.client_order_id, reason=str(error), **stamps(self._clock)),
                Lane.ORDERS,
            )
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

    def _may_cancel(self) -> None:
        """In the loop step of the write: what another daemon leads by now is not ours to touch (fault K2)."""
        _raise_if(self._refusal_to_cancel(False))

    def _may_cancel_all(self) -> None:
        _raise_if(self._refusal_to_cancel(True))

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
            self._inbox.put(
                LookupFailed(client_order_id=effect.client_order_id, reason=str(error), **stamps(self._clock)),
                Lane.ORDERS,
            )
            return
        failpoint("performers.after_ask")
        self._inbox.put(
            LookupAnswered(client_order_id=effect.client_order_id, order=order, **stamps(self._clock)), Lane.ORDERS
        )


def _raise_if(refusal: str | None) -> None:
    if refusal is not None:
        raise Unavailable(f"not sent: {refusal}")
