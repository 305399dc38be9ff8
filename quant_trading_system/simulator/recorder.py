"""Collects what one call changes: events for the stream, records for the journal. Decides when a batch is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.events import Execution, OrderEvent
from quant_trading_system.simulator.journal import (
    EventRecord,
    Journal,
    MarkRecord,
    OrderRecord,
    Record,
    SymbolRecord,
)
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.symbol_state import SymbolState

ORDER_EVENTS_MAX = 1_000_000  # not taken by anybody; a server takes them every few milliseconds
MARK_INTERVAL_NS = 10 * NANOS_PER_SECOND  # of venue time; how far venue time may fall back after a kill without trades


class Recorder:
    """The one way out of the exchange's core for what happened to orders."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._events: deque[OrderEvent] = deque()
        self._facts: list[Record] = []
        self._told: list[EventRecord] = []
        self._changed: dict[str, SimOrder] = {}  # since something was last told of them
        self._symbols: dict[str, SymbolState] = {}
        self._marked_ns = 0
        self.on_change: Callable[[SimOrder], None] = _ignore  # told of every order that is new or has changed
        self.event_sequence = 0
        self.events_dropped = 0

    def changed(self, order: SimOrder) -> None:
        """Note that an order has a new state."""
        self.on_change(order)
        if self._journal is not None:
            self._changed[order.id] = order

    def symbol_changed(self, state: SymbolState) -> None:
        """Note that the venue keeps something else of a symbol."""
        if self._journal is not None:
            self._symbols[state.symbol] = state

    def fact(self, record: Record) -> None:
        if self._journal is not None:
            self._facts.append(record)

    def emit(
        self,
        event: str,
        order: SimOrder,
        now_ns: Nanos,
        *,
        execution_id: str | None = None,
        execution: Execution | None = None,
        position_qty: Decimal | None = None,
        previous_execution_id: str | None = None,
    ) -> None:
        """Queue one message for `trade_updates`; the order is copied as it is now."""
        self.event_sequence += 1
        if len(self._events) >= ORDER_EVENTS_MAX:
            self._events.popleft()
            self.events_dropped += 1
        told = OrderEvent(
            sequence=self.event_sequence,
            event=event,
            timestamp_ns=now_ns,
            order=order.snapshot(),
            execution_id=execution.execution_id if execution else execution_id,
            price=execution.price if execution else None,
            qty=execution.qty if execution else None,
            position_qty=position_qty,
            previous_execution_id=previous_execution_id,
        )
        self._events.append(told)
        self.on_change(order)
        if self._journal is not None:
            self._told.append(EventRecord(event=told))
            self._changed.pop(order.id, None)

    def take_events(self) -> list[OrderEvent]:
        events = list(self._events)
        self._events.clear()
        return events

    def commit(self, now_ns: Nanos) -> None:
        """Write everything since the last commit as one batch; without changes, venue time now and then."""
        if self._journal is None:
            return
        if (
            not (self._facts or self._told or self._changed or self._symbols)
            and now_ns - self._marked_ns < MARK_INTERVAL_NS
        ):
            return
        batch: list[Record] = [*self._facts, *self._told]
        batch.extend(OrderRecord(order=order) for order in self._changed.values())
        batch.extend(SymbolRecord(state=state) for state in self._symbols.values())
        batch.append(MarkRecord(now_ns=now_ns, event_sequence=self.event_sequence))
        self._journal.append(batch)
        self._facts.clear()
        self._told.clear()
        self._changed.clear()
        self._symbols.clear()
        self._marked_ns = now_ns


def _ignore(order: SimOrder) -> None:
    """Nobody wants to know."""
    del order
