"""Control P25: the strategy is not switched off."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class StrategyLock:
    """A strategy that is off opens nothing until a person enables it; its exits stay."""

    control = "P25"
    name = "strategy_lock"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        lock = context.view.strategy_lock
        return answer(
            self,
            passed=lock is None or context.reduces_exposure,
            measured="on" if lock is None else f"off: {lock}",
            limit="on",
            reason=f"strategy {intent.strategy} is off: {lock}",
        )
