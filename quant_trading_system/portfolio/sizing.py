"""Decides how many shares a signal is worth: a method's formula, then the caps, each named when it bites.

Formulas and hard limits: strategies.md 2.4. Strength and confidence of a signal do not enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from quant_trading_system.core.money import QUANTITY_STEP, ZERO, plain, to_cents, to_decimal, whole_shares

RISK_FRACTION = Decimal("0.01")
"""Part of the equity that fixed-fraction sizing puts at risk on one position."""
STOP_DISTANCE = Decimal("0.02")
"""Loss per share, as a part of the price, that is assumed where a strategy declares no stop."""
VOLATILITY_TARGET = Decimal("0.15")
VOLATILITY_UNKNOWN = Decimal("0.30")
"""An unknown volatility counts as twice the target: what cannot be measured is not taken for calm."""
LEVERAGE_MAX = Decimal(2)
BUYING_POWER_FRACTION = Decimal("0.95")
VALUE_MAX_USD = Decimal(1_000_000)
VALUE_MIN_USD = Decimal(100)


class SizingMethod(StrEnum):
    VOLATILITY_TARGET = "volatility_target"
    FIXED_FRACTION = "fixed_fraction"


class SizingContext(Struct, frozen=True, kw_only=True):
    """What a size is computed from, all of it the strategy's own share: multiplied by its weight already.

    `equity_usd` and `capital_usd`: the lower counts. `position_value_max_usd` is the symbol's position limit,
    `order_value_max_usd` the limit of one order, which plans cut to and sizes do not. Volatility is annual.
    """

    equity_usd: Decimal
    capital_usd: Decimal
    price: Decimal
    volatility: float | None
    buying_power_usd: Decimal
    order_value_max_usd: Decimal
    position_value_max_usd: Decimal
    is_fractionable: bool


class Cap(Struct, frozen=True):
    """A limit in USD and how a note names it."""

    name: str
    value_usd: Decimal


class Size(Struct, frozen=True, kw_only=True):
    """Shares, what the formula asked for before the caps, in USD, and what scaled it down, or ""."""

    quantity: Decimal
    asked_usd: Decimal
    note: str


def fixed_fractional(
    *, equity_usd: Decimal, price: Decimal, stop: Decimal | None = None, risk_fraction: Decimal = RISK_FRACTION
) -> Decimal:
    """Shares of which a fall to the stop costs `risk_fraction` of the equity. A stop at the price counts as none."""
    distance = STOP_DISTANCE if stop is None or stop == price else abs(price - stop) / price
    return equity_usd * risk_fraction / (price * distance)


def volatility_target(
    *, equity_usd: Decimal, price: Decimal, volatility: float | None, target: Decimal = VOLATILITY_TARGET
) -> Decimal:
    """Shares that swing by `target` a year, at most twice the equity."""
    measured = VOLATILITY_UNKNOWN
    if volatility is not None and volatility > 0.0:
        measured = to_decimal(volatility) or VOLATILITY_UNKNOWN  # a volatility that rounds to zero is not known
    return equity_usd * min(target / measured, LEVERAGE_MAX) / price


def constrain(quantity: Decimal, *, price: Decimal, caps: Sequence[Cap]) -> tuple[Decimal, str]:
    """Cut `quantity`, not negative, to the caps in order. Returns it with the name of the last cap that bit, or ""."""
    assert quantity >= ZERO, f"sizes are unsigned, found {quantity}"
    name = ""
    for cap in caps:
        if quantity * price > cap.value_usd:
            quantity = max(cap.value_usd, ZERO) / price
            name = cap.name
    return quantity, name


def size(method: SizingMethod, context: SizingContext, *, held: Decimal = ZERO) -> Size:
    """Shares to hold by `method` under the caps, not signed.

    Buying power limits what is bought beyond the `held` shares, so that a position paid for is not sold for want of it.
    """
    assert context.price > ZERO, f"a size needs a price above zero, found {context.price}"
    raw = _raw(method, context)
    price = context.price
    caps = (
        Cap("95 % of buying power", held * price + BUYING_POWER_FRACTION * max(context.buying_power_usd, ZERO)),
        Cap("the largest position value", VALUE_MAX_USD),
        Cap("the position limit", context.position_value_max_usd),
    )
    quantity, name = constrain(raw, price=price, caps=caps)
    asked_usd = raw * price
    note = ""
    if name:
        note = f"scaled from {plain(to_cents(asked_usd))} to {plain(to_cents(quantity * price))} USD by {name}"
    quantity = _to_step(quantity, is_fractionable=context.is_fractionable)
    if quantity * price < VALUE_MIN_USD:
        worth = f"{plain(to_cents(quantity * price))} USD is below the smallest position of {VALUE_MIN_USD} USD"
        note = f"{note}; {worth}" if note else worth
        quantity = ZERO
    return Size(quantity=quantity, asked_usd=asked_usd, note=note)


def _raw(method: SizingMethod, context: SizingContext) -> Decimal:
    money = max(min(context.equity_usd, context.capital_usd), ZERO)
    match method:
        case SizingMethod.FIXED_FRACTION:
            return fixed_fractional(equity_usd=money, price=context.price)
        case SizingMethod.VOLATILITY_TARGET:
            return volatility_target(equity_usd=money, price=context.price, volatility=context.volatility)
        case _:
            assert_never(method)


def _to_step(quantity: Decimal, *, is_fractionable: bool) -> Decimal:
    return quantity.quantize(QUANTITY_STEP, ROUND_DOWN) if is_fractionable else whole_shares(quantity)
