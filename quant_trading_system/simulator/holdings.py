"""Decides which shares an open order holds, so that none is promised twice."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, SimOrder


def held_by(order: SimOrder, index: OrderIndex) -> Decimal:
    """Shares of the position that an open closing order holds.

    A replacement and its original hold the larger of both, once. Of a group the take-profit holds what the held
    stop-loss protects, until one of them is left.
    """
    if not order.is_closing or not order.is_open:
        return ZERO
    if order.status in ("pending_replace", "held"):
        return ZERO
    old = None if order.replaces is None else index.known(order.replaces)
    if old is None or old.status == "replaced":
        return order.remaining()
    if old.status == "pending_replace" and order.order_class in COMPLEX_CLASSES:
        return old.remaining()  # all that its replacement will get
    if old.status == "pending_replace":
        return max(order.remaining(), old.remaining())
    return ZERO  # its original has filled or will be cancelled first: it will be rejected


def available_to(order: SimOrder, *, position_qty: Decimal, index: OrderIndex, instead_of: SimOrder) -> Decimal:
    """Shares of the position that a closing order may still take, where it comes instead of another one."""
    size = position_qty if order.side == "sell" else -position_qty
    others = (other for other in index.open_of(order.symbol) if other is not order and other is not instead_of)
    return max(ZERO, size - sum((held_by(other, index) for other in others), start=ZERO))
