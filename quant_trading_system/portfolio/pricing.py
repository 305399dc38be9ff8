"""Decides the price an order is built on, and the limit of a marketable limit order."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.money import ZERO, tick_size, to_decimal, to_limit_price
from quant_trading_system.core.types import Side
from quant_trading_system.core.views import PriceView

OFFSET_FRACTION = Decimal("0.0002")
"""How far beyond the far side of the quote a limit reaches, so that a quote that moves by a tick is still met."""
COLLAR_FRACTION = Decimal("0.005")
COLLAR_TICKS = 5
"""Control P13: not more aggressive than 0.5 % or five ticks from the mid, the wider of both."""


class Quoted(Struct, frozen=True):
    """The reference an order is built on and its limit, USD. `is_live`: from a sane quote."""

    reference: Decimal
    limit: Decimal
    is_live: bool


def reference_price(price: PriceView) -> Decimal | None:
    """Mid of a sane quote, else the last print, else the last close; None where there is nothing."""
    for value in (price.mid, price.last_trade, price.last_close):
        if value is not None and (known := to_decimal(value)) > ZERO:
            return known
    return None


def quote_order(price: PriceView, side: Side, *, offset_fraction: Decimal = OFFSET_FRACTION) -> Quoted | None:
    """Reference and limit for an order on `side`; None where there is no price at all.

    With a quote: the far side plus an offset of at least a tick, inside the collar, on a legal tick rounded in our
    favour. Without one the limit is the reference itself; the gate refuses it, and its record says why.
    """
    reference = reference_price(price)
    if reference is None:
        return None
    touch = price.ask if side is Side.BUY else price.bid
    if price.mid is None or touch is None:
        limit = to_limit_price(reference, side)
        return Quoted(reference, limit, False) if limit > ZERO else None
    tick = tick_size(reference)
    far = to_decimal(touch)
    offset = max(far * offset_fraction, tick)
    collar = max(reference * COLLAR_FRACTION, COLLAR_TICKS * tick)
    wanted = min(far + offset, reference + collar) if side is Side.BUY else max(far - offset, reference - collar)
    limit = to_limit_price(max(wanted, tick), side)
    return Quoted(reference, limit, True)
