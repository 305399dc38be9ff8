"""Control P41: the account is worth at least its floor."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import amount, answer, exempt, ratio


class EquityFloor:
    """The amount that was set, else half of the first equity recorded. Orders that reduce exposure pass."""

    control = "P41"
    name = "equity_floor"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        money = context.view.money
        if context.reduces_exposure:
            return exempt(self)
        if money.equity_usd is None or money.equity_floor_usd is None:
            raise MissingInput("the equity or its floor is unknown")
        return answer(
            self,
            passed=money.equity_usd >= money.equity_floor_usd,
            measured=amount(money.equity_usd, "USD"),
            limit=f"at least {amount(money.equity_floor_usd, 'USD')}",
            usage=ratio(money.equity_floor_usd, money.equity_usd),
        )
