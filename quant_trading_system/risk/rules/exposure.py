"""Control P20: gross and net exposure stay within the equity."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import amount, answer, exempt, ratio


class Exposure:
    """Worst case over all symbols and open orders. Orders that reduce exposure pass."""

    control = "P20"
    name = "exposure"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if context.reduces_exposure:
            return exempt(self)
        exposure, price, equity = context.view.exposure, context.need_value_price(), context.need_base_equity()
        gross = exposure.gross_usd - exposure.symbol_usd + context.worst_quantity_after(intent) * price
        net = abs(exposure.net_usd + intent.signed_quantity * price)
        gross_max = context.limits.gross_exposure_fraction * equity
        net_max = context.limits.net_exposure_fraction * equity
        return answer(
            self,
            passed=gross <= gross_max and net <= net_max,
            measured=f"gross {amount(gross, 'USD')}, net {amount(net, 'USD')}",
            limit=f"gross {amount(gross_max, 'USD')}, net {amount(net_max, 'USD')}",
            usage=ratio(gross, gross_max),
        )
