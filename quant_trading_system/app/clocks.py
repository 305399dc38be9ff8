"""The clock that really reads time. Decides how venue time follows a broker's clock that may run faster than ours."""

from __future__ import annotations

import time
from collections.abc import Callable

from quant_trading_system.core.types import MonoNanos, Nanos


class SystemClock:
    """Wall and monotonic time of this machine, and venue time as the broker's clock last told it.

    Venue time runs from the anchor at `speed` of the monotonic clock, so that no jump of the wall clock moves it (fault
    H1). Before `anchor` was called it is 0 where it `follows_venue`, so that nothing is stamped with a time the venue
    has not reached, else wall time. It never goes back: a broker's clock that jumps ahead (the embedded exchange skips
    the night) is followed, one that falls behind is waited for. `wall_now_ns` and `mono_now_ns` read this machine's
    clocks.
    """

    def __init__(
        self,
        *,
        follows_venue: bool = False,
        wall_now_ns: Callable[[], int] = lambda: time.time_ns(),  # looked up anew: a failpoint may put it forward
        mono_now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_now_ns = wall_now_ns
        self._mono_now_ns = mono_now_ns
        self._anchor_venue_ns = 0
        self._anchor_mono_ns = 0
        self._speed = 1.0
        self._latest_venue_ns = 0
        self._is_anchored = False
        self._follows_venue = follows_venue

    def wall_ns(self) -> Nanos:
        return Nanos(self._wall_now_ns())

    def mono_ns(self) -> MonoNanos:
        return MonoNanos(self._mono_now_ns())

    def venue_ns(self) -> Nanos:
        if not self._is_anchored:
            return Nanos(0) if self._follows_venue else self.wall_ns()
        told = self._anchor_venue_ns + int((self._mono_now_ns() - self._anchor_mono_ns) * self._speed)
        self._latest_venue_ns = max(self._latest_venue_ns, told)
        return Nanos(self._latest_venue_ns)

    def anchor(self, venue_ns: int, *, mono_ns: int, speed: float) -> None:
        """Say what the venue's clock showed at a monotonic moment, and how many venue seconds pass in one of ours."""
        assert speed > 0, "a clock runs forward"
        self._anchor_venue_ns = venue_ns
        self._anchor_mono_ns = mono_ns
        self._speed = speed
        self._is_anchored = True

    @property
    def speed(self) -> float:
        return self._speed
