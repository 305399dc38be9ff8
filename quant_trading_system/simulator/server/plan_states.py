"""States that a fault plan keeps the exchange in. Decides when they begin, and that they end with the plan."""

from __future__ import annotations

from collections.abc import Mapping

from quant_trading_system.simulator.configurations import AccountFlags
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.server.faults import FaultPlan, Kind


class PlanStates:
    """Cancels that stay pending, and flags on the account."""

    def __init__(self, exchange: Exchange, plan: FaultPlan) -> None:
        self._exchange = exchange
        self._plan = plan
        self._flags_before: AccountFlags | None = None

    def begin_stuck_cancels(self, where: str) -> None:
        """From a cancel on that the plan names, cancels stay pending."""
        if not self._plan.is_empty and self._plan.fires(Kind.PENDING_CANCEL_STUCK, where):
            self._exchange.cancels_stuck = True

    def begin_flags(self, flags: Mapping[str, object]) -> None:
        if self._flags_before is None:
            self._flags_before = self._exchange.account_flags
        self._exchange.account_flags = self._exchange.account_flags.changed(flags)

    def end_over(self) -> None:
        """Take back what no rule stands for any more."""
        if self._exchange.cancels_stuck and not self._plan.has(Kind.PENDING_CANCEL_STUCK):
            self._exchange.cancels_stuck = False
        if self._flags_before is not None and not self._plan.has(Kind.ACCOUNT_FLAGS):
            self._exchange.account_flags, self._flags_before = self._flags_before, None
