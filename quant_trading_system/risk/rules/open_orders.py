"""Control P23: not too many orders are open, of the symbol and in all."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import ceiling
from quant_trading_system.risk.rules.base import answer


class OpenOrders:
    """Counts this order, too. Orders that reduce exposure are held to the ceilings."""

    control = "P23"
    name = "open_orders"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        symbol_max, total_max = context.limits.open_orders_symbol_max, context.limits.open_orders_total_max
        if context.reduces_exposure:
            symbol_max, total_max = int(ceiling("open_orders_symbol_max")), int(ceiling("open_orders_total_max"))
        symbol = context.view.exposure.open_orders_symbol + 1
        total = context.view.exposure.open_orders_total + 1
        return answer(
            self,
            passed=symbol <= symbol_max and total <= total_max,
            measured=f"{symbol} of the symbol, {total} in all",
            limit=f"{symbol_max} of the symbol, {total_max} in all",
            usage=max(symbol / symbol_max, total / total_max),
        )
