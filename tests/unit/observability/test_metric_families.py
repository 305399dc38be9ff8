"""The metrics of interface.md: every name, the right counts, and a bound on what a scrape costs."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from quant_trading_system.core.records import DriftRecord
from quant_trading_system.core.types import Nanos, Symbol, TradingState
from quant_trading_system.core.views import LimitView, SymbolDataView
from quant_trading_system.observability.families import LabelCap
from quant_trading_system.observability.metrics import Metrics, rejection_reason
from tests.unit.dashboard.builders import DECISION, FILL, NOW, ORDER_ROW, PASS, POSITION, SECOND, VIEW, view

NAMES = {
    "qts_build_info",
    "qts_mode_info",
    "qts_trading_state",
    "qts_kill_switch_engaged",
    "qts_loop_lag_seconds",
    "qts_loop_last_progress_timestamp_seconds",
    "qts_stream_connected",
    "qts_stream_last_message_timestamp_seconds",
    "qts_market_data_messages_total",
    "qts_market_data_age_seconds",
    "qts_inbox_depth",
    "qts_inbox_dropped_total",
    "qts_decisions_total",
    "qts_orders_total",
    "qts_order_rejections_total",
    "qts_tick_to_order_seconds",
    "qts_order_ack_seconds",
    "qts_order_fill_seconds",
    "qts_slippage_bps",
    "qts_unknown_orders",
    "qts_reconciliation_runs_total",
    "qts_reconciliation_last_success_timestamp_seconds",
    "qts_reconciliation_drifts_total",
    "qts_broker_requests_total",
    "qts_broker_request_seconds",
    "qts_broker_budget_remaining",
    "qts_circuit_breaker_state",
    "qts_equity_usd",
    "qts_cash_usd",
    "qts_gross_exposure_ratio",
    "qts_day_pnl_usd",
    "qts_drawdown_ratio",
    "qts_limit_usage_ratio",
    "qts_positions",
    "qts_open_orders",
    "qts_top_position_ratio",
    "qts_strategy_evaluation_seconds",
    "qts_data_fetch_seconds",
    "qts_data_fallbacks_total",
    "qts_component_errors_total",
    "qts_healing_actions_total",
    "qts_standby",
    "qts_store_write_seconds",
    "qts_alerts_sent_total",
    "qts_tasks",
}
SERIES_MAX = 3_000


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry) -> Metrics:
    return Metrics(registry, version="0.1.0", mode="sim", account_suffix="1234")


def text(metrics: Metrics) -> str:
    return metrics.render("")[0].decode()


def fill_every_family(metrics: Metrics) -> None:
    metrics.observe_view(view(open_orders=()))
    for record in (DECISION, ORDER_ROW, FILL, PASS):
        metrics.on_record(record)
    metrics.on_record(msgspec.structs.replace(ORDER_ROW, client_order_id="qts-9", status="REJECTED", reason="403"))
    metrics.on_record(
        DriftRecord(venue_ns=NOW, seen_ns=NOW, kind="cash_gap", symbol=None, ours="1", brokers="2", action="SetCash")
    )
    metrics.set_loop_lag(0.001)
    metrics.set_loop_progress(NOW)
    metrics.set_inbox("market", 3)
    metrics.inc_inbox_dropped("market", 2)
    metrics.on_market_messages("quote", 10)
    metrics.on_strategy_evaluation("momentum", 0.00001)
    metrics.on_data_fetch(0.2)
    metrics.on_data_fallback("history")
    metrics.on_request("/v2/orders", 200, 0.02)
    metrics.set_budget(150)
    metrics.set_breaker("trading", "half-open")
    metrics.on_store_write("database", 0.003)
    metrics.on_alert_sent("log", "ok")
    metrics.on_component_error("tape")
    metrics.healing("task_restart", "done")
    metrics.set_tasks(12)
    metrics.on_tick_to_order(0.002)


@pytest.mark.requirement("R175")
def test_every_name_of_the_interface_is_there_and_no_other(metrics):
    fill_every_family(metrics)
    shown = {line.split(" ")[2] for line in text(metrics).splitlines() if line.startswith("# TYPE qts_")}
    assert shown == NAMES


@pytest.mark.requirement("R175")
def test_text_and_openmetrics_are_both_spoken(metrics):
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    body, content_type = metrics.render("text/plain")
    assert content_type.startswith("text/plain")
    assert b"# EOF" not in body


def test_nothing_measured_is_no_zero(registry, metrics):
    assert math.isnan(registry.get_sample_value("qts_equity_usd"))
    assert math.isnan(registry.get_sample_value("qts_reconciliation_last_success_timestamp_seconds"))


def test_the_process_is_measured_too(metrics):
    assert "process_resident_memory_bytes" in text(metrics)
    assert "_created" not in text(metrics)


def test_exactly_one_trading_state_is_in_force(registry, metrics):
    metrics.observe_view(view(state=TradingState.REDUCING))
    states = {s: registry.get_sample_value("qts_trading_state", {"state": s}) for s in ("ACTIVE", "REDUCING", "HALTED")}
    assert states == {"ACTIVE": 0, "REDUCING": 1, "HALTED": 0}


@pytest.mark.parametrize(
    ("latches", "expected"),
    [
        ({"latch_file": "CLEAR", "database": "CLEAR", "redis": "CLEAR"}, 0),
        ({"latch_file": "CLEAR", "database": "CLEAR", "redis": "MISSING"}, 1),
        ({"latch_file": "ENGAGED", "database": "CLEAR", "redis": "CLEAR"}, 1),
        ({}, 1),
    ],
)
def test_the_kill_switch_shows_clear_only_where_every_store_says_so(registry, metrics, latches, expected):
    metrics.observe_view(view(latches=latches))
    assert registry.get_sample_value("qts_kill_switch_engaged") == expected


@pytest.mark.requirement("R180")
def test_risk_gauges_follow_the_engine(registry, metrics):
    metrics.observe_view(VIEW)
    assert registry.get_sample_value("qts_equity_usd") == 100_250.25
    assert registry.get_sample_value("qts_day_pnl_usd") == 250.25
    assert registry.get_sample_value("qts_gross_exposure_ratio") == 0.189526
    assert registry.get_sample_value("qts_top_position_ratio") == pytest.approx(0.18953, abs=1e-5)
    assert registry.get_sample_value("qts_positions") == 1
    assert registry.get_sample_value("qts_limit_usage_ratio", {"control": "P29"}) == 0.5


def test_a_limit_that_cannot_be_measured_has_no_usage(registry, metrics):
    metrics.observe_view(
        view(limits=(LimitView(control="P4", name="x", limit="45 s", measured="unknown", usage=None),))
    )
    assert registry.get_sample_value("qts_limit_usage_ratio", {"control": "P4"}) is None


@pytest.mark.requirement("R179")
def test_only_held_or_traded_symbols_have_a_data_age(registry, metrics):
    metrics.observe_view(VIEW)
    assert registry.get_sample_value("qts_market_data_age_seconds", {"symbol": "IBM"}) == pytest.approx(0.3)
    assert registry.get_sample_value("qts_market_data_age_seconds", {"symbol": "SPY"}) is None
    metrics.observe_view(view(data=(), positions=()))
    assert registry.get_sample_value("qts_market_data_age_seconds", {"symbol": "IBM"}) is None


def test_stream_times_are_wall_clock_times(registry, metrics):
    metrics.observe_view(VIEW)
    sample = registry.get_sample_value("qts_stream_last_message_timestamp_seconds", {"stream": "market_data"})
    assert sample == pytest.approx(VIEW.seen_ns / SECOND - 0.3, abs=1e-3)


@pytest.mark.requirement("R176")
def test_an_order_counts_once_under_each_outcome(registry, metrics):
    sending = msgspec.structs.replace(ORDER_ROW, status="SENDING", sent_ns=NOW, acknowledged_ns=None, is_final=False)
    for record in (sending, sending, ORDER_ROW, ORDER_ROW):
        metrics.on_record(record)
    labels = {"side": "buy", "type": "limit"}
    assert registry.get_sample_value("qts_orders_total", labels | {"outcome": "submitted"}) == 1
    assert registry.get_sample_value("qts_orders_total", labels | {"outcome": "filled"}) == 1


@pytest.mark.requirement("R177")
def test_ack_and_fill_are_measured_from_the_sending(registry, metrics):
    sending = msgspec.structs.replace(ORDER_ROW, status="SENDING", acknowledged_ns=None, is_final=False)
    working = msgspec.structs.replace(ORDER_ROW, status="WORKING", seen_ns=Nanos(NOW + SECOND // 10), is_final=False)
    metrics.on_record(sending)
    metrics.on_record(working)
    metrics.on_record(msgspec.structs.replace(FILL, seen_ns=Nanos(NOW + 2 * SECOND)))
    metrics.on_record(msgspec.structs.replace(FILL, seen_ns=Nanos(NOW + 9 * SECOND)))
    assert registry.get_sample_value("qts_order_ack_seconds_sum") == pytest.approx(0.1)
    assert registry.get_sample_value("qts_order_fill_seconds_sum") == pytest.approx(2.0)
    assert registry.get_sample_value("qts_order_fill_seconds_count") == 1


@pytest.mark.requirement("R178")
def test_slippage_and_errors_are_counted(registry, metrics):
    metrics.on_record(FILL)
    metrics.on_component_error("tape")
    assert registry.get_sample_value("qts_slippage_bps_bucket", {"le": "0.0"}) == 0
    assert registry.get_sample_value("qts_slippage_bps_bucket", {"le": "1.0"}) == 1
    assert registry.get_sample_value("qts_component_errors_total", {"component": "tape"}) == 1


def test_a_refused_decision_is_counted_under_the_control_that_refused(registry, metrics):
    metrics.on_record(DECISION)
    labels = {"strategy": "momentum", "outcome": "refused", "reason": "P15"}
    assert registry.get_sample_value("qts_decisions_total", labels) == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("403 40310000: insufficient buying power", "403 40310000"), ("422 -: bad", "422"), ("it was closed", "other")],
)
def test_a_rejection_is_labelled_by_codes_never_by_text(reason, expected):
    assert rejection_reason(reason) == expected


def test_identifiers_are_taken_out_of_endpoints(registry, metrics):
    for number in range(50):
        metrics.on_request(f"/v2/orders/61e69015-8549-4bfd-b9c3-01e75843f{number:03d}", 200, 0.01)
    metrics.on_request("/v2/orders?status=open", 200, 0.01)
    labels = {"endpoint": "/v2/orders/{id}", "code": "200"}
    assert registry.get_sample_value("qts_broker_requests_total", labels) == 50
    assert registry.get_sample_value("qts_broker_requests_total", labels | {"endpoint": "/v2/orders"}) == 1


def test_a_label_takes_a_bounded_number_of_values():
    cap = LabelCap(3)
    assert [cap(value) for value in "abcdea"] == ["a", "b", "c", "other", "other", "a"]


def test_a_scrape_stays_bounded_whatever_is_counted(metrics):
    fill_every_family(metrics)
    for number in range(500):
        metrics.on_request(f"/path-{number}", 200 + number, 0.1)
        metrics.on_strategy_evaluation(f"strategy-{number}", 0.1)
        metrics.on_record(
            msgspec.structs.replace(ORDER_ROW, order_type=f"type-{number}", client_order_id=f"q-{number}")
        )
        metrics.on_component_error(f"component-{number}")
    many = tuple(SymbolDataView(symbol=Symbol(f"S{n}"), age_s=1.0, is_traded=True, bars=1) for n in range(500))
    metrics.observe_view(view(data=many, positions=(POSITION,)))
    assert len([line for line in text(metrics).splitlines() if not line.startswith("#")]) < SERIES_MAX


def test_money_that_is_not_known_is_shown_as_not_known(registry, metrics):
    unknown = msgspec.structs.replace(VIEW.money, equity_usd=None)
    metrics.observe_view(view(money=unknown, exposure_ratio=Decimal(0)))
    assert math.isnan(registry.get_sample_value("qts_equity_usd"))
    assert math.isnan(registry.get_sample_value("qts_top_position_ratio"))
