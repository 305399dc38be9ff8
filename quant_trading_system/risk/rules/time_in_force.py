"""Control P9: the order does not outlive its day, a protective stop excepted."""

from __future__ import annotations

from quant_trading_system.core.types import OrderClass, TimeInForce
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class TimeInForceAllowed:
    """DAY, IOC, FOK, OPG and CLS; GTC for a stop that reduces exposure. The same for other reducing orders.

    An order with legs shares its time in force with them: DAY.
    """

    control = "P9"
    name = "time_in_force"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        is_allowed = intent.time_in_force is not TimeInForce.GTC or context.is_protective_stop(intent)
        if intent.order_class is not OrderClass.SIMPLE:
            is_allowed = intent.time_in_force is TimeInForce.DAY
        return answer(
            self,
            passed=is_allowed,
            measured=intent.time_in_force.value,
            limit="day, ioc, fok, opg, cls; gtc for protective stops; day with legs",
            reason="only a protective stop may be good till cancelled, and legs need a day order",
        )
