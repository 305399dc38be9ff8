"""Moves orders through their lives: taken, acknowledged, filled, cancelled, replaced, expired (reference 2.6).

Decides the states and the events that tell of them, not whether an order is granted or fills. What the end of one
order does to the others of its group is `order_classes`' to decide; the steps are taken here.
"""

from __future__ import annotations

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import order_classes
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.executing import execution_of
from quant_trading_system.simulator.holdings import available_to
from quant_trading_system.simulator.journal import ExecutionRecord
from quant_trading_system.simulator.latency import Latency
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.matching import Fill
from quant_trading_system.simulator.order_classes import Act, Group, Step
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.order_states import OrderStates
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.settings import ExchangeSettings


class OrderDesk:
    """Every change of an order's state begins here."""

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
        self._latency = Latency(settings.latency, chance)
        self._chance = chance
        self._index = index
        self._books = books
        self._schedule = schedule
        self._recorder = recorder
        self._states = OrderStates(index=index, recorder=recorder, chance=chance)
        self._stuck_cancels: set[str] | None = None

    # --- coming in ----------------------------------------------------------------------------------------------------

    def enter(self, order: SimOrder, legs: list[SimOrder], now_ns: Nanos, *, is_routable: bool) -> None:
        """Take an order: routed at once where a venue takes it now, else kept until the bell.

        The parent of a group is answered as `accepted` and routed a moment later; its legs are held. A trailing stop
        rests at the broker, so it is `new` at once (reference 2.4).
        """
        order.status = "pending_new" if is_routable and order.order_class not in COMPLEX_CLASSES else "accepted"
        self._index.add(order)
        self._recorder.changed(order)
        for leg in legs:
            self._index.add(leg)
            self._recorder.changed(leg)
        if is_routable and order.type == "trailing_stop":
            self._become_new(order, now_ns)
            return
        if order.status == "pending_new" or not is_routable:
            self._recorder.emit(order.status, order, now_ns)
        if is_routable:
            self._plan(Action.ACKNOWLEDGE, order, now_ns)

    def release(self, order: SimOrder, now_ns: Nanos) -> None:
        """Route an order that waited."""
        assert order.status == "accepted", f"order {order.id}: expected accepted, found {order.status}"
        if order.type == "trailing_stop":
            self._become_new(order, now_ns)
            return
        self._states.become(order, "pending_new", now_ns)
        self._recorder.emit("pending_new", order, now_ns)
        self._plan(Action.ACKNOWLEDGE, order, now_ns)

    def acknowledge(self, order: SimOrder, now_ns: Nanos) -> None:
        """The venue has it: `new`, and after a moment it can fill. Of a doomed one it says nothing yet."""
        if order.status == "accepted":
            self.release(order, now_ns)
        if order.status != "pending_new" or order.replaces is not None or order.doomed_at_ns is not None:
            return  # cancelled meanwhile, or a replacement, which its original brings to life
        self._become_new(order, now_ns)
        if (group := order_classes.group_of(order, self._index)) is not None:
            self._take(order_classes.after_acknowledgement(order, group), group, now_ns, cause=order)

    def doom(self, order: SimOrder, at_ns: Nanos, *, is_silent: bool) -> None:
        """A fault: let the venue reject an order that was taken; until then it says nothing of it."""
        order.doomed_at_ns, order.dies_silently = at_ns, is_silent
        self._recorder.changed(order)
        self._schedule.plan(at_ns, Action.REJECT, order.id)

    def reject(self, order: SimOrder, now_ns: Nanos) -> None:
        """The venue does not want it; what has filled or ended before is left alone."""
        if order.is_open:
            self._end(order, "rejected", now_ns, is_told=not order.dies_silently)

    # --- going out ----------------------------------------------------------------------------------------------------

    def request_cancel(self, order: SimOrder, now_ns: Nanos) -> None:
        """Ask for a cancel: what waits here is canceled at once, what is at the venue a moment later."""
        order.cancel_requested_at_ns = now_ns
        if order.rests_here:
            self.cancel_now(order, now_ns)
            return
        self._states.become(order, "pending_cancel", now_ns)
        if self._stuck_cancels is not None:
            self._stuck_cancels.add(order.id)
        else:
            self._plan(Action.CANCEL, order, now_ns)

    def complete_cancel(self, order: SimOrder, now_ns: Nanos) -> None:
        """The request reached the book; a fill may have been faster, and then its owner is told."""
        if order.status == "pending_cancel":
            self.cancel_now(order, now_ns)
        elif order.status == "filled":
            self._recorder.emit("order_cancel_rejected", order, now_ns)

    def hold_cancels(self, *, stuck: bool, now_ns: Nanos) -> None:
        """Let cancel requests stay `pending_cancel`, or let those that did go on."""
        if stuck:
            self._stuck_cancels = self._stuck_cancels or set()
        elif self._stuck_cancels is not None:
            waiting, self._stuck_cancels = sorted(self._stuck_cancels), None
            for order_id in waiting:
                self._plan(Action.CANCEL, self._index.known(order_id), now_ns)

    @property
    def holds_cancels(self) -> bool:
        return self._stuck_cancels is not None

    def cancel_now(self, order: SimOrder, now_ns: Nanos) -> None:
        """End an order unfilled or partly filled; one that ended with its group meanwhile is left alone."""
        if order.is_open:
            self._end(order, "canceled", now_ns)

    def expire(self, order: SimOrder, now_ns: Nanos) -> None:
        """End an order with its day; one that ended with its group meanwhile is left alone."""
        if order.is_open:
            self._end(order, "expired", now_ns)

    # --- being replaced -----------------------------------------------------------------------------------------------

    def enter_replacement(self, old: SimOrder, new: SimOrder, now_ns: Nanos) -> None:
        """Take the order that will replace another one; until then both are there (reference 2.8).

        What rests at the broker is replaced at once: a held leg, a trailing stop.
        """
        old.replaced_by = new.id
        if old.rests_here:
            new.status = "held" if old.status == "held" else new.status
            self._index.add(new)
            self._succeed(old, new, now_ns)
            return
        self._states.become(old, "pending_replace", now_ns)
        self._index.add(new)
        self._recorder.changed(new)
        self._plan(Action.REPLACE, new, now_ns)

    def complete_replacement(self, new: SimOrder, now_ns: Nanos) -> None:
        """The request reached the book: the old order gives way, or has filled and the new one is rejected."""
        assert new.replaces is not None, f"order {new.id}: expected one that replaces another"
        old = self._index.known(new.replaces)
        if old.status == "replaced":
            if new.is_open and old.replaced_by != new.id:
                self._end(new, "rejected", now_ns)  # another one was faster
            return  # else planned twice, by a restart
        if not new.is_open:
            self._take_back_replacement(old, now_ns)
        elif old.status != "pending_replace":
            old.replaced_by = None
            self._recorder.changed(old)
            self._end(new, "rejected", now_ns)
        elif not self._still_fits(old, new):
            self._end(new, "rejected", now_ns)
            self._take_back_replacement(old, now_ns)
        else:
            self._succeed(old, new, now_ns)

    def _still_fits(self, old: SimOrder, new: SimOrder) -> bool:
        """Whether fills on the way have left what a closing order wants; a leg goes on with the rest of its original,
        because the shares of its group are all it may ever sell."""
        if order_classes.group_of(old, self._index) is not None:
            new.qty = old.remaining()
            return True
        if not new.is_closing:
            return True
        position_qty = self._books.qty(new.symbol)
        return new.remaining() <= available_to(new, position_qty=position_qty, index=self._index, instead_of=old)

    def _succeed(self, old: SimOrder, new: SimOrder, now_ns: Nanos) -> None:
        if order_classes.group_of(old, self._index) is not None:
            for relative in order_classes.succeed(old, new, self._index):
                self._recorder.changed(relative)
        self._states.end(old, "replaced", now_ns)
        self._recorder.changed(new)
        if new.status == "pending_new":
            self._become_new(new, now_ns)
        elif new.is_watched:
            self.plan_match(new, now_ns)

    def _take_back_replacement(self, old: SimOrder, now_ns: Nanos) -> None:
        """The new order ended before it replaced anything: the old one lives on."""
        if old.status == "pending_replace":
            old.replaced_by = None
            self._states.become(old, "partially_filled" if old.filled_qty else "new", now_ns)
            self._recorder.emit("order_replace_rejected", old, now_ns)

    # --- at the venue -------------------------------------------------------------------------------------------------

    def elect(self, order: SimOrder, now_ns: Nanos) -> None:
        """Its stop price was touched: from here on it works. A held stop-loss takes the place of its take-profit."""
        order.is_elected = True
        self._recorder.changed(order)
        if order.status != "held":
            return
        if (group := order_classes.group_of(order, self._index)) is not None:
            self._take(order_classes.after_election(order, group), group, now_ns, cause=order)
        self._index.resubmit(order, now_ns)
        self._become_new(order, now_ns)

    def fill(self, order: SimOrder, fill: Fill, now_ns: Nanos) -> Execution:
        """Book an execution and tell of it."""
        order.filled_qty += fill.qty
        order.filled_cost += fill.qty * fill.price
        execution = execution_of(
            order,
            fill,
            number=len(self._books.executions) + 1,
            chance=self._chance,
            fee_bps=self._settings.crypto_fee_bps,
            now_ns=now_ns,
        )
        self._books.book(execution)
        self._recorder.fact(ExecutionRecord(execution=execution))
        self._tell_fill(order, execution, now_ns)
        return execution

    def plan_match(self, order: SimOrder, now_ns: int) -> None:
        """Let an order meet the market after a moment."""
        self._plan(Action.MATCH, order, now_ns)

    def _tell_fill(self, order: SimOrder, execution: Execution, now_ns: Nanos) -> None:
        position_qty = self._books.qty(order.symbol)
        if execution.order_status == "filled":
            order.filled_at_ns = now_ns
            self._states.become(order, "filled", now_ns)
        else:  # a pending cancel or replace stays pending
            status = "partially_filled" if order.status == "new" else order.status
            self._states.become(order, status, now_ns)
        event = "fill" if execution.order_status == "filled" else "partial_fill"
        self._recorder.emit(event, order, now_ns, execution=execution, position_qty=position_qty)
        if (group := order_classes.group_of(order, self._index)) is not None:
            self._take(order_classes.after_fill(order, group), group, now_ns, cause=order)

    # --- groups -------------------------------------------------------------------------------------------------------

    def _take(self, steps: list[Step], group: Group, now_ns: Nanos, *, cause: SimOrder) -> None:
        for act, order in steps:
            if not order.is_open:
                continue  # a step before this one has ended it
            match act:
                case Act.ACTIVATE:
                    self._activate(order, now_ns)
                case Act.ARM:
                    self._resize(order, group)
                    order.is_armed = True
                    self._recorder.changed(order)
                    self.plan_match(order, now_ns)
                case Act.RESIZE:
                    self._resize(order, group)
                case Act.END:
                    self._end_with(cause, order, now_ns)
                case Act.CANCEL if order.status == "held":
                    self._end_with(cause, order, now_ns)
                case Act.CANCEL if order.status != "pending_cancel":
                    self.request_cancel(order, now_ns)

    def _activate(self, leg: SimOrder, now_ns: Nanos) -> None:
        """Send a leg to the venue, for no more than is there: its owner may have sold some of it meanwhile."""
        assert leg.qty is not None, f"order {leg.id}: expected a leg in shares"
        position_qty = self._books.qty(leg.symbol)
        leg.qty = min(leg.qty, available_to(leg, position_qty=position_qty, index=self._index, instead_of=leg))
        if not leg.qty:
            self.cancel_now(leg, now_ns)
            return
        self._index.resubmit(leg, now_ns)
        self._become_new(leg, now_ns)

    def _resize(self, stop_loss: SimOrder, group: Group) -> None:
        """A stop-loss protects what its take-profit has not sold."""
        if group.take_profit is not None and group.take_profit.is_open:
            stop_loss.qty = group.take_profit.remaining()
            self._recorder.changed(stop_loss)

    def _end_with(self, cause: SimOrder, order: SimOrder, now_ns: Nanos) -> None:
        """End an order because another one of its group did something, whose steps see to the rest of the group.
        Of a held leg no client is told (reference 2.10); it is seen by asking."""
        is_told = order.status != "held" or self._settings.tells_held_legs
        self._states.end(order, "expired" if cause.status == "expired" else "canceled", now_ns, is_told=is_told)

    def _end(self, order: SimOrder, status: str, now_ns: Nanos, *, is_told: bool = True) -> None:
        group = order_classes.group_of(order, self._index)
        self._states.end(order, status, now_ns, is_told=is_told)
        if group is not None:
            self._take(order_classes.after_end(order, group), group, now_ns, cause=order)

    # --- planning -----------------------------------------------------------------------------------------------------

    def _become_new(self, order: SimOrder, now_ns: Nanos) -> None:
        self._states.become_new(order, now_ns)
        self.plan_match(order, now_ns)

    def _plan(self, action: Action, order: SimOrder, now_ns: int) -> None:
        self._schedule.plan(now_ns + self._latency.delay_ns(action, order.sequence), action, order.id)

    def resume(self, order: SimOrder, *, is_sent: bool) -> None:
        """Plan again what was planned for an order before a restart, for when it would have been.

        Args:
            is_sent: whether these are hours in which the order goes to the venue.
        """
        match order.status:
            case "pending_new" if order.replaces is not None:
                self._plan(Action.REPLACE, order, order.submitted_at_ns)
            case "pending_replace" if order.replaced_by is not None:
                new = self._index.known(order.replaced_by)
                self._plan(Action.REPLACE, new, new.submitted_at_ns)
            case "pending_new":
                self._plan(Action.ACKNOWLEDGE, order, order.updated_at_ns)
            case "accepted" if is_sent:
                self._plan(Action.ACKNOWLEDGE, order, order.updated_at_ns)
            case "pending_cancel":
                self._plan(Action.CANCEL, order, order.cancel_requested_at_ns or order.updated_at_ns)
            case _:
                pass
        if order.is_watched:
            self.plan_match(order, order.new_at_ns or order.updated_at_ns)
        if order.doomed_at_ns is not None:
            self._schedule.plan(order.doomed_at_ns, Action.REJECT, order.id)
