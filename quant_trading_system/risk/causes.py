"""The table of causes (controls.md): what trading state each brings, what it cancels, how it ends."""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType

from msgspec import Struct

from quant_trading_system.core.types import Severity, TradingState


class End(Enum):
    """How a cause ends."""

    CLEARED = auto()  # whoever raised it says it is gone
    QUIET = auto()  # gone, and `quiet_seconds` without it
    SESSION = auto()  # the next session begins
    RECOVERY = auto()  # its measure came back half-way: the guards see to it
    OPERATOR = auto()  # an operator lifts what an operator did
    RESET = auto()  # latched: a named person resets, with a reason and a clean reconciliation


class Cause(Struct, frozen=True):
    """One row of the table. `incident_after_s`: it counts as an incident once it lasted so long; None: never."""

    state: TradingState
    cancels_entries: bool
    end: End
    incident_after_s: float | None = 0.0

    @property
    def is_latched(self) -> bool:
        return self.end is End.RESET

    @property
    def is_durable(self) -> bool:
        """Whether it must survive a restart: nobody would raise it again."""
        return self.end in (End.SESSION, End.RECOVERY, End.OPERATOR, End.RESET)

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if self.state is TradingState.HALTED else Severity.WARNING


HALTED, REDUCING = TradingState.HALTED, TradingState.REDUCING
STREAM_GAP_SECONDS = 45.0
"""A stream gap that heals within it closes the gate meanwhile and is no incident (requirements.md, Reset)."""

KILL = "kill"
INCIDENTS = "incidents"
EQUITY_FLOOR = "equity_floor"
PAUSED = "paused"
HEALING_EXHAUSTED = "healing_exhausted"

CAUSES = MappingProxyType(
    {
        KILL: Cause(HALTED, True, End.RESET),
        "daily_loss_hard": Cause(HALTED, True, End.RESET),
        "drawdown_hard": Cause(HALTED, True, End.RESET),
        "intraday_drawdown_hard": Cause(HALTED, True, End.RESET),
        EQUITY_FLOOR: Cause(HALTED, True, End.RESET),
        INCIDENTS: Cause(HALTED, True, End.RESET, None),
        HEALING_EXHAUSTED: Cause(HALTED, True, End.RESET),
        "daily_loss_soft": Cause(REDUCING, True, End.SESSION),
        "intraday_drawdown_soft": Cause(REDUCING, True, End.SESSION),
        "drawdown_soft": Cause(REDUCING, True, End.RECOVERY),
        "reconciliation_age": Cause(REDUCING, True, End.QUIET),
        "drift": Cause(REDUCING, True, End.QUIET),
        "feed_silent": Cause(REDUCING, True, End.CLEARED, STREAM_GAP_SECONDS),
        "trade_updates_down": Cause(REDUCING, False, End.CLEARED, STREAM_GAP_SECONDS),
        "broker_unreachable": Cause(REDUCING, False, End.CLEARED, STREAM_GAP_SECONDS),
        "account_blocked": Cause(REDUCING, False, End.CLEARED),
        "database_down": Cause(HALTED, False, End.CLEARED),
        "kill_state_unreadable": Cause(HALTED, False, End.CLEARED),
        "redis_down": Cause(REDUCING, False, End.CLEARED),
        "loop_lag": Cause(REDUCING, False, End.QUIET),
        "clock_skew": Cause(REDUCING, False, End.QUIET),
        "disk": Cause(REDUCING, False, End.QUIET),
        "commit_latency": Cause(REDUCING, False, End.QUIET),
        "inbox_overflow": Cause(REDUCING, False, End.QUIET),
        PAUSED: Cause(REDUCING, False, End.OPERATOR, None),  # entries are cancelled only if the operator asks
    }
)

UNLISTED = Cause(HALTED, True, End.RESET)
"""What a cause means that this version does not know: a newer one wrote it, so it fails closed."""


def cause_of(name: str) -> Cause:
    """The row of one cause; the strictest row for a name that is not in the table."""
    return CAUSES.get(name, UNLISTED)
