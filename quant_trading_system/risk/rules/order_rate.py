"""Control P24: not too many orders a minute, an hour and a day of venue time."""

from __future__ import annotations

from collections.abc import Iterator

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import ceiling
from quant_trading_system.risk.rules.base import answer

HOUR_MINUTES, DAY_MINUTES = 60, 24 * 60


class OrderRate:
    """Sliding windows over every order that was made, this one included; of a minute, also for the strategy alone.

    Orders that reduce exposure are held to the ceilings: an exit must pass where a loop must not.
    """

    control = "P24"
    name = "order_rate"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        counts = list(_windows(intent, context))
        over = [f"{count} orders {name}, limit {limit}" for name, count, limit in counts if count > limit]
        return answer(
            self,
            passed=not over,
            measured=", ".join(f"{count} {name}" for name, count, _ in counts),
            limit=", ".join(f"{limit} {name}" for name, _, limit in counts),
            usage=max(count / limit for _, count, limit in counts),
            reason="; ".join(over),
        )


def _windows(intent: OrderIntent, context: RiskContext) -> Iterator[tuple[str, int, int]]:
    """(name of the window, orders in it with this one, limit)."""
    windows = (
        ("a minute", 1, "orders_per_minute_max"),
        ("an hour", HOUR_MINUTES, "orders_per_hour_max"),
        ("a day", DAY_MINUTES, "orders_per_day_max"),
    )
    for name, minutes, limit in windows:
        yield name, 1 + _sent(context, minutes), _limit(context, limit)
    own = 1 + sum(
        order.strategy == intent.strategy and order.sent_ns > context.view.venue_ns - NANOS_PER_MINUTE
        for order in context.view.recent
    )
    yield f"a minute of {intent.strategy}", own, _limit(context, "orders_per_minute_per_strategy_max")


def _sent(context: RiskContext, minutes: int) -> int:
    since_ns = context.view.venue_ns - minutes * NANOS_PER_MINUTE
    return sum(order.sent_ns > since_ns for order in context.view.recent)


def _limit(context: RiskContext, name: str) -> int:
    return int(ceiling(name)) if context.reduces_exposure else int(getattr(context.limits, name))
