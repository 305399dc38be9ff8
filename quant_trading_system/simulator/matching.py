"""Decides whether, at what price and how much of an order fills against one quote or one print.

Pure: given an order and the market, an answer. Market orders and limit orders that are marketable when they arrive
take from the touch; one that rested in the book fills at its own price, once the other side reaches it or a print goes
through its place in the queue. The size shown on a quote is the most that can fill against it, for all orders of the
account together; a print fills at most its own size.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.numbers import ZERO, exact
from quant_trading_system.simulator.orders import SimOrder

# Buy stops become stop-limits this far above their stop (Alpaca, user protection, read 2026-09-16).
STOP_COLLAR_LOW = Decimal("1.04")  # below 50 USD
STOP_COLLAR_HIGH = Decimal("1.025")
STOP_COLLAR_BORDER_USD = Decimal(50)


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What one attempt yields: shares and USD a share; a maker's order rested and was met."""

    qty: Decimal
    price: Decimal
    is_maker: bool = False


class Touch(msgspec.Struct, gc=False):
    """One side of a quote and how much of its size is still there to be taken."""

    price: Decimal
    size_left: Decimal


def collar(price: Decimal) -> Decimal:
    """How far above `price` a buy without a limit may go, USD a share."""
    return price * (STOP_COLLAR_LOW if price < STOP_COLLAR_BORDER_USD else STOP_COLLAR_HIGH)


def ask_of(quote: SimQuote) -> Touch:
    return Touch(exact(quote.ask_price), exact(quote.ask_size))


def bid_of(quote: SimQuote) -> Touch:
    return Touch(exact(quote.bid_price), exact(quote.bid_size))


def effective_limit(order: SimOrder) -> Decimal | None:
    """The worst price in USD that an order takes; None where any will do."""
    if order.limit_price is not None:
        return order.limit_price
    if order.is_buy and order.stop_price is not None:  # stop and trailing stop (reference 2.11)
        return collar(order.stop_price)
    return None


def needs_election(order: SimOrder) -> bool:
    """Whether the order still waits for its stop price."""
    return order.stop_price is not None and not order.is_elected


def is_within(order: SimOrder, price: Decimal) -> bool:
    """Whether a price is at the order's limit or better."""
    limit = effective_limit(order)
    if limit is None:
        return True
    return price <= limit if order.is_buy else price >= limit


def is_marketable(order: SimOrder, touch: Touch) -> bool:
    """Whether the other side of the market is at the order's limit or better; no side, no market."""
    return touch.price > ZERO and is_within(order, touch.price)


def take(order: SimOrder, touch: Touch, *, price: Decimal, fraction: float | None = None) -> Fill | None:
    """Fill a marketable order against the other side of a quote.

    Args:
        price: USD a share that it pays or gets.
        fraction: where chance wants a part first, how much of the possible quantity; at least one share is filled
            and at least one is left.
    """
    wanted = order.remaining(price)
    qty = min(wanted, touch.size_left)
    if order.time_in_force == "fok" and qty < wanted:
        return None
    if fraction is not None and qty >= 2 and order.time_in_force != "fok":
        qty = min(max(Decimal(1), (qty * exact(fraction)).to_integral_value(ROUND_CEILING)), qty - 1)
        qty = qty.to_integral_value(ROUND_FLOOR)
    return Fill(qty, price) if qty > ZERO else None


def meet(order: SimOrder, size: Decimal) -> Fill | None:
    """Fill a resting order at its own price by shares that reached it."""
    assert order.limit_price is not None, f"order {order.id}: expected a limit price, resting in the book"
    qty = min(order.remaining(order.limit_price), size)
    return Fill(qty, order.limit_price, is_maker=True) if qty > ZERO else None
