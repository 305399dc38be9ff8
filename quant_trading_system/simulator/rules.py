"""Decides which order requests make sense in themselves, with Alpaca's texts for the others (reference 2.2, 2.7).

What is wrong whatever is traded comes first, as in the recorded refusals; then what the asset does not allow. What the
account and its other orders do not allow is `trading_rules`'.
"""

from __future__ import annotations

import re
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.numbers import (
    CENT,
    QTY_STEP,
    ZERO,
    cut_to,
    is_multiple,
    is_sub_penny,
    is_whole,
    plain,
    tick_of,
)
from quant_trading_system.simulator.orders import COMPLEX_CLASSES
from quant_trading_system.simulator.refusals import forbidden, invalid, unprocessable
from quant_trading_system.simulator.requests import OrderRequest

CLIENT_ID_LENGTH_MAX = 128
ORDER_TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
TIMES_IN_FORCE = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})
LASTING = frozenset({"day", "gtc"})
TIMES_OF_TYPE = {
    "market": TIMES_IN_FORCE,
    "limit": TIMES_IN_FORCE,
    "stop": LASTING,
    "stop_limit": LASTING,
    "trailing_stop": LASTING,
}
CRYPTO_TYPES = frozenset({"market", "limit", "stop_limit"})
CRYPTO_TIMES = frozenset({"gtc", "ioc"})
SIMPLE_CLASSES = frozenset({"", "simple"})
INTENTS = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})
NOTIONAL_USD_MIN = Decimal(1)
TRAIL_PERCENT_MIN = Decimal("0.1")
TRAIL_PERCENT_MAX = Decimal(100)  # of a sale: the stop would stand at nothing
NS_PER_MINUTE = 60 * 1_000_000_000
OPG_CLOSES_BEFORE_OPEN_NS = 2 * NS_PER_MINUTE  # 09:28 (reference 2.5)
CLS_CLOSES_BEFORE_CLOSE_NS = 10 * NS_PER_MINUTE  # 15:50; the recorded text says 3:55pm
WINDOW_OPENS_HOUR = 19  # New York; from then on auction orders are for the next day

_CLASS_NAMES = {"bracket": "otoco", "oco": "oco", "oto": "oto"}  # as the crypto refusal names them
_OPTION_SYMBOL = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")


# --- whatever is traded -----------------------------------------------------------------------------------------------


def check_form(request: OrderRequest) -> None:
    """Refuse a request that no account could send.

    Raises:
        Refusal: Alpaca's 422; 403 for options, which are not offered here.
    """
    _refuse_options(request)
    if request.symbol is None:
        raise invalid("symbol is required")
    if request.side not in ("buy", "sell"):
        raise invalid("side must be either buy or sell")
    if request.type not in ORDER_TYPES:
        raise invalid("invalid order type")
    if request.time_in_force not in TIMES_IN_FORCE:
        raise invalid("invalid time_in_force")
    if request.order_class not in SIMPLE_CLASSES | COMPLEX_CLASSES:
        raise invalid("invalid order_class")
    if request.position_intent not in INTENTS | {None}:
        raise invalid("invalid position_intent")
    _check_amount(request)
    if request.order_class == "oco" and request.type != "limit":
        raise unprocessable("oco orders must be limit orders")
    _check_class_shape(request)
    check_prices(request.type, limit_price=entry_limit(request), stop_price=request.stop_price)
    check_trail(request.type, is_buy=request.side == "buy", price=request.trail_price, percent=request.trail_percent)
    check_client_id(request.client_order_id)


def entry_limit(request: OrderRequest) -> Decimal | None:
    """The limit of the order that is sent: an OCO's is its take-profit (reference 2.10)."""
    if request.order_class == "oco" and request.take_profit is not None:
        return request.take_profit.limit_price
    return request.limit_price


def is_fractional(request: OrderRequest) -> bool:
    return request.notional is not None or not (request.qty is None or is_whole(request.qty))


def check_client_id(client_order_id: str | None) -> None:
    if client_order_id is not None and len(client_order_id) > CLIENT_ID_LENGTH_MAX:
        raise invalid(f"client_order_id must be no more than {CLIENT_ID_LENGTH_MAX} characters")


def check_qty(qty: Decimal) -> None:
    if qty <= ZERO:
        raise invalid("qty must be > 0")


def check_prices(order_type: str, *, limit_price: Decimal | None, stop_price: Decimal | None) -> None:
    """Refuse prices that are missing, superfluous or not positive.

    Raises:
        Refusal: Alpaca's 422.
    """
    match order_type:
        case "market" | "trailing_stop" if limit_price is not None or stop_price is not None:
            raise invalid(f"{order_type.replace('_', ' ')} orders require no stop or limit price")
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


def check_trail(order_type: str, *, is_buy: bool, price: Decimal | None, percent: Decimal | None) -> None:
    """Refuse a distance that is missing, given twice, too small, or given to an order that does not trail.

    Raises:
        Refusal: Alpaca's 422.
    """
    if order_type != "trailing_stop":
        if price is not None or percent is not None:
            raise invalid("trail_price and trail_percent are only for trailing stop orders")
        return
    if (price is None) == (percent is None):
        raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    if price is not None and price <= ZERO:
        raise invalid("trail_price must be > 0")
    if percent is not None and percent < TRAIL_PERCENT_MIN:
        raise invalid(f"trail_percent must be >= {TRAIL_PERCENT_MIN}")
    if percent is not None and not is_buy and percent >= TRAIL_PERCENT_MAX:
        raise invalid(f"trail_percent must be < {TRAIL_PERCENT_MAX}")


def _refuse_options(request: OrderRequest) -> None:
    """Options are a declared exclusion: refused as to an account without the permission."""
    if request.order_class == "mleg" or _OPTION_SYMBOL.fullmatch(request.symbol or ""):
        raise forbidden("account not eligible to trade option contracts")


def _check_amount(request: OrderRequest) -> None:
    if request.qty is not None and request.notional is not None:
        raise invalid("only one of qty or notional is accepted")
    if request.qty is None and request.notional is None:
        raise invalid("qty or notional is required")
    if request.qty is not None:
        check_qty(request.qty)
    if request.notional is not None and request.notional < NOTIONAL_USD_MIN:
        raise invalid("notional must be >= 1.00")


def _check_class_shape(request: OrderRequest) -> None:
    """Refuse legs that a class needs and has not, or has and does not know."""
    name, profit, loss = request.order_class, request.take_profit, request.stop_loss
    if name in SIMPLE_CLASSES:
        if profit is not None or loss is not None:  # not ignored: its sender believes himself protected
            raise invalid("take_profit and stop_loss require an order_class of bracket, oco or oto")
        return
    has_profit = profit is not None and profit.limit_price is not None
    has_loss = loss is not None and loss.stop_price is not None
    if name == "oto" and has_profit == has_loss:
        raise invalid("oto orders require either take_profit or stop_loss")
    if name != "oto" and not has_profit:
        raise invalid(f"{name} orders require take_profit.limit_price")
    if name != "oto" and not has_loss:
        raise invalid(f"{name} orders require stop_loss.stop_price")
    for leg_name, price in leg_prices(request):
        if price <= ZERO:
            raise invalid(f"{leg_name} must be > 0")


def leg_prices(request: OrderRequest) -> list[tuple[str, Decimal]]:
    """The prices of the legs by their names in the request."""
    named: list[tuple[str, Decimal | None]] = []
    if request.take_profit is not None:
        named.append(("take_profit.limit_price", request.take_profit.limit_price))
    if request.stop_loss is not None:
        named.append(("stop_loss.stop_price", request.stop_loss.stop_price))
        named.append(("stop_loss.limit_price", request.stop_loss.limit_price))
    return [(name, price) for name, price in named if price is not None]


# --- by what is traded ------------------------------------------------------------------------------------------------


def check_for_asset(request: OrderRequest, asset: SimAsset, *, judges_leg_ticks: bool = True) -> None:
    """Refuse a combination that the asset's class does not know (reference 2.5, 2.15).

    Raises:
        Refusal: Alpaca's 422.
    """
    if not asset.tradable:
        raise unprocessable(f'asset "{asset.symbol}" is not tradable')
    if is_fractional(request) and not asset.fractionable:
        raise unprocessable(f'asset "{asset.symbol}" is not fractionable')
    if request.notional is not None and not is_multiple(request.notional, CENT):
        raise unprocessable("notional value must be limited to 2 decimal places")
    if asset.asset_class == "crypto":
        _check_for_crypto(request)
    else:
        _check_for_equity(request)
    if request.has_advanced_instructions and request.time_in_force != "day":
        raise unprocessable("advanced instructions only support DAY time_in_force")
    check_tick("limit_price", entry_limit(request), asset)
    check_tick("stop_price", request.stop_price, asset)
    for name, price in leg_prices(request) if judges_leg_ticks else ():
        check_tick(name, price, asset)


def cut_to_tick(price: Decimal | None) -> Decimal | None:
    """A price without the decimals that it may not have, as the server of 2021 stored it (reference 2.7)."""
    return None if price is None else cut_to(price, tick_of(price))


def check_tick(name: str, price: Decimal | None, asset: SimAsset) -> None:
    """Refuse a price that is finer than the asset's increment.

    Raises:
        Refusal: Alpaca's 422.
    """
    if price is None:
        return
    step = asset.price_increment
    if is_sub_penny(price) if step is None else not is_multiple(price, step):
        raise unprocessable(
            f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def _check_for_crypto(request: OrderRequest) -> None:
    if request.order_class in COMPLEX_CLASSES:
        name = _CLASS_NAMES[request.order_class]
        raise unprocessable(f"crypto orders not allowed for advanced order_class: {name}")
    if request.type not in CRYPTO_TYPES:
        raise invalid("invalid order type for crypto order")
    if request.time_in_force not in CRYPTO_TIMES:
        raise unprocessable("invalid crypto time_in_force")


def _check_for_equity(request: OrderRequest) -> None:
    assert request.type, "expected a type: the form was checked"
    if request.qty is not None and not is_multiple(request.qty, QTY_STEP):
        raise invalid("qty must have at most 9 decimal places")
    if is_fractional(request):
        if request.time_in_force != "day":
            raise unprocessable("fractional orders must be DAY orders")
        if request.order_class in COMPLEX_CLASSES:
            raise unprocessable("fractional orders must be simple orders")
        if request.type == "trailing_stop":
            raise unprocessable("fractional orders must be market, limit, stop or stop_limit orders")
    allowed = LASTING if request.order_class in COMPLEX_CLASSES else TIMES_OF_TYPE[request.type]
    if request.time_in_force not in allowed:
        raise invalid("invalid time_in_force")
    _check_hours(request)
    if request.order_class in ("bracket", "oto") and request.type not in ("market", "limit"):
        raise unprocessable(f"{request.order_class} orders must be market or limit orders")


def _check_hours(request: OrderRequest) -> None:
    if not request.extended_hours:
        return
    if request.type in ("stop", "stop_limit", "trailing_stop"):
        raise unprocessable("stop orders are not eligible for extended hours trading")
    if request.type != "limit" or request.time_in_force not in LASTING or request.order_class in COMPLEX_CLASSES:
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


# --- by the time of day -----------------------------------------------------------------------------------------------


def check_window(time_in_force: str, now_ns: Nanos) -> None:
    """Refuse auction orders between the last moment for today's and the first for tomorrow's (reference 2.5).

    Raises:
        Refusal: Alpaca's 403.
    """
    if time_in_force not in ("opg", "cls"):
        return
    day = new_york_date(now_ns)
    session = calendar.session_on(day)
    opens_ns = session.open_ns if session else new_york_ns(day, 9, 30)
    closes_ns = session.close_ns if session else new_york_ns(day, 16)
    is_before_seven = now_ns < new_york_ns(day, WINDOW_OPENS_HOUR)
    if time_in_force == "opg" and now_ns >= opens_ns - OPG_CLOSES_BEFORE_OPEN_NS and is_before_seven:
        raise forbidden("opg orders must be submitted after 7:00pm and before 9:28am")
    if time_in_force == "cls" and now_ns >= closes_ns - CLS_CLOSES_BEFORE_CLOSE_NS and is_before_seven:
        raise forbidden("cls orders must be submitted after 7:00pm and before 3:55pm")
