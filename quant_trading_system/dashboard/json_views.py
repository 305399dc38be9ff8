"""The engine's values as JSON: Alpaca's field names where it has one, ours beside them. Decides names and nothing else.

Money, prices in orders and quantities are strings; ages, ratios of use and strategy inputs are numbers; times are
RFC 3339 in UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.money import plain
from quant_trading_system.core.records import (
    AlertRecord,
    DecisionRecord,
    DriftRecord,
    EquityRecord,
    FillRecord,
    LockRecord,
    OrderRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.core.types import Latch
from quant_trading_system.core.values import Allocation, ControlResult
from quant_trading_system.core.views import (
    CauseView,
    EngineView,
    LimitView,
    OrderView,
    PositionView,
    SessionView,
    StrategyView,
)
from quant_trading_system.dashboard.port import OrderState

Json = dict[str, Any]

RATIO_STEP = Decimal("0.000001")


def amount(value: Decimal | None) -> str | None:
    """A Decimal as text without exponent; infinite amounts have no number and become None."""
    return None if value is None or not value.is_finite() else plain(value)


def ratio(value: Decimal | None) -> str | None:
    return None if value is None or not value.is_finite() else plain(value.quantize(RATIO_STEP))


def time(stamp_ns: int | None) -> str | None:
    """UTC nanoseconds as RFC 3339 with microseconds; None and zero (never) as null."""
    return to_datetime(stamp_ns).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if stamp_ns else None


def age(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds, 3)


def latch_state(view: EngineView) -> str:
    """One word for three stores: CLEAR only where all say so; else the worst of what they say."""
    found = set(view.latches.values())
    for latch in (Latch.ENGAGED, Latch.UNREADABLE, Latch.MISSING):
        if latch in found:
            return latch.value
    return Latch.CLEAR.value if found else Latch.MISSING.value


def cause(view: CauseView) -> Json:
    return {
        "cause": view.cause,
        "detail": view.detail,
        "state": view.state.value,
        "since": time(view.since_ns),
        "is_latched": view.is_latched,
    }


def session(view: SessionView) -> Json:
    return {
        "date": view.date,
        "is_open": view.is_open_by_calendar and view.is_open_by_broker is not False,
        "is_open_by_calendar": view.is_open_by_calendar,
        "is_open_by_broker": view.is_open_by_broker,
        "open": time(view.open_ns),
        "close": time(view.close_ns),
        "entries_from": time(view.window_start_ns),
        "entries_until": time(view.window_end_ns),
        "next_open": time(view.next_open_ns),
    }


def account(view: EngineView, *, number: str) -> Json:
    money = view.money
    values = [position.market_value_usd for position in view.positions]
    market_value = None if None in values else sum((value for value in values if value is not None), Decimal(0))
    return {
        "account_number": number,
        "currency": "USD",
        "cash": amount(view.cash_usd),
        "equity": amount(money.equity_usd),
        "portfolio_value": amount(money.equity_usd),
        "last_equity": amount(money.last_equity_usd),
        "buying_power": amount(money.broker_buying_power_usd),
        "position_market_value": amount(market_value),
        "own_buying_power": amount(money.own_buying_power_usd),
        "capital": amount(money.capital_usd),
        "day_pl": amount(money.day_pnl_usd),
        "day_loss_ratio": ratio(money.day_loss_ratio),
        "drawdown_ratio": ratio(money.drawdown_ratio),
        "intraday_drawdown_ratio": ratio(money.intraday_drawdown_ratio),
        "equity_floor": amount(money.equity_floor_usd),
        "gross_exposure": amount(view.gross_exposure_usd),
        "gross_exposure_ratio": ratio(view.exposure_ratio),
        "age_s": age(money.account_age_s),
    }


def position(view: PositionView) -> Json:
    cost = view.quantity * view.average_entry_price
    unrealised_ratio = None if view.unrealized_usd is None or not cost else view.unrealized_usd / abs(cost)
    return {
        "symbol": view.symbol,
        "asset_class": "us_equity",
        "qty": amount(view.quantity),
        "side": "short" if view.quantity < 0 else "long",
        "avg_entry_price": amount(view.average_entry_price),
        "current_price": amount(view.mark_price),
        "market_value": amount(view.market_value_usd),
        "cost_basis": amount(cost),
        "unrealized_pl": amount(view.unrealized_usd),
        "unrealized_plpc": ratio(unrealised_ratio),
        "realized_pl": amount(view.realized_usd),
        "broker_qty": amount(view.broker_quantity),
        "agrees_with_broker": None if view.broker_quantity is None else view.broker_quantity == view.quantity,
        "mark_age_s": age(view.mark_age_s),
        "books": [{"strategy": strategy, "qty": amount(quantity)} for strategy, quantity in view.books],
    }


def order(view: OrderView) -> Json:
    """An order that lives, as the engine shows it."""
    return {
        "id": view.broker_order_id,
        "client_order_id": view.client_order_id,
        "symbol": view.symbol,
        "side": view.side.value,
        "qty": amount(view.quantity),
        "filled_qty": amount(view.filled_quantity),
        "filled_avg_price": amount(view.filled_average_price),
        "type": view.order_type,
        "order_type": view.order_type,
        "time_in_force": view.time_in_force,
        "limit_price": amount(view.limit_price),
        "stop_price": amount(view.stop_price),
        "status": view.broker_status or view.status.lower(),
        "state": view.status,
        "is_final": view.is_final,
        "strategy": view.strategy,
        "reason": view.reason,
        "created_at": time(view.created_ns),
        "updated_at": time(view.updated_ns),
    }


def order_row(row: OrderRecord) -> Json:
    """An order as it was remembered; final ones are found only so."""
    average = row.filled_value_usd / row.filled_quantity if row.filled_quantity else None
    return {
        "id": row.broker_order_id,
        "client_order_id": row.client_order_id,
        "symbol": row.symbol,
        "side": row.side.value,
        "qty": amount(row.quantity),
        "filled_qty": amount(row.filled_quantity),
        "filled_avg_price": None if average is None else amount(average.quantize(RATIO_STEP)),
        "type": row.order_type,
        "order_type": row.order_type,
        "time_in_force": row.time_in_force,
        "limit_price": amount(row.limit_price),
        "stop_price": amount(row.stop_price),
        "status": row.broker_status or row.status.lower(),
        "state": row.status,
        "is_final": row.is_final,
        "strategy": row.strategy,
        "reason": row.reason,
        "decision_id": row.decision_id,
        "reference_price": amount(row.reference_price),
        "books": allocations(row.allocations),
        "created_at": time(row.created_ns),
        "submitted_at": time(row.sent_ns),
        "acknowledged_at": time(row.acknowledged_ns),
        "updated_at": time(row.venue_ns),
    }


def order_state(state: OrderState) -> Json:
    return {
        "time": time(state.venue_ns),
        "seen_at": time(state.seen_ns),
        "state": state.status,
        "status": state.broker_status,
        "filled_qty": amount(state.filled_quantity),
        "reason": state.reason,
    }


def fill(row: FillRecord) -> Json:
    return {
        "id": row.execution_id,
        "activity_type": "FILL",
        "order_id": row.broker_order_id,
        "client_order_id": row.client_order_id,
        "symbol": row.symbol,
        "side": row.side.value,
        "qty": amount(row.quantity),
        "price": amount(row.price),
        "cum_qty": amount(row.cumulative_quantity),
        "transaction_time": time(row.venue_ns),
        "seen_at": time(row.seen_ns),
        "realized_pl": amount(row.realised_usd),
        "slippage_bps": amount(row.slippage_bps),
        "source": row.source,
        "books": allocations(row.allocations),
    }


def allocations(parts: tuple[Allocation, ...]) -> list[Json]:
    return [{"strategy": part.strategy, "qty": amount(part.quantity)} for part in parts]


def control(result: ControlResult) -> Json:
    return {
        "control": result.control,
        "name": result.name,
        "passed": result.passed,
        "measured": result.measured,
        "limit": result.limit,
        "usage": age(result.usage),
        "age_s": age(result.age_s),
        "reason": result.reason,
    }


def decision(row: DecisionRecord) -> Json:
    return {
        "decision_id": row.decision_id,
        "time": time(row.venue_ns),
        "seen_at": time(row.seen_ns),
        "strategy": row.strategy,
        "symbol": row.symbol,
        "outcome": row.outcome,
        "reason": row.reason,
        "side": None if row.side is None else row.side.value,
        "qty": amount(row.quantity),
        "limit_price": amount(row.limit_price),
        "reference_price": amount(row.reference_price),
        "client_order_id": row.client_order_id,
        "limits_version": row.limits_version,
        "controls": [control(result) for result in row.controls],
        "inputs": {name: value if math.isfinite(value) else None for name, value in row.inputs.items()},
    }


def strategy(view: StrategyView) -> Json:
    return {
        "strategy": view.strategy,
        "kind": view.kind,
        "is_enabled": view.is_enabled,
        "disabled_reason": view.disabled_reason,
        "symbols": list(view.symbols),
        "warm_symbols": view.warm_symbols,
        "realized_pl": amount(view.realized_usd),
        "unrealized_pl": amount(view.unrealized_usd),
        "last_signal": time(view.last_signal_ns),
        "parameters": view.parameters,
    }


def limit(view: LimitView) -> Json:
    return {
        "control": view.control,
        "name": view.name,
        "limit": view.limit,
        "measured": view.measured,
        "usage": age(view.usage),
    }


def alert(row: AlertRecord) -> Json:
    return {
        "time": time(row.venue_ns),
        "seen_at": time(row.seen_ns),
        "severity": row.severity.value,
        "code": row.code,
        "text": row.text,
        "context": row.context,
    }


def reconciliation(row: ReconciliationRecord) -> Json:
    return {
        "time": time(row.venue_ns),
        "seen_at": time(row.seen_ns),
        "result": row.result,
        "duration_s": age(row.duration_s),
        "drifts": row.drifts,
        "reason": row.reason,
    }


def drift(row: DriftRecord) -> Json:
    return {
        "time": time(row.venue_ns),
        "kind": row.kind,
        "symbol": row.symbol,
        "ours": row.ours,
        "brokers": row.brokers,
        "action": row.action,
    }


def equity(row: EquityRecord) -> Json:
    return {
        "time": time(row.venue_ns),
        "equity": amount(row.equity_usd),
        "cash": amount(row.cash_usd),
        "day_pl": amount(row.day_pnl_usd),
        "drawdown_ratio": ratio(row.drawdown_ratio),
        "gross_exposure": amount(row.gross_exposure_usd),
    }


def lock(row: LockRecord) -> Json:
    return {
        "time": time(row.venue_ns),
        "kind": row.kind,
        "key": row.key,
        "reason": row.reason,
        "is_locked": row.is_locked,
    }


_RECORDS: dict[type[Record], Callable[..., Json]] = {
    DecisionRecord: decision,
    OrderRecord: order_row,
    FillRecord: fill,
    EquityRecord: equity,
    AlertRecord: alert,
    ReconciliationRecord: reconciliation,
    DriftRecord: drift,
    LockRecord: lock,
}


def record(row: Record) -> Json:
    """Any of the rows above; one of another kind is a bug of the caller."""
    return _RECORDS[type(row)](row)
