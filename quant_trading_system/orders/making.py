"""Makes orders: of an approved intent, of the database's memory, of what the broker shows. Decides whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.events import RestoredFill, RestoredOrder
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import MonoNanos, Nanos, OrderClass
from quant_trading_system.core.values import Allocation, Approved
from quant_trading_system.orders.ids import parse
from quant_trading_system.orders.order import EXTERNAL, STOP_LOSS, TAKE_PROFIT, Order
from quant_trading_system.orders.status import TERMINAL, Status


def approved_order(approved: Approved, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    """An order about to be handed to the gateway: it counts as exposure from now on."""
    intent = approved.intent
    return Order(
        client_order_id=intent.client_order_id,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type.value,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        time_in_force=intent.time_in_force.value,
        reference_price=intent.reference_price,
        allocations=intent.allocations,
        decision_id=intent.decision_id,
        status=Status.READY,
        created_ns=venue_ns,
        mono_ns=mono_ns,
        order_class=intent.order_class.value,
        stop_loss_price=intent.stop_loss_price,
        take_profit_price=intent.take_profit_price,
    )


def restored_order(
    saved: RestoredOrder,
    *,
    mono_ns: MonoNanos,
    fills: Sequence[RestoredFill] = (),
    cumulatives: Sequence[Decimal] = (),
) -> Order:
    """An order of an earlier life. What had no clear state then is UNKNOWN now.

    Args:
        fills: its executions that are booked, as far as their numbers are known.
        cumulatives: the cumulative quantities of all of its executions that are booked.
    """
    known = Status.__members__.get(saved.status, Status.UNKNOWN)
    is_doubtful = known in TERMINAL or known in (Status.READY, Status.SENDING, Status.UNKNOWN)
    order = Order(
        client_order_id=saved.client_order_id,
        strategy=saved.strategy,
        symbol=saved.symbol,
        side=saved.side,
        quantity=saved.quantity,
        order_type=saved.order_type,
        limit_price=saved.limit_price,
        stop_price=saved.stop_price,
        time_in_force=saved.time_in_force,
        reference_price=saved.reference_price,
        allocations=saved.allocations,
        decision_id=saved.decision_id,
        status=Status.UNKNOWN if is_doubtful else known,
        created_ns=saved.created_ns,
        mono_ns=mono_ns,
        is_external=parse(saved.client_order_id) is None or saved.strategy == EXTERNAL,
        order_class=saved.order_class,
        stop_loss_price=saved.stop_loss_price,
        take_profit_price=saved.take_profit_price,
    )
    order.parent_client_order_id = saved.parent_client_order_id
    order.replaces = saved.replaces
    order.exists_at_broker = saved.exists_at_broker
    order.sent_ns = saved.created_ns  # it may have been sent
    order.broker_order_id = saved.broker_order_id
    order.shown_filled = saved.filled_quantity
    order.told_ns = saved.told_ns
    _restore_executions(order, saved, fills, cumulatives)
    order.unknown_since_mono_ns = mono_ns if is_doubtful else None
    return order


def _restore_executions(
    order: Order, saved: RestoredOrder, fills: Sequence[RestoredFill], cumulatives: Sequence[Decimal]
) -> None:
    """What the books hold of it is explained; what only its status told is still to come (I5)."""
    for each in fills:
        execution = each.execution
        order.executions[execution.cumulative_quantity] = (execution.quantity, execution.price)
        order.last_execution_ns = max(order.last_execution_ns, execution.venue_ns)
        if each.is_inferred:
            order.inferred.add(execution.cumulative_quantity)
    order.base_filled = max((each for each in cumulatives if each not in order.executions), default=ZERO)
    if order.base_filled:
        value_usd = sum((quantity * price for quantity, price in order.executions.values()), ZERO)
        order.base_value_usd = max(ZERO, saved.filled_value_usd - value_usd)


def external_order(shown: BrokerOrder, *, replaced: Order | None, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    """An order at the broker that we did not send. One that replaces an order of ours stays with its strategies."""
    order = _shown_order(shown, venue_ns=venue_ns, mono_ns=mono_ns)
    order.replaces = shown.replaces
    if replaced is not None:
        succeed(replaced, order, is_refused=shown.status == "rejected")
    return order


def leg_order(shown: BrokerOrder, parent: Order, role: str, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    """A leg of an order of ours, under an id that the broker made: it undoes what its parent does."""
    order = _shown_order(shown, venue_ns=venue_ns, mono_ns=mono_ns)
    order.strategy, order.decision_id = parent.strategy, parent.decision_id
    order.allocations = tuple(Allocation(each.strategy, -each.quantity) for each in parent.allocations)
    order.parent, order.parent_client_order_id = parent, parent.client_order_id
    parent.legs[role] = order
    return order


def parent_of(shown: BrokerOrder, newest_first: Iterable[Order]) -> Order | None:
    """The order of ours that a leg was sent with.

    Lists and events show legs without a word of their parent; they are known by class, symbol, side, size and price.
    """
    if shown.order_class not in (OrderClass.OTO.value, OrderClass.BRACKET.value):
        return None
    role = role_of(shown)
    for order in newest_first:
        asked = order.stop_loss_price if role == STOP_LOSS else order.take_profit_price
        price = shown.stop_price if role == STOP_LOSS else shown.limit_price
        is_kin = (order.order_class, order.symbol, order.side.opposite) == (shown.order_class, shown.symbol, shown.side)
        fits = asked is not None and asked == price and (shown.quantity or ZERO) <= order.quantity
        if is_kin and fits and role not in order.legs:
            return order
    return None


def succeed(old: Order, new: Order, *, is_refused: bool = False) -> None:
    """`new` took the place of `old` at the broker: it belongs to the same strategies, and to the same parent.

    One that was refused took no place, and stands for none that did.
    """
    if not is_refused or old.successor is None:
        old.successor = new
    new.strategy, new.allocations, new.decision_id = old.strategy, old.allocations, old.decision_id
    new.parent, new.parent_client_order_id = old.parent, old.parent_client_order_id
    new.replaces = old.broker_order_id
    for role, leg in list(old.parent.legs.items() if old.parent is not None else ()):
        if leg is old and old.parent is not None and old.successor is new:
            old.parent.legs[role] = new


def role_of(shown: BrokerOrder) -> str:
    """What a leg is for: with a stop price it limits the loss, else it takes the profit."""
    return STOP_LOSS if shown.stop_price is not None else TAKE_PROFIT


def _shown_order(shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    quantity = shown.quantity if shown.quantity is not None else shown.filled_quantity
    price = shown.limit_price or shown.stop_price or shown.filled_average_price or ZERO
    return Order(
        client_order_id=shown.client_order_id,
        strategy=EXTERNAL,
        symbol=shown.symbol,
        side=shown.side,
        quantity=quantity,
        order_type=str(shown.order_type),
        limit_price=shown.limit_price,
        stop_price=shown.stop_price,
        time_in_force=str(shown.time_in_force),
        reference_price=price,
        allocations=(),
        decision_id="",
        status=Status.SENDING,
        created_ns=venue_ns,
        mono_ns=mono_ns,
        is_external=True,
        order_class="" if shown.order_class == "simple" else shown.order_class,
    )
