"""Control P13: the limit is not more aggressive than a little beyond the fresh mid."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import ZERO, tick_size
from quant_trading_system.core.types import OrderType, Side
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import amount, answer, ratio


class PriceCollar:
    """A fraction of the mid or a number of ticks, the wider of both. The same for orders that reduce exposure.

    A stop-limit is measured from its stop, where it will become alive; a plain stop has no limit to measure.
    """

    control = "P13"
    name = "price_collar"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        if intent.order_type is OrderType.STOP:
            return answer(self, passed=True, measured="a stop has no limit price", limit="")
        mid, limits = context.need_mid(), context.limits
        center = intent.stop_price if intent.order_type is OrderType.STOP_LIMIT and intent.stop_price else mid
        if intent.limit_price is None:
            return answer(self, passed=False, measured="no limit price", limit="a price", reason="no limit price")
        room = max(center * limits.price_collar_fraction, tick_size(center) * limits.price_collar_ticks)
        beyond = (intent.limit_price - center) * (Decimal(1) if intent.side is Side.BUY else Decimal(-1))
        edge = center + room if intent.side is Side.BUY else center - room
        return answer(
            self,
            passed=beyond <= room,
            measured=amount(intent.limit_price, "USD"),
            limit=f"{'at most' if intent.side is Side.BUY else 'at least'} {amount(edge, 'USD')}",
            usage=ratio(max(beyond, ZERO), room),
            age_s=context.view.price.quote_age_s if context.view.price is not None else None,
            reason=f"limit {amount(intent.limit_price, 'USD')} is beyond {amount(edge, 'USD')}",
        )
