"""The exchange's own arithmetic of prices and quantities: ticks, texts, the one way from float to Decimal.

Written apart from the daemon's on purpose: an error in our understanding must not stand on both sides.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, InvalidOperation

ZERO = Decimal(0)
ONE_DOLLAR = Decimal(1)
CENT = Decimal("0.01")
FINE_TICK = Decimal("0.0001")
QTY_STEP = Decimal("0.000000001")  # nine decimals (reference 1.3)
DIGITS_MAX = 30  # of a number in a request; more is not an amount of money
EXPONENT_MAX = 15  # of its first digit: what is larger or smaller would not go through arithmetic of 28 digits


def plain(amount: Decimal) -> str:
    """Write a number as Alpaca does: no exponent, no trailing zeros."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def exact(value: float) -> Decimal:
    """The number that a market-data float was printed as."""
    return Decimal(str(value))


def parse_number(value: object) -> Decimal | None:
    """Read a number of a request: a JSON string or number (reference 1.3), None where there is none.

    Raises:
        ValueError: it is no finite number of sane length.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"expected a number, found {value!r}")
    text = str(value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"expected a number, found {value!r}") from None
    is_sane = number.is_finite() and len(text) <= DIGITS_MAX and (not number or abs(number.adjusted()) <= EXPONENT_MAX)
    if not is_sane:
        raise ValueError(f"expected a finite number, found {value!r}")
    return number


def is_sub_penny(price: Decimal) -> bool:
    """Whether a price has more decimals than allowed."""
    return price % tick_of(price) != ZERO


def tick_of(price: Decimal) -> Decimal:
    """The finest step of an equity's price: two decimals from one dollar, four below (reference 2.7)."""
    return CENT if price >= ONE_DOLLAR else FINE_TICK


def is_multiple(amount: Decimal, step: Decimal) -> bool:
    return amount % step == ZERO


def cut_to(amount: Decimal, step: Decimal) -> Decimal:
    """Cut to a multiple of `step`, toward zero."""
    return (amount // step * step).normalize() + ZERO


def is_whole(quantity: Decimal) -> bool:
    return quantity == quantity.to_integral_value()


def shares_down(quantity: Decimal) -> Decimal:
    """Cut to nine decimals, toward zero."""
    return quantity.quantize(QTY_STEP, ROUND_DOWN).normalize() + ZERO
