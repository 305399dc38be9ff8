"""Control P9: the order does not outlive its day, a protective stop excepted."""

from __future__ import annotations

from quant_trading_system.core.types import OrderType, TimeInForce
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer

STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForceAllowed:
    """DAY, IOC, FOK, OPG and CLS; GTC for a stop that reduces exposure. The same for other reducing orders."""

    control = "P9"
    name = "time_in_force"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        is_protection = context.reduces_exposure and intent.order_type in STOPS
        return answer(
            self,
            passed=intent.time_in_force is not TimeInForce.GTC or is_protection,
            measured=intent.time_in_force.value,
            limit="day, ioc, fok, opg, cls; gtc for protective stops",
            reason="only a protective stop may be good till cancelled",
        )
