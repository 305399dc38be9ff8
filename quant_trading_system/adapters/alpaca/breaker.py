"""Decides when a sick target is left alone: the circuit breaker, with one probe at a time."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from quant_trading_system.adapters.alpaca.failures import CircuitOpen
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.types import NANOS_PER_SECOND

FAILURES_MAX = 5  # in a row; one slow answer is not an outage
OPEN_SECONDS = 60.0
READ_PROBE_SECONDS = 5.0  # the books must agree within 35 s after the broker heals (I15), so reads look more often


class BreakerState(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Permit:
    """One request that may go out. Settled once: it worked, it failed, or (cancelled before an answer) says nothing."""

    def __init__(self, breaker: CircuitBreaker, *, is_probe: bool) -> None:
        self._breaker = breaker
        self._is_probe = is_probe
        self._is_settled = False

    def succeed(self) -> None:
        if self._settle():
            self._breaker.on_success()

    def fail(self) -> None:
        if self._settle():
            self._breaker.on_failure()

    def release(self) -> None:
        """Give it back without a verdict; does nothing after a verdict."""
        if self._settle() and self._is_probe:
            self._breaker.on_probe_lost()

    def _settle(self) -> bool:
        first = not self._is_settled
        self._is_settled = True
        return first


class CircuitBreaker:
    """Closed → open after `failures` in a row → half-open after `open_seconds` → closed or open by one probe's outcome.

    Cancels and orders that reduce exposure go past it (`bypass`): for them a try is always right. Their outcome counts.
    A read does no harm, so while the breaker is open one of them may probe every few seconds; orders wait for a probe
    that worked, or for the full time.

    Args:
        target: name of what is protected, for messages and metrics.
        failures: failures in a row that open it.
        open_seconds: monotonic seconds it stays open.
        clock: its monotonic time is used.
        on_change: told (target, state) at every change of state.
    """

    def __init__(
        self,
        target: str,
        *,
        clock: Clock,
        failures: int = FAILURES_MAX,
        open_seconds: float = OPEN_SECONDS,
        on_change: Callable[[str, BreakerState], None] = lambda _target, _state: None,
    ) -> None:
        assert failures > 0, "a breaker opens after at least one failure"
        assert open_seconds > 0, "an open breaker stays open for a while"
        self.target = target
        self.state = BreakerState.CLOSED
        self._clock = clock
        self._failures_max = failures
        self._open_ns = int(open_seconds * NANOS_PER_SECOND)
        self._on_change = on_change
        self._failures = 0
        self._opened_mono_ns = 0
        self._is_probing = False

    def admit(self) -> Permit:
        """Let an ordinary request out, or the one probe.

        Raises:
            CircuitOpen: the target is being left alone.
        """
        return self._admit(self._open_ns)

    def admit_read(self) -> Permit:
        """Let a read out, or a read as the one probe.

        Raises:
            CircuitOpen: the target is being left alone.
        """
        return self._admit(min(self._open_ns, int(READ_PROBE_SECONDS * NANOS_PER_SECOND)))

    def bypass(self) -> Permit:
        """Let a request out whatever the state: a cancel, or an order that reduces exposure."""
        return Permit(self, is_probe=False)

    def on_success(self) -> None:
        self._failures = 0
        self._is_probing = False
        self._set(BreakerState.CLOSED)

    def on_failure(self) -> None:
        self._failures += 1
        if self.state is BreakerState.OPEN:
            return  # a failed cancel must not keep it open for ever
        if self.state is BreakerState.HALF_OPEN or self._failures >= self._failures_max:
            self._is_probing = False
            self._opened_mono_ns = self._clock.mono_ns()
            self._set(BreakerState.OPEN)

    def on_probe_lost(self) -> None:
        """The probe was cancelled: whoever waited long enough may probe at once."""
        self._is_probing = False
        if self.state is BreakerState.HALF_OPEN:
            self._set(BreakerState.OPEN)

    def _admit(self, rest_ns: int) -> Permit:
        if self.state is BreakerState.CLOSED:
            return Permit(self, is_probe=False)
        left_s = (self._opened_mono_ns + rest_ns - self._clock.mono_ns()) / NANOS_PER_SECOND
        if self.state is BreakerState.OPEN and left_s > 0:
            raise CircuitOpen(f"{self.target} failed {self._failures} times in a row; next try in {left_s:.0f} s")
        if self._is_probing:
            raise CircuitOpen(f"{self.target} is being probed by another request")
        self._is_probing = True
        self._set(BreakerState.HALF_OPEN)
        return Permit(self, is_probe=True)

    def _set(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(self.target, state)
