"""Control P8: the order's type is one that we send, and its prices belong to it."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import OrderClass, OrderType
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class OrderKind:
    """Limit and stop-limit; a plain stop only to protect a position. The same for orders that reduce exposure.

    A market order must have become a marketable limit before it comes here. Legs go with an entry alone, on the side of
    its limit where they belong.
    """

    control = "P8"
    name = "order_type"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        problem = _problem(intent, reduces_exposure=context.reduces_exposure)
        problem = problem or _group_problem(intent, reduces_exposure=context.reduces_exposure)
        return answer(
            self,
            passed=not problem,
            measured=f"{intent.order_type} {intent.order_class}".strip(),
            limit="limit, stop_limit; stop to protect; oto and bracket to enter",
            reason=problem,
        )


def _problem(intent: OrderIntent, *, reduces_exposure: bool) -> str:
    has_limit, has_stop = intent.limit_price is not None, intent.stop_price is not None
    match intent.order_type:
        case OrderType.MARKET:
            return "market orders go out as marketable limits"
        case OrderType.LIMIT:
            return "" if has_limit and not has_stop else "a limit order has a limit price and no stop price"
        case OrderType.STOP_LIMIT:
            return "" if has_limit and has_stop else "a stop-limit order has a limit and a stop price"
        case OrderType.STOP:
            if has_limit or not has_stop:
                return "a stop order has a stop price and no limit price"
            return "" if reduces_exposure else "a stop order may only protect a position"


def _group_problem(intent: OrderIntent, *, reduces_exposure: bool) -> str:
    legs = [price for price in (intent.stop_loss_price, intent.take_profit_price) if price is not None]
    wanted = {OrderClass.SIMPLE: 0, OrderClass.OTO: 1, OrderClass.BRACKET: 2}.get(intent.order_class)
    if wanted is None:
        return f"orders of the class {intent.order_class} are not sent"
    if len(legs) != wanted:
        return f"an order of the class {intent.order_class or 'simple'} has {wanted} legs, found {len(legs)}"
    if not legs:
        return ""
    if reduces_exposure or intent.order_type is not OrderType.LIMIT or intent.limit_price is None:
        return "legs go with a limit order that enters"
    return _leg_problem(intent, intent.limit_price)


def _leg_problem(intent: OrderIntent, limit: Decimal) -> str:
    stop, profit, sign = intent.stop_loss_price, intent.take_profit_price, intent.side.sign
    if stop is not None and (limit - stop) * sign <= 0:
        return f"stop loss {stop} is not behind the limit {limit}"
    if profit is not None and (profit - limit) * sign <= 0:
        return f"take profit {profit} is not beyond the limit {limit}"
    return ""
