"""How often the broker is asked, and how many orders leave, in every sliding window and across restarts.

Judges I8 by the tap alone: windows of venue time, the daemon's lives counted together.
"""

from __future__ import annotations

from bisect import insort
from collections import deque

from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import Tap

MINUTE_NS, HOUR_NS = 60 * SECOND_NS, 3600 * SECOND_NS
CALLS_PER_MINUTE_MAX = 200
"""What the broker grants; of it the daemon uses 160 and keeps 40 for cancels and the kill switch."""
ENTRIES_PER_MINUTE_MAX, ENTRIES_PER_HOUR_MAX = 20, 200
"""Orders that add exposure (control P24)."""
ORDERS_PER_MINUTE_MAX = 100
"""The ceiling, which reducing orders are held to."""


class Rates(Judge):
    """Counts requests as they arrive."""

    invariants = ("I8",)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._calls = _Window("calls a minute", MINUTE_NS, CALLS_PER_MINUTE_MAX)
        self._orders = _Window("orders a minute", MINUTE_NS, ORDERS_PER_MINUTE_MAX)
        self._entries = (
            _Window("new exposures a minute", MINUTE_NS, ENTRIES_PER_MINUTE_MAX),
            _Window("new exposures an hour", HOUR_NS, ENTRIES_PER_HOUR_MAX),
        )
        self._counted: set[str] = set()
        self._speed = notes.world.plan.switches.get("venue_speed", 1.0)

    def on_request(self, tap: Tap) -> None:
        self._note(self._calls, tap)
        if tap.method != "POST" or not tap.path.startswith("/v2/orders"):
            return
        self._note(self._orders, tap)
        text = (tap.body or b"").decode()
        if '"side":"sell"' not in text and text not in self._counted:  # a retry is the same order
            self._counted.add(text)
            for window in self._entries:
                self._note(window, tap)

    def _sent_venue_ns(self, tap: Tap) -> int:
        """Venue time when the first byte left: a journey that takes longer than others is no burst."""
        return tap.venue_ns - int((tap.mono_ns - tap.sent_mono_ns) * self._speed)

    def _note(self, window: _Window, tap: Tap) -> None:
        found = window.note(self._sent_venue_ns(tap))
        if found > window.limit:
            self.notes.fail("I8", window.name, f"{found} {window.name}, limit {window.limit}")


class _Window:
    """A count over a sliding window of venue time."""

    def __init__(self, name: str, length_ns: int, limit: int) -> None:
        self.name, self.limit = name, limit
        self._length_ns = length_ns
        self._times: deque[int] = deque()

    def note(self, at_ns: int) -> int:
        times = self._times
        insort(times, at_ns)  # what left first may arrive last
        while times[0] <= times[-1] - self._length_ns:
            times.popleft()
        return len(times)
