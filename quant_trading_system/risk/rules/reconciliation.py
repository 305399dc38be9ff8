"""Control P4: our books were compared with the broker lately, and both streams are up."""

from __future__ import annotations

from quant_trading_system.core.types import Stream
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer, seconds


class Reconciliation:
    """New exposure needs a recent pass and both streams.

    An order that reduces exposure needs a link: order updates, or else a recent pass, since without either nobody
    would learn what became of it.
    """

    control = "P4"
    name = "reconciliation"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent
        view, age_max_s = context.view, context.limits.reconciliation_age_seconds_max
        age_s = view.reconciliation_age_s
        is_fresh = age_s is not None and age_s <= age_max_s
        down = sorted(stream for stream in Stream if not view.streams_up.get(stream, False))
        has_link = is_fresh or view.streams_up.get(Stream.TRADE_UPDATES, False)
        passed = has_link if context.reduces_exposure else is_fresh and not down
        problems = [f"last good reconciliation {seconds(age_s)} ago"] if not is_fresh else []
        problems += [f"stream {stream} is down" for stream in down]
        return answer(
            self,
            passed=passed,
            measured="; ".join([seconds(age_s), *(f"{stream} down" for stream in down)]),
            limit=f"{age_max_s:.0f} s, both streams up",
            usage=None if age_s is None else age_s / age_max_s,
            age_s=age_s,
            reason="; ".join(problems),
        )
