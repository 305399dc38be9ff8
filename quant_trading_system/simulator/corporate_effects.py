"""What corporate actions do to a position and to open orders. Decides shares, cost, cash in lieu, and adjusted prices.

Open orders. Alpaca documents (orders, `time_in_force` gtc) that good-till-cancelled limit orders are adjusted in price
for corporate actions and that nobody can opt out; that split shares are multiplied in open orders was seen in 2024
(alpaca-py #469). How: by FINRA rule 5330, which such adjustments follow. On the ex-date of a cash dividend, limits of
buys and stops of sales are reduced by it; on that of a forward split or a stock dividend, prices are divided and shares
multiplied; a reverse split cancels. After a new symbol or a spin-off open orders are cancelled too: what they were for
is not traded any more, or is worth something that nobody can say (inferred).
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

import msgspec

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.numbers import ONE_DOLLAR, ZERO, shares_down
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.positions import Position

CENT = Decimal("0.01")
_LOW_PRICE_TICK = Decimal("0.0001")
_CANCELLING = ("reverse_split", "name_change", "spin_off")
_MULTIPLYING = ("forward_split", "stock_dividend")


class SharesChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a position of one symbol becomes: whole or fractional shares, and the rest in cash."""

    qty: Decimal
    cost: Decimal
    fraction: Decimal  # of a share, signed; paid in cash


def shares_after(position: Position, ratio: Decimal, *, is_fractionable: bool) -> SharesChange:
    """The shares that a position becomes where each share becomes `ratio`."""
    exact_qty = position.qty * ratio
    qty = shares_down(exact_qty) if is_fractionable else exact_qty.to_integral_value(ROUND_DOWN)
    return SharesChange(
        qty=qty,
        cost=position.cost * qty / exact_qty,
        fraction=ZERO if is_fractionable else exact_qty - qty,
    )


def in_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT).normalize() + ZERO


def is_cancelled_by(order: SimOrder, action: CorporateAction) -> bool:
    """Whether an open order ends on the ex-date."""
    if action.kind in _CANCELLING:
        return True
    limit, stop = _reduced_prices(order, action)
    return any(price is not None and price <= ZERO for price in (limit, stop))


def adjust(order: SimOrder, action: CorporateAction) -> bool:
    """Adjust an open order in place; False where the action does not touch it."""
    if action.kind in _MULTIPLYING:
        _multiply(order, action.share_ratio)
        return True
    limit, stop = _reduced_prices(order, action)
    if (limit, stop) == (order.limit_price, order.stop_price):
        return False
    order.limit_price, order.stop_price = limit, stop
    if order.is_buy and limit is not None:
        order.check_price = limit
    return True


def _reduced_prices(order: SimOrder, action: CorporateAction) -> tuple[Decimal | None, Decimal | None]:
    """Limit and stop after a cash dividend: limits of buys and prices of stop sales go down with the share."""
    if action.kind != "cash_dividend" or action.cash is None:
        return order.limit_price, order.stop_price
    if order.is_buy:
        limit = order.limit_price if order.stop_price is not None else _less(order.limit_price, action.cash)
        return limit, order.stop_price
    if order.stop_price is None:
        return order.limit_price, None
    return _less(order.limit_price, action.cash), _less(order.stop_price, action.cash)


def _multiply(order: SimOrder, ratio: Decimal) -> None:
    """Shares times the ratio, prices through it. What has filled stays as it filled."""
    if order.qty is not None:
        rest = (order.qty - order.filled_qty) * ratio
        is_whole = order.qty == order.qty.to_integral_value()
        order.qty = order.filled_qty + (rest.to_integral_value(ROUND_DOWN) if is_whole else shares_down(rest))
    order.limit_price = _through(order.limit_price, ratio)
    order.stop_price = _through(order.stop_price, ratio)
    order.trail_price = _through(order.trail_price, ratio)
    order.hwm = _through(order.hwm, ratio)
    order.check_price = order.check_price / ratio


def _less(price: Decimal | None, cash: Decimal) -> Decimal | None:
    return None if price is None else _down_to_tick(price - cash)


def _through(price: Decimal | None, ratio: Decimal) -> Decimal | None:
    return None if price is None else _down_to_tick(price / ratio)


def _down_to_tick(price: Decimal) -> Decimal:
    tick = CENT if price >= ONE_DOLLAR else _LOW_PRICE_TICK
    return (price.quantize(tick, ROUND_DOWN)).normalize() + ZERO
