"""Whether a part of the daemon may be mended once more, or a person has to look. Every action is written to the audit.

The budget is counted when an action is allowed; the audit says what came of it. A restart of the daemon counts what the
audit holds, so that it renews no budget.
"""

from __future__ import annotations

from collections import Counter

from quant_trading_system.core.effects import AllowHealing, CycleStream
from quant_trading_system.core.events import HealingAsked, HealingEnded, Restored
from quant_trading_system.core.types import HealingAction, MonoNanos, Stream
from quant_trading_system.engine.desk import Desk
from quant_trading_system.risk.causes import HEALING_EXHAUSTED

ACTOR = "healing"
RENEWAL = "budget"
"""The audit's action that marks a renewal: what happened before it counts no more, in the next process either."""
CYCLE_SECONDS_MAX = 60.0
"""A cycled stream that is not up again after it: the cycle failed, and the stream's own back-off goes on."""


class Healing:
    """Keeps the budget; allows, refuses, and says so."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._refused: set[tuple[HealingAction, str]] = set()
        self._cycling: dict[Stream, MonoNanos] = {}
        self._allowed: Counter[tuple[HealingAction, str]] = Counter()
        """Under way. A start mends without asking: what would not have been allowed is no action of the day's."""
        self._early: list[HealingAsked | HealingEnded] | None = []
        """What came before it was known what earlier processes used; handled then."""

    def on_restored(self, event: Restored) -> None:
        self._desk.healing.restore(event.healing, self._desk.mono_ns)
        early, self._early = self._early or [], None
        for each in early:
            if isinstance(each, HealingAsked):
                self.on_asked(each)
            else:
                self.on_ended(each)

    def on_asked(self, event: HealingAsked) -> None:
        if self._early is not None:
            self._early.append(event)
            return
        allowed = self._take(event.action, event.target, event.reason)
        if allowed and event.action is HealingAction.SOCKET_CYCLE:
            self._cycling[Stream(event.target)] = self._desk.mono_ns
        self._allowed[event.action, event.target] += allowed
        self._desk.emit(AllowHealing(action=event.action, target=event.target, is_allowed=allowed))

    def on_ended(self, event: HealingEnded) -> None:
        if self._early is not None:
            self._early.append(event)
            return
        if self._allowed[event.action, event.target] <= 0:
            return
        self._allowed[event.action, event.target] -= 1
        self._audit(event.action, event.target, reason=event.detail, outcome=event.outcome)

    def cycle(self, stream: Stream, reason: str) -> bool:
        """Make a stream's connection anew, if the budget allows it. Returns whether it was asked for."""
        if stream in self._cycling or not self._take(HealingAction.SOCKET_CYCLE, stream.value, reason):
            return False
        self._cycling[stream] = self._desk.mono_ns
        self._desk.emit(CycleStream(stream=stream, reason=reason))
        return True

    def on_stream_up(self, stream: Stream) -> None:
        if self._cycling.pop(stream, None) is not None:
            self._audit(HealingAction.SOCKET_CYCLE, stream.value, reason="connected anew", outcome="done")

    def on_second(self) -> None:
        for stream, since in list(self._cycling.items()):
            if self._desk.age_s(since) >= CYCLE_SECONDS_MAX:
                del self._cycling[stream]
                reason = f"not up again after {CYCLE_SECONDS_MAX:.0f} s"
                self._audit(HealingAction.SOCKET_CYCLE, stream.value, reason=reason, outcome="failed")

    def renew(self, operator: str) -> None:
        """A person looked and reset: a new budget, from now on."""
        self._desk.healing.renew()
        self._refused.clear()
        self._desk.audit(ACTOR, RENEWAL, reason=f"reset by {operator}", outcome="renewed")

    def _take(self, action: HealingAction, target: str, reason: str) -> bool:
        desk = self._desk
        if desk.healing.take(action, desk.mono_ns):
            return True
        if (action, target) not in self._refused:  # who was refused asks again; once is enough for the record
            self._refused.add((action, target))
            self._audit(action, target, reason=reason, outcome="refused")
        limit = desk.healing.limit(action)
        detail = f"{limit} actions of kind {action} in 24 h are used up; {target} is not mended: {reason}"
        desk.guards.raise_cause(HEALING_EXHAUSTED, detail, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
        return False

    def _audit(self, action: HealingAction, target: str, *, reason: str, outcome: str) -> None:
        self._desk.audit(ACTOR, action.value, reason=reason, outcome=outcome, target=target)
