"""What a database that kept every record would tell the next process: records in, `Restored` out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import structs

from quant_trading_system.app.stamps import Stamps
from quant_trading_system.core.events import Restored, RestoredBook, RestoredGuards, RestoredOrder
from quant_trading_system.core.records import (
    AuditRecord,
    EquityRecord,
    FillRecord,
    GuardRecord,
    LockRecord,
    OrderRecord,
    PositionRecord,
    Record,
)
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos, StrategyId, Symbol
from quant_trading_system.core.values import Approved
from quant_trading_system.persistence.intents import sequence_of

EXTERNAL = StrategyId("external")


def restored_from(records: Sequence[Record], intents: Sequence[Approved], stamps: Stamps) -> Restored:
    """The event that `persistence.recovery` makes of these rows and intents."""
    fills = [record for record in records if isinstance(record, FillRecord)]
    guards = [record for record in records if isinstance(record, GuardRecord)]
    locks = {(record.kind, record.key): record for record in records if isinstance(record, LockRecord)}
    standing = [record for record in locks.values() if record.is_locked]
    used = [sequence_of(approved.intent.client_order_id) or 0 for approved in intents]
    return Restored(
        orders=_orders(records, intents),
        books=_books(records),
        known_executions=tuple((fill.broker_order_id, fill.cumulative_quantity) for fill in fills),
        cash_usd=_cash(records),
        guards=_guards(guards[-1]) if guards else None,
        next_sequence=max(used, default=0) + 1,
        locks=tuple((Symbol(each.key), each.reason) for each in standing if each.kind == "symbol"),
        disabled_strategies=tuple((StrategyId(each.key), each.reason) for each in standing if each.kind == "strategy"),
        last_stop_ns=max((record.venue_ns for record in records), default=None),
        is_first_start=False,
        healing=_healing(records, stamps["seen_ns"]),
        **stamps,
    )


def _healing(records: Sequence[Record], seen_ns: Nanos) -> tuple[tuple[str, float], ...]:
    audits = [record for record in records if isinstance(record, AuditRecord) and record.actor == "healing"]
    renewed = max((number for number, each in enumerate(audits) if each.action == "budget"), default=-1)
    used = [each for each in audits[renewed + 1 :] if each.outcome in ("done", "failed")]
    return tuple((each.action, (seen_ns - each.seen_ns) / NANOS_PER_SECOND) for each in used)


def _orders(records: Sequence[Record], intents: Sequence[Approved]) -> tuple[RestoredOrder, ...]:
    newest = {record.client_order_id: record for record in records if isinstance(record, OrderRecord)}
    fields = [name for name in RestoredOrder.__struct_fields__ if name in OrderRecord.__struct_fields__]
    live = [
        RestoredOrder(**{name: getattr(record, name) for name in fields})
        for record in newest.values()
        if not record.is_final
    ]
    without_row = [approved.intent for approved in intents if approved.intent.client_order_id not in newest]
    return (
        *live,
        *(
            RestoredOrder(
                client_order_id=intent.client_order_id,
                broker_order_id=None,
                strategy=intent.strategy,
                symbol=intent.symbol,
                side=intent.side,
                quantity=intent.quantity,
                order_type=intent.order_type.value,
                limit_price=intent.limit_price,
                stop_price=intent.stop_price,
                time_in_force=intent.time_in_force.value,
                reference_price=intent.reference_price,
                allocations=intent.allocations,
                decision_id=intent.decision_id,
                status="UNKNOWN",
                filled_quantity=Decimal(0),
                filled_value_usd=Decimal(0),
                created_ns=intent.decided_ns,
                order_class=intent.order_class.value,
                stop_loss_price=intent.stop_loss_price,
                take_profit_price=intent.take_profit_price,
            )
            for intent in without_row
        ),
    )


def _books(records: Sequence[Record]) -> tuple[RestoredBook, ...]:
    newest = {(record.strategy, record.symbol): record for record in records if isinstance(record, PositionRecord)}
    return tuple(
        RestoredBook(**{name: getattr(record, name) for name in RestoredBook.__struct_fields__})
        for record in newest.values()
    )


def _cash(records: Sequence[Record]) -> Decimal | None:
    """Cash of the newest equity row, less what fills after it cost."""
    at = max((index for index, record in enumerate(records) if isinstance(record, EquityRecord)), default=None)
    if at is None:
        return None
    newest = records[at]
    assert isinstance(newest, EquityRecord), "the index was taken from one"
    later = [record for record in records[at:] if isinstance(record, FillRecord)]
    return newest.cash_usd - sum((fill.quantity * fill.price * fill.side.sign for fill in later), Decimal(0))


def _guards(record: GuardRecord) -> RestoredGuards:
    return RestoredGuards(**{name: structs.asdict(record)[name] for name in RestoredGuards.__struct_fields__})
