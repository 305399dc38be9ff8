"""Moves orders through their lives: taken, acknowledged, filled, cancelled, replaced, expired (reference 2.6).

Decides the states and the events that tell of them, not whether an order is granted or fills.
"""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import NANOS_PER_MS, activity_prefix
from quant_trading_system.simulator.journal import ExecutionRecord
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.matching import Fill
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.settings import ExchangeSettings


class OrderDesk:
    """Every change of an order's state happens here."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        chance: Chance,
        index: OrderIndex,
        books: Books,
        schedule: Schedule,
        recorder: Recorder,
    ) -> None:
        self._settings = settings
        self._chance = chance
        self._index = index
        self._books = books
        self._schedule = schedule
        self._recorder = recorder
        self._stuck_cancels: set[str] | None = None

    def enter(self, order: SimOrder, now_ns: Nanos, *, venue_is_open: bool) -> None:
        """Take an order: routed at once while the venue is open, else kept until the bell."""
        order.status = "pending_new" if venue_is_open else "accepted"
        self._index.add(order)
        self._recorder.emit(order.status, order, now_ns)
        if venue_is_open:
            self._plan_acknowledgement(order, now_ns)

    def release(self, order: SimOrder, now_ns: Nanos) -> None:
        """Route an order that waited for the bell."""
        assert order.status == "accepted", f"order {order.id}: expected accepted, found {order.status}"
        self._become(order, "pending_new", now_ns)
        self._recorder.emit("pending_new", order, now_ns)
        self._plan_acknowledgement(order, now_ns)

    def acknowledge(self, order: SimOrder, now_ns: Nanos) -> None:
        """The venue has it: `new`, and after a moment it can fill."""
        if order.status != "pending_new" or order.replaces is not None:
            return  # cancelled meanwhile, or a replacement, which its original brings to life
        self._become_new(order, now_ns)

    def request_cancel(self, order: SimOrder, now_ns: Nanos) -> None:
        """Ask for a cancel: what waits here is canceled at once, what is at the venue a moment later."""
        order.cancel_requested_at_ns = now_ns
        if order.status in ("accepted", "held"):
            self.cancel_now(order, now_ns)
            return
        self._become(order, "pending_cancel", now_ns)
        if self._stuck_cancels is not None:
            self._stuck_cancels.add(order.id)
        else:
            self._plan_cancel(order, now_ns)

    def complete_cancel(self, order: SimOrder, now_ns: Nanos) -> None:
        """The request reached the book; a fill may have been faster."""
        if order.status == "pending_cancel":
            self.cancel_now(order, now_ns)

    def hold_cancels(self, *, stuck: bool, now_ns: Nanos) -> None:
        """Let cancel requests stay `pending_cancel`, or let those that did go on."""
        if stuck:
            self._stuck_cancels = self._stuck_cancels or set()
        elif self._stuck_cancels is not None:
            waiting, self._stuck_cancels = sorted(self._stuck_cancels), None
            for order_id in waiting:
                self._plan_cancel(self._index.known(order_id), now_ns)

    @property
    def holds_cancels(self) -> bool:
        return self._stuck_cancels is not None

    def cancel_now(self, order: SimOrder, now_ns: Nanos) -> None:
        """End an order unfilled or partly filled."""
        order.canceled_at_ns = now_ns
        self._end(order, "canceled", now_ns)

    def expire(self, order: SimOrder, now_ns: Nanos) -> None:
        order.expired_at_ns = now_ns
        self._end(order, "expired", now_ns)

    def enter_replacement(self, old: SimOrder, new: SimOrder, now_ns: Nanos) -> None:
        """Take the order that will replace another one; until then both are there (reference 2.8)."""
        old.replaced_by = new.id
        self._become(old, "pending_replace", now_ns)
        self._index.add(new)
        self._recorder.changed(new)
        self._plan(Action.REPLACE, new, now_ns, self._settings.ack_latency_ms_mean)

    def complete_replacement(self, new: SimOrder, now_ns: Nanos) -> None:
        """The request reached the book: the old order gives way, or has filled and the new one is rejected."""
        assert new.replaces is not None, f"order {new.id}: expected one that replaces another"
        old = self._index.known(new.replaces)
        if not new.is_open:
            self._take_back_replacement(old, now_ns)
            return
        if old.status != "pending_replace":
            new.failed_at_ns = now_ns
            self._end(new, "rejected", now_ns)
            return
        old.replaced_at_ns = now_ns
        self._end(old, "replaced", now_ns)
        if new.status == "pending_new":
            self._become_new(new, now_ns)

    def _take_back_replacement(self, old: SimOrder, now_ns: Nanos) -> None:
        """The new order ended before it replaced anything: the old one lives on."""
        if old.status == "pending_replace":
            old.replaced_by = None
            self._become(old, "partially_filled" if old.filled_qty else "new", now_ns)
            self._recorder.emit("order_replace_rejected", old, now_ns)

    def fill(self, order: SimOrder, fill: Fill, now_ns: Nanos) -> Execution:
        """Book an execution and tell of it."""
        number = len(self._books.executions) + 1
        order.filled_qty += fill.qty
        order.filled_cost += fill.qty * fill.price
        leaves = order.remaining(fill.price)
        is_last = leaves == ZERO
        execution = Execution(
            sequence=number,
            execution_id=self._chance.uuid("execution", number),
            order_id=order.id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=fill.qty,
            price=fill.price,
            fee=ZERO,  # Alpaca's paper account charges none (reference 2.14)
            timestamp_ns=now_ns,
            cum_qty=order.filled_qty,
            leaves_qty=leaves,
            order_status="filled" if is_last else "partially_filled",
            activity_id=f"{activity_prefix(now_ns)}::{self._chance.uuid('activity', number)}",
        )
        self._books.book(execution)
        self._recorder.fact(ExecutionRecord(execution=execution))
        self._tell_fill(order, execution, now_ns)
        return execution

    def plan_match(self, order: SimOrder, now_ns: Nanos) -> None:
        """Let an order meet the market after a moment."""
        self._plan(Action.MATCH, order, now_ns, self._settings.fill_latency_ms_mean)

    def _tell_fill(self, order: SimOrder, execution: Execution, now_ns: Nanos) -> None:
        position_qty = self._books.qty(order.symbol)
        if execution.order_status == "filled":
            order.filled_at_ns = now_ns
            self._become(order, "filled", now_ns)
        elif order.status == "new":
            self._become(order, "partially_filled", now_ns)
        else:
            order.updated_at_ns = now_ns  # a pending cancel or replace stays pending
        event = "fill" if execution.order_status == "filled" else "partial_fill"
        self._recorder.emit(event, order, now_ns, execution=execution, position_qty=position_qty)

    def _become_new(self, order: SimOrder, now_ns: Nanos) -> None:
        self._become(order, "new", now_ns)
        self._recorder.emit("new", order, now_ns, execution_id=self._chance.uuid("new", order.sequence))
        self.plan_match(order, now_ns)

    def _end(self, order: SimOrder, status: str, now_ns: Nanos) -> None:
        self._become(order, status, now_ns)
        self._recorder.emit(status, order, now_ns, execution_id=self._chance.uuid(status, order.sequence))

    def _become(self, order: SimOrder, status: str, now_ns: Nanos) -> None:
        assert order.is_open, f"order {order.id}: final in {order.status}, cannot become {status}"
        order.status = status
        order.updated_at_ns = now_ns
        self._index.refresh(order)
        self._recorder.changed(order)

    def _plan_acknowledgement(self, order: SimOrder, now_ns: Nanos) -> None:
        self._plan(Action.ACKNOWLEDGE, order, now_ns, self._settings.ack_latency_ms_mean)

    def _plan_cancel(self, order: SimOrder, now_ns: Nanos) -> None:
        self._plan(Action.CANCEL, order, now_ns, self._settings.ack_latency_ms_mean)

    def _plan(self, action: Action, order: SimOrder, now_ns: Nanos, mean_ms: float) -> None:
        settings = self._settings
        drawn_ms = self._chance.exponential(action.value, order.sequence, mean=mean_ms)
        latency_ms = min(max(drawn_ms, settings.latency_ms_min), settings.latency_ms_max)
        self._schedule.plan(now_ns + round(latency_ms * NANOS_PER_MS), action, order.id)

    def resume(self, order: SimOrder, now_ns: Nanos) -> None:
        """Plan again what was planned for an order before a restart."""
        match order.status:
            case "pending_new" if order.replaces is not None and self._is_being_replaced(order.replaces):
                self._plan(Action.REPLACE, order, now_ns, self._settings.ack_latency_ms_mean)
            case "pending_new":
                self._plan_acknowledgement(order, now_ns)
            case "pending_cancel":
                self._plan_cancel(order, now_ns)
            case _:
                pass
        if order.status in ("new", "partially_filled", "pending_cancel", "pending_replace"):
            self.plan_match(order, now_ns)

    def _is_being_replaced(self, order_id: str) -> bool:
        return self._index.known(order_id).status == "pending_replace"


def held_by(order: SimOrder, index: OrderIndex) -> Decimal:
    """Shares that an open sell holds; a replacement and its original hold the larger of both, once."""
    if order.is_buy or not order.is_open:
        return ZERO
    if order.status == "pending_replace":
        return ZERO  # counted with the order that replaces it
    held = order.remaining()
    if order.replaces is not None:
        old = index.known(order.replaces)
        if old.status == "pending_replace":
            held = max(held, old.remaining())
    return held
