"""How often the daemon may mend itself in a day before a person has to look (issue of order safety, point 6).

A day is the last 24 hours of real time, measured by the monotonic clock: sockets, servers and tasks fail in real time,
also where the venue's day takes minutes (`sim`); a sliding day has no midnight at which a broken daemon gets a fresh
budget, and a jump of the wall clock renews nothing. What earlier processes used comes with its age.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import MappingProxyType

from msgspec import Struct

from quant_trading_system.core.types import NANOS_PER_SECOND, HealingAction, MonoNanos

DAY_NS = 86_400 * NANOS_PER_SECOND


class HealingLimits(Struct, frozen=True, kw_only=True):
    """At most so many actions of each kind in 24 hours."""

    socket_cycles: int = 200
    store_reopenings: int = 10
    task_restarts: int = 3


CEILINGS = HealingLimits()
"""The defaults are the ceilings: a setting may only tighten."""

FIELDS = MappingProxyType(
    {
        HealingAction.SOCKET_CYCLE: "socket_cycles",
        HealingAction.STORE_REOPENING: "store_reopenings",
        HealingAction.TASK_RESTART: "task_restarts",
    }
)


class HealingBudget:
    """Counts what was used of each kind. Told the time, never reads it."""

    def __init__(self, limits: HealingLimits) -> None:
        self._limits = limits
        self._used: dict[HealingAction, deque[int]] = {action: deque() for action in HealingAction}

    def restore(self, ages: Iterable[tuple[str, float]], mono_ns: MonoNanos) -> None:
        """Take over what earlier processes used: (action, age in seconds)."""
        known = {action.value: action for action in HealingAction}
        for name, age_s in ages:
            if name in known:
                self._used[known[name]].append(mono_ns - int(max(0.0, age_s) * NANOS_PER_SECOND))
        for action, used in self._used.items():
            self._used[action] = deque(sorted(used))

    def limit(self, action: HealingAction) -> int:
        return int(getattr(self._limits, FIELDS[action]))

    def used(self, action: HealingAction, mono_ns: int) -> int:
        """How many of the last 24 hours, or since the last renewal."""
        used = self._used[action]
        while used and mono_ns - used[0] >= DAY_NS:
            used.popleft()
        return len(used)

    def take(self, action: HealingAction, mono_ns: int) -> bool:
        """Use one up. Returns False, and uses none, where the day's budget is gone."""
        if self.used(action, mono_ns) >= self.limit(action):
            return False
        self._used[action].append(mono_ns)
        return True

    def renew(self) -> None:
        """A person looked: everything counts from zero."""
        for used in self._used.values():
            used.clear()

    def state(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Everything that decides what is allowed next."""
        return tuple((action.value, tuple(used)) for action, used in self._used.items())
