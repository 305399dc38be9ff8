"""Decides which orders the account, its position and its other orders allow (reference 2.7, 2.10, 2.12).

Each rule is given the facts that it judges; nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.numbers import CENT, ZERO, is_whole, plain
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, SimOrder
from quant_trading_system.simulator.refusals import (
    Refusal,
    forbidden,
    insufficient_balance,
    insufficient_buying_power,
    insufficient_qty,
    unprocessable,
    wash_trade,
)
from quant_trading_system.simulator.requests import OrderRequest

COST_BASIS_USD_MIN = Decimal(1)
DAY_TRADES_MAX = 3  # in five days
DAY_TRADER_EQUITY_USD = Decimal(25_000)
COST_BASIS_USD_MIN_CRYPTO = Decimal(10)
EXPOSURE_MAX = Decimal(6)  # long and short value together, in equities of the account (reference 2.12)


def check_day_trades(
    order: SimOrder, *, day_trades: int, last_equity: Decimal, would_day_trade: bool, check: str
) -> None:
    """Refuse what would, or at an entry could, be the fourth day trade of a small account (reference 2.12, until 2026).

    Args:
        check: the holder's `pdt_check`: whether entries, exits or both are judged.

    Raises:
        Refusal: Alpaca's 403.
    """
    if day_trades < DAY_TRADES_MAX or last_equity >= DAY_TRADER_EQUITY_USD:
        return
    is_judged = would_day_trade and check in ("exit", "both") if order.is_closing else check in ("entry", "both")
    if is_judged:
        raise Refusal(403, 40310100, "trade denied due to pattern day trading protection")


def check_halt(order_type: str, symbol: str, *, is_halted: bool) -> None:
    """Refuse what would be sent blindly into a halt; orders with a price wait for its end (W11).

    Raises:
        Refusal: Alpaca's 403.
    """
    if is_halted and order_type == "market":
        raise Refusal(403, 40310010, f"asset {symbol} is halted")


# --- intent -----------------------------------------------------------------------------------------------------------


def check_intent(request: OrderRequest, *, position_qty: Decimal) -> str:
    """The intent that side and position imply.

    Raises:
        Refusal: the request says another one, or its class is for the other one.
    """
    if request.side == "buy":
        inferred = "buy_to_close" if position_qty < ZERO else "buy_to_open"
    else:
        inferred = "sell_to_close" if position_qty > ZERO else "sell_to_open"
    if request.position_intent not in (None, inferred):
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {request.position_intent}")
    is_exit = inferred.endswith("_to_close")
    if request.order_class in ("bracket", "oto") and is_exit:
        raise unprocessable(f"{request.order_class} orders must be entry orders")
    if request.order_class == "oco" and not is_exit:
        raise unprocessable("oco orders must be exit orders")
    return inferred


def check_opening(order: SimOrder, open_orders: Sequence[SimOrder]) -> None:
    """Refuse to open a side while an order that opens the other one is open, and amounts while something closes.

    Raises:
        Refusal: Alpaca's 422; 403 for the long side (reported so).
    """
    for other in open_orders:
        if other.id == order.replaces:
            continue
        if order.position_intent == "sell_to_open" and other.position_intent == "buy_to_open":
            raise unprocessable("cannot open a short sell while a long buy order is open")
        if order.position_intent == "buy_to_open" and other.position_intent == "sell_to_open":
            raise forbidden("cannot open a long buy while a short sell order is open")
        if order.notional is not None and not order.is_closing and other.is_closing:
            raise unprocessable("unable to open new notional orders while having open closing position orders")


# --- prices -----------------------------------------------------------------------------------------------------------


def check_legs(request: OrderRequest, *, base_price: Decimal | None) -> None:
    """Refuse legs on the wrong side of each other or of the price that the position begins at (reference 2.7).

    Args:
        base_price: USD, the limit of the entry, else the market; an OCO's is the market. None: nothing to compare.

    Raises:
        Refusal: Alpaca's 422, with the base price beside it where that was the measure.
    """
    profit = request.take_profit.limit_price if request.take_profit else None
    stop = request.stop_loss.stop_price if request.stop_loss else None
    sells = (request.side == "sell") == (request.order_class == "oco")  # what the legs do
    if profit is not None and stop is not None and (profit <= stop if sells else profit >= stop):
        raise unprocessable(f"take_profit.limit_price must be {'>' if sells else '<'} stop_loss.stop_price")
    if base_price is None:
        return
    base = {"base_price": plain(base_price)}
    above, below = base_price + CENT, base_price - CENT
    if profit is not None and request.order_class != "oco" and (profit < above if sells else profit > below):
        text = ">= base_price + 0.01" if sells else "<= base_price - 0.01"
        raise unprocessable(f"take_profit.limit_price must be {text}", **base)
    if stop is not None and (stop > below if sells else stop < above):
        text = "<= base_price - 0.01" if sells else ">= base_price + 0.01"
        raise unprocessable(f"stop_loss.stop_price must be {text}", **base)


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


# --- wash trades ------------------------------------------------------------------------------------------------------


def check_wash_trade(candidate: SimOrder, open_orders: Sequence[SimOrder]) -> None:
    """Refuse an order that could trade with an open one of the same account (reference 2.12).

    Raises:
        Refusal: Alpaca's 403, naming the other order.
    """
    if _is_exempt(candidate):
        return
    for other in open_orders:
        if other.side == candidate.side or other.id == candidate.replaces or _is_exempt(other):
            continue
        if not (_has_own_price(candidate) and _has_own_price(other)):
            raise wash_trade(existing_order_id=other.id, reason="opposite side market/stop order exists")
        buy, sell = (candidate, other) if candidate.is_buy else (other, candidate)
        assert buy.limit_price is not None, f"order {buy.id}: expected a limit price"
        assert sell.limit_price is not None, f"order {sell.id}: expected a limit price"
        if buy.limit_price >= sell.limit_price:
            raise wash_trade(
                existing_order_id=other.id,
                reason=_CROSSES_A_SALE if candidate.is_buy else _CROSSES_A_PURCHASE,
                buy_limit_price=plain(buy.limit_price),
                sell_limit_price=plain(sell.limit_price),
            )


_CROSSES_A_SALE = "sell order exists, buy limit price should be less than existing sell limit price"
_CROSSES_A_PURCHASE = "opposite side limit order exists"


def _has_own_price(order: SimOrder) -> bool:
    return order.type in ("limit", "stop_limit")


def _is_exempt(order: SimOrder) -> bool:
    """Groups and trailing stops are made to stand on both sides."""
    return order.order_class in COMPLEX_CLASSES or order.type == "trailing_stop"


# --- shares and money -------------------------------------------------------------------------------------------------


def check_closing(candidate: SimOrder, *, position_qty: Decimal, holders: Sequence[SimOrder], held: Decimal) -> None:
    """Refuse to close more than is there: no order turns a position round (reference 2.7, 2.12).

    Raises:
        Refusal: Alpaca's 403.
    """
    wanted = candidate.remaining()
    available = max(ZERO, abs(position_qty) - held)
    if wanted <= available:
        return
    if candidate.asset_class == "crypto":
        coin = candidate.symbol.partition("/")[0]
        raise insufficient_balance(currency=coin, requested=wanted, available=available, balance=abs(position_qty))
    raise insufficient_qty(
        symbol=candidate.symbol,
        requested=wanted,
        available=available,
        existing=position_qty,
        held=held,
        related=[order.id for order in holders],
    )


def check_short(candidate: SimOrder, asset: SimAsset, *, refusal: Refusal | None) -> None:
    """Refuse a short sale of what cannot be borrowed, or by who may not.

    Args:
        refusal: why the account may not, None where it may.

    Raises:
        Refusal: Alpaca's 422 or 403.
    """
    if asset.asset_class == "crypto":
        coin = asset.symbol.partition("/")[0]
        raise insufficient_balance(currency=coin, requested=candidate.remaining(), available=ZERO, balance=ZERO)
    if candidate.qty is None or not is_whole(candidate.qty):
        raise unprocessable("fractional orders cannot be sold short")
    if not asset.shortable:
        raise unprocessable(f'asset "{asset.symbol}" cannot be sold short')
    if asset.borrow_status != "easy_to_borrow" and candidate.time_in_force != "day":
        raise unprocessable(f"only day orders are allowed for hard-to-borrow asset {asset.symbol}")
    if refusal is not None:
        raise refusal


def check_cost(candidate: SimOrder, *, cost_basis: Decimal) -> None:
    """Refuse an order that is too small (reference 2.7, 2.15).

    Raises:
        Refusal: Alpaca's 403.
    """
    is_crypto = candidate.asset_class == "crypto"
    is_whole_shares = candidate.qty is not None and is_whole(candidate.qty) and not is_crypto
    least = COST_BASIS_USD_MIN_CRYPTO if is_crypto else COST_BASIS_USD_MIN
    if not is_whole_shares and cost_basis < least:
        raise forbidden(f"cost basis must be >= minimal amount of order {least}")


def check_power(candidate: SimOrder, *, cost_basis: Decimal, power: Decimal, is_replacement: bool) -> None:
    """Refuse to open for more than there is; a replacement's refusal has no keys beside its text (recorded 2019).

    Raises:
        Refusal: Alpaca's 403.
    """
    if cost_basis <= power:
        return
    if is_replacement:
        raise forbidden("insufficient buying power")
    if candidate.asset_class == "crypto":
        raise insufficient_balance(currency="USD", requested=cost_basis, available=power, balance=power)
    raise insufficient_buying_power(buying_power=power, cost_basis=cost_basis)


def check_exposure(*, gross_usd: Decimal, equity_usd: Decimal) -> None:
    """Refuse to open anything once positions are worth more than 600 % of equity.

    Raises:
        Refusal: 403.
    """
    if gross_usd > equity_usd * EXPOSURE_MAX:
        raise forbidden("account exposure exceeds 600% of equity, only closing orders are accepted")
