"""Control P11: the order is not for more shares than anyone here would mean."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import ceiling
from quant_trading_system.risk.rules.base import answer, at_most


class Quantity:
    """A number of shares, and a fraction of the average volume where it is known (control P6 refuses where it must be).

    Orders that reduce exposure are held to the ceiling in shares alone.
    """

    control = "P11"
    name = "order_quantity"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if not (intent.quantity.is_finite() and intent.quantity > ZERO):
            return answer(
                self,
                passed=False,
                measured=f"{intent.quantity} shares",
                limit="more than 0 shares",
                reason=f"quantity must be a positive number, was {intent.quantity}",
            )
        return at_most(self, intent.quantity, _limit(context), "shares")


def _limit(context: RiskContext) -> Decimal:
    if context.reduces_exposure:
        return ceiling("order_quantity_shares_max")
    limit = Decimal(context.limits.order_quantity_shares_max)
    instrument = context.view.instrument
    if instrument is None or instrument.average_volume_shares is None:
        return limit
    return min(limit, context.limits.order_quantity_volume_fraction * Decimal(round(instrument.average_volume_shares)))
