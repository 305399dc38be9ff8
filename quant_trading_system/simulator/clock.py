"""Decides which venue time belongs to a reading of the monotonic clock: start, speed, steps, jumps, skipped nights.

It reads no clock itself. Venue time never goes back.
"""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.calendar import Session

SPEED_MAX = 100_000.0
AFTER_CLOSE_SECONDS = 30  # venue time that still runs: day orders expire, the last bars go out, clients see the close
BEFORE_OPEN_SECONDS = 5  # venue time before the bell, so that clients see a closed market open
SKIPS_PER_READING_MAX = 10_000  # at the highest speed a stall of an hour passes 5,000 sessions

SessionAfter = Callable[[int], Session | None]


class VenueClock:
    """Venue time as a function of monotonic time.

    Args:
        venue_ns: where venue time stands at `mono_ns`.
        speed: venue seconds per second.
        session_closing_after: the first session of the market that closes after an instant, None after its last.
            Between sessions the clock skips to just before the next open; without a next one it runs on.
        skips_closed_hours: False plays nights and weekends as well.

    A step or jump into closed hours stays there: whoever asked for them wants them. Skipping goes on with the next
    session.
    """

    def __init__(
        self,
        *,
        venue_ns: Nanos,
        mono_ns: int,
        speed: float,
        session_closing_after: SessionAfter | None = None,
        skips_closed_hours: bool = True,
    ) -> None:
        self._venue_ns = int(venue_ns)
        self._mono_ns = mono_ns
        self._speed = _checked(speed)
        self._session_closing_after = session_closing_after if skips_closed_hours else None
        self._skips_from_ns = 0  # a jump into closed hours moves it to the next open
        self._skipped_ns = (0, 0)

    @property
    def speed(self) -> float:
        return self._speed

    def venue_ns(self, mono_ns: int) -> Nanos:
        """Venue time at a monotonic reading; readings must not go back."""
        elapsed_ns = mono_ns - self._mono_ns
        assert elapsed_ns >= 0, f"monotonic time went back by {-elapsed_ns} ns"
        venue_ns = self._venue_ns + int(elapsed_ns * self._speed)
        skipped_to_ns = self._skip_closed_hours(venue_ns)
        if skipped_to_ns != venue_ns:
            self._skipped_ns = (venue_ns, skipped_to_ns)
            self._rebase(skipped_to_ns, mono_ns)
        return Nanos(skipped_to_ns)

    def has_skipped(self, venue_ns: int) -> bool:
        """Whether an instant lies in the hours that were skipped last: nobody watched them."""
        begin_ns, end_ns = self._skipped_ns
        return begin_ns <= venue_ns < end_ns

    def set_speed(self, speed: float, mono_ns: int) -> None:
        """Go on at another speed from now.

        Raises:
            ValueError: not more than 0, or above the highest.
        """
        checked = _checked(speed)
        self._rebase(self.venue_ns(mono_ns), mono_ns)
        self._speed = checked

    def jump_to(self, venue_ns: int, mono_ns: int) -> Nanos:
        """Set venue time forward; what lies between is played by the exchange when it advances.

        Raises:
            ValueError: the time has passed already.
        """
        now_ns = self.venue_ns(mono_ns)
        if venue_ns < now_ns:
            raise ValueError(f"expected a venue time from now on, found one {(now_ns - venue_ns) / 1e9:.3f} s ago")
        self._rebase(venue_ns, mono_ns)
        self._skips_from_ns = self._next_open_ns(venue_ns)
        return Nanos(venue_ns)

    def step(self, seconds: float, mono_ns: int) -> Nanos:
        """Set venue time forward by some seconds.

        Raises:
            ValueError: a negative number of seconds.
        """
        if not seconds >= 0:
            raise ValueError(f"expected a step of 0 s or more, found {seconds}")
        return self.jump_to(self.venue_ns(mono_ns) + round(seconds * NANOS_PER_SECOND), mono_ns)

    def _rebase(self, venue_ns: int, mono_ns: int) -> None:
        self._venue_ns = venue_ns
        self._mono_ns = mono_ns

    def _next_open_ns(self, venue_ns: int) -> int:
        """The open before which nothing is skipped after a jump; the instant itself within a session."""
        session = self._session_closing_after(venue_ns) if self._session_closing_after is not None else None
        return venue_ns if session is None else max(venue_ns, session.open_ns)

    def _skip_closed_hours(self, venue_ns: int) -> int:
        if self._session_closing_after is None or venue_ns < self._skips_from_ns:
            return venue_ns
        for _ in range(SKIPS_PER_READING_MAX):
            session = self._session_closing_after(venue_ns - AFTER_CLOSE_SECONDS * NANOS_PER_SECOND)
            if session is None:
                return venue_ns
            wake_ns = session.open_ns - BEFORE_OPEN_SECONDS * NANOS_PER_SECOND
            if venue_ns >= wake_ns or venue_ns >= session.pre_market_ns:  # a start before the bell is waited out
                return venue_ns
            venue_ns = wake_ns
        return venue_ns


def _checked(speed: float) -> float:
    if not 0 < speed <= SPEED_MAX:
        raise ValueError(f"speed: expected more than 0 and at most {SPEED_MAX:g}, found {speed}")
    return float(speed)
