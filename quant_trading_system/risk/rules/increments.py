"""Control P16: prices lie on legal ticks, quantities on legal steps."""

from __future__ import annotations

from quant_trading_system.core.money import QUANTITY_STEP, is_legal_tick
from quant_trading_system.core.types import OrderClass, OrderType, TimeInForce
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer

FRACTION_TYPES = (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)


class Increments:
    """Rule 612's ticks; fractions where the broker takes them, for the day only. The same for reducing orders."""

    control = "P16"
    name = "increments"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        problems = [
            f"{name} price {price} is not a legal tick"
            for name, price in (
                ("limit", intent.limit_price),
                ("stop", intent.stop_price),
                ("stop loss", intent.stop_loss_price),
                ("take profit", intent.take_profit_price),
            )
            if price is not None and not is_legal_tick(price)
        ]
        problems += _quantity_problems(intent, context)
        return answer(
            self,
            passed=not problems,
            measured=f"{intent.quantity} shares at {intent.limit_price or intent.stop_price}",
            limit="legal ticks; whole shares unless fractionable",
            reason="; ".join(problems),
        )


def _quantity_problems(intent: OrderIntent, context: RiskContext) -> list[str]:
    quantity, instrument = intent.quantity, context.view.instrument
    if not quantity.is_finite() or quantity <= 0:
        return [f"quantity {quantity} is not positive"]
    if quantity == quantity.to_integral_value():
        return []
    problems = []
    if instrument is None or not instrument.fractionable:
        problems.append(f"{quantity} shares: {intent.symbol} is not fractionable")
    if quantity % QUANTITY_STEP:
        problems.append(f"{quantity} shares has more than nine decimals")
    if intent.time_in_force is not TimeInForce.DAY or intent.order_type not in FRACTION_TYPES:
        problems.append("fractions of a share need a day order")
    if intent.order_class is not OrderClass.SIMPLE:
        problems.append("legs need whole shares")
    return problems
