"""Control P30: the fall from the high-water mark, and from the session's high, is within its limits."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import answer, exempt, ratio


class Drawdown:
    """New exposure ends at the soft limits. Orders that reduce exposure pass."""

    control = "P30"
    name = "drawdown"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        money, limits = context.view.money, context.limits
        if context.reduces_exposure:
            return exempt(self)
        if money.drawdown_ratio is None or money.intraday_drawdown_ratio is None:
            raise MissingInput("the drawdown is unknown")
        soft, intraday_soft = limits.drawdown_soft_fraction, limits.intraday_drawdown_soft_fraction
        return answer(
            self,
            passed=money.drawdown_ratio < soft and money.intraday_drawdown_ratio < intraday_soft,
            measured=f"{money.drawdown_ratio * 100:.3f}%, intraday {money.intraday_drawdown_ratio * 100:.3f}%",
            limit=f"below {soft * 100}%, intraday below {intraday_soft * 100}%",
            usage=ratio(money.drawdown_ratio, limits.drawdown_hard_fraction),
        )
