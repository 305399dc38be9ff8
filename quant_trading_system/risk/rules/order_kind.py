"""Control P8: the order's type is one that we send, and its prices belong to it."""

from __future__ import annotations

from quant_trading_system.core.types import OrderType
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class OrderKind:
    """Limit and stop-limit; a plain stop only to protect a position. The same for orders that reduce exposure.

    A market order must have become a marketable limit before it comes here.
    """

    control = "P8"
    name = "order_type"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        problem = _problem(intent, reduces_exposure=context.reduces_exposure)
        return answer(
            self,
            passed=not problem,
            measured=intent.order_type.value,
            limit="limit, stop_limit; stop to protect",
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
