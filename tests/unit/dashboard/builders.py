"""Builders with a default for every field, and a port with behaviour: what a test writes is what matters to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from quant_trading_system.core.clock import NEW_YORK, to_nanos
from quant_trading_system.core.effects import Answer
from quant_trading_system.core.records import (
    AlertRecord,
    DecisionRecord,
    EquityRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
)
from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    Mode,
    Nanos,
    Severity,
    Side,
    StrategyId,
    Symbol,
    TradingState,
)
from quant_trading_system.core.values import Allocation, ControlResult
from quant_trading_system.core.views import (
    CauseView,
    EngineView,
    LimitView,
    MoneyView,
    OrderView,
    PositionView,
    SessionView,
    StrategyView,
    SymbolDataView,
)
from quant_trading_system.dashboard.port import HistoryUnavailable, NotReady, OrderStory

TOKEN = "0123456789abcdef0123456789abcdef"
MOMENTUM = StrategyId("momentum")
REVERSION = StrategyId("mean_reversion")
IBM = Symbol("IBM")
SECOND = 1_000_000_000


def new_york(text: str) -> Nanos:
    return to_nanos(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


NOW = new_york("2013-10-07T10:30:00")
MONEY = MoneyView(
    equity_usd=Decimal("100250.25"),
    last_equity_usd=Decimal(100_000),
    cash_usd=Decimal("81250.25"),
    broker_buying_power_usd=Decimal(81_000),
    own_buying_power_usd=Decimal(80_500),
    capital_usd=Decimal(100_000),
    account_age_s=4.0,
    day_pnl_usd=Decimal("250.25"),
    day_loss_ratio=Decimal(0),
    drawdown_ratio=Decimal("0.0031"),
    intraday_drawdown_ratio=Decimal("0.001"),
    equity_floor_usd=Decimal(50_000),
)
SESSION = SessionView(
    date="2013-10-07",
    is_open_by_calendar=True,
    is_open_by_broker=True,
    open_ns=new_york("2013-10-07T09:30"),
    close_ns=new_york("2013-10-07T16:00"),
    window_start_ns=new_york("2013-10-07T09:35"),
    window_end_ns=new_york("2013-10-07T15:50"),
    next_open_ns=new_york("2013-10-08T09:30"),
)
POSITION = PositionView(
    symbol=IBM,
    quantity=Decimal(100),
    average_entry_price=Decimal("187.50"),
    mark_price=Decimal("190.00"),
    market_value_usd=Decimal(19_000),
    unrealized_usd=Decimal(250),
    realized_usd=Decimal(0),
    broker_quantity=Decimal(100),
    mark_age_s=0.4,
    books=((MOMENTUM, Decimal(120)), (REVERSION, Decimal(-20))),
)
ORDER = OrderView(
    client_order_id=ClientOrderId("qts-abcdefgh-1a2b-momentum-7"),
    broker_order_id="b0e0f1c2-0000-4000-8000-000000000001",
    strategy=MOMENTUM,
    symbol=Symbol("BAC"),
    side=Side.BUY,
    quantity=Decimal(300),
    filled_quantity=Decimal(100),
    filled_average_price=Decimal("14.05"),
    order_type="limit",
    time_in_force="day",
    limit_price=Decimal("14.06"),
    stop_price=None,
    status="PARTIAL",
    broker_status="partially_filled",
    is_final=False,
    reason="",
    created_ns=Nanos(NOW - 12 * SECOND),
    updated_ns=Nanos(NOW - SECOND),
)
STRATEGY = StrategyView(
    strategy=MOMENTUM,
    kind="momentum",
    is_enabled=True,
    disabled_reason="",
    symbols=(IBM, Symbol("BAC")),
    warm_symbols=2,
    realized_usd=Decimal(12),
    unrealized_usd=Decimal(250),
    last_signal_ns=NOW,
    parameters={"fast": "10", "slow": "30"},
)
LIMITS = (
    LimitView(control="P29", name="daily loss", limit="2.00 %", measured="0.50 %", usage=0.25),
    LimitView(control="P29", name="daily loss soft", limit="1.00 %", measured="0.50 %", usage=0.5),
    LimitView(control="P30", name="drawdown", limit="10.00 %", measured="0.31 %", usage=0.031),
    LimitView(control="P24", name="order rate", limit="20 a minute", measured="unknown", usage=None),
)
VIEW = EngineView(
    mode=Mode.SIM,
    venue_ns=NOW,
    seen_ns=Nanos(1_795_000_000 * SECOND),
    state=TradingState.ACTIVE,
    causes=(),
    latches={"latch_file": "CLEAR", "database": "CLEAR", "redis": "CLEAR"},
    session=SESSION,
    streams_up={"market_data": True, "trade_updates": True},
    stream_last_message_age_s={"market_data": 0.3},
    reconciliation_age_s=7.0,
    reconciliations=12,
    drifts=1,
    money=MONEY,
    cash_usd=Decimal("81250.25"),
    gross_exposure_usd=Decimal(19_000),
    exposure_ratio=Decimal("0.189526"),
    positions=(POSITION,),
    open_orders=(ORDER,),
    unknown_orders=0,
    strategies=(STRATEGY,),
    limits=LIMITS,
    locks={"AIG": "drift seen twice"},
    data=(
        SymbolDataView(symbol=IBM, age_s=0.3, is_traded=True, bars=40),
        SymbolDataView(symbol=Symbol("SPY"), age_s=0.2, is_traded=False, bars=40),
    ),
    limits_version="abc123",
    is_stopping=False,
    events_handled=4711,
)
HALT = CauseView(
    cause="daily_loss_hard",
    detail="lost 2.1 % of 2 %",
    state=TradingState.HALTED,
    since_ns=Nanos(NOW - 90 * SECOND),
    is_latched=True,
)
DECISION = DecisionRecord(
    venue_ns=NOW,
    seen_ns=NOW,
    decision_id="d-1",
    strategy=MOMENTUM,
    symbol=Symbol("SPY"),
    outcome="refused",
    reason="P15 price available: no quote",
    side=Side.BUY,
    quantity=Decimal(10),
    limit_price=Decimal("168.10"),
    reference_price=Decimal("168.05"),
    client_order_id=ClientOrderId("qts-1"),
    limits_version="abc123",
    controls=(
        ControlResult(control="P1", name="kill latch", passed=True, measured="CLEAR", limit="CLEAR"),
        ControlResult(
            control="P15", name="price available", passed=False, measured="none", limit="a quote", reason="no quote"
        ),
    ),
    inputs={"ma_fast": 168.2, "rsi": 61.5},
)
ORDER_ROW = OrderRecord(
    venue_ns=NOW,
    seen_ns=NOW,
    client_order_id=ClientOrderId("qts-1"),
    broker_order_id=BrokerOrderId("b-1"),
    strategy=MOMENTUM,
    symbol=IBM,
    side=Side.BUY,
    quantity=Decimal(100),
    order_type="limit",
    limit_price=Decimal("187.55"),
    stop_price=None,
    time_in_force="day",
    status="FILLED",
    broker_status="filled",
    filled_quantity=Decimal(100),
    filled_value_usd=Decimal(18_750),
    reason="",
    decision_id="d-1",
    reference_price=Decimal("187.49"),
    allocations=(Allocation(MOMENTUM, Decimal(100)),),
    created_ns=NOW,
    sent_ns=NOW,
    acknowledged_ns=NOW,
    is_final=True,
)
FILL = FillRecord(
    venue_ns=NOW,
    seen_ns=NOW,
    execution_id=ExecutionId("e-1"),
    broker_order_id=BrokerOrderId("b-1"),
    client_order_id=ClientOrderId("qts-1"),
    symbol=IBM,
    side=Side.BUY,
    quantity=Decimal(100),
    price=Decimal("187.50"),
    cumulative_quantity=Decimal(100),
    realised_usd=Decimal(0),
    allocations=(Allocation(MOMENTUM, Decimal(100)),),
    source="stream",
    slippage_bps=Decimal("0.53"),
)
ALERT = AlertRecord(
    venue_ns=NOW, seen_ns=NOW, severity=Severity.WARNING, code="feed_silent", text="no data for 15 s", context={}
)
PASS = ReconciliationRecord(venue_ns=NOW, seen_ns=NOW, result="clean", duration_s=0.05, drifts=0, reason="")


def equity_points(*amounts: int, step_s: int = 60) -> list[EquityRecord]:
    """One point a minute, ending a minute before NOW."""
    first = NOW - len(amounts) * step_s * SECOND
    return [
        EquityRecord(
            venue_ns=Nanos(first + index * step_s * SECOND),
            seen_ns=NOW,
            equity_usd=Decimal(value),
            cash_usd=Decimal(value),
            day_pnl_usd=Decimal(0),
            drawdown_ratio=Decimal(0),
            gross_exposure_usd=Decimal(0),
        )
        for index, value in enumerate(amounts)
    ]


def view(**changes: object) -> EngineView:
    return msgspec.structs.replace(VIEW, **changes)


@dataclass(frozen=True)
class Step:
    number: int = 1
    name: str = "Configuration and secrets"
    seconds: float = 0.2
    state: str = "ready"
    detail: str = "all settings valid"


@dataclass(frozen=True)
class ReadyCheck:
    name: str = "reconciled"
    ok: bool = True
    detail: str = "7 s ago"


@dataclass
class FakePort:
    """A daemon without a daemon: shows what it was given, remembers what it was asked."""

    mode: Mode = Mode.SIM
    account: str = "PA3SIMULATED"
    band: str = "SYNTHETIC"
    exchange_url: str | None = "http://127.0.0.1:8090"
    version: str = "0.1.0"
    now: EngineView | None = VIEW
    steps: Sequence[Step] = tuple(Step(number) for number in range(1, 9))
    alive: tuple[bool, str] = (True, "engine loop advanced 0.0 s ago")
    checks: Sequence[ReadyCheck] = (ReadyCheck(), ReadyCheck("streams", True, "both up"))
    decision_rows: Sequence[DecisionRecord] = (DECISION,)
    points: Sequence[EquityRecord] = field(default_factory=lambda: equity_points(100_000, 100_100, 100_050))
    restart: Mapping[str, Any] | None = None
    history_error: str = ""
    is_ready: bool = True
    refuses: str = ""
    never_answers: bool = False
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    asked_decisions: list[dict[str, object]] = field(default_factory=list)

    def view(self) -> EngineView | None:
        return self.now

    def wall_ns(self) -> int:
        return 1_795_000_000 * SECOND

    def startup(self) -> Sequence[Step]:
        return self.steps

    def livez(self) -> tuple[bool, str]:
        return self.alive

    def ready_checks(self) -> Sequence[ReadyCheck]:
        return self.checks

    def metrics(self, accept: str) -> tuple[bytes, str]:
        is_open = "openmetrics" in accept
        return b"qts_tasks 3.0\n", "application/openmetrics-text" if is_open else "text/plain; version=0.0.4"

    def alerts(self, limit: int) -> Sequence[AlertRecord]:
        return [ALERT][:limit]

    def restart_report(self) -> Mapping[str, Any] | None:
        return self.restart

    def reconciliations(self, limit: int) -> Sequence[ReconciliationRecord]:
        return [PASS][:limit]

    async def decisions(
        self, *, symbol: str | None, at_ns: int | None, limit: int, order: str | None
    ) -> Sequence[DecisionRecord]:
        self._history()
        self.asked_decisions.append({"symbol": symbol, "at_ns": at_ns, "limit": limit, "order": order})
        return [row for row in self.decision_rows if symbol is None or row.symbol == symbol][:limit]

    async def orders(self, *, symbol: str | None, limit: int) -> Sequence[OrderRecord]:
        self._history()
        rows = [
            ORDER_ROW,
            msgspec.structs.replace(ORDER_ROW, client_order_id="qts-2", status="WORKING", is_final=False),
        ]
        return [row for row in rows if symbol is None or row.symbol == symbol][:limit]

    async def order_story(self, order_id: str) -> OrderStory | None:
        self._history()
        if order_id not in ("qts-1", ORDER.client_order_id):
            return None
        return OrderStory(
            client_order_id=order_id, decision=DECISION, order=ORDER_ROW, states=(ORDER_ROW,), fills=(FILL,)
        )

    async def fills(self, limit: int) -> Sequence[FillRecord]:
        self._history()
        return [FILL][:limit]

    async def equity_curve(self, max_points: int) -> Sequence[EquityRecord]:
        self._history()
        return list(self.points)[-max_points:]

    async def ask(self, command: str, *, operator: str, reason: str, arguments: Mapping[str, str]) -> Answer:
        if not self.is_ready:
            raise NotReady("step 3 of 8")
        if self.never_answers:
            await asyncio.Event().wait()
        self.asked.append((command, operator, reason, dict(arguments)))
        return Answer(request_id="r-1", accepted=not self.refuses, text=self.refuses or f"{command} done")

    def _history(self) -> None:
        if self.history_error:
            raise HistoryUnavailable(self.history_error)
