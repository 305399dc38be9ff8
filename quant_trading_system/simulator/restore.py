"""Reads a journal back into books and orders. Decides whether it is of this world."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import assert_never

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.back_office import BackOffice
from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.journal import (
    AccountRecord,
    AnnouncedRecord,
    AppliedRecord,
    ConfigurationsRecord,
    DayRecord,
    DayStartRecord,
    EntitlementRecord,
    EventRecord,
    ExecutionRecord,
    Journal,
    JournalError,
    MarkRecord,
    NonTradeRecord,
    OfficeRecord,
    OrderRecord,
    Record,
    SampleRecord,
    SymbolRecord,
    VoidRecord,
    WatchlistRecord,
    WorldRecord,
)
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.symbol_state import SymbolState
from quant_trading_system.simulator.watchlists import Watchlists

EVENTS_KEPT_MAX = 10_000  # the last ones; 15 MB of orders as they stood


@dataclass(slots=True, kw_only=True)
class Holders:
    """What a journal fills: all of it empty or at its beginning."""

    index: OrderIndex
    books: Books
    office: BackOffice
    watchlists: Watchlists


@dataclass(slots=True)
class Restored:
    """What a journal holds besides; of an empty one, the beginning."""

    now_ns: Nanos
    event_sequence: int = 0
    symbols: dict[str, SymbolState] = field(default_factory=dict)
    events: deque[OrderEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT_MAX))


def restore(journal: Journal, settings: ExchangeSettings, holders: Holders) -> Restored:
    """Fill the holders from a journal; an empty journal is begun.

    Raises:
        JournalError: another world's, or not begun by a world.
    """
    world = WorldRecord(start_ns=settings.start_ns, seed=settings.seed, cash=settings.cash)
    restored = Restored(now_ns=settings.start_ns)
    records = journal.take_records()
    if not records:
        journal.append([world])
        return restored
    _check_world(journal, records[0], world)
    for record in records[1:]:
        match record:
            case SymbolRecord():
                restored.symbols[record.state.symbol] = record.state
            case MarkRecord():
                restored.now_ns = Nanos(record.now_ns)
                restored.event_sequence = record.event_sequence
            case EventRecord():
                holders.index.put(record.event.order.snapshot())
                restored.events.append(record.event)
            case OrderRecord():
                holders.index.put(record.order)
            case WorldRecord():
                raise JournalError(f"{journal.path}: two worlds in one journal")
            case _:
                _fill(holders, record)
    return restored


def _fill(holders: Holders, record: AccountRecord) -> None:
    """Give what is of the account to whoever holds it."""
    books, office = holders.books, holders.office
    match record:
        case ExecutionRecord():
            books.book(record.execution)
        case VoidRecord():
            books.void(record.void)
        case NonTradeRecord():
            books.enter(record.entry)
        case DayStartRecord():
            books.start_day(record.start.starts_ns)
            office.corporate.take_day(new_york_date(record.start.starts_ns))
        case DayRecord():
            office.take_close(record)
        case SampleRecord():
            office.history.add_sample(record.stamp_ns, record.equity)
        case WatchlistRecord():
            holders.watchlists.restore(record.watchlist_id, record.watchlist)
        case _:
            _fill_office(office, record)


def _fill_office(office: BackOffice, record: OfficeRecord) -> None:
    match record:
        case ConfigurationsRecord():
            office.permissions.configurations = record.configurations
        case AnnouncedRecord():
            office.corporate.take_announced(record.action)
        case AppliedRecord():
            office.corporate.take_applied(record.action)
        case EntitlementRecord():
            office.corporate.take_entitlement(record.entitlement, is_paid=record.is_paid)
        case _:
            assert_never(record)


def _check_world(journal: Journal, first: Record, world: WorldRecord) -> None:
    if not isinstance(first, WorldRecord):
        raise JournalError(f"{journal.path}: expected a world's record first")
    for name in WorldRecord.__struct_fields__:
        held, asked = getattr(first, name), getattr(world, name)
        if held != asked:
            raise JournalError(f"{journal.path}: made with {name} {held}, asked for {asked}")
