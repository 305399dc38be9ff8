"""Decides which open orders can be changed or cancelled, with Alpaca's texts for the others (reference 2.8, 2.9)."""

from __future__ import annotations

from quant_trading_system.simulator.numbers import is_whole
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, SimOrder
from quant_trading_system.simulator.refusals import Refusal, invalid, unprocessable
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.rules import (
    CRYPTO_TIMES,
    LASTING,
    TIMES_IN_FORCE,
    TIMES_OF_TYPE,
    check_client_id,
    check_qty,
)

REPLACEABLE_STATUSES = frozenset({"new", "partially_filled"})


def check_replace(order: SimOrder, change: OrderChange) -> None:
    """Refuse to replace what cannot be replaced, and changes that make no order.

    A held stop-loss can be changed once it is armed: with a working take-profit beside it there is no other moment at
    which its price could be, and the documents say that it can.

    Raises:
        Refusal: Alpaca's 422.
    """
    if order.status in ("accepted", "pending_new") or (order.status == "held" and not order.is_armed):
        raise invalid("unable to replace order, order isn't sent to exchange yet")
    if order.status not in REPLACEABLE_STATUSES and order.status != "held":
        raise unprocessable("unable to replace order, order is not open")
    if order.qty is None or change.notional is not None:
        raise unprocessable("notional orders cannot be replaced")
    if change.is_empty:
        raise unprocessable("order parameters are not changed")
    _check_times(order, change)
    if change.trail is not None and order.type != "trailing_stop":
        raise invalid("trail is only for trailing stop orders")
    if order.order_class in COMPLEX_CLASSES:
        _check_member(order, change)
    if change.qty is not None:
        check_qty(change.qty)
        if change.qty != order.qty and not (is_whole(change.qty) and is_whole(order.qty)):
            raise unprocessable("fractional quantities cannot be replaced")
    check_client_id(change.client_order_id)


def _check_times(order: SimOrder, change: OrderChange) -> None:
    wanted = change.time_in_force
    if wanted is None or wanted == order.time_in_force:
        return
    if wanted not in TIMES_IN_FORCE:
        raise invalid("invalid time_in_force")
    if order.asset_class == "crypto":
        if wanted not in CRYPTO_TIMES:
            raise unprocessable("invalid crypto time_in_force")
        return
    if order.qty is not None and not is_whole(order.qty):
        raise unprocessable("fractional orders must be DAY orders")
    is_lasting = order.order_class in COMPLEX_CLASSES or order.extended_hours
    if wanted not in (LASTING if is_lasting else TIMES_OF_TYPE[order.type]):
        raise invalid("invalid time_in_force")


def _check_member(order: SimOrder, change: OrderChange) -> None:
    """Of a group prices alone can change, of an OTO's legs nothing (reference 2.8)."""
    if order.order_class == "oto" and order.parent_id is not None:
        raise unprocessable("oto legs cannot be replaced")
    has_other_qty = change.qty is not None and change.qty != order.qty
    has_other_time = change.time_in_force is not None and change.time_in_force != order.time_in_force
    if has_other_qty or has_other_time:
        raise unprocessable(f"only prices of {order.order_class} orders can be replaced")


def refuse_cancel(order: SimOrder) -> Refusal | None:
    """Why an order cannot be cancelled, None where it can; of a canceled one it is granted again (reference 2.9)."""
    if order.status == "pending_cancel":
        return unprocessable("order pending cancel")
    if order.status == "pending_replace":
        return unprocessable("order pending replace")
    if order.is_open or order.status == "canceled":
        return None
    return unprocessable(f'order is already in "{order.status}" state')
