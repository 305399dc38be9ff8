"""What a database that kept every record would tell the next process: records in, `Restored` out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import structs

from quant_trading_system.app.stamps import Stamps
from quant_trading_system.core.broker import Execution
from quant_trading_system.core.events import (
    Restored,
    RestoredBook,
    RestoredEntry,
    RestoredFill,
    RestoredGuards,
    RestoredOrder,
)
from quant_trading_system.core.records import (
    AuditRecord,
    CorrectionRecord,
    EntryRecord,
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
    known = _fills(records)
    guards = [record for record in records if isinstance(record, GuardRecord)]
    locks = {(record.kind, record.key): record for record in records if isinstance(record, LockRecord)}
    standing = [record for record in locks.values() if record.is_locked]
    used = [sequence_of(approved.intent.client_order_id) or 0 for approved in intents]
    return Restored(
        orders=_orders(records, intents),
        books=_books(records),
        known_executions=tuple((each.execution.broker_order_id, each.execution.cumulative_quantity) for each in known),
        fills=known,
        undone_executions=tuple(
            {(each.broker_order_id, each.cumulative_quantity): None for each in corrections(records)}
        ),
        entries=tuple(
            RestoredEntry(reference=each.reference, kind=each.kind, cash_usd=each.cash_usd, venue_ns=each.venue_ns)
            for each in records
            if isinstance(each, EntryRecord)
        ),
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
    """Cash of the newest equity row, with what fills, corrections and entries after it moved."""
    at = max((index for index, record in enumerate(records) if isinstance(record, EquityRecord)), default=None)
    if at is None:
        return None
    newest = records[at]
    assert isinstance(newest, EquityRecord), "the index was taken from one"
    later = records[at:]
    spent = sum(
        (fill.quantity * fill.price * fill.side.sign for fill in later if isinstance(fill, FillRecord)), Decimal(0)
    )
    moved = sum((each.cash_usd for each in later if isinstance(each, CorrectionRecord | EntryRecord)), Decimal(0))
    return newest.cash_usd - spent + moved


def corrections(records: Sequence[Record]) -> list[CorrectionRecord]:
    return [record for record in records if isinstance(record, CorrectionRecord)]


def _fills(records: Sequence[Record]) -> tuple[RestoredFill, ...]:
    """Executions with the numbers that count: the newest correction's, where there is one."""
    corrected = {(each.broker_order_id, each.cumulative_quantity): each for each in corrections(records)}
    found = []
    for fill in records:
        if not isinstance(fill, FillRecord):
            continue
        newest = corrected.get((fill.broker_order_id, fill.cumulative_quantity))
        if newest is not None and not newest.quantity:
            continue
        numbers = fill if newest is None else newest
        execution = Execution(
            execution_id=fill.execution_id,
            broker_order_id=fill.broker_order_id,
            client_order_id=fill.client_order_id,
            symbol=fill.symbol,
            side=fill.side,
            quantity=numbers.quantity,
            price=numbers.price,
            cumulative_quantity=fill.cumulative_quantity,
            venue_ns=fill.venue_ns if newest is None else newest.executed_ns,
        )
        found.append(
            RestoredFill(execution=execution, allocations=numbers.allocations, is_inferred=numbers.source == "inferred")
        )
    return tuple(found)


def _guards(record: GuardRecord) -> RestoredGuards:
    return RestoredGuards(**{name: structs.asdict(record)[name] for name in RestoredGuards.__struct_fields__})
