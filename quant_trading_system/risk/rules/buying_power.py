"""Control P22: a purchase fits the buying power, the broker's and our own."""

from __future__ import annotations

from quant_trading_system.core.types import Side
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import answer, at_most, exempt


class BuyingPower:
    """At most a fraction of the lower of both, what open purchases reserved being gone already. Sales need none."""

    control = "P22"
    name = "buying_power"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if context.reduces_exposure:
            return exempt(self)
        if intent.side is Side.SELL and not context.limits.is_short_allowed:
            return answer(self, passed=True, measured="sell", limit="no buying power needed")
        money = context.view.money
        if money.broker_buying_power_usd is None or money.own_buying_power_usd is None:
            raise MissingInput("buying power is unknown")
        available = min(money.broker_buying_power_usd, money.own_buying_power_usd)
        limit = available * context.limits.buying_power_fraction
        return at_most(self, intent.quantity * context.need_value_price(), limit, "USD")
