"""How often the broker is asked, and how many orders leave, in every sliding window and across restarts.

Judges I8 by the tap, and orders that add exposure by when they were approved: windows of venue time, the daemon's lives
counted together.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence

from quant_trading_system.core.effects import Effect, SendOrder
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.simulator.instants import new_york_date
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import Tap
from tests.simulation.limits import RATES

MINUTE_NS, HOUR_NS = 60 * SECOND_NS, 3600 * SECOND_NS
CALLS_PER_MINUTE_MAX = 200
"""What the broker grants; of it the daemon uses 160 and keeps 40 for cancels and the kill switch."""
SLACK_NS, SLACK_S = 10 * SECOND_NS, 1.0
"""Of venue time, and of the daemon's own where that runs slower: the gate counts by the daemon's reading of it, which a
new life takes anew, and which is as old as the answer to it took."""
ORDERS_PER_MINUTE_MAX = 100
"""The ceiling, which reducing orders are held to."""


class Rates(Judge):
    """Counts requests as they arrive."""

    invariants = ("I8",)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._calls = _Window("calls a minute", MINUTE_NS, CALLS_PER_MINUTE_MAX)
        self._orders = _Window("orders a minute", MINUTE_NS, ORDERS_PER_MINUTE_MAX)
        limits = RATES[bool(notes.world.plan.switches.get("tight"))]
        self._speed = notes.world.plan.switches.get("venue_speed", 1.0)
        slack_ns = max(SLACK_NS, int(SLACK_S * self._speed * SECOND_NS))
        self._entries = (
            _Window("new exposures a minute", MINUTE_NS - slack_ns, limits["orders_per_minute_max"]),
            _Window("new exposures an hour", HOUR_NS - slack_ns, limits["orders_per_hour_max"]),
        )
        self._restored_ns = 0
        self._passed: list[tuple[int, str, int]] = []
        """(life, client order id, venue time) of what passed since the last life that passed anything."""

    def on_request(self, tap: Tap) -> None:
        self._note(self._calls, tap)
        if tap.method != "POST" or not tap.path.startswith("/v2/orders"):
            return
        self._note(self._orders, tap)

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """P24 counts what the gate let pass; a database that was taken back forgot a part of it."""
        for effect in effects:
            if type(effect) is SendOrder and not effect.approved.reduces_exposure and not self._lags_a_night(event):
                at_ns = self.world.venue_ns()
                if self._restored_ns != self.world.losses.at_ns:
                    self._restored_ns = self.world.losses.at_ns
                    for window in self._entries:
                        window.clear()
                self._forget_unsent()
                self._passed.append((self.world.incarnation, effect.approved.intent.client_order_id, at_ns))
                for window in self._entries:
                    self._judge(window, at_ns)

    def _forget_unsent(self) -> None:
        """What passed in a life that died before it had stored the intent never left, and nobody knows it."""
        known = {**self.world.losses.intents, **self.world.committed("intents")}
        for life, client_order_id, at_ns in self._passed:
            if life != self.world.incarnation and (client_order_id,) not in known:
                for window in self._entries:
                    window.forget(at_ns)
        self._passed = [each for each in self._passed if each[0] == self.world.incarnation]

    def _lags_a_night(self, event: AnyEvent) -> bool:
        """Whether a night passed at the exchange in no time, as in a sleep, of which the daemon's venue time knows
        nothing yet: by its reading this order is hours older than those that follow."""
        return new_york_date(event.venue_ns) < new_york_date(self.world.venue_ns())

    def _sent_venue_ns(self, tap: Tap) -> int:
        """Venue time when the first byte left: a journey that takes longer than others is no burst."""
        return tap.venue_ns - int((tap.mono_ns - tap.sent_mono_ns) * self._speed)

    def _note(self, window: _Window, tap: Tap) -> None:
        self._judge(window, self._sent_venue_ns(tap))

    def _judge(self, window: _Window, at_ns: int) -> None:
        found = window.note(at_ns)
        if found > window.limit:
            self.notes.fail("I8", window.name, f"{found} {window.name}, limit {window.limit}")


class _Window:
    """A count over a sliding window of venue time."""

    def __init__(self, name: str, length_ns: int, limit: int) -> None:
        self.name, self.limit = name, limit
        self._length_ns = length_ns
        self._times: deque[int] = deque()

    def clear(self) -> None:
        self._times.clear()

    def forget(self, at_ns: int) -> None:
        if at_ns in self._times:
            self._times.remove(at_ns)

    def note(self, at_ns: int) -> int:
        times = self._times
        insort(times, at_ns)  # what left first may arrive last
        while times[0] <= times[-1] - self._length_ns:
            times.popleft()
        return len(times)
