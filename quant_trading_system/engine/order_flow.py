"""Order events into the books: the order manager decides what an event means, the ledger books what moved."""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.effects import CancelOrder, RequestReconciliation
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import NANOS_PER_SECOND, ClientOrderId, Severity, Side, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.journal import INFERRED, remember_execution
from quant_trading_system.ledger.books import EXTERNAL
from quant_trading_system.ledger.split import split_fill
from quant_trading_system.orders.manager import Outcome
from quant_trading_system.orders.order import Order


class OrderFlow:
    """Applies outcomes of the order manager: books executions, stores rows, cancels what rests too long."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def settle(self, outcome: Outcome, *, source: str) -> None:
        """Carry one outcome into ledger, records and effects. Executions first: they beat every status."""
        desk = self._desk
        for execution in outcome.executions:
            self.book(execution, outcome.order, source=source)
        if outcome.is_rehomed and outcome.order is not None:
            self._bring_home(outcome.order)
        if outcome.order is not None and outcome.changed:
            desk.remember(outcome.order.to_record(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns))
        for effect in outcome.effects:
            desk.emit(effect)
        for severity, code, text in outcome.alerts:
            desk.alert(severity, code, text, symbol=outcome.order.symbol if outcome.order is not None else "")
        if outcome.lock_symbol is not None and outcome.order is not None:
            desk.lock_symbol(outcome.order.symbol, outcome.lock_symbol)
        if outcome.reconcile is not None:
            desk.emit(RequestReconciliation(reason=outcome.reconcile))
        for relative in outcome.more:
            self.settle(relative, source=source)

    def book(
        self, execution: Execution, order: Order | None, *, source: str, owners: Sequence[Allocation] = ()
    ) -> None:
        """Book one execution to the strategies its order belongs to; nothing happens if it is booked already.

        `owners` are known of an order whose executions are told anew.
        """
        desk = self._desk
        is_kin = order is not None and (order.symbol, order.side) == (execution.symbol, execution.side)
        allocations = tuple(owners) or (order.allocations if order is not None and is_kin else ())
        quantity = execution.cumulative_quantity if order is None else order.quantity
        result = desk.ledger.apply(execution, allocations, quantity, is_inferred=source == INFERRED)
        if not result.is_new:
            return
        desk.moved_symbols.add(execution.symbol)
        remember_execution(desk, execution, order, result, source)
        if order is not None and order.is_protection:
            self._note_stop(order, execution)

    def _note_stop(self, stop: Order, execution: Execution) -> None:
        """A protective stop traded: its strategies hold less, want no more than that, and are told."""
        desk = self._desk
        for each in stop.allocations:
            held = desk.ledger.book_quantity(each.strategy, stop.symbol)
            wanted = desk.portfolio.target(each.strategy, stop.symbol)
            if wanted is None or abs(wanted) > abs(held):
                desk.portfolio.set_target(each.strategy, stop.symbol, held)
            desk.entry_deadline_ns.pop((each.strategy, stop.symbol), None)
            if each.strategy in desk.strategies:
                desk.strategies[each.strategy].on_stopped_out(stop.symbol)
        desk.alert(
            Severity.WARNING,
            "stop_executed",
            f"{stop.symbol}: a protective stop at {stop.stop_price} traded {execution.quantity} shares at"
            f" {execution.price}",
            symbol=stop.symbol,
        )

    def _bring_home(self, order: Order) -> None:
        """What an order executed while it was taken for somebody else's passes from the external book to its own."""
        desk = self._desk
        executed, price = order.executed_quantity, order.filled_average_price
        if not executed or price is None:
            return
        parts = split_fill(
            order.allocations, cumulative=executed, quantity=executed, order_quantity=executed, sign=order.side.sign
        )
        for part in parts:
            desk.ledger.transfer(EXTERNAL, part.strategy, order.symbol, part.quantity, price)
        desk.remember_books(order.symbol)

    def cancel_entries(self, reason: str, *, symbol: Symbol | None = None) -> int:
        """Ask to cancel every live order that can raise exposure. Returns how many were asked.

        Protective stops stay in any case: they outlive the daemon, which is what they are for.
        """
        desk = self._desk
        asked = 0
        for order in [each for each in desk.orders.live(symbol) if not each.is_protection]:
            position = desk.ledger.position(order.symbol)
            reduces = position != ZERO and (position > ZERO) == (order.side is Side.SELL)
            if not reduces or desk.is_stopping:
                asked += self.cancel(order.client_order_id, reason)
        return asked

    def cancel(self, client_order_id: ClientOrderId, reason: str) -> bool:
        desk = self._desk
        effect = desk.orders.request_cancel(
            client_order_id, reason=reason, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns
        )
        if effect is None:
            return False
        desk.emit(effect)
        order = desk.orders.get(client_order_id)
        if order is not None and isinstance(effect, CancelOrder):
            desk.remember(order.to_record(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns))
        return True

    def on_time(self) -> None:
        """Ask about UNKNOWN orders, raise late acknowledgements, cancel entries that rest longer than allowed."""
        desk = self._desk
        for outcome in desk.orders.on_time(venue_ns=desk.venue_ns, mono_ns=desk.mono_ns):
            self.settle(outcome, source="timer")
        limit_ns = int(desk.config.entry_order_seconds_max * NANOS_PER_SECOND)
        for order in list(desk.orders.live()):
            if order.is_external or order.is_protection or not order.is_cancelable:
                continue
            if desk.mono_ns - order.created_mono_ns >= limit_ns:
                self.cancel(order.client_order_id, "rested longer than entry_order_seconds_max")
