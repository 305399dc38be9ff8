"""Decides whether a request is within the budget of its minute of venue time (Alpaca: 200 a minute and account)."""

from __future__ import annotations

from dataclasses import dataclass

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos

PER_MINUTE_SAID = 200  # what an injected 429 names where there is no limit
BUDGETS_MAX = 100  # one for each key and interface; there is one key


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one request found: whether it may pass, and the numbers for the X-RateLimit headers."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_epoch_s: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_epoch_s),
        }


class RateLimiter:
    """Counts requests of each budget in windows of one venue minute.

    Args:
        per_minute: requests a minute; 0 means no limit.
    """

    def __init__(self, per_minute: int) -> None:
        assert per_minute >= 0, f"expected a limit of at least 0 a minute, found {per_minute}"
        self.per_minute = per_minute
        self._used: dict[str, tuple[int, int]] = {}

    def take(self, budget: str, now_ns: Nanos) -> Allowance | None:
        """Use one request of a budget; None where there is no limit."""
        if self.per_minute == 0:
            return None
        window = now_ns // NANOS_PER_MINUTE
        known_window, used = self._used.get(budget, (window, 0))
        if known_window != window:
            used = 0
        is_allowed = used < self.per_minute
        used += is_allowed
        assert budget in self._used or len(self._used) < BUDGETS_MAX, "budgets are named by the code, not by clients"
        self._used[budget] = (window, used)
        return Allowance(
            is_allowed=is_allowed,
            limit=self.per_minute,
            remaining=self.per_minute - used,
            reset_epoch_s=_reset_epoch_s(window),
        )

    def spent_headers(self, now_ns: Nanos) -> dict[str, str]:
        """The headers of a 429 that has another cause than the budget."""
        reset_epoch_s = _reset_epoch_s(now_ns // NANOS_PER_MINUTE)
        limit = self.per_minute or PER_MINUTE_SAID
        return Allowance(is_allowed=False, limit=limit, remaining=0, reset_epoch_s=reset_epoch_s).headers()


def _reset_epoch_s(window: int) -> int:
    """The second at which the window after this one begins."""
    return (window + 1) * NANOS_PER_MINUTE // NANOS_PER_SECOND
