"""Control P15: there is a price, its quote is sane, narrow and fresh, and the symbol trades."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import tick_size, to_decimal
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.core.views import PriceView
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import RiskLimits, ceiling
from quant_trading_system.risk.rules.base import answer, exempt, seconds


class MarketData:
    """No price, no order (R092), reducing or not.

    A quote is as old as itself, or, while it stands, as the feed's last message of any symbol. Orders that reduce
    exposure are held to the ceiling of that age; spread and last trade do not stop them. A protective stop needs no
    quote: its price comes from what was paid, and it rests.
    """

    control = "P15"
    name = "market_data"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        price, limits = context.view.price, context.limits
        if context.is_protective_stop(intent):
            return exempt(self, measured="a protective stop's price comes from what was paid")
        if price is None or price.mid is None:
            return answer(
                self, passed=False, measured="no sane quote", limit="a quote", reason=f"no quote of {intent.symbol}"
            )
        if context.reduces_exposure:
            problems = _quote_problems(price, limits, age_max_s=float(ceiling("quote_age_seconds_max")))
        else:
            problems = _quote_problems(price, limits, age_max_s=limits.quote_age_seconds_max)
            problems += _spread_problems(price, limits) + _trade_problems(price, limits)
        return answer(
            self,
            passed=not problems,
            measured=f"bid {price.bid}, ask {price.ask}, quote {seconds(price.quote_age_s)}, "
            f"feed {seconds(price.feed_age_s)}, trade {seconds(price.trade_age_s)}",
            limit=f"spread {limits.spread_fraction_max * 100}% or {limits.spread_ticks_max} ticks, "
            f"quote {limits.quote_age_seconds_max} s, trade {limits.trade_age_seconds_max} s",
            age_s=price.quote_age_s,
            reason="; ".join(problems),
        )


def _quote_problems(price: PriceView, limits: RiskLimits, *, age_max_s: float) -> list[str]:
    if price.quote_age_s is None:
        return ["the quote has no age"]
    if price.quote_age_s > limits.standing_quote_age_seconds_max:
        return [f"quote is {seconds(price.quote_age_s)} old, limit {limits.standing_quote_age_seconds_max} s"]
    feed_age_s = price.quote_age_s if price.feed_age_s is None else min(price.feed_age_s, price.quote_age_s)
    if feed_age_s > age_max_s:
        return [f"quote and feed are {seconds(feed_age_s)} old, limit {age_max_s} s"]
    return []


def _spread_problems(price: PriceView, limits: RiskLimits) -> list[str]:
    if price.bid is None or price.ask is None or price.mid is None:
        return ["one side of the quote is missing"]
    mid = to_decimal(price.mid)
    spread = to_decimal(price.ask) - to_decimal(price.bid)
    room = max(mid * limits.spread_fraction_max, tick_size(mid) * Decimal(limits.spread_ticks_max))
    return [] if spread <= room else [f"spread {spread} USD is wider than {room:.4f} USD"]


def _trade_problems(price: PriceView, limits: RiskLimits) -> list[str]:
    if price.trade_age_s is None:
        return ["no trade was seen"]
    if price.trade_age_s > limits.trade_age_seconds_max:
        return [f"last trade is {seconds(price.trade_age_s)} old, limit {limits.trade_age_seconds_max} s"]
    return []
