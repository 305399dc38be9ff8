"""Control P17: the same order is not already on its way."""

from __future__ import annotations

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class Duplicate:
    """Same symbol, side, quantity and price within the window, the first not final. The same for reducing orders."""

    control = "P17"
    name = "duplicate"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        window_s = context.limits.duplicate_window_seconds
        since_ns = context.view.venue_ns - window_s * NANOS_PER_SECOND
        price = intent.limit_price if intent.limit_price is not None else intent.stop_price
        twins = [
            order.client_order_id
            for order in context.view.recent
            if order.sent_ns > since_ns
            and not order.is_final
            and (order.symbol, order.side, order.quantity, order.price)
            == (intent.symbol, intent.side, intent.quantity, price)
        ]
        return answer(
            self,
            passed=not twins,
            measured=f"{len(twins)} equal orders",
            limit=f"0 within {window_s} s",
            reason=f"equals {', '.join(twins)}, which is not final",
        )
