"""Rows the engine wants remembered. The store writes them, the dashboard shows them; the engine reads none back."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    Nanos,
    Severity,
    Side,
    StrategyId,
    Symbol,
    TradingState,
)
from quant_trading_system.core.values import Allocation, ControlResult


class Record(Struct, frozen=True, kw_only=True):
    """`venue_ns` is venue time, `seen_ns` wall time: both are stored."""

    venue_ns: Nanos
    seen_ns: Nanos


class DecisionRecord(Record, frozen=True, kw_only=True, tag=True):
    """Why an order was sent, or was not. `outcome`: approved, refused, no_change, dry_run."""

    decision_id: str
    strategy: StrategyId
    symbol: Symbol
    outcome: str
    reason: str
    side: Side | None
    quantity: Decimal | None
    limit_price: Decimal | None
    reference_price: Decimal | None
    client_order_id: ClientOrderId | None
    limits_version: str
    controls: tuple[ControlResult, ...]
    inputs: dict[str, float]


class OrderRecord(Record, frozen=True, kw_only=True, tag=True):
    """The newest state of one order of ours, or of an external one (`strategy` = external)."""

    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId | None
    strategy: StrategyId
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    status: str
    broker_status: str
    filled_quantity: Decimal
    filled_value_usd: Decimal
    reason: str
    decision_id: str
    reference_price: Decimal
    allocations: tuple[Allocation, ...]
    created_ns: Nanos
    sent_ns: Nanos | None
    acknowledged_ns: Nanos | None
    is_final: bool
    order_class: str = ""
    stop_loss_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    parent_client_order_id: ClientOrderId | None = None
    """Of a leg: the order that it was sent with."""
    replaces: BrokerOrderId | None = None
    """Of an order that took another one's place at the broker: that one."""
    exists_at_broker: bool = False
    """The broker said that it has an order of this id, shown or not: its absence is not believed (fault A7)."""


class FillRecord(Record, frozen=True, kw_only=True, tag=True):
    """One execution and the books it went to. `source`: stream, activity, or inferred (a repair of reconciliation)."""

    execution_id: ExecutionId
    broker_order_id: BrokerOrderId
    client_order_id: ClientOrderId | None
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    realised_usd: Decimal
    allocations: tuple[Allocation, ...]
    source: str
    slippage_bps: Decimal | None


class PositionRecord(Record, frozen=True, kw_only=True, tag=True):
    """One strategy's book of one symbol after a change; `external` holds what no strategy of ours bought."""

    strategy: StrategyId
    symbol: Symbol
    quantity: Decimal
    cost_usd: Decimal
    realised_usd: Decimal


class EquityRecord(Record, frozen=True, kw_only=True, tag=True):
    equity_usd: Decimal
    cash_usd: Decimal
    day_pnl_usd: Decimal
    drawdown_ratio: Decimal
    gross_exposure_usd: Decimal


class GuardRecord(Record, frozen=True, kw_only=True, tag=True):
    """The guards' durable state after a change (see events.RestoredGuards)."""

    session_date: str
    day_start_equity_usd: Decimal | None
    high_water_mark_usd: Decimal | None
    session_high_usd: Decimal | None
    equity_floor_usd: Decimal | None
    first_equity_usd: Decimal | None
    incidents: int
    state: TradingState
    causes: tuple[tuple[str, str], ...]


class LockRecord(Record, frozen=True, kw_only=True, tag=True):
    """A lock of a symbol (`kind` symbol) or of a strategy (`kind` strategy), or its removal."""

    kind: str
    key: str
    reason: str
    is_locked: bool


class DriftRecord(Record, frozen=True, kw_only=True, tag=True):
    """One difference between our books and the broker's, and what was done about it."""

    kind: str
    symbol: Symbol | None
    ours: str
    brokers: str
    action: str


class ReconciliationRecord(Record, frozen=True, kw_only=True, tag=True):
    result: str
    duration_s: float
    drifts: int
    reason: str


class AuditRecord(Record, frozen=True, kw_only=True, tag=True):
    """What a person or a guard did."""

    actor: str
    action: str
    reason: str
    outcome: str
    details: dict[str, str]


class AlertRecord(Record, frozen=True, kw_only=True, tag=True):
    severity: Severity
    code: str
    text: str
    context: dict[str, str]


class EntryRecord(Record, frozen=True, kw_only=True, tag=True):
    """A journal entry that is no execution: what moved cash or shares besides trades, once, and why.

    `kind`: flow, income, fee, in_lieu, corporate_action, adoption, adjustment, cash_gap; anchor for what the account
    had booked before we first looked, beginning for when that was. `reference` is the broker's activity id, where there
    is one. `quantity` is the signed change of the position in shares, `cash_usd` that of the cash; `parts` tell whose
    books changed.
    """

    kind: str
    reference: str
    symbol: Symbol | None
    quantity: Decimal
    price: Decimal
    cash_usd: Decimal
    parts: tuple[Allocation, ...]
    text: str


class CorrectionRecord(Record, frozen=True, kw_only=True, tag=True):
    """An execution that is not what it was booked as: its numbers now, `quantity` 0 where it was taken back.

    The newest correction of (`broker_order_id`, `cumulative_quantity`) counts. `cash_usd` and `realised_usd` are what
    the correction changed. `source`: broker (bust or correction), told (the real one for an inferred one), inferred.
    """

    broker_order_id: BrokerOrderId
    cumulative_quantity: Decimal
    execution_id: ExecutionId
    client_order_id: ClientOrderId | None
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    executed_ns: Nanos
    cash_usd: Decimal
    realised_usd: Decimal
    allocations: tuple[Allocation, ...]
    source: str
    reason: str
