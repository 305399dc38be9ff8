"""Control P6: the symbol is not locked, and no order of it has an unknown fate."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class SymbolLock:
    """A lock and an UNKNOWN order freeze the symbol for new exposure. Orders that reduce exposure pass."""

    control = "P6"
    name = "symbol_lock"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        view = context.view
        problems = [] if view.symbol_lock is None else [f"locked: {view.symbol_lock}"]
        if view.exposure.has_unknown_order:
            problems.append("an order of it is UNKNOWN")
        return answer(
            self,
            passed=context.reduces_exposure or not problems,
            measured="; ".join(problems) or "free",
            limit="free",
            reason=f"{intent.symbol}: {'; '.join(problems)}",
        )
