"""How many shares stand before a resting order at its price. Decides it from what the touch shows and what prints.

Only the touch is shown, so the queue is estimated (Rigtorp, "Estimating order queue position", 2013). All the size
that is displayed when an order joins is ahead of it; what comes later is behind. A print at the price eats the queue
from its front. A size that shrinks by more than printed is cancels, shared out between those ahead and those behind.
Sizes are floats: nothing here is money.
"""

from __future__ import annotations

from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.orders import SimOrder


def join(
    order: SimOrder, *, price: float, touch_price: float, touch_size: float, depth_ratio: float, chance: Chance
) -> None:
    """Put an order at the end of the queue at its price. `touch` is the best price on its own side, 0 for none.

    Better than the touch, nobody is before it. Behind the touch the size is not shown and is drawn: exponential, its
    mean the touch's size times `depth_ratio`.
    """
    if price == touch_price:
        order.queue_ahead = order.queue_shown = touch_size
        return
    is_behind = price < touch_price if order.is_buy else price > touch_price > 0
    order.queue_shown = None
    order.queue_ahead = 0.0
    if is_behind and depth_ratio > 0:
        order.queue_ahead = float(round(chance.exponential("depth", order.sequence, mean=touch_size * depth_ratio)))


def see_size(order: SimOrder, shown: float, *, cancel_power: float) -> bool:
    """The touch is at the order's price and shows a size; True where the order's place has changed.

    The share of cancels that came from before the order is ahead**n / (ahead**n + behind**n).
    """
    ahead, shown_before = order.queue_ahead, order.queue_shown
    if shown_before == shown and ahead is not None and ahead <= shown:
        return False
    ahead = shown if ahead is None else ahead
    if shown_before is not None and shown < shown_before and ahead > 0:
        front, back = ahead, max(0.0, shown_before - ahead)
        if cancel_power != 1.0:
            front, back = front**cancel_power, back**cancel_power
        ahead = max(0.0, ahead - (shown_before - shown) * front / (front + back))
    order.queue_ahead, order.queue_shown = min(ahead, shown), shown
    return True


def see_print(order: SimOrder, size: float) -> float:
    """Shares were traded at the order's price: eat the queue, and say how many of them reach the order."""
    ahead = order.queue_ahead or 0.0
    if order.queue_shown is not None:
        order.queue_shown = max(0.0, order.queue_shown - size)
    order.queue_ahead = max(0.0, ahead - size)
    return max(0.0, size - ahead)


def lead(order: SimOrder) -> bool:
    """Nobody is before the order any more; True where somebody was."""
    had_somebody = order.queue_ahead != 0.0
    order.queue_ahead = 0.0
    return had_somebody
