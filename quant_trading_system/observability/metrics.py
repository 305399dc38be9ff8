"""The numbers the daemon shows to Prometheus. Decides which record and which part of the engine's view counts where."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from quant_trading_system.core.records import (
    AuditRecord,
    DecisionRecord,
    DriftRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.core.types import NANOS_PER_SECOND, Latch, TradingState
from quant_trading_system.core.views import EngineView
from quant_trading_system.observability.families import ENDPOINTS_MAX, SYMBOLS_MAX, Families, LabelCap

ORDERS_TRACKED_MAX = 2_000
HEALING_ACTOR = "healing"
BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
OUTCOMES = {
    "SENDING": "submitted",
    "UNKNOWN": "unknown",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
    "REPLACED": "replaced",
    "DROPPED": "dropped",
}
"""Status of an order to the outcome it is counted under, once an order and outcome. Other statuses are no outcome."""

_ERROR_CODE = re.compile(r"\b([45]\d{2})(?:\D{1,3}(\d{8}))?")
_IDENTIFIER = re.compile(r"/(?=[^/]*\d)[0-9a-fA-F-]{8,}(?=/|$|\?)")


@dataclass(slots=True)
class _Seen:
    """What was counted of one order, and when it left by the wall clock."""

    outcomes: set[str]
    sent_seen_ns: int | None = None
    is_acknowledged: bool = False
    is_filled: bool = False


class Metrics:
    """All families of interface.md in a registry of their own. Every method is cheap enough for the event loop."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        version: str = "",
        mode: str = "",
        account_suffix: str = "",
    ) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry if registry is not None else CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.families = Families(self._registry)
        self.families.build.info({"version": version})
        self.set_mode(mode, account_suffix)
        self.set_standby(False)
        self._caps = {"endpoint": LabelCap(ENDPOINTS_MAX), "strategy": LabelCap(ENDPOINTS_MAX)}
        self._orders: OrderedDict[str, _Seen] = OrderedDict()
        self._symbols: set[str] = set()
        self._handlers: dict[type[Record], Callable[..., None]] = {
            DecisionRecord: self._on_decision,
            OrderRecord: self._on_order,
            FillRecord: self._on_fill,
            DriftRecord: self._on_drift,
            ReconciliationRecord: self._on_reconciliation,
            AuditRecord: self._on_audit,
        }

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition, text or OpenMetrics as `accept` asks, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    # told by the app, as it happens

    def set_mode(self, mode: str, account_suffix: str) -> None:
        self.families.mode.info({"mode": mode, "account_suffix": account_suffix})

    def set_standby(self, is_waiting: bool) -> None:
        self.families.standby.set(is_waiting)

    def set_loop_lag(self, seconds: float) -> None:
        self.families.loop_lag.observe(seconds)

    def set_loop_progress(self, wall_ns: int) -> None:
        self.families.loop_progress.set(wall_ns / NANOS_PER_SECOND)

    def set_inbox(self, lane: str, depth: int) -> None:
        self.families.inbox_depth.labels(lane).set(depth)

    def inc_inbox_dropped(self, lane: str, count: int = 1) -> None:
        self.families.inbox_dropped.labels(lane).inc(count)

    def set_stream(self, stream: str, *, is_connected: bool, last_message_wall_ns: int | None = None) -> None:
        self.families.stream_connected.labels(stream).set(is_connected)
        if last_message_wall_ns is not None:
            self.families.stream_message.labels(stream).set(last_message_wall_ns / NANOS_PER_SECOND)

    def on_market_messages(self, kind: str, count: int = 1) -> None:
        self.families.market_messages.labels(self._cap("kind", kind)).inc(count)

    def on_strategy_evaluation(self, strategy: str, seconds: float) -> None:
        self.families.strategy_evaluation.labels(self._cap("strategy", strategy)).observe(seconds)

    def on_data_fetch(self, seconds: float) -> None:
        self.families.data_fetch.observe(seconds)

    def on_data_fallback(self, kind: str) -> None:
        self.families.data_fallbacks.labels(self._cap("fallback", kind)).inc()

    def on_request(self, endpoint: str, code: int | str, seconds: float) -> None:
        """One answer, or failure, of the broker. `endpoint` is a path; identifiers in it are taken out."""
        label = self._cap("endpoint", _IDENTIFIER.sub("/{id}", endpoint.partition("?")[0]))
        self.families.requests.labels(label, self._cap("code", str(code))).inc()
        self.families.request_seconds.labels(label).observe(seconds)

    def set_budget(self, remaining: int) -> None:
        self.families.budget.set(remaining)

    def set_breaker(self, target: str, state: str) -> None:
        """`state` is closed, half_open or open."""
        self.families.breaker.labels(self._cap("target", target)).set(BREAKER_STATES[state.replace("-", "_").lower()])

    def on_store_write(self, store: str, seconds: float) -> None:
        self.families.store_write.labels(self._cap("store", store)).observe(seconds)

    def on_alert_sent(self, channel: str, result: str) -> None:
        self.families.alerts_sent.labels(self._cap("channel", channel), result).inc()

    def on_component_error(self, component: str) -> None:
        self.families.component_errors.labels(self._cap("component", component)).inc()

    def healing(self, action: str, outcome: str) -> None:
        self.families.healing.labels(self._cap("action", action), outcome).inc()

    def set_tasks(self, count: int) -> None:
        self.families.tasks.set(count)

    def on_tick_to_order(self, seconds: float) -> None:
        self.families.tick_to_order.observe(seconds)

    def on_record(self, record: Record) -> None:
        """Count one row the engine wants remembered. Rows of other kinds count nowhere."""
        handler = self._handlers.get(type(record))
        if handler is not None:
            handler(record)

    # told by the engine's picture, about once a second

    def observe_view(self, view: EngineView) -> None:
        """Set every gauge that shows a state."""
        families = self.families
        for state in TradingState:
            families.trading_state.labels(state.value).set(state is view.state)
        is_clear = bool(view.latches) and all(latch == Latch.CLEAR for latch in view.latches.values())
        families.kill_switch_engaged.set(not is_clear)
        for stream, is_up in view.streams_up.items():
            age_s = view.stream_last_message_age_s.get(stream)
            seen_ns = None if age_s is None else view.seen_ns - int(age_s * NANOS_PER_SECOND)
            self.set_stream(stream, is_connected=is_up, last_message_wall_ns=seen_ns)
        if view.reconciliation_age_s is not None:
            families.reconciliation_success.set(view.seen_ns / NANOS_PER_SECOND - view.reconciliation_age_s)
        families.unknown_orders.set(view.unknown_orders)
        families.open_orders.set(len(view.open_orders))
        self._observe_money(view)
        self._observe_limits(view)
        self._observe_symbols(view)

    def _observe_money(self, view: EngineView) -> None:
        families, money = self.families, view.money
        families.equity.set(_number(money.equity_usd))
        families.cash.set(_number(view.cash_usd))
        families.gross_exposure.set(_number(view.exposure_ratio))
        families.day_pnl.set(_number(money.day_pnl_usd))
        families.drawdown.set(_number(money.drawdown_ratio))
        families.positions.set(sum(1 for position in view.positions if position.quantity))
        values = [
            abs(position.market_value_usd) for position in view.positions if position.market_value_usd is not None
        ]
        if money.equity_usd is not None and money.equity_usd > 0:
            families.top_position.set(float(max(values, default=Decimal(0)) / money.equity_usd))
        else:
            families.top_position.set(math.nan)

    def _observe_limits(self, view: EngineView) -> None:
        """One value a control: where a control has several limits, the one used most."""
        usage: dict[str, float] = {}
        for limit in view.limits:
            if limit.usage is not None:
                usage[limit.control] = max(limit.usage, usage.get(limit.control, limit.usage))
        for control, ratio in usage.items():
            self.families.limit_usage.labels(self._cap("control", control)).set(ratio)

    def _observe_symbols(self, view: EngineView) -> None:
        """Ages of held and traded symbols alone; a symbol that is neither any more is taken out."""
        held = {position.symbol for position in view.positions if position.quantity}
        wanted = [data for data in view.data if data.age_s is not None and (data.is_traded or data.symbol in held)]
        ages = {str(data.symbol): float(data.age_s or 0.0) for data in wanted[:SYMBOLS_MAX]}
        for gone in self._symbols - ages.keys():
            self.families.market_age.remove(gone)
        for symbol, age_s in ages.items():
            self.families.market_age.labels(symbol).set(age_s)
        self._symbols = set(ages)

    # rows

    def _on_decision(self, record: DecisionRecord) -> None:
        refused_by = next((control.control for control in record.controls if not control.passed), "")
        self.families.decisions.labels(
            self._cap("strategy", record.strategy),
            self._cap("outcome", record.outcome),
            self._cap("refusal", refused_by),
        ).inc()

    def _on_order(self, record: OrderRecord) -> None:
        seen = self._seen(record.client_order_id)
        status = record.status.upper()
        if seen.sent_seen_ns is None and (record.sent_ns is not None or status == "SENDING"):
            seen.sent_seen_ns = record.seen_ns
            self._count_order(record, seen, OUTCOMES["SENDING"])
        if not seen.is_acknowledged and record.acknowledged_ns is not None:
            seen.is_acknowledged = True
            if seen.sent_seen_ns is not None:
                self.families.order_ack.observe(max(0.0, (record.seen_ns - seen.sent_seen_ns) / NANOS_PER_SECOND))
        outcome = OUTCOMES.get(status)
        if outcome is None or outcome in seen.outcomes:
            return
        self._count_order(record, seen, outcome)
        if outcome == "rejected":
            self.families.order_rejections.labels(self._cap("rejection", rejection_reason(record.reason))).inc()

    def _count_order(self, record: OrderRecord, seen: _Seen, outcome: str) -> None:
        if outcome not in seen.outcomes:
            seen.outcomes.add(outcome)
            self.families.orders.labels(record.side.value, self._cap("type", record.order_type), outcome).inc()

    def _on_fill(self, record: FillRecord) -> None:
        if record.slippage_bps is not None:
            self.families.slippage.observe(float(record.slippage_bps))
        if record.client_order_id is None:
            return
        seen = self._seen(record.client_order_id)
        if not seen.is_filled and seen.sent_seen_ns is not None:
            self.families.order_fill.observe(max(0.0, (record.seen_ns - seen.sent_seen_ns) / NANOS_PER_SECOND))
        seen.is_filled = True

    def _on_drift(self, record: DriftRecord) -> None:
        self.families.drifts.labels(self._cap("drift", record.kind)).inc()

    def _on_audit(self, record: AuditRecord) -> None:
        """What the daemon did to mend itself: the metric and the audit trail tell the same."""
        if record.actor == HEALING_ACTOR:
            self.healing(record.action, record.outcome)

    def _on_reconciliation(self, record: ReconciliationRecord) -> None:
        self.families.reconciliations.labels(self._cap("result", record.result)).inc()

    def _seen(self, client_order_id: str) -> _Seen:
        seen = self._orders.setdefault(client_order_id, _Seen(set()))
        self._orders.move_to_end(client_order_id)
        if len(self._orders) > ORDERS_TRACKED_MAX:
            self._orders.popitem(last=False)
        return seen

    def _cap(self, name: str, value: str) -> str:
        cap = self._caps.get(name)
        if cap is None:
            cap = self._caps[name] = LabelCap()
        return cap(value)


def rejection_reason(text: str) -> str:
    """The status and code of a refusal's text, e.g. `403 40310000`; `other` where it names none."""
    found = _ERROR_CODE.search(text)
    if found is None:
        return "other"
    return " ".join(part for part in found.groups() if part)


def _number(amount: Decimal | None) -> float:
    return math.nan if amount is None else float(amount)
