"""Decides whether, at what price and how much of an order fills against one quote or one print.

Pure: given an order and the market, an answer. Market orders and limit orders that are marketable when they arrive
fill at the touch; one that rested in the book fills at its own price once the other side reaches it. The size shown
on a quote is the most that can fill against it, for all orders of the account together.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.numbers import ZERO, exact
from quant_trading_system.simulator.orders import SimOrder

# Buy stops become stop-limits this far above their stop (Alpaca, user protection, read 2026-09-16).
STOP_COLLAR_LOW = Decimal("1.04")  # below 50 USD
STOP_COLLAR_HIGH = Decimal("1.025")
STOP_COLLAR_BORDER_USD = Decimal(50)


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What one attempt yields: shares and USD a share."""

    qty: Decimal
    price: Decimal


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
    if order.type == "stop" and order.is_buy and order.stop_price is not None:
        return collar(order.stop_price)
    return None


def needs_election(order: SimOrder) -> bool:
    """Whether the order still waits for its stop price."""
    return order.stop_price is not None and not order.is_elected


def is_elected_by(order: SimOrder, price_usd: float) -> bool:
    """Whether a print in regular hours touches the stop price (reference 2.11)."""
    assert order.stop_price is not None, f"order {order.id}: expected a stop price"
    printed = exact(price_usd)
    return printed >= order.stop_price if order.is_buy else printed <= order.stop_price


def is_marketable(order: SimOrder, touch: Touch) -> bool:
    """Whether the other side of the market is at the order's limit or better."""
    limit = effective_limit(order)
    if limit is None:
        return True
    return touch.price <= limit if order.is_buy else touch.price >= limit


def match_quote(order: SimOrder, touch: Touch, *, fraction: float | None = None) -> Fill | None:
    """Fill an order against the other side of a quote.

    Args:
        fraction: where chance wants a part first, how much of the possible quantity; at least one share is filled
            and at least one is left.
    """
    if touch.price <= ZERO or touch.size_left <= ZERO or not is_marketable(order, touch):
        return None
    price = order.limit_price if order.is_resting and order.limit_price is not None else touch.price
    wanted = order.remaining(price)
    qty = min(wanted, touch.size_left)
    if order.time_in_force == "fok" and qty < wanted:
        return None
    if fraction is not None and qty >= 2 and order.time_in_force != "fok":
        qty = min(max(Decimal(1), (qty * exact(fraction)).to_integral_value(ROUND_CEILING)), qty - 1)
        qty = qty.to_integral_value(ROUND_FLOOR)
    return Fill(qty, price) if qty > ZERO else None


def match_print(order: SimOrder, trade: SimTrade) -> Fill | None:
    """Fill a resting limit order by a trade beyond its price: whoever printed there would have met it first."""
    limit = order.limit_price
    if limit is None or not order.is_resting:
        return None
    printed = exact(trade.price)
    if printed >= limit if order.is_buy else printed <= limit:
        return None
    qty = min(order.remaining(limit), exact(trade.size))
    if order.time_in_force == "fok" and qty < order.remaining(limit):
        return None
    return Fill(qty, limit) if qty > ZERO else None
