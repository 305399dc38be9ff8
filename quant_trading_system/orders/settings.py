"""Limits in time and number of the order manager."""

from __future__ import annotations

from msgspec import Struct


class OrderSettings(Struct, frozen=True, kw_only=True):
    """Seconds are monotonic."""

    ack_seconds_max: float = 10.0
    """An order whose bytes left and that nobody acknowledged is UNKNOWN then (R106)."""
    ready_seconds_max: float = 45.0
    """The gateway's retries and timeouts end sooner; an order it forgot is UNKNOWN then."""
    unknown_alert_seconds: float = 30.0
    quarantine_seconds: float = 60.0
    """An order may arrive at the broker late; sooner its absence is not believed (fault A4)."""
    clean_passes: int = 2
    older_passes_max: int = 4
    older_seconds_max: float = 60.0
    """A picture with less filled than we know is older truth; after so many passes over so long it is the broker's."""
    ask_delays_seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 15.0)
    """Between questions about one order; the last repeats, since silence is never an answer."""
    cancel_alert_seconds: tuple[float, ...] = (30.0, 300.0)
    cancel_again_seconds: float = 15.0
    kept_final_orders: int = 2_000
    recent_orders_max: int = 20_000
    """Orders of a day kept for rates: twice the ceiling of control P24."""
