"""Control P44: a symbol that was just left is left alone for a while."""

from __future__ import annotations

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer, exempt


class ExitCooldown:
    """After a position was closed, no new one of the symbol for some minutes of venue time.

    Nothing is held now, so an order on the other side that executed lately was the exit. Adding to a position that is
    held, and reducing it, pass.
    """

    control = "P44"
    name = "exit_cooldown"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        view, minutes = context.view, context.limits.exit_cooldown_minutes
        if context.reduces_exposure or view.exposure.position != ZERO:
            return exempt(self, measured="a position is held")
        exits_ns = [
            max(order.sent_ns, order.executed_ns or 0)
            for order in view.recent
            if order.symbol == intent.symbol
            and order.side is intent.side.opposite
            and order.is_final
            and order.quantity > ZERO
        ]
        if not exits_ns:
            return answer(self, passed=True, measured="no exit lately", limit=f"{minutes} min")
        since_min = (view.venue_ns - max(exits_ns)) / NANOS_PER_MINUTE
        return answer(
            self,
            passed=since_min >= minutes,
            measured=f"{since_min:.1f} min",
            limit=f"{minutes} min",
            reason=f"{intent.symbol} was left {since_min:.1f} min ago, cooldown {minutes} min",
        )
