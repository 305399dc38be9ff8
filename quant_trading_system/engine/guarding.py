"""Feeds the guards with what the engine measures, and carries out what a change of state asks: cancel, alert, latch."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.broker import BrokerAccount
from quant_trading_system.core.effects import CancelEverything, RequestReconciliation
from quant_trading_system.core.events import (
    HealthSeen,
    LatchSeen,
    LeaseSeen,
    SnapshotFailed,
    StoreSeen,
    StreamDown,
    StreamUp,
)
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.records import EquityRecord, GuardRecord
from quant_trading_system.core.types import Latch, Severity, Store, Stream
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.risk_view import build_exposure
from quant_trading_system.risk.causes import STREAM_GAP_SECONDS

STORE_CAUSES = {Store.DATABASE: "database_down", Store.REDIS: "redis_down", Store.LATCH_FILE: "kill_state_unreadable"}
STREAM_CAUSES = {Stream.MARKET_DATA: "feed_silent", Stream.TRADE_UPDATES: "trade_updates_down"}


class Guarding:
    """Turns measurements into causes, and changes of the trading state into effects."""

    def __init__(self, desk: Desk, flow: OrderFlow) -> None:
        self._desk = desk
        self._flow = flow
        self._down_since: dict[Stream, int] = {}
        self._feed_up_mono_ns = 0
        self._is_broker_down = False
        self._is_blocked = False
        self._equity_recorded_mono_ns = 0
        self._is_day_new = False
        self._latches_heard: set[Store] = set()

    # what the edge tells

    def on_stream_up(self, event: StreamUp) -> None:
        desk = self._desk
        desk.streams_up[event.stream] = True
        self._down_since.pop(event.stream, None)
        if event.stream is Stream.TRADE_UPDATES:
            desk.link_back_mono_ns = desk.mono_ns  # the cause ends with a pass that began after it
            desk.emit(RequestReconciliation(reason="trade_updates is back: events may have been missed"))
        else:
            self._feed_up_mono_ns = desk.mono_ns
            desk.market.on_gap()

    def on_stream_down(self, event: StreamDown) -> None:
        desk = self._desk
        if desk.streams_up[event.stream]:
            desk.alert(Severity.WARNING, f"{event.stream}_down", event.reason)
        desk.streams_up[event.stream] = False
        if event.stream is Stream.MARKET_DATA:
            desk.market.on_gap()
        else:
            self._raise(STREAM_CAUSES[event.stream], event.reason)
        self._down_since.setdefault(event.stream, desk.mono_ns)

    def on_latch(self, event: LatchSeen) -> None:
        desk = self._desk
        was_engaged = desk.kill.is_engaged
        desk.kill.observe(event.store, event.latch, event.reason)
        if desk.kill.is_engaged and not was_engaged:
            self._raise("kill", event.reason or f"latch engaged in {event.store}")
            desk.emit(self.cancel_for_kill(event.reason or "kill switch"))
        self._latches_heard.add(event.store)
        unreadable = [
            store
            for store, latch in desk.kill.latches().items()
            if store in self._latches_heard and latch in (Latch.MISSING, Latch.UNREADABLE)
        ]
        if any(store is not Store.REDIS for store in unreadable):
            self._raise("kill_state_unreadable", ", ".join(sorted(unreadable)))
        else:
            self._clear("kill_state_unreadable")

    def cancel_for_kill(self, reason: str) -> CancelEverything:
        """Everything but protective stops, unless the setting says otherwise; positions left without one are named."""
        desk = self._desk
        spares = not desk.config.kill_cancels_stops
        bare = desk.positions_without_stop() if spares else desk.ledger.positions()
        if bare:
            held = ", ".join(f"{symbol} {plain(quantity)}" for symbol, quantity in sorted(bare.items()))
            desk.alert(Severity.CRITICAL, "positions_without_stop", f"left without a stop by the kill switch: {held}")
        return CancelEverything(reason=reason, spares_stops=spares)

    def on_account(self, account: BrokerAccount) -> None:
        """An account that the broker blocks cannot trade; a person has to ask why."""
        is_blocked = account.blocked or account.status != "ACTIVE"
        if is_blocked and not self._is_blocked:
            text = f"the broker shows the account with status {account.status}, blocked: {account.blocked}"
            self._raise("account_blocked", text)
            self._desk.alert(Severity.CRITICAL, "account_blocked", text)
        elif not is_blocked:
            self._clear("account_blocked")
        self._is_blocked = is_blocked

    def on_snapshot_failed(self, event: SnapshotFailed) -> None:
        """Keys that are refused are refused again: no new exposure at once, and a person (fault G5)."""
        if event.is_refused:
            self._raise("broker_unreachable", f"the broker refuses the keys: {event.reason}")
            self._desk.alert(Severity.CRITICAL, "keys_refused", event.reason)

    def on_store(self, event: StoreSeen) -> None:
        self._desk.stores_up[event.store] = event.is_up
        if event.is_up:
            self._clear(STORE_CAUSES[event.store])
        else:
            self._raise(STORE_CAUSES[event.store], event.detail)

    def on_lease(self, event: LeaseSeen) -> None:
        self._desk.lease_held = event.held
        self._desk.lease_deadline_mono_ns = event.deadline_mono_ns

    def on_health(self, event: HealthSeen) -> None:
        limits = self._desk.config.limits
        checks = (
            ("loop_lag", event.loop_lag_s, limits.loop_lag_seconds_max, "s"),
            ("clock_skew", event.clock_skew_s, limits.clock_skew_seconds_max, "s"),
            ("commit_latency", event.commit_p99_s, limits.commit_p99_seconds_max, "s p99"),
        )
        for cause, measured, limit, unit in checks:
            if measured is None:
                continue
            if abs(measured) > limit:
                self._raise(cause, f"{measured:.3f} {unit}, limit {limit} {unit}")
            else:
                self._clear(cause)
        if event.disk_free_bytes is not None:
            if event.disk_free_bytes < limits.disk_free_bytes_min:
                self._raise("disk", f"{event.disk_free_bytes} bytes free, at least {limits.disk_free_bytes_min:.0f}")
            else:
                self._clear("disk")

        self._watch_pressure(event)

    def _watch_pressure(self, event: HealthSeen) -> None:
        if event.dropped_messages is not None:
            if event.dropped_messages > 0:
                self._raise("inbox_overflow", f"{event.dropped_messages} market-data messages did not fit")
            else:
                self._clear("inbox_overflow")
        if event.is_broker_breaker_open:
            self._raise("broker_unreachable", "the circuit breaker of the broker's interface is open")
        elif self._is_broker_down:  # the cause ends with a pass that agreed
            self._desk.emit(RequestReconciliation(reason="the broker answers again"))
        self._is_broker_down = bool(event.is_broker_breaker_open)

    # every second

    def on_second(self) -> None:
        """Measure money, ages and the feed; then let the guards' own timers run."""
        desk = self._desk
        equity = None if desk.is_turning else desk.equity_usd()
        if equity is not None and desk.account is not None:
            desk.guards.on_equity(
                equity_usd=equity,
                last_equity_usd=desk.account.last_equity_usd,
                flows_usd=desk.flows_usd(),
                session_date=desk.session_date,
                venue_ns=desk.venue_ns,
                mono_ns=desk.mono_ns,
                is_day_over=self._is_day_over,
            )
        self._watch_ages()
        desk.guards.on_time(venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
        self.apply_changes()
        if self._is_day_new:
            self._is_day_new = False
            self.record_guards()
        if desk.age_s(self._equity_recorded_mono_ns) >= desk.config.equity_record_seconds:
            self.record_equity()

    def begin_session(self, session_date: str, equity_usd: Decimal) -> None:
        """A new day of the guards. It is recorded behind its first reading: until then its start is a makeshift."""
        self._desk.guards.begin_session(session_date, equity_usd)
        self._is_day_new = True

    @property
    def _is_day_over(self) -> bool:
        """Whether the session that the guards measure has closed: what the broker names as the last equity since is of
        that close, and the day's loss is measured from the one before."""
        session = self._desk.session()
        is_closed = session.close_ns is not None and self._desk.venue_ns >= session.close_ns
        return is_closed or self._desk.guards.session_date != session.date

    def _watch_ages(self) -> None:
        desk = self._desk
        limits = desk.config.limits
        if desk.good_pass_mono_ns is not None:
            age_s = desk.age_s(desk.good_pass_mono_ns)
            if age_s > limits.reconciliation_age_seconds_max:
                self._raise("reconciliation_age", f"last good pass {age_s:.0f} s ago")
            else:
                self._clear("reconciliation_age")
        for stream, since in self._down_since.items():
            if desk.age_s(since) > STREAM_GAP_SECONDS:
                self._raise(STREAM_CAUSES[stream], f"{stream} down for {desk.age_s(since):.0f} s")
        self._watch_feed()

    def _watch_feed(self) -> None:
        """Silence in session is found by data, not by pings (fault D1), also of a feed that never said anything.

        Out of session silence is normal.
        """
        desk = self._desk
        session = desk.session()
        is_open = session.is_open_by_calendar and session.is_open_by_broker is not False
        age_s = desk.market.feed_age_s(desk.mono_ns)
        if age_s is None and desk.streams_up[Stream.MARKET_DATA]:
            age_s = desk.age_s(self._feed_up_mono_ns)
        if is_open and age_s is not None and age_s > desk.config.feed_silence_seconds_max:
            self._raise("feed_silent", f"no market data for {age_s:.0f} s")
        elif desk.streams_up[Stream.MARKET_DATA]:
            self._clear("feed_silent")

    # states

    def apply_changes(self) -> None:
        """Carry out what the guards decided since the last look."""
        desk = self._desk
        changes = desk.guards.take_changes()
        for change in changes:
            desk.audit("guards", change.cause, reason=change.detail, outcome=change.state.value)
            desk.alert(change.severity, f"trading_{change.state.value.lower()}", f"{change.cause}: {change.detail}")
            if change.cancels_entries:
                self._flow.cancel_entries(f"{change.state}: {change.cause}")
        if changes:
            self.record_guards()

    def record_guards(self) -> None:
        """Have the guards outlive this process. Those that know no day yet were not restored and measured nothing:

        a row of theirs would be taken, by a start after a crash of this moment, for what the last process knew.
        """
        desk = self._desk
        state = desk.guards.durable_state()
        if state["session_date"]:
            desk.remember(GuardRecord(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns, **state))

    def record_equity(self) -> None:
        """One point of the equity curve, and the guards' marks with it."""
        desk = self._desk
        equity, cash = desk.equity_usd(), desk.ledger.cash_usd
        if equity is None or cash is None:
            return
        self._equity_recorded_mono_ns = desk.mono_ns
        exposure = build_exposure(desk, desk.config.symbols[0]) if desk.config.symbols else None
        desk.remember(
            EquityRecord(
                venue_ns=desk.venue_ns,
                seen_ns=desk.seen_ns,
                equity_usd=equity,
                cash_usd=cash,
                day_pnl_usd=desk.guards.day_pnl_usd or ZERO,
                drawdown_ratio=desk.guards.drawdown_ratio or ZERO,
                gross_exposure_usd=ZERO if exposure is None else exposure.gross_usd,
            )
        )
        self.record_guards()

    def _raise(self, cause: str, detail: str) -> None:
        desk = self._desk
        desk.guards.raise_cause(cause, detail, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)

    def _clear(self, cause: str) -> None:
        desk = self._desk
        desk.guards.clear_cause(cause, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
