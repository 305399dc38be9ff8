"""Control P12: shares times price is what the strategy believes to order."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import amount, answer, ratio


class Units:
    """Catches an amount of money typed as a number of shares. The same for orders that reduce exposure."""

    control = "P12"
    name = "units"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        declared, tolerance = intent.declared_notional_usd, context.limits.units_tolerance_fraction
        value = intent.quantity * intent.reference_price
        off = abs(value - declared) / declared if declared > ZERO else Decimal("Infinity")
        return answer(
            self,
            passed=off <= tolerance,
            measured=f"{amount(value, 'USD')}, declared {amount(declared, 'USD')}",
            limit=f"within {tolerance * 100}%",
            usage=ratio(off, tolerance),
            reason=f"{amount(value, 'USD')} ordered, but {amount(declared, 'USD')} declared",
        )
