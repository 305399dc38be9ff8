"""The stream of account activities (reference 8). Decides how an entry of the books is told, trade or not.

Its history is that of the books, so it reaches back to the beginning of the world, over restarts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from quant_trading_system.simulator.calendar import settlement_date
from quant_trading_system.simulator.entries import DayStart, NonTrade, Void
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.ledger import Entry
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.server.event_wire import ulid, ulid_number
from quant_trading_system.simulator.server.feeds import is_pair
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.stamps import stamp_text

TRADE = "TRD"
CURRENCY = "USD"
EVENTS_OF_ENTRY_MAX = 2  # a correction takes back and enters


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """One activity on its way out."""

    stamp_ns: int
    sequence: int
    fields: Json

    @property
    def number(self) -> int:
        return ulid_number(self.stamp_ns, self.sequence)

    def data(self) -> Json:
        return {"at": stamp_text(self.stamp_ns), "event_id": ulid(self.stamp_ns, self.sequence), **self.fields}


Listener = Callable[[ActivityEvent], None]


class ActivityEvents:
    """All entries of the books, as events."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._listeners: dict[Listener, None] = {}
        self._told = 0

    def history(self) -> Sequence[ActivityEvent]:
        """Everything that was booked, oldest first."""
        return list(self._events_from(0))

    def listen(self, listener: Listener) -> None:
        if not self._listeners:
            self._told = self._exchange.entries_booked
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    def tick(self) -> None:
        """Tell what was booked since the last call; nothing is looked at when nobody listens."""
        if not self._listeners or self._exchange.entries_booked == self._told:
            return
        first, self._told = self._told, self._exchange.entries_booked
        for event in self._events_from(first):
            for listener in tuple(self._listeners):
                listener(event)

    def _events_from(self, first: int) -> Iterator[ActivityEvent]:
        for number, entry in enumerate(self._exchange.entries(first), start=first):
            for place, (stamp_ns, fields) in enumerate(_told(entry), start=1):
                yield ActivityEvent(stamp_ns, number * EVENTS_OF_ENTRY_MAX + place, fields)


def _told(entry: Entry) -> Iterator[tuple[int, Json]]:
    """When something happened, and what is told of it."""
    match entry:
        case Execution():
            yield entry.timestamp_ns, _trade(entry, "fill", "executed")
        case Void():
            yield entry.reversal.timestamp_ns, _trade(entry.reversal, "trade_bust", "canceled")
            if entry.correction is not None:
                yield entry.correction.timestamp_ns, _trade(entry.correction, "trade_correct", "correct")
        case NonTrade():
            yield entry.created_at_ns, _non_trade(entry)
        case DayStart():
            return  # nobody is told that a day begins
        case _:
            assert_never(entry)


def _trade(execution: Execution, execution_type: str, status: str) -> Json:
    day = new_york_date(execution.timestamp_ns)
    money = execution.qty * execution.price
    fields: Json = {
        "activity_type": TRADE,
        "currency": CURRENCY,
        "executed_at": stamp_text(execution.timestamp_ns),
        "net_amount": plain(-money if execution.side == "buy" else money),
        "price": plain(execution.price),
        "qty": plain(execution.qty),
        "ref_id": execution.execution_id,
        "settle_date": str(day if is_pair(execution.symbol) else settlement_date(day)),
        "status": status,
        "details": {
            "client_order_id": execution.client_order_id,
            "commission": plain(execution.fee),
            "cum_qty": plain(execution.cum_qty),
            "execution_type": execution_type,
            "leaves_qty": plain(execution.leaves_qty),
            "order_id": execution.order_id,
            "order_status": execution.order_status,
            "side": execution.side,
            "symbol": execution.symbol,
        },
    }
    if execution.previous_execution_id is not None:
        fields["previous_id"] = execution.previous_execution_id
    return fields


def _non_trade(entry: NonTrade) -> Json:
    fields: Json = {
        "activity_type": entry.activity_type,
        "currency": CURRENCY,
        "executed_at": stamp_text(entry.created_at_ns),
        "net_amount": plain(entry.net_amount),
        "ref_id": entry.id.partition("::")[2],
        "settle_date": str(entry.day),
        "status": "executed",
        "details": _details(entry),
    }
    if entry.sub_type is not None:
        fields["activity_subtype"] = entry.sub_type
    for name, amount in (("qty", entry.qty), ("price", entry.price)):
        if amount is not None:
            fields[name] = plain(amount)
    return fields


def _details(entry: NonTrade) -> Json:
    details: Json = {"system_date": str(entry.day), "description": entry.description}
    for name, text in (("group_id", entry.group_id), ("symbol", entry.symbol), ("cusip", entry.cusip)):
        if text is not None:
            details[name] = text
    return details
