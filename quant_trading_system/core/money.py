"""Where floats end: the one place that turns market-data prices into Decimal, and the ticks of US equities."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from quant_trading_system.core.types import Side

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
SUB_DOLLAR_TICK = Decimal("0.0001")
QUANTITY_STEP = Decimal("0.000000001")  # Alpaca: at most nine decimals
PRICE_DIGITS = Decimal("0.000001")


def tick_size(price: Decimal) -> Decimal:
    """Minimum price increment in USD: 0.01 from one dollar, 0.0001 below (Rule 612; Alpaca, orders page)."""
    return CENT if price >= ONE else SUB_DOLLAR_TICK


def to_decimal(value: float) -> Decimal:
    """Convert a market-data price or size in USD or shares, exactly as it was printed, to at most six decimals.

    Raises:
        ValueError: the value is not finite.
    """
    amount = Decimal(repr(float(value)))
    if not amount.is_finite():
        raise ValueError(f"expected a finite number, found {value!r}")
    return amount if -amount.as_tuple().exponent <= 6 else amount.quantize(PRICE_DIGITS, ROUND_HALF_EVEN)  # type: ignore[operator]


def to_limit_price(price: Decimal, side: Side) -> Decimal:
    """Round a limit price to a legal tick, never in our disfavour: a buy down, a sell up."""
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    tick = tick_size(price)
    return (price / tick).to_integral_value(rounding) * tick


def is_legal_tick(price: Decimal) -> bool:
    """Whether `price` is positive and a whole number of ticks."""
    return price.is_finite() and price > ZERO and price % tick_size(price) == ZERO


def whole_shares(quantity: Decimal) -> Decimal:
    """Drop the fraction of a share, toward zero."""
    return quantity.to_integral_value(ROUND_DOWN)


def to_cents(amount: Decimal) -> Decimal:
    """Round USD to cents for display; never for the books."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)


def plain(amount: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros, as Alpaca does."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
