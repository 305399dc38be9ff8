"""Control P42: not too many names are held at once."""

from __future__ import annotations

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer, exempt


class PositionCount:
    """Counts names held or about to be, this one included. Orders that reduce exposure pass."""

    control = "P42"
    name = "positions"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        if context.reduces_exposure:
            return exempt(self)
        exposure, limit = context.view.exposure, context.limits.positions_max
        is_new = exposure.position == ZERO and exposure.open_buy == ZERO
        count = exposure.positions + is_new
        return answer(
            self,
            passed=count <= limit,
            measured=f"{count} positions",
            limit=f"{limit} positions",
            usage=count / limit,
        )
