"""Independent judges of what happened in a simulated world. Decides nothing itself: hands each happening to its judges.

They judge by the exchange's ledger, committed rows, the requests that arrived, and the engine's view; never by a helper
of the code under test.
"""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent, BarSeen, QuoteSeen, StatusSeen, TimerFired, TradeSeen
from tests.simulation.checkers.allowed import Allowed
from tests.simulation.checkers.books import Books
from tests.simulation.checkers.contradictions import Contradictions
from tests.simulation.checkers.degrading import Degrading
from tests.simulation.checkers.drifting import Drifting
from tests.simulation.checkers.ending import Ending
from tests.simulation.checkers.exposure import Exposure
from tests.simulation.checkers.halting import Halting
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.killing import Killing
from tests.simulation.checkers.leading import Leading
from tests.simulation.checkers.mending import Healing, Telling
from tests.simulation.checkers.notes import Notes
from tests.simulation.checkers.order_life import OrderLife
from tests.simulation.checkers.picturing import Picturing
from tests.simulation.checkers.rates import Rates
from tests.simulation.checkers.recovering import Recovering
from tests.simulation.checkers.seam import Tap, World
from tests.simulation.checkers.sights import Sights
from tests.simulation.checkers.stopping import Stopping
from tests.simulation.checkers.storing import Storing
from tests.simulation.checkers.wire import Wire

__all__ = ["JUDGES", "Checkers"]

JUDGES: tuple[type[Judge], ...] = (
    Wire, Allowed, Killing, Halting, Rates, OrderLife, Contradictions, Exposure, Books, Recovering, Healing, Telling,
    Stopping, Storing, Drifting, Picturing, Degrading, Leading, Ending, Sights,
)  # fmt: skip
MARKET_KINDS = frozenset({TradeSeen, QuoteSeen, BarSeen, StatusSeen})


class Checkers:
    """All judges of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._notes = Notes(world)
        self._judges = tuple(judge(self._notes) for judge in JUDGES)
        self._watchers: dict[type, tuple[Judge, ...]] = {}
        for kind in {kind for judge in self._judges for kind in judge.watches}:
            self._watchers[kind] = tuple(judge for judge in self._judges if kind in judge.watches)
        self._on_request = _overriding(self._judges, "on_request")
        self._on_reply = _overriding(self._judges, "on_reply")
        self._on_effects = _overriding(self._judges, "on_effects")
        self._on_second = _overriding(self._judges, "on_second")

    def on_start(self) -> None:
        """A process of the daemon starts."""
        self._notes.begin_life()
        for judge in self._judges:
            judge.on_start()

    def on_request(self, tap: Tap) -> None:
        """A request arrived at the broker, which has not acted yet."""
        self._notes.look_at_lease()
        for judge in self._on_request:
            judge.on_request(tap)

    def on_reply(self, tap: Tap) -> None:
        """The broker acted on a request; `tap.status` is what it says."""
        for judge in self._on_reply:
            judge.on_reply(tap)

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """The engine handled an event. Market data without an effect is by far the most there is."""
        kind = type(event)
        if kind in MARKET_KINDS:
            self._notes.hearing.feed_ns = event.mono_ns
            if isinstance(event, QuoteSeen):
                self._notes.on_quote(event)
            if not effects:
                return
        self._notes.take(event, effects)
        if effects:
            for judge in self._on_effects:
                judge.on_effects(event, effects)
        for judge in self._watchers.get(kind, ()):
            judge.on_step(event, effects)
        if isinstance(event, TimerFired) and event.name == "second":
            self._notes.look_at_lease()
            for judge in self._on_second:
                judge.on_second()

    def on_crash(self) -> None:
        """A process of the daemon is gone, in whatever way."""
        for judge in self._judges:
            judge.on_crash()

    def on_exit(self, code: int) -> None:
        """A process of the daemon ended by itself; `on_crash` follows."""
        for judge in self._judges:
            judge.on_exit(code)

    def at_end(self) -> None:
        """The market's time is over."""
        for judge in self._judges:
            judge.at_end()


def _overriding(judges: Sequence[Judge], name: str) -> tuple[Judge, ...]:
    return tuple(judge for judge in judges if getattr(type(judge), name) is not getattr(Judge, name))
