"""Reads a journal back into books and orders. Decides whether it is of this world."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import assert_never

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.journal import (
    DayRecord,
    EventRecord,
    ExecutionRecord,
    Journal,
    JournalError,
    MarkRecord,
    OrderRecord,
    Record,
    SymbolRecord,
    WorldRecord,
)
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.symbol_state import SymbolState

EVENTS_KEPT_MAX = 10_000  # the last ones; 15 MB of orders as they stood


@dataclass(slots=True)
class Restored:
    """What a journal holds besides books and orders; of an empty one, the beginning."""

    now_ns: Nanos
    last_equity: Decimal
    last_maintenance_margin: Decimal = ZERO
    event_sequence: int = 0
    symbols: dict[str, SymbolState] = field(default_factory=dict)
    events: deque[OrderEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT_MAX))


def restore(journal: Journal, settings: ExchangeSettings, *, index: OrderIndex, books: Books) -> Restored:
    """Fill empty books and an empty index from a journal; an empty journal is begun.

    Raises:
        JournalError: another world's, or not begun by a world.
    """
    world = WorldRecord(start_ns=settings.start_ns, seed=settings.seed, cash=settings.cash)
    restored = Restored(now_ns=settings.start_ns, last_equity=settings.cash)
    records = journal.take_records()
    if not records:
        journal.append([world])
        return restored
    _check_world(journal, records[0], world)
    day_starts_ns: int | None = None
    for record in records[1:]:
        day_starts_ns = _start_day(books, day_starts_ns, record)
        match record:
            case OrderRecord():
                index.put(record.order)
            case EventRecord():
                index.put(record.event.order.snapshot())
                restored.events.append(record.event)
            case ExecutionRecord():
                books.book(record.execution)
            case DayRecord():
                restored.last_equity = record.equity
                restored.last_maintenance_margin = record.maintenance_margin
                following = calendar.session_opening_after(record.closed_ns)
                day_starts_ns = following.pre_market_ns if following else None
            case SymbolRecord():
                restored.symbols[record.state.symbol] = record.state
            case MarkRecord():
                restored.now_ns = Nanos(record.now_ns)
                restored.event_sequence = record.event_sequence
            case WorldRecord():
                raise JournalError(f"{journal.path}: two worlds in one journal")
            case _:
                assert_never(record)
    return restored


def _start_day(books: Books, day_starts_ns: int | None, record: Record) -> int | None:
    """Turn to the next day before the first thing that happens in it."""
    happened_ns = (
        record.execution.timestamp_ns
        if isinstance(record, ExecutionRecord)
        else record.now_ns
        if isinstance(record, MarkRecord)
        else None
    )
    if day_starts_ns is None or happened_ns is None or happened_ns < day_starts_ns:
        return day_starts_ns
    books.start_day()
    return None


def _check_world(journal: Journal, first: Record, world: WorldRecord) -> None:
    if not isinstance(first, WorldRecord):
        raise JournalError(f"{journal.path}: expected a world's record first")
    for name in WorldRecord.__struct_fields__:
        held, asked = getattr(first, name), getattr(world, name)
        if held != asked:
            raise JournalError(f"{journal.path}: made with {name} {held}, asked for {asked}")
