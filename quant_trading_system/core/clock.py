"""Time is an argument. The protocols of clocks; the ones that really read time live in `app.clocks`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import MonoNanos, Nanos

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Wall, monotonic and venue time. Venue time equals wall time but in `sim`, where it may be 2013 or run faster."""

    def wall_ns(self) -> Nanos:
        """UTC wall time. May jump; for stamps, never for durations."""
        ...

    def mono_ns(self) -> MonoNanos:
        """Never goes back. For timeouts and ages."""
        ...

    def venue_ns(self) -> Nanos:
        """Time at the venue: sessions, windows of a rate, cooldowns and day totals run in it."""
        ...


def to_nanos(moment: datetime) -> Nanos:
    """Convert an aware datetime to UTC nanoseconds.

    Raises:
        ValueError: the datetime has no offset.
    """
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with an offset, found {moment.isoformat()}")
    return Nanos((moment - EPOCH) // timedelta(microseconds=1) * 1_000)


def to_datetime(stamp_ns: int) -> datetime:
    """Convert UTC nanoseconds to an aware datetime; what is below a microsecond is dropped."""
    return EPOCH + timedelta(microseconds=stamp_ns // 1_000)


def to_new_york(stamp_ns: int) -> datetime:
    """The New York wall clock at a UTC stamp."""
    return to_datetime(stamp_ns).astimezone(NEW_YORK)
