"""Control P14: the limit is near what the symbol cost lately: the VWAP of 30 minutes, else the last close."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import to_decimal
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import amount, answer, exempt, ratio

LOW_PRICE_BELOW_USD = Decimal(25)


class PriceBand:
    """A collar "over a period". Orders that reduce exposure pass: after a crash a position must still be closable."""

    control = "P14"
    name = "price_band"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if context.reduces_exposure:
            return exempt(self)
        price, limits = context.view.price, context.limits
        reference = None if price is None else (price.vwap_30min or price.last_close)
        if reference is None or reference <= 0:
            raise MissingInput("neither a 30-minute VWAP nor a last close is known")
        center = to_decimal(reference)
        is_low = center < LOW_PRICE_BELOW_USD
        band = limits.last_close_collar_low_price_fraction if is_low else limits.last_close_collar_fraction
        off = abs((intent.limit_price or context.need_value_price()) - center) / center
        source = "30-minute VWAP" if price is not None and price.vwap_30min else "last close"
        return answer(
            self,
            passed=off <= band,
            measured=f"{off * 100:.2f}% from {source} {amount(center, 'USD')}",
            limit=f"{band * 100}%",
            usage=ratio(off, band),
        )
