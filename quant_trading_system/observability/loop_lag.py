"""How late the event loop runs its timers. Decides how often that is sampled and over how long its p99 is taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from quant_trading_system.core.types import NANOS_PER_SECOND

PERIOD_S = 0.05  # twenty samples a second cost nothing and see every stall that could delay an order by 50 ms
SAMPLES_MAX = 1_200  # one minute


class LoopLag:
    """Sleeps on a fixed grid and measures by the monotonic clock how much later than asked it woke, in seconds."""

    def __init__(
        self,
        mono_ns: Callable[[], int],
        *,
        on_sample: Callable[[float], None] = lambda _lag_s: None,
        period_s: float = PERIOD_S,
        samples_max: int = SAMPLES_MAX,
    ) -> None:
        self._mono_ns = mono_ns
        self._on_sample = on_sample
        self._period_s = period_s
        self._samples: deque[float] = deque(maxlen=samples_max)
        self._worst_s = 0.0

    async def run(self) -> None:
        """Sample until cancelled. Slots that passed during a stall are skipped, so that one stall is one sample."""
        due_s = self._now_s() + self._period_s
        while True:
            await asyncio.sleep(max(0.0, due_s - self._now_s()))
            now_s = self._now_s()
            lag_s = max(0.0, now_s - due_s)
            self._samples.append(lag_s)
            self._worst_s = max(self._worst_s, lag_s)
            self._on_sample(lag_s)
            due_s = max(due_s + self._period_s, now_s)

    @property
    def latest_s(self) -> float:
        return self._samples[-1] if self._samples else 0.0

    @property
    def max_s(self) -> float:
        """The longest lag of the window."""
        return max(self._samples, default=0.0)

    def take_worst_s(self) -> float:
        """The longest lag since the last call: whoever looks once a second misses no stall in between."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return worst_s

    def quantile_s(self, share: float) -> float:
        """The lag that `share` (0 to 1) of the window's samples do not exceed; 0 before the first sample."""
        assert 0 <= share <= 1, f"a share lies between 0 and 1, was {share}"
        if not self._samples:
            return 0.0
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _now_s(self) -> float:
        return self._mono_ns() / NANOS_PER_SECOND
