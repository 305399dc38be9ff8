"""Control P2: this process is the single writer, and stays it for long enough."""

from __future__ import annotations

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class Lease:
    """No order without the lease, reducing or not: two writers would each believe in their own books."""

    control = "P2"
    name = "lease"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        view, margin_s = context.view, context.limits.lease_margin_seconds
        left_s = (view.lease_deadline_mono_ns - view.mono_ns) / NANOS_PER_SECOND
        return answer(
            self,
            passed=view.lease_held and left_s >= margin_s,
            measured=f"{left_s:.3f} s left" if view.lease_held else "not held",
            limit=f"held for {margin_s} s more",
        )
