"""Control P19: the position cannot become larger than its class allows, whatever else is open."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import at_most, exempt


class PositionSize:
    """Worst case over all open orders (I5, R087): the smaller of a fraction of the equity and the set amount.

    Orders that reduce exposure pass.
    """

    control = "P19"
    name = "position_size"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if context.reduces_exposure:
            return exempt(self)
        limit = context.class_limits().position_fraction * context.need_base_equity()
        if context.limits.position_size_usd_max is not None:
            limit = min(limit, context.limits.position_size_usd_max)
        worst = context.worst_quantity_after(intent) * context.need_value_price()
        return at_most(self, worst, limit, "USD")
