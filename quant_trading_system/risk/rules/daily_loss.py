"""Control P29: today's loss, realised and unrealised, is within its limits."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import answer, exempt, ratio


class DailyLoss:
    """New exposure ends at the soft limit, or at the amount in USD if that is tighter. Reducing orders pass."""

    control = "P29"
    name = "daily_loss"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        money, limits = context.view.money, context.limits
        if context.reduces_exposure:
            return exempt(self)
        if money.day_loss_ratio is None or money.day_pnl_usd is None:
            raise MissingInput("today's profit and loss is unknown")
        limit, limit_usd = limits.daily_loss_soft_fraction, limits.daily_loss_hard_usd
        loss_usd = max(Decimal(0), -money.day_pnl_usd)
        is_over_usd = limit_usd is not None and loss_usd >= limit_usd
        return answer(
            self,
            passed=money.day_loss_ratio < limit and not is_over_usd,
            measured=f"{money.day_loss_ratio * 100:.3f}%, {loss_usd:.2f} USD",
            limit=f"below {limit * 100}%" + (f", below {limit_usd} USD" if limit_usd is not None else ""),
            usage=ratio(money.day_loss_ratio, limits.daily_loss_hard_fraction),
        )
