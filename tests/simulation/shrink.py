"""Makes a failing plan small: fewer faults, shorter and simpler ones, plainer switches, as long as it still fails.

Decides what is minimal: nothing more can be taken away, in one step, without the failure going away. A failure is the
same where it breaks one of the invariants that the first run broke.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from tests.simulation.plan import SWITCHES, Fault, Plan
from tests.simulation.plan_kinds import BY_NAME, Choice, Span, Value

RUNS_MAX = 400
PLAIN: dict[str, float] = {
    "symbols": 1.0,
    "strategies": 1.0,
    "stops": 0.0,
    "partial_fill_probability": 0.0,
    "resting_probability": 0.0,
    "broker_latency_ms": 1.0,
    "broker_jitter_ms": 0.0,
    "stream_latency_ms": 0.0,
    "database_latency_ms": 0.2,
    "redis_latency_ms": 0.1,
    "ready_choice": 0.0,
    "quote_gap_s": 3.0,
    "inbox_max": 0.0,
    "writer_batch_max": 0.0,
    "dedup_open_only": 0.0,
    "restart_pause_s": 2.0,
}
"""What a switch is set to where that does not matter to the failure."""

Fails = Callable[[Plan], bool]


def shrink(plan: Plan, fails: Fails, *, runs_max: int = RUNS_MAX) -> Plan:
    """The smallest plan found that still fails. `fails` must hold for `plan` itself."""
    budget = _Budget(fails, runs_max)
    plan = _with_fewer_faults(plan, budget)
    while not budget.is_spent:
        simpler = next((each for each in _simpler(plan) if budget.fails(each)), None)
        if simpler is None:
            return plan
        plan = simpler
    return plan


def invariants_of(violations: Sequence[str]) -> frozenset[str]:
    """What was broken, by the first word of each violation."""
    return frozenset(text.split()[0].rstrip(":") for text in violations)


class _Budget:
    """Counts runs; a plan that was tried is not run again."""

    def __init__(self, fails: Fails, runs_max: int) -> None:
        self._fails = fails
        self._left = runs_max
        self._known: dict[bytes, bool] = {}

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def fails(self, plan: Plan) -> bool:
        key = msgspec.json.encode(plan)
        if key not in self._known:
            if self.is_spent:
                return False
            self._left -= 1
            self._known[key] = self._fails(plan)
        return self._known[key]


def _with_fewer_faults(plan: Plan, budget: _Budget) -> Plan:
    """Leave out halves, then quarters, then single faults, until none can go (delta debugging)."""
    size = max(1, len(plan.faults) // 2)
    while plan.faults:
        smaller = next((each for each in _without_parts(plan, size) if budget.fails(each)), None)
        if smaller is not None:
            plan = smaller
            size = max(1, min(size, len(plan.faults) // 2))
        elif size == 1:
            return plan
        else:
            size //= 2
    return plan


def _without_parts(plan: Plan, size: int) -> Iterator[Plan]:
    for first in range(0, len(plan.faults), size):
        yield msgspec.structs.replace(plan, faults=plan.faults[:first] + plan.faults[first + size :])


def _simpler(plan: Plan) -> Iterator[Plan]:
    """Plans that are simpler in one thing, the most telling first."""
    yield from (each for each in _without_parts(plan, 1) if plan.faults)
    for name, value in PLAIN.items():
        if name in SWITCHES and plan.switches.get(name, value) != value:
            yield msgspec.structs.replace(plan, switches={**plan.switches, name: value})
    for place, fault in enumerate(plan.faults):
        for simpler in _simpler_faults(fault):
            yield msgspec.structs.replace(plan, faults=(*plan.faults[:place], simpler, *plan.faults[place + 1 :]))


def _simpler_faults(fault: Fault) -> Iterator[Fault]:
    if fault.for_s > 1.0:
        yield msgspec.structs.replace(fault, for_s=float(f"{fault.for_s / 2:.3g}"))
    for name, value in fault.parameters.items():
        plainer = _plainer(fault.kind, name, value)
        if plainer is not None:
            yield msgspec.structs.replace(fault, parameters={**fault.parameters, name: plainer})


def _plainer(kind: str, name: str, value: Value) -> Value | None:
    """A value that says less: certainty instead of a probability, the first of a choice, half of a time."""
    parameter = BY_NAME[kind].parameters.get(name)
    if name == "probability":
        return None if value == 1.0 else 1.0
    if isinstance(parameter, Choice):
        return None if value == parameter.values[0] else parameter.values[0]
    if isinstance(parameter, Span) and isinstance(value, float) and name.endswith("_s") and value > 2 * parameter.low:
        return float(f"{value / 2:.3g}")
    return None
