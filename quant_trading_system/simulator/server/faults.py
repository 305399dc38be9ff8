"""Decides when the exchange misbehaves: a seeded plan of faults, asked at every request, frame and handshake.

A rule fires at its occasions: `where` is a glob over "METHOD /path" or "stream:trade_updates" / "stream:market_data".
With `at` N it fires from the N-th occasion on (once, unless `count` says more), with `probability` by a seeded draw,
with neither at every occasion. `count` bounds how often, `for_seconds` how long after its first firing (real seconds).
Each rule draws for itself, so what it does depends on its own occasions alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from quant_trading_system.simulator.server.fault_kinds import (
    DEED_KINDS,
    DESCRIPTIONS,
    FRAME_KINDS,
    JSON_KINDS,
    REST_KINDS,
    TRADE_FRAME_KINDS,
    Kind,
)
from quant_trading_system.simulator.server.fault_rules import (
    FIELDS,
    LATENCY_MS_DEFAULT,
    FaultPlanError,
    FaultRule,
    parse_flag,
    parse_plan,
)

__all__ = [
    "DESCRIPTIONS",
    "FIELDS",
    "FRAME_KINDS",
    "JSON_KINDS",
    "LATENCY_MS_DEFAULT",
    "MARKET_DATA",
    "REST_KINDS",
    "TRADE_FRAME_KINDS",
    "TRADE_UPDATES",
    "FaultPlan",
    "FaultPlanError",
    "FaultRule",
    "Firing",
    "Kind",
    "parse_flag",
    "parse_plan",
]

TRADE_UPDATES = "stream:trade_updates"
MARKET_DATA = "stream:market_data"
NEVER_NS = 1 << 63


@dataclass(slots=True)
class _Armed:
    """A rule and what has happened to it."""

    rule: FaultRule
    chance: random.Random
    armed_s: float
    is_done_at_its_time: bool  # a deed with nothing but a time
    occasions: int = 0
    fired: int = 0
    first_fired_s: float | None = None
    last_fired_s: float | None = None
    kept: dict[str, object] = field(default_factory=dict)

    def is_over(self, now_s: float) -> bool:
        if self.fired >= self.rule.count_max:
            return True
        lasts_s = self.rule.for_seconds
        return lasts_s is not None and self.first_fired_s is not None and now_s >= self.first_fired_s + lasts_s

    def is_in_force(self, now_s: float) -> bool:
        """For a state such as muteness: it has begun and its time is not over (`count` does not end it)."""
        if self.first_fired_s is None:
            return False
        return self.rule.for_seconds is None or now_s < self.first_fired_s + self.rule.for_seconds

    def rests(self, now_s: float) -> bool:
        """Whether it fired, or was armed, less than `every_seconds` ago."""
        every_s = self.rule.every_seconds
        return every_s is not None and now_s < (self.last_fired_s or self.armed_s) + every_s

    def as_json(self) -> dict[str, object]:
        told = {**self.rule.as_json(), "fired": self.fired}
        return {**told, "error": self.kept["error"]} if "error" in self.kept else told

    def note(self, now_s: float) -> None:
        self.fired += 1
        self.last_fired_s = now_s
        if self.first_fired_s is None:
            self.first_fired_s = now_s


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fires, and what it keeps from one firing to the next."""

    rule: FaultRule
    kept: dict[str, object]


class FaultPlan:
    """The rules in force. One plan at a time; posting another replaces it, an empty one heals.

    Args:
        mono_s: monotonic seconds; faults last in real time.
        venue_ns: venue time, for rules that wait for a moment of it.
    """

    def __init__(self, mono_s: Callable[[], float], venue_ns: Callable[[], int] = lambda: 0) -> None:
        self._mono_s = mono_s
        self._venue_ns = venue_ns
        self._seed = 0
        self._armed: list[_Armed] = []
        self.next_deed_ns = NEVER_NS

    def replace(self, rules: Sequence[FaultRule], *, seed: int = 0) -> None:
        """Forget the old rules with all they counted, and arm these."""
        now_s, venue_ns = self._mono_s(), self._venue_ns()
        self._seed = seed
        self._armed = [
            _Armed(
                rule,
                random.Random(f"{seed}/{number}/{rule.kind}"),  # noqa: S311 - chance of a rehearsal, nothing secret
                now_s,
                rule.kind in DEED_KINDS and rule.at_time is not None and rule.is_unconditional,
            )
            for number, rule in enumerate(rules)
            if not (rule.kind in DEED_KINDS and _has_passed(rule, venue_ns))
        ]
        self._plan_next_deed()

    @property
    def is_empty(self) -> bool:
        return not self._armed

    def fires(self, kind: Kind, where: str) -> FaultRule | None:
        """Count an occasion for this kind here; answer the rule that fires, if one does."""
        for armed in self._matching(kind, where):
            if self._fires_now(armed):
                return armed.rule
        return None

    def fire_each(self, where: str, kinds: Collection[Kind], *, event: str = "") -> list[Firing]:
        """Count one occasion for every rule of these kinds here; answer what fires, in the plan's order.

        All rules see the same occasions: a request that one fault ends counts for the others too. `event` is the name
        of a frame's event: rules for other events do not count it.
        """
        return [
            Firing(armed.rule, armed.kept)
            for armed in self._armed
            if armed.rule.kind in kinds
            and _is_at(armed.rule, where)
            and armed.rule.concerns(event)
            and self._fires_now(armed)
        ]

    def fire_all(self, where: str, kinds: Collection[Kind], *, event: str = "") -> dict[Kind, Firing]:
        """As `fire_each`, the first of each kind."""
        fired: dict[Kind, Firing] = {}
        for firing in self.fire_each(where, kinds, event=event):
            fired.setdefault(firing.rule.kind, firing)
        return fired

    def fires_at_age(self, kind: Kind, where: str, age_s: float) -> FaultRule | None:
        """Count a connection that has come to the age of a rule; the caller asks once for each and rule."""
        for armed in self._matching(kind, where):
            after_s = armed.rule.after_seconds
            if after_s is not None and age_s >= after_s and self._fires_now(armed):
                return armed.rule
        return None

    def fires_with_code(self, kind: Kind, where: str, codes: Collection[int]) -> int | None:
        """Count an occasion for the rules with one of these codes; answer the code of the one that fires."""
        for armed in self._matching(kind, where):
            code = armed.rule.code
            if code is not None and code in codes and self._fires_now(armed):
                return code
        return None

    def has(self, kind: Kind) -> bool:
        """Whether a rule of this kind waits for its occasion or is in force."""
        now_s = self._mono_s()
        same_kind = (armed for armed in self._armed if armed.rule.kind is kind)
        return any(armed.first_fired_s is None or armed.is_in_force(now_s) for armed in same_kind)

    def in_force(self, kind: Kind) -> list[Firing]:
        """The rules of a kind that have begun and are not over: states."""
        now_s = self._mono_s()
        return [
            Firing(armed.rule, armed.kept)
            for armed in self._armed
            if armed.rule.kind is kind and armed.is_in_force(now_s)
        ]

    def is_muted(self, where: str, *, at_frame: bool) -> bool:
        """Whether a stream is mute now. A counted or drawn rule is asked at frames alone, and then stays in force."""
        now_s = self._mono_s()
        for armed in self._matching(Kind.MUTE_STREAM, where):
            if armed.is_in_force(now_s):
                return True
            may_begin = at_frame or armed.rule.is_unconditional
            if armed.first_fired_s is None and may_begin and self._fires_now(armed):
                return True
        return False

    def cuts_stream(self, where: str, *, at_frame: bool) -> bool:
        """Whether a stream is to be cut now; an unconditional rule does not wait for a frame."""
        return self.strikes(Kind.DISCONNECT_STREAM, where, at_frame=at_frame) is not None

    def strikes(self, kind: Kind, where: str, *, at_frame: bool) -> FaultRule | None:
        """The rule that acts on a stream's open connections now; an unconditional one does not wait for a frame."""
        for armed in self._matching(kind, where):
            if armed.rule.after_seconds is not None:
                continue  # asked for each connection, by its age
            if (at_frame or armed.rule.is_unconditional) and self._fires_now(armed):
                return armed.rule
        return None

    def due_deeds(self) -> list[Firing]:
        """The deeds whose moment of venue time has come, in the order of their moments."""
        now_ns = self._venue_ns()
        if now_ns < self.next_deed_ns:
            return []
        due = [armed for armed in self._dated_deeds() if (armed.rule.at_time or 0) <= now_ns]
        for armed in due:
            armed.note(self._mono_s())
        self._plan_next_deed()
        return [Firing(armed.rule, armed.kept) for armed in sorted(due, key=lambda armed: armed.rule.at_time or 0)]

    def as_json(self) -> dict[str, object]:
        return {
            "faults": [armed.as_json() for armed in self._armed],
            "seed": self._seed,
            "kinds": {kind.value: text for kind, text in DESCRIPTIONS.items()},
            "fields": dict(FIELDS),
        }

    def _matching(self, kind: Kind, where: str) -> list[_Armed]:
        return [armed for armed in self._armed if armed.rule.kind is kind and _is_at(armed.rule, where)]

    def _dated_deeds(self) -> list[_Armed]:
        return [armed for armed in self._armed if armed.is_done_at_its_time and armed.fired == 0]

    def _plan_next_deed(self) -> None:
        self.next_deed_ns = min((armed.rule.at_time or 0 for armed in self._dated_deeds()), default=NEVER_NS)

    def _fires_now(self, armed: _Armed) -> bool:
        now_s = self._mono_s()
        if armed.is_done_at_its_time or armed.is_over(now_s) or armed.rests(now_s):
            return False
        rule = armed.rule
        if rule.at_time is not None and self._venue_ns() < rule.at_time:
            return False
        armed.occasions += 1
        if rule.at is not None and armed.occasions < rule.at:
            return False
        if rule.probability is not None and armed.chance.random() >= rule.probability:
            return False
        armed.note(now_s)
        return True


def _is_at(rule: FaultRule, where: str) -> bool:
    return fnmatchcase(where.casefold(), rule.where.casefold())


def _has_passed(rule: FaultRule, venue_ns: int) -> bool:
    """A deed of the past is not done again, as after a restart with the same plan."""
    return rule.at_time is not None and rule.is_unconditional and rule.at_time <= venue_ns
