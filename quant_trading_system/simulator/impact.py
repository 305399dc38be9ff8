"""What an order costs beyond the touch. Decides the price of a fill against a quote.

A fraction of the price is added against the order, rounded to a tick, so that small orders pay the touch:

    temporary   Y * deviation * sqrt(beyond / volume)        shares beyond those displayed when it met the market
    permanent   gamma * deviation * beyond / volume          left behind by such fills, halved every half-life

`volume` and `deviation` are the mean shares of a day and the deviation of daily log returns over the last sessions.
Square-root law: Tóth et al., "Anomalous price impact and the critical nature of liquidity" (2011), Y of order one.
Linear permanent part: Almgren et al., "Direct estimation of equity market impact" (2005), gamma 0.314. What is left
behind costs later orders on the same side; it never gives a better price to the other one.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import pairwise

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY, MarketSource
from quant_trading_system.simulator.matching import Touch, effective_limit
from quant_trading_system.simulator.numbers import ONE_DOLLAR, QTY_STEP, ZERO, exact
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.sessions import CRYPTO
from quant_trading_system.simulator.settings import FillSettings
from quant_trading_system.simulator.symbol_state import SymbolState

HISTORY_DAYS = 30  # calendar days looked at: about twenty sessions
HISTORY_BARS_MIN = 5  # fewer tell nothing: no cost then
IMPACT_FRACTION_MAX = 0.1  # of the price; the law is not made for orders of more than a day's volume
_HISTORY_NS = HISTORY_DAYS * 86_400 * NANOS_PER_SECOND
_CENT, _SUB_CENT = Decimal("0.01"), Decimal("0.0001")


class Activity(msgspec.Struct, frozen=True, gc=False):
    """How much a symbol trades and moves on a day: shares, and the deviation of its log return."""

    day_ordinal: int
    volume: float
    deviation: float


class Pricing:
    """Prices of fills against quotes."""

    def __init__(self, settings: FillSettings, chance: Chance, market: MarketSource) -> None:
        self._settings = settings
        self._chance = chance
        self._market = market
        self._activity: dict[str, Activity] = {}

    def price(self, order: SimOrder, touch: Touch, quote: SimQuote, state: SymbolState, now_ns: Nanos) -> Decimal:
        """USD a share at which an order takes from a touch; never beyond its limit or the bands."""
        price = touch.price
        cost = self._cost(order, touch, state, now_ns)
        if cost > 0:
            moved = price * exact(round(1 + cost if order.is_buy else 1 - cost, 9))
            price = max(_tick(order, price), moved.quantize(_tick(order, price), ROUND_HALF_UP))
        elif self._settings.improvement_probability > 0:
            price = self._improved(order, touch, quote)
        worst = [exact(state.limit_up if order.is_buy else state.limit_down)] if state.limit_up else []
        limit = effective_limit(order)
        if limit is not None:
            worst.append(limit)
        return min([price, *worst]) if order.is_buy else max([price, *worst])

    def leave_behind(self, order: SimOrder, qty: Decimal, state: SymbolState, now_ns: Nanos) -> None:
        """Let a fill that has just been booked move the price for later ones."""
        beyond = min(qty, _beyond(order))
        if beyond <= ZERO or self._settings.impact_permanent == 0:
            return
        activity = self._activity_of(order.symbol, now_ns)
        if activity is None:
            return
        moved = self._settings.impact_permanent * activity.deviation * float(beyond) / activity.volume
        left = self._left(state, now_ns) + (moved if order.is_buy else -moved)
        state.impact_fraction = max(-IMPACT_FRACTION_MAX, min(IMPACT_FRACTION_MAX, left))
        state.impact_at_ns = now_ns

    def _cost(self, order: SimOrder, touch: Touch, state: SymbolState, now_ns: Nanos) -> float:
        """The fraction of the price that is added against the order."""
        left = self._left(state, now_ns)
        cost = max(0.0, left if order.is_buy else -left)
        wanted = min(order.remaining(touch.price), touch.size_left)
        beyond = _beyond(order, adding=wanted)
        if beyond > ZERO and self._settings.impact_temporary > 0:
            activity = self._activity_of(order.symbol, now_ns)
            if activity is not None:
                share = float(beyond) / activity.volume
                cost += self._settings.impact_temporary * activity.deviation * math.sqrt(share)
        return min(cost, IMPACT_FRACTION_MAX)

    def _left(self, state: SymbolState, now_ns: Nanos) -> float:
        """What is left of earlier orders' effect, as a signed fraction of the price."""
        if not state.impact_fraction:
            return 0.0
        age_seconds = (now_ns - state.impact_at_ns) / NANOS_PER_SECOND
        return state.impact_fraction * math.exp2(-age_seconds / self._settings.impact_half_life_seconds)

    def _improved(self, order: SimOrder, touch: Touch, quote: SimQuote) -> Decimal:
        """Inside the spread, where chance wants it: finer than a tick, as a dealer fills."""
        number = order.sequence
        if self._chance.uniform("improvement", number, order.fill_attempts) >= self._settings.improvement_probability:
            return touch.price
        spread = exact(quote.ask_price) - exact(quote.bid_price)
        if spread <= ZERO or not quote.bid_price > 0:
            return touch.price
        fraction = self._chance.uniform("inside", number, order.fill_attempts) * self._settings.improvement_fraction_max
        inside = (spread * exact(round(fraction, 6))).quantize(_SUB_CENT, ROUND_FLOOR)
        return touch.price - inside if order.is_buy else touch.price + inside

    def _activity_of(self, symbol: str, now_ns: Nanos) -> Activity | None:
        """Of the sessions before today; looked up once a day."""
        today = new_york_date(now_ns)
        known = self._activity.get(symbol)
        if known is None or known.day_ordinal != today.toordinal():
            begin_ns = new_york_ns(today)
            bars = self._market.bars(symbol, DAY, begin_ns - _HISTORY_NS, begin_ns - 1)
            volume, deviation = 0.0, 0.0
            if len(bars) >= HISTORY_BARS_MIN:
                returns = [math.log(bar.close / past.close) for past, bar in pairwise(bars)]
                mean = sum(returns) / len(returns)
                volume = sum(bar.volume for bar in bars) / len(bars)
                deviation = math.sqrt(sum((step - mean) ** 2 for step in returns) / len(returns))
            known = self._activity[symbol] = Activity(today.toordinal(), volume, deviation)
        return known if known.volume > 0 else None


def _beyond(order: SimOrder, *, adding: Decimal = ZERO) -> Decimal:
    """Shares that an order has taken, or takes now, beyond the size displayed when it first met the market."""
    if order.shown_qty is None:
        return ZERO
    return max(ZERO, order.filled_qty + adding - order.shown_qty)


def _tick(order: SimOrder, price: Decimal) -> Decimal:
    if order.asset_class == CRYPTO:
        return QTY_STEP
    return _CENT if price >= ONE_DOLLAR else _SUB_CENT
