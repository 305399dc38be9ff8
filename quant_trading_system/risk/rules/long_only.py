"""Control P7: no short position comes about, by intent or by selling more than is held."""

from __future__ import annotations

from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import Side
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class LongOnly:
    """A sale on top of all open sales may not exceed the position; with shorts on, the symbol must be shortable."""

    control = "P7"
    name = "long_only"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        exposure = context.view.exposure
        if intent.side is Side.BUY:
            return answer(self, passed=True, measured="buy", limit="no short")
        left = exposure.position - exposure.open_sell - intent.quantity
        instrument = context.view.instrument
        can_short = context.limits.is_short_allowed and instrument is not None and instrument.shortable
        return answer(
            self,
            passed=left >= ZERO or can_short,
            measured=f"{plain(left)} shares after all sales",
            limit="0 shares",
            reason=f"would be short {plain(-left)} shares of {intent.symbol}",
        )
