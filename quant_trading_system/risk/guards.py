"""The trading state: ACTIVE, REDUCING or HALTED, from the causes that stand and the losses that are measured.

Fails closed: a cause of unknown name halts, a latched cause ends by a named person alone, and a restart, a day roll or
a jump of the clock resets nothing (I10, I19).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypedDict

from msgspec import Struct

from quant_trading_system.core.events import RestoredGuards
from quant_trading_system.core.money import ZERO, plain, to_cents
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Nanos, Severity, TradingState
from quant_trading_system.core.views import CauseView
from quant_trading_system.risk.baselines import Baselines
from quant_trading_system.risk.causes import EQUITY_FLOOR, INCIDENTS, Cause, End, cause_of
from quant_trading_system.risk.limits import RiskLimits

LEVELS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
UNREADABLE = "kill_state_unreadable"
DRAWDOWN_HARD = "drawdown_hard"
ACKNOWLEDGED_BY_RESET = ("daily_loss_hard", "intraday_drawdown_hard")
"""After a reset they stay silent until the next session: their soft cause still keeps the daemon from taking risk."""


class GuardChange(Struct, frozen=True, kw_only=True):
    """A cause came, or the state relaxed. `state` is the trading state after it."""

    state: TradingState
    cause: str
    detail: str
    cancels_entries: bool
    is_latched: bool
    severity: Severity


class DurableState(TypedDict):
    """The fields of `core.records.GuardRecord`, its stamps excepted."""

    session_date: str
    day_start_equity_usd: Decimal | None
    high_water_mark_usd: Decimal | None
    session_high_usd: Decimal | None
    equity_floor_usd: Decimal | None
    first_equity_usd: Decimal | None
    incidents: int
    state: TradingState
    causes: tuple[tuple[str, str], ...]


class _Standing(Struct):
    """One cause that stands. `gone_mono_ns`: since when whoever raised it says it is gone."""

    detail: str
    since_ns: Nanos
    since_mono_ns: MonoNanos
    gone_mono_ns: MonoNanos | None = None


class Guards:
    """Collects causes and equity readings; answers what may be done. Told the time, never reads it."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self._baselines = Baselines()
        self._standing: dict[str, _Standing] = {}
        self._changes: list[GuardChange] = []
        self._acknowledged: set[str] = set()
        self._incidents = 0
        self._counted_level = 0
        self._was_active = False  # before the daemon was ACTIVE once, what stands is the start, not an incident

    # what is told

    def restore(self, saved: RestoredGuards | None, *, session_date: str) -> None:
        """Take over what the last process knew; without any, the day's numbers begin at `session_date`."""
        if saved is None:
            self._baselines.session_date = session_date
            return
        self._baselines.restore(saved)
        self._incidents = saved.incidents
        for cause, detail in saved.causes:
            self._standing[cause] = _Standing(detail=detail, since_ns=Nanos(0), since_mono_ns=MonoNanos(0))
            self._note(cause, f"{detail} (restored)")

    def begin_session(self, session_date: str, equity_usd: Decimal) -> None:
        """A session opened: what lasts for a session ends. The same session again changes nothing."""
        if not self._baselines.begin_session(session_date, equity_usd):
            return
        self._incidents = 0
        self._acknowledged.clear()
        for cause in [name for name in self._standing if cause_of(name).end is End.SESSION]:
            self._end(cause, f"session {session_date} begins")

    def on_equity(
        self,
        *,
        equity_usd: Decimal,
        last_equity_usd: Decimal,
        flows_usd: Decimal,
        session_date: str,
        venue_ns: Nanos,
        mono_ns: MonoNanos,
        is_day_over: bool = False,
    ) -> None:
        """Measure the losses anew and trip what crosses its limit. The day of these guards is over at its close."""
        baselines = self._baselines
        baselines.session_date = baselines.session_date or session_date
        if not baselines.take(
            equity_usd=equity_usd,
            last_equity_usd=last_equity_usd,
            flows_usd=flows_usd,
            mono_ns=mono_ns,
            is_day_over=is_day_over,
        ):
            return
        for cause, detail in self._crossed():
            if cause not in self._acknowledged:
                self.raise_cause(cause, detail, venue_ns=venue_ns, mono_ns=mono_ns)
        drawdown = baselines.drawdown_ratio
        if drawdown is not None and drawdown < self._limits.drawdown_soft_fraction / 2:
            self._end("drawdown_soft", "drawdown below half of the soft limit")

    def on_flow(self, amount_usd: Decimal) -> None:
        """A deposit or withdrawal is neither gain nor loss: every mark moves with it, in the step that books it."""
        self._baselines.on_flow(amount_usd)

    def raise_cause(self, cause: str, detail: str, *, venue_ns: Nanos, mono_ns: MonoNanos) -> None:
        """Say that something is wrong. Said again while it stands, it begins its quiet period anew."""
        standing = self._standing.get(cause)
        if standing is not None:
            standing.gone_mono_ns = None
            standing.detail = detail
            return
        self._standing[cause] = _Standing(detail=detail, since_ns=venue_ns, since_mono_ns=mono_ns)
        self._note(cause, detail)
        self._count_incident(venue_ns=venue_ns, mono_ns=mono_ns)

    def clear_cause(self, cause: str, *, venue_ns: Nanos, mono_ns: MonoNanos) -> None:
        """Say that it is gone. A latched cause, and one that lasts for the session, stand nevertheless."""
        del venue_ns
        standing = self._standing.get(cause)
        if standing is None:
            return
        end = cause_of(cause).end
        if end in (End.CLEARED, End.OPERATOR):
            self._end(cause, "gone")
        elif end is End.QUIET and standing.gone_mono_ns is None:
            standing.gone_mono_ns = mono_ns

    def on_time(self, *, venue_ns: Nanos, mono_ns: MonoNanos) -> None:
        """End what was quiet long enough; count what lasted long enough."""
        quiet_ns = self._limits.quiet_seconds * NANOS_PER_SECOND
        for cause, standing in list(self._standing.items()):
            if standing.gone_mono_ns is not None and mono_ns - standing.gone_mono_ns >= quiet_ns:
                self._end(cause, f"gone for {self._limits.quiet_seconds:.0f} s")
        self._was_active = self._was_active or self.state is TradingState.ACTIVE
        self._count_incident(venue_ns=venue_ns, mono_ns=mono_ns)

    def reset(
        self,
        *,
        operator: str,
        reason: str,
        venue_ns: Nanos,
        mono_ns: MonoNanos,
        has_clean_reconciliation: bool,
        has_unknown_orders: bool,
    ) -> tuple[bool, str]:
        """End every latched cause by the word of a person. Returns whether it was done, and what became of it."""
        del venue_ns, mono_ns
        latched = [name for name in self._standing if cause_of(name).is_latched]
        refusal = self._reset_refusal(
            operator, reason, is_clean=has_clean_reconciliation, has_unknown_orders=has_unknown_orders
        )
        if refusal is None and not latched and UNREADABLE not in self._standing:
            refusal = "nothing is latched"
        if refusal is not None:
            return False, refusal
        self._acknowledged.update(name for name in latched if name in ACKNOWLEDGED_BY_RESET)
        if DRAWDOWN_HARD in latched:
            self._baselines.move_drawdown_marks()
            self._end("drawdown_soft", f"mark moved by {operator}")
        if INCIDENTS in latched:
            self._incidents = 0
        for cause in latched:
            self._end(cause, f"reset by {operator}: {reason}")
        return True, self._after_reset(latched)

    # what is asked

    @property
    def state(self) -> TradingState:
        if not self._standing:
            return TradingState.ACTIVE
        return max((cause_of(name).state for name in self._standing), key=LEVELS.__getitem__)

    def allows(self, *, reduces_exposure: bool) -> bool:
        """Whether an order may pass in this state. One that reduces exposure may, in every state."""
        return reduces_exposure or self.state is TradingState.ACTIVE

    def causes(self) -> tuple[CauseView, ...]:
        """Everything that stands, the gravest first."""
        views = [
            CauseView(
                cause=name,
                detail=self._told(standing),
                state=cause_of(name).state,
                since_ns=standing.since_ns,
                is_latched=cause_of(name).is_latched,
            )
            for name, standing in self._standing.items()
        ]
        return tuple(sorted(views, key=lambda view: -LEVELS[view.state]))

    def take_changes(self) -> tuple[GuardChange, ...]:
        """What changed since the last call."""
        changes, self._changes = tuple(self._changes), []
        return changes

    def durable_state(self) -> DurableState:
        """What must survive this process."""
        baselines = self._baselines
        return DurableState(
            session_date=baselines.session_date,
            day_start_equity_usd=baselines.day_start_equity_usd,
            high_water_mark_usd=baselines.high_water_mark_usd,
            session_high_usd=baselines.session_high_usd,
            equity_floor_usd=self.equity_floor_usd,
            first_equity_usd=baselines.first_equity_usd,
            incidents=self._incidents,
            state=self.state,
            causes=tuple(
                (name, standing.detail) for name, standing in self._standing.items() if cause_of(name).is_durable
            ),
        )

    @property
    def incidents(self) -> int:
        return self._incidents

    @property
    def session_date(self) -> str:
        return self._baselines.session_date

    @property
    def day_pnl_usd(self) -> Decimal | None:
        return self._baselines.day_pnl_usd

    @property
    def day_loss_ratio(self) -> Decimal | None:
        return self._baselines.day_loss_ratio

    @property
    def drawdown_ratio(self) -> Decimal | None:
        return self._baselines.drawdown_ratio

    @property
    def intraday_drawdown_ratio(self) -> Decimal | None:
        return self._baselines.intraday_drawdown_ratio

    @property
    def equity_floor_usd(self) -> Decimal | None:
        floor = self._limits.equity_floor_usd
        return floor if floor is not None else self._baselines.default_floor_usd

    # inside

    def _crossed(self) -> list[tuple[str, str]]:
        limits, baselines = self._limits, self._baselines
        measures = (
            ("daily_loss", baselines.day_loss_ratio, limits.daily_loss_soft_fraction, limits.daily_loss_hard_fraction),
            ("drawdown", baselines.drawdown_ratio, limits.drawdown_soft_fraction, limits.drawdown_hard_fraction),
            (
                "intraday_drawdown",
                baselines.intraday_drawdown_ratio,
                limits.intraday_drawdown_soft_fraction,
                limits.intraday_drawdown_hard_fraction,
            ),
        )
        crossed = []
        for name, ratio, soft, hard in measures:
            if not ratio:  # unknown, or nothing lost; a limit is more than 0
                continue
            for kind, limit in (("soft", soft), ("hard", hard)):
                if ratio >= limit:
                    crossed.append((f"{name}_{kind}", f"{_percent(ratio)} of equity lost, limit {_percent(limit)}"))
        return crossed + self._crossed_amounts()

    def _crossed_amounts(self) -> list[tuple[str, str]]:
        crossed = []
        pnl, limit = self._baselines.day_pnl_usd, self._limits.daily_loss_hard_usd
        if pnl is not None and limit is not None and -pnl >= limit:
            crossed.append(("daily_loss_hard", f"{plain(to_cents(-pnl))} USD lost today, limit {plain(limit)} USD"))
        equity, floor = self._baselines.equity_usd, self.equity_floor_usd
        if equity is not None and floor is not None and equity < floor:
            crossed.append((EQUITY_FLOOR, f"equity {plain(to_cents(equity))} USD, floor {plain(to_cents(floor))} USD"))
        return crossed

    def _reset_refusal(self, operator: str, reason: str, *, is_clean: bool, has_unknown_orders: bool) -> str | None:
        if not operator.strip():
            return "a reset needs the name of an operator"
        if not reason.strip():
            return "a reset needs a reason"
        if has_unknown_orders:
            return "the fate of at least one order is unknown"
        if not is_clean:
            return "there is no clean reconciliation within its limit of age"
        equity, floor = self._baselines.equity_usd, self.equity_floor_usd
        if EQUITY_FLOOR in self._standing and equity is not None and floor is not None and equity < floor:
            return f"equity {plain(to_cents(equity))} USD is still below the floor of {plain(to_cents(floor))} USD"
        return None

    def _after_reset(self, latched: list[str]) -> str:
        left = ", ".join(view.cause for view in self.causes())
        text = f"ended: {', '.join(latched) or 'nothing latched'}; trading state is {self.state}"
        return f"{text} ({left})" if left else text

    def _told(self, standing: _Standing) -> str:
        """The detail, and that it is over, while the quiet period runs that must pass before the cause ends."""
        if standing.gone_mono_ns is None:
            return standing.detail
        return f"{standing.detail}; over, ends after {self._limits.quiet_seconds:.0f} s of quiet"

    def _note(self, cause: str, detail: str) -> None:
        row: Cause = cause_of(cause)
        self._changes.append(
            GuardChange(
                state=self.state,
                cause=cause,
                detail=detail,
                cancels_entries=row.cancels_entries,
                is_latched=row.is_latched,
                severity=row.severity,
            )
        )

    def _end(self, cause: str, why: str) -> None:
        if cause not in self._standing:
            return
        before = self.state
        del self._standing[cause]
        state = self.state
        self._counted_level = min(self._counted_level, LEVELS[state])
        if state is not before:
            self._changes.append(
                GuardChange(
                    state=state,
                    cause=cause,
                    detail=f"ended: {why}",
                    cancels_entries=False,
                    is_latched=False,
                    severity=Severity.INFO,
                )
            )

    def _count_incident(self, *, venue_ns: Nanos, mono_ns: MonoNanos) -> None:
        """An incident is an entry into REDUCING or HALTED; one more than allowed in a session halts."""
        if not self._standing:
            return
        level = max(
            (LEVELS[cause_of(name).state] for name, each in self._standing.items() if _counts(name, each, mono_ns)),
            default=0,
        )
        if not self._was_active or level <= self._counted_level:
            return
        self._counted_level = level
        self._incidents += 1
        if self._incidents > self._limits.incidents_per_session_max:
            detail = f"{self._incidents} incidents in a session, limit {self._limits.incidents_per_session_max}"
            self.raise_cause(INCIDENTS, detail, venue_ns=venue_ns, mono_ns=mono_ns)


def _counts(name: str, standing: _Standing, mono_ns: int) -> bool:
    after_s = cause_of(name).incident_after_s
    return after_s is not None and mono_ns - standing.since_mono_ns >= after_s * NANOS_PER_SECOND


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).quantize(Decimal('0.01')) + ZERO}%"
