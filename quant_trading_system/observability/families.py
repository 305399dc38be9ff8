"""The metric families of interface.md: names, labels, buckets. Decides how many values a label may take."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
LABEL_VALUES_MAX = 60
"""Beyond so many values of one label everything new is `other`: two thousand series cost the loop 20 ms a scrape."""
ENDPOINTS_MAX = 30  # each has a histogram
SYMBOLS_MAX = 100
LABEL_CHARACTERS_MAX = 64

FAST_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
WIRE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FILL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
EVALUATION_SECONDS = (0.000001, 0.000005, 0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005)
SLIPPAGE_BPS = (-25.0, -10.0, -5.0, -1.0, 0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0)


class LabelCap:
    """Lets the first `LABEL_VALUES_MAX` values of a label through, cleaned; whatever comes later is `other`."""

    def __init__(self, values_max: int = LABEL_VALUES_MAX) -> None:
        self._values_max = values_max
        self._known: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        found = self._known.get(value)
        if found is not None:
            return found
        if len(self._known) >= self._values_max:
            return OTHER
        cleaned = "".join(character if character.isprintable() else "_" for character in value)[:LABEL_CHARACTERS_MAX]
        self._known[value] = cleaned
        return cleaned


class Families:
    """Every family, made in one registry. Attributes are named as the families are, without prefix and unit."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._daemon()
        self._streams_and_data()
        self._orders()
        self._broker()
        self._money()

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        gauge = Gauge(f"qts_{name}", text, labels, registry=self._registry)
        if not labels:
            gauge.set(math.nan)  # not measured yet is no zero
        return gauge

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"qts_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        return Histogram(f"qts_{name}", text, labels, buckets=buckets, registry=self._registry)

    def _daemon(self) -> None:
        self.build = Info("qts_build", "Version of the running code", registry=self._registry)
        self.mode = Info("qts_mode", "Where orders go, and the account's last characters", registry=self._registry)
        self.trading_state = self._gauge("trading_state", "1 for the trading state in force", ["state"])
        self.standby = self._gauge("standby", "1 while this daemon waits for the lease of another one")
        self.kill_switch_engaged = self._gauge("kill_switch_engaged", "1 unless every store says CLEAR")
        self.loop_lag = self._histogram("loop_lag_seconds", "How late the event loop runs its timers", FAST_SECONDS)
        self.loop_progress = self._gauge("loop_last_progress_timestamp_seconds", "When the engine loop last advanced")
        self.inbox_depth = self._gauge("inbox_depth", "Events waiting for the engine", ["lane"])
        self.inbox_dropped = self._counter("inbox_dropped", "Events dropped for want of room", ["lane"])
        self.component_errors = self._counter("component_errors", "Errors by component", ["component"])
        self.healing = self._counter("healing_actions", "What the daemon did to heal itself", ["action", "outcome"])
        self.store_write = self._histogram("store_write_seconds", "Duration of a write", WIRE_SECONDS, ["store"])
        self.alerts_sent = self._counter("alerts_sent", "Alerts by channel and result", ["channel", "result"])
        self.tasks = self._gauge("tasks", "Tasks of the event loop")

    def _streams_and_data(self) -> None:
        self.stream_connected = self._gauge("stream_connected", "1 while authenticated and subscribed", ["stream"])
        self.stream_message = self._gauge(
            "stream_last_message_timestamp_seconds", "When the stream last said something", ["stream"]
        )
        self.market_messages = self._counter("market_data_messages", "Messages of the feed", ["kind"])
        self.market_age = self._gauge("market_data_age_seconds", "Age of a held or traded symbol's data", ["symbol"])
        self.data_fetch = self._histogram("data_fetch_seconds", "Duration of a history request", WIRE_SECONDS)
        self.data_fallbacks = self._counter("data_fallbacks", "Times a second-best source was taken", ["kind"])
        self.strategy_evaluation = self._histogram(
            "strategy_evaluation_seconds", "Duration of one evaluation", EVALUATION_SECONDS, ["strategy"]
        )

    def _orders(self) -> None:
        self.decisions = self._counter("decisions", "Decisions by outcome", ["strategy", "outcome", "reason"])
        self.orders = self._counter("orders", "Orders by what became of them", ["side", "type", "outcome"])
        self.order_rejections = self._counter("order_rejections", "Refusals by the broker", ["reason"])
        self.tick_to_order = self._histogram("tick_to_order_seconds", "From the tick to the socket", FAST_SECONDS)
        self.order_ack = self._histogram("order_ack_seconds", "From sending to the broker's answer", WIRE_SECONDS)
        self.order_fill = self._histogram("order_fill_seconds", "From sending to the first fill", FILL_SECONDS)
        self.slippage = self._histogram("slippage_bps", "Fill against decision price; positive is bad", SLIPPAGE_BPS)
        self.unknown_orders = self._gauge("unknown_orders", "Orders whose fate only the broker knows")
        self.reconciliations = self._counter("reconciliation_runs", "Passes by result", ["result"])
        self.reconciliation_success = self._gauge(
            "reconciliation_last_success_timestamp_seconds", "When a pass last succeeded"
        )
        self.drifts = self._counter("reconciliation_drifts", "Differences found", ["kind"])

    def _broker(self) -> None:
        self.requests = self._counter("broker_requests", "Answers by endpoint and status", ["endpoint", "code"])
        self.request_seconds = self._histogram(
            "broker_request_seconds", "Duration of a request", WIRE_SECONDS, ["endpoint"]
        )
        self.budget = self._gauge("broker_budget_remaining", "Requests left in this minute")
        self.breaker = self._gauge("circuit_breaker_state", "0 closed, 1 half open, 2 open", ["target"])

    def _money(self) -> None:
        self.equity = self._gauge("equity_usd", "Equity of the account")
        self.cash = self._gauge("cash_usd", "Cash of the account")
        self.gross_exposure = self._gauge("gross_exposure_ratio", "Worst-case gross exposure by equity")
        self.day_pnl = self._gauge("day_pnl_usd", "Profit or loss since the last close")
        self.drawdown = self._gauge("drawdown_ratio", "Fall from the high-water mark")
        self.limit_usage = self._gauge("limit_usage_ratio", "Measured by limit, 1 is at the limit", ["control"])
        self.positions = self._gauge("positions", "Symbols held")
        self.open_orders = self._gauge("open_orders", "Orders that may still fill")
        self.top_position = self._gauge("top_position_ratio", "Largest position by equity")

    def collectors(self) -> Collection[MetricWrapperBase]:
        """Every family made here."""
        return [value for value in vars(self).values() if isinstance(value, MetricWrapperBase)]
