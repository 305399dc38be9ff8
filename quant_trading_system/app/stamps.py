"""The three stamps of an event, read at once."""

from __future__ import annotations

from typing import TypedDict

from quant_trading_system.core.clock import Clock
from quant_trading_system.core.types import MonoNanos, Nanos


class Stamps(TypedDict):
    """Keyword arguments every `core.events.Event` takes."""

    venue_ns: Nanos
    seen_ns: Nanos
    mono_ns: MonoNanos


def stamps(clock: Clock) -> Stamps:
    """When it is now: at the venue, by the wall clock, by the monotonic clock."""
    return {"venue_ns": clock.venue_ns(), "seen_ns": clock.wall_ns(), "mono_ns": clock.mono_ns()}
