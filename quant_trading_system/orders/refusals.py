"""Which refusals of a POST are a definite no. Decides nothing else: what is not in the list casts doubt (fault A9)."""

from __future__ import annotations

from quant_trading_system.core.events import OrderRefused

DEFINITE_CODES = frozenset(
    {
        40010000,  # malformed request
        40010001,  # validation of a field
        40110000,  # not authenticated: nothing was looked at
        40310000,  # buying power, quantity, wash trade, account restrictions
        40310010,  # trading halted
        42210000,  # validation against the market: ticks, tradability, price relations
    }
)
"""Alpaca's codes of an order that was looked at and not taken: what its error bodies carry, as recorded until 2026-11.

Codes that it adds later are doubts until somebody has read what they mean.
"""
DEFINITE_STATUSES = frozenset({400, 401, 403, 422})
DUPLICATE_ID = "must be unique"
"""Then there is an order of this id, maybe ours: the broker has to be asked."""


def is_duplicate(event: OrderRefused) -> bool:
    """Whether the broker said that it has an order of this id already."""
    return event.http_status == 422 and DUPLICATE_ID in event.message


def is_definite(event: OrderRefused) -> bool:
    """Whether the broker said that there is no order, and will be none."""
    if DUPLICATE_ID in event.message:
        return False
    return event.http_status in DEFINITE_STATUSES and event.code in DEFINITE_CODES
