"""How numbers, times and ages read on the page. Decides rounding for the eye, never for the books."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.money import plain, to_cents

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"

GOOD = "good"
BAD = "bad"
WARN = "warn"
MUTED = "muted"
PLAIN = ""


def money(amount: Decimal | None, *, signed: bool = False) -> str:
    """USD to the cent, e.g. `$100,234.50`; with `signed` also `+$12.30`."""
    if amount is None or not amount.is_finite():
        return NOTHING
    cents = to_cents(amount)
    sign = MINUS if cents < 0 else "+" if signed and cents > 0 else ""
    return f"{sign}${abs(cents):,.2f}"


def price(amount: Decimal | None) -> str:
    """A price as it is, with at least two decimals."""
    if amount is None or not amount.is_finite():
        return NOTHING
    places = max(2, min(4, -int(amount.normalize().as_tuple().exponent)))
    return f"{amount:,.{places}f}"


def shares(quantity: Decimal | None, *, signed: bool = False) -> str:
    if quantity is None:
        return NOTHING
    sign = MINUS if quantity < 0 else "+" if signed and quantity > 0 else ""
    return sign + plain(abs(quantity))


def percent(ratio: Decimal | float | None, *, signed: bool = False) -> str:
    if ratio is None:
        return NOTHING
    value = float(ratio) * 100
    sign = MINUS if value < -0.005 else "+" if signed and value > 0.005 else ""
    return f"{sign}{abs(value):,.2f} %"


def span(seconds: float | None) -> str:
    """A duration or an age: `0.4 s`, `12 s`, `3 min`, `2 h 05 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def clock(stamp_ns: int | None, form: str = "%H:%M:%S") -> str:
    """New York time at a UTC stamp."""
    return to_new_york(stamp_ns).strftime(form) if stamp_ns else NOTHING


def tone_of(amount: Decimal | None) -> str:
    """Green above zero, red below; nothing for nothing."""
    if amount is None or not amount:
        return PLAIN
    return GOOD if amount > 0 else BAD
