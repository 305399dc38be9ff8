"""Whether the daemon lives. Decides how long a loop may stand still."""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.types import NANOS_PER_SECOND

LOOP_STALL_SECONDS_MAX = 10.0
"""Longer than any legal pause of the engine loop (1 s is alarmed); shorter than the unit's WatchdogSec of 20."""

ENGINE = "engine"
LOOP = "loop"


class Health:
    """Heartbeats by name in monotonic time. The engine loop's decides; before it runs, the event loop's does."""

    def __init__(self, mono_ns: Callable[[], int], *, stall_seconds_max: float = LOOP_STALL_SECONDS_MAX) -> None:
        self._mono_ns = mono_ns
        self._stall_seconds_max = stall_seconds_max
        self._beats_ns: dict[str, int] = {}
        self._started_ns = mono_ns()

    def heartbeat(self, name: str) -> None:
        """Say that `name` advanced just now."""
        self._beats_ns[name] = self._mono_ns()

    def age_s(self, name: str) -> float | None:
        """Seconds since `name` advanced; None where it never did."""
        beat_ns = self._beats_ns.get(name)
        return None if beat_ns is None else (self._mono_ns() - beat_ns) / NANOS_PER_SECOND

    def livez(self) -> tuple[bool, str]:
        """Whether the engine loop advanced lately. Asks nothing outside this process."""
        for name in (ENGINE, LOOP):
            age_s = self.age_s(name)
            if age_s is not None:
                is_alive = age_s <= self._stall_seconds_max
                return is_alive, f"{name} loop advanced {age_s:.1f} s ago, limit {self._stall_seconds_max:.0f} s"
        age_s = (self._mono_ns() - self._started_ns) / NANOS_PER_SECOND
        return age_s <= self._stall_seconds_max, f"starting for {age_s:.1f} s, no loop has advanced yet"

    def ages_s(self) -> dict[str, float]:
        """Every heartbeat's age in seconds, by name."""
        now_ns = self._mono_ns()
        return {name: (now_ns - beat_ns) / NANOS_PER_SECOND for name, beat_ns in sorted(self._beats_ns.items())}
