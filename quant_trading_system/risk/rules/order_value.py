"""Control P10: the order is not worth more than its class allows."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import CLASS_CEILINGS
from quant_trading_system.risk.rules.base import at_most


class OrderValue:
    """The smaller of a fraction of the equity and an amount; orders that reduce exposure are held to the ceilings."""

    control = "P10"
    name = "order_value"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        entry = context.class_limits()
        if context.reduces_exposure and context.view.instrument is not None:
            entry = CLASS_CEILINGS[context.view.instrument.instrument_class]
        limit = min(entry.order_value_fraction * context.need_base_equity(), entry.order_value_usd)
        return at_most(self, intent.quantity * context.need_value_price(), limit, "USD")
