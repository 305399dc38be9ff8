"""Control P1: the kill latch is clear in each of its three stores."""

from __future__ import annotations

from quant_trading_system.core.types import Latch, Store
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class KillLatch:
    """Engaged, missing and unreadable block alike, in any store. Orders that reduce exposure pass."""

    control = "P1"
    name = "kill_latch"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        found = {store: context.view.latches.get(store, Latch.MISSING) for store in Store}
        blocked = [f"{store} {latch}" for store, latch in found.items() if latch is not Latch.CLEAR]
        return answer(
            self,
            passed=context.reduces_exposure or not blocked,
            measured=", ".join(blocked) or "CLEAR",
            limit="CLEAR in every store",
            reason=f"kill latch is not clear: {', '.join(blocked)}",
        )
