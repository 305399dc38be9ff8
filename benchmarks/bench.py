"""What a benchmark is: contenders that do the same work, and goals between them. Decides medians and verdicts.

Cores are shared and noisy, so only things measured in one run are compared: every round measures each contender once,
and the median of the rounds counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

ROUNDS = 5

Measure = Callable[[], float]
"""Does the work once and returns one number in the benchmark's unit."""


class Unavailable(Exception):
    """A contender cannot be measured here; the reason is shown in its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on one contender's value, or on the ratio of two, `of` divided by `to`; without a bound only shown."""

    says: str
    of: str
    bound: float | None = None
    is_met_by: Literal["at most", "at least"] = "at most"
    to: str | None = None
    binds_later: bool = False
    """A goal of the performance table that is shown already and may still be missed."""

    def measure(self, medians: Mapping[str, float]) -> float | None:
        """The number that the bound is about; None where a contender is missing."""
        if self.of not in medians or (self.to is not None and self.to not in medians):
            return None
        return medians[self.of] / (1.0 if self.to is None else medians[self.to])

    def is_met(self, number: float) -> bool:
        if self.bound is None:
            return True
        return number <= self.bound if self.is_met_by == "at most" else number >= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """`contenders` are named; the product's own comes first, then floors and peers."""

    name: str
    title: str
    unit: str
    contenders: Mapping[str, Measure]
    goals: tuple[Goal, ...] = ()
    rounds: int = ROUNDS


@dataclass(slots=True, kw_only=True)
class Result:
    bench: Bench
    values: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.values.items()}

    def verdicts(self) -> list[tuple[Goal, float | None]]:
        medians = self.medians
        return [(goal, goal.measure(medians)) for goal in self.bench.goals]

    @property
    def misses(self) -> list[str]:
        """The goals that bind, were measured, and are not met."""
        binding = [(goal, number) for goal, number in self.verdicts() if number is not None and not goal.binds_later]
        return [goal.says for goal, number in binding if not goal.is_met(number)]


def run(bench: Bench, *, rounds: int | None = None) -> Result:
    """Measure every contender in every round, so that a busy moment meets all of them alike."""
    result = Result(bench=bench)
    for _ in range(rounds or bench.rounds):
        for name, measure in bench.contenders.items():
            if name in result.missing:
                continue
            try:
                result.values.setdefault(name, []).append(measure())
            except Unavailable as reason:
                result.missing[name] = str(reason)
                result.values.pop(name, None)
    return result
