"""Decides which order requests are taken, with Alpaca's texts for those that are not (reference 2.2 to 2.12).

The checks run from what is wrong in itself to what the account cannot do, as the recorded refusals do.
"""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.simulator.numbers import QTY_STEP, ZERO, is_sub_penny, is_whole, plain
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import (
    Refusal,
    forbidden,
    insufficient_buying_power,
    insufficient_qty,
    invalid,
    unprocessable,
    wash_trade,
)
from quant_trading_system.simulator.requests import OrderChange, OrderRequest

CLIENT_ID_LENGTH_MAX = 128
ORDER_TYPES = frozenset({"market", "limit", "stop", "stop_limit"})
TIMES_IN_FORCE = frozenset({"day", "gtc", "ioc", "fok"})
NOTIONAL_USD_MIN = Decimal(1)
COST_BASIS_USD_MIN = Decimal(1)
SIMPLE_CLASSES = frozenset({"", "simple"})


def check_form(request: OrderRequest) -> None:
    """Refuse a request that no account could send.

    Raises:
        Refusal: Alpaca's 422.
    """
    if request.symbol is None:
        raise invalid("symbol is required")
    if request.side not in ("buy", "sell"):
        raise invalid("side must be either buy or sell")
    if request.type not in ORDER_TYPES:
        raise invalid("invalid order type")
    if request.time_in_force not in TIMES_IN_FORCE:
        raise invalid("invalid time_in_force")
    if request.order_class not in SIMPLE_CLASSES:
        raise unprocessable(f"order_class {request.order_class} is not supported")
    if request.trail_price is not None or request.trail_percent is not None:
        raise invalid("trail_price and trail_percent are only for trailing stop orders")
    _check_amount(request)
    check_prices(request.type, limit_price=request.limit_price, stop_price=request.stop_price)
    _check_combination(request)
    check_client_id(request.client_order_id)


def check_client_id(client_order_id: str | None) -> None:
    if client_order_id is not None and len(client_order_id) > CLIENT_ID_LENGTH_MAX:
        raise invalid("client_order_id must be no more than 128 characters")


def _check_amount(request: OrderRequest) -> None:
    if request.qty is not None and request.notional is not None:
        raise invalid("only one of qty or notional is accepted")
    if request.qty is None and request.notional is None:
        raise invalid("qty or notional is required")
    if request.qty is not None:
        check_qty(request.qty)
    if request.notional is not None and request.notional < NOTIONAL_USD_MIN:
        raise invalid("notional must be >= 1.00")


def check_qty(qty: Decimal) -> None:
    if qty <= ZERO:
        raise invalid("qty must be > 0")
    if qty % QTY_STEP != ZERO:
        raise invalid("qty must have at most 9 decimal places")


def check_prices(order_type: str, *, limit_price: Decimal | None, stop_price: Decimal | None) -> None:
    """Refuse prices that are missing, superfluous, not positive or finer than a tick.

    Raises:
        Refusal: Alpaca's 422.
    """
    match order_type:
        case "market" if limit_price is not None or stop_price is not None:
            raise invalid("market orders require no stop or limit price")
        case "limit" if limit_price is None:
            raise invalid("limit orders require a limit price")
        case "limit" if stop_price is not None:
            raise invalid("limit orders require only limit price")
        case "stop" if stop_price is None:
            raise invalid("stop orders require a stop price")
        case "stop" if limit_price is not None:
            raise invalid("stop orders require only stop price")
        case "stop_limit" if limit_price is None or stop_price is None:
            raise invalid("stop limit orders require both stop and limit price")
    for name, price in (("limit", limit_price), ("stop", stop_price)):
        if price is not None and price <= ZERO:
            raise invalid(f"{name} price must be > 0")
        if price is not None and is_sub_penny(price):
            raise unprocessable(
                f"invalid {name}_price {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
            )


def _check_combination(request: OrderRequest) -> None:
    is_fractional = request.notional is not None or not (request.qty is None or is_whole(request.qty))
    if is_fractional and request.time_in_force != "day":
        raise unprocessable("fractional orders must be DAY orders")
    if request.type in ("stop", "stop_limit") and request.time_in_force not in ("day", "gtc"):
        raise invalid("invalid time_in_force")
    if request.extended_hours and (request.type != "limit" or request.time_in_force not in ("day", "gtc")):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def check_stop(*, is_buy: bool, stop_price: Decimal | None, market_price: Decimal | None) -> None:
    """Refuse a stop that the market has passed already.

    Raises:
        Refusal: Alpaca's 422 with both prices.
    """
    if stop_price is None or market_price is None:
        return
    prices = {"market_price": plain(market_price), "stop_price": plain(stop_price)}
    if not is_buy and stop_price >= market_price:
        raise unprocessable("stop price must be less than current price", **prices)
    if is_buy and stop_price <= market_price:
        raise unprocessable("stop price must be greater than current price", **prices)


def check_intent(request: OrderRequest, *, position_qty: Decimal) -> str:
    """The intent that side and position imply.

    Raises:
        Refusal: the request says another one.
    """
    if request.side == "buy":
        inferred = "buy_to_close" if position_qty < ZERO else "buy_to_open"
    else:
        inferred = "sell_to_close" if position_qty > ZERO else "sell_to_open"
    if request.position_intent not in (None, inferred):
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {request.position_intent}")
    return inferred


def check_wash_trade(candidate: SimOrder, open_orders: list[SimOrder]) -> None:
    """Refuse an order that could trade with an open one of the same account (reference 2.12).

    Raises:
        Refusal: Alpaca's 403, naming the other order.
    """
    for other in open_orders:
        if other.side == candidate.side or other.id == candidate.replaces:
            continue
        if not (_has_own_price(candidate) and _has_own_price(other)):
            raise wash_trade(existing_order_id=other.id, reason="opposite side market/stop order exists")
        buy, sell = (candidate, other) if candidate.is_buy else (other, candidate)
        assert buy.limit_price is not None, f"order {buy.id}: expected a limit price"
        assert sell.limit_price is not None, f"order {sell.id}: expected a limit price"
        if buy.limit_price >= sell.limit_price:
            raise wash_trade(existing_order_id=other.id, reason="opposite side limit order exists")


def _has_own_price(order: SimOrder) -> bool:
    return order.type in ("limit", "stop_limit")


def check_sale(
    candidate: SimOrder,
    *,
    wanted: Decimal,
    position_qty: Decimal,
    holders: list[SimOrder],
    held: Decimal,
    shorting_enabled: bool,
) -> None:
    """Refuse to sell what is not there (reference 2.7, 2.12).

    Raises:
        Refusal: Alpaca's 403.
    """
    if position_qty <= ZERO:
        if not is_whole(wanted):
            raise unprocessable("fractional orders cannot be sold short")
        if not shorting_enabled:
            raise forbidden("account is not allowed to short")
        return
    available = max(ZERO, position_qty - held)
    if wanted > available:
        raise insufficient_qty(
            symbol=candidate.symbol,
            requested=wanted,
            available=available,
            existing=position_qty,
            held=held,
            related=[order.id for order in holders],
        )


def check_purchase(*, cost_basis: Decimal, buying_power: Decimal, is_fractional: bool) -> None:
    """Refuse to buy for more than there is.

    Raises:
        Refusal: Alpaca's 403.
    """
    if is_fractional and cost_basis < COST_BASIS_USD_MIN:
        raise forbidden("cost basis must be >= minimal amount of order 1")
    if cost_basis > buying_power:
        raise insufficient_buying_power(buying_power=buying_power, cost_basis=cost_basis)


def check_replace(order: SimOrder, change: OrderChange) -> None:
    """Refuse to replace what cannot be replaced, and changes that make no order (reference 2.8).

    Raises:
        Refusal: Alpaca's 422.
    """
    if order.status in ("accepted", "pending_new", "held"):
        raise invalid("unable to replace order, order isn't sent to exchange yet")
    if order.status not in ("new", "partially_filled"):
        raise unprocessable("unable to replace order, order is not open")
    if order.qty is None:
        raise unprocessable("notional orders cannot be replaced")
    if change.trail is not None:
        raise invalid("trail is only for trailing stop orders")
    if change.time_in_force is not None and change.time_in_force not in TIMES_IN_FORCE:
        raise invalid("invalid time_in_force")
    if change.qty is not None:
        check_qty(change.qty)
        if change.qty != order.qty and not (is_whole(change.qty) and is_whole(order.qty)):
            raise unprocessable("fractional quantities cannot be replaced")
    check_client_id(change.client_order_id)


def refuse_cancel(order: SimOrder) -> Refusal | None:
    """Why an order cannot be cancelled, None where it can; of a canceled one it is granted again (reference 2.9)."""
    if order.status == "pending_cancel":
        return unprocessable("order pending cancel")
    if order.is_open or order.status == "canceled":
        return None
    return unprocessable(f'order is already in "{order.status}" state')
