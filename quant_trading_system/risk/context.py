"""What a rule is given beside the intent: the picture, the limits, and the numbers that several rules need."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.money import ZERO, to_decimal
from quant_trading_system.core.types import OrderType, Side
from quant_trading_system.core.values import OrderIntent
from quant_trading_system.core.views import RiskView
from quant_trading_system.risk.limits import ClassLimits, RiskLimits


class MissingInput(Exception):
    """A rule lacks what it needs; the gate refuses with this text."""


class RiskContext(Struct, frozen=True, kw_only=True):
    """One review. `reduces_exposure` holds whatever else is open; prices in USD, None where there is no sane quote."""

    view: RiskView
    limits: RiskLimits
    reduces_exposure: bool
    mid: Decimal | None
    value_price: Decimal | None
    """What a share of this order counts with: the dearer of limit and mid."""

    def need_mid(self) -> Decimal:
        if self.mid is None:
            raise MissingInput("no sane quote, so no price")
        return self.mid

    def need_value_price(self) -> Decimal:
        if self.value_price is None:
            raise MissingInput("no price to value the order with")
        return self.value_price

    def need_base_equity(self) -> Decimal:
        """E of controls.md: the account's equity at the last close, USD."""
        equity = self.view.money.last_equity_usd
        if equity is None or equity <= ZERO:
            raise MissingInput("the account's equity at the last close is unknown")
        return equity

    def class_limits(self) -> ClassLimits:
        instrument = self.view.instrument
        if instrument is None:
            raise MissingInput("the instrument is unknown, so is its class")
        entry = self.limits.classes.get(instrument.instrument_class)
        if entry is None:
            raise MissingInput(f"there are no limits for the class {instrument.instrument_class}")
        return entry

    def is_protective_stop(self, intent: OrderIntent) -> bool:
        """A stop that can only reduce what is held: it rests at the broker, and its price comes from what was paid."""
        return self.reduces_exposure and intent.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)

    def worst_quantity_after(self, intent: OrderIntent) -> Decimal:
        """Largest |position| in shares, should this order and the worst of all open ones execute (invariant I5)."""
        exposure = self.view.exposure
        buys = exposure.open_buy + (intent.quantity if intent.side is Side.BUY else ZERO)
        sells = exposure.open_sell + (intent.quantity if intent.side is Side.SELL else ZERO)
        return max(abs(exposure.position), abs(exposure.position + buys), abs(exposure.position - sells))


def reduces_exposure(intent: OrderIntent, view: RiskView) -> bool:
    """Whether executing the order, whatever open orders do, can neither enlarge the position nor turn its sign."""
    exposure = view.exposure
    if not (intent.quantity.is_finite() and intent.quantity > ZERO):
        return False
    if intent.side is Side.SELL:
        return exposure.position > ZERO and exposure.position - exposure.open_sell - intent.quantity >= ZERO
    return exposure.position < ZERO and exposure.position + exposure.open_buy + intent.quantity <= ZERO


def build_context(intent: OrderIntent, view: RiskView, limits: RiskLimits) -> RiskContext:
    price = view.price
    mid = None if price is None or price.mid is None else to_decimal(price.mid)
    limit = intent.limit_price if intent.limit_price is not None else intent.stop_price
    known = [value for value in (mid, limit) if value is not None]
    return RiskContext(
        view=view,
        limits=limits,
        reduces_exposure=reduces_exposure(intent, view),
        mid=mid,
        value_price=max(known) if known else None,
    )
