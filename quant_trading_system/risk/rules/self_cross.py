"""Control P18: no order of ours rests on the other side."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class SelfCross:
    """The broker refuses what looks like a wash trade. The same for reducing orders: cancel the other one first."""

    control = "P18"
    name = "self_cross"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        opposite = context.view.live_opposite_orders
        return answer(
            self,
            passed=opposite == 0,
            measured=f"{opposite} opposite orders",
            limit="0",
            reason=f"{opposite} live {intent.side.opposite} orders of {intent.symbol}",
        )
