"""Control P28: the day's turnover stays within a multiple of the equity."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import at_most, exempt


class Turnover:
    """Orders of this New York date: live ones count whole, final ones with what they executed, and this one.

    Orders that reduce exposure pass. A protective stop counts when it executed: it is meant not to.
    """

    control = "P28"
    name = "turnover"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if context.reduces_exposure:
            return exempt(self)
        limit = context.limits.turnover_fraction_max * context.need_base_equity()
        total = turnover_usd(context) + intent.quantity * context.need_value_price()
        return at_most(self, total, limit, "USD")


def turnover_usd(context: RiskContext) -> Decimal:
    """USD of this New York date's orders, at their own prices."""
    today = to_new_york(context.view.venue_ns).date()
    return sum(
        (
            order.quantity * (order.price if order.price is not None else context.value_price or ZERO)
            for order in context.view.recent
            if order.quantity and to_new_york(order.executed_ns or order.sent_ns).date() == today
            if order.is_final or not order.is_protection
        ),
        ZERO,
    )
