"""Control P1: the trading state allows the order."""

from __future__ import annotations

from quant_trading_system.core.types import TradingState
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class TradingStateAllows:
    """New exposure needs ACTIVE and a daemon that is not stopping. Orders that reduce exposure pass in every state."""

    control = "P1"
    name = "trading_state"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        view = context.view
        allowed = view.state is TradingState.ACTIVE and not view.is_stopping
        causes = "; ".join(f"{cause}: {detail}" for cause, detail in view.causes)
        measured = "stopping" if view.is_stopping else view.state.value
        return answer(
            self,
            passed=allowed or context.reduces_exposure,
            measured=measured,
            limit=TradingState.ACTIVE.value,
            reason=f"trading state is {measured}" + (f" ({causes})" if causes else ""),
        )
