"""Decides where the stop of a trailing order stands: a distance behind the best price since it was sent."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.simulator.orders import SimOrder

_PERCENT = Decimal(100)


def trail(order: SimOrder, price: Decimal) -> bool:
    """Let a trailing stop see a price in USD; True where it is the best so far, and the stop has moved with it.

    The stop is not rounded: 5 % behind 3648.1299 is 3465.723405 (recorded 2021, reference 2.4). An elected order
    trails no more.
    """
    if order.type != "trailing_stop" or order.is_elected:
        return False
    if order.hwm is not None and (price >= order.hwm if order.is_buy else price <= order.hwm):
        return False
    order.hwm = price
    order.stop_price = stop_behind(order, price)
    return True


def stop_behind(order: SimOrder, hwm: Decimal) -> Decimal:
    """USD at which the stop stands for a best price of `hwm`."""
    if order.trail_price is not None:
        distance = order.trail_price
    else:
        assert order.trail_percent is not None, f"order {order.id}: expected trail_price or trail_percent"
        distance = hwm * order.trail_percent / _PERCENT
    return hwm + distance if order.is_buy else hwm - distance
