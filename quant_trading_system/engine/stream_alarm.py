"""Whether `trade_updates` reports what REST shows. Where it does not in time, its connection is made anew.

A socket may be open, answer pings and carry nothing, and one frame may be lost on a healthy one (faults C1, D1): only
the orders themselves tell. What REST showed before a connection, and in the first pass after it, is what the gap
swallowed, which the stream never repeats; it is taken as told, however late a pass lists it again.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import BrokerOrderId, MonoNanos, Severity, Stream
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.healing import Healing

REPORT_SECONDS_MAX = 5.0
"""An event takes milliseconds; the slowest reports of a healthy stream were seconds late."""
CYCLE_GAP_SECONDS = 60.0
"""A stream that goes on losing frames is made anew once a minute: less than it costs to be without it."""
ORDERS_MAX = 5_000
FINAL = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
HELD = "held"
"""A leg that waits for its parent: Alpaca sends no event of it."""


class _Told(Struct):
    """How far the stream has told of one order."""

    filled: Decimal
    is_final: bool


class _Missing(Struct, frozen=True):
    """What REST showed and the stream did not say since."""

    since_mono_ns: MonoNanos
    filled: Decimal
    is_final: bool
    text: str


class StreamAlarm:
    """Compares both channels, order by order. Orders that are not ours, and legs, are not waited for."""

    def __init__(self, desk: Desk, healing: Healing) -> None:
        self._desk = desk
        self._healing = healing
        self._told: dict[BrokerOrderId, _Told] = {}
        self._missing: dict[BrokerOrderId, _Missing] = {}
        self._is_baselined = False
        self._up_mono_ns = MonoNanos(0)
        self._cycled_mono_ns: MonoNanos | None = None

    def on_stream_up(self) -> None:
        """A new connection: the next pass says from where on it has to report."""
        for order_id, missing in self._missing.items():
            self._take_as_told(order_id, missing.filled, is_final=missing.is_final)
        self._missing.clear()
        self._is_baselined = False
        self._up_mono_ns = self._desk.mono_ns

    def on_update(self, order: BrokerOrder, word: str) -> None:
        """The stream spoke of an order: its end is told by the event's word as well as by the picture's status."""
        is_final = order.status in FINAL or word in FINAL
        self._take_as_told(order.broker_order_id, order.filled_quantity, is_final=is_final)
        missing = self._missing.get(order.broker_order_id)
        told = self._told[order.broker_order_id]
        if missing is not None and told.filled >= missing.filled and (told.is_final or not missing.is_final):
            del self._missing[order.broker_order_id]

    def on_snapshot(self, event: BrokerSnapshot) -> None:
        """A pass: the first one of a connection is where its duty begins, every other one is compared."""
        desk = self._desk
        is_of_now = desk.streams_up[Stream.TRADE_UPDATES] and event.started_mono_ns >= self._up_mono_ns
        orders = (*event.open_orders, *event.closed_orders)
        if is_of_now and self._is_baselined:
            for order in orders:
                self.on_shown(order)
            return
        self._is_baselined = self._is_baselined or is_of_now
        for order in orders:
            self._take_as_told(order.broker_order_id, order.filled_quantity, is_final=order.status in FINAL)

    def on_shown(self, order: BrokerOrder) -> None:
        """REST shows an order: in a pass, a lookup, or the answer to a POST."""
        if not self._is_baselined:
            self._take_as_told(order.broker_order_id, order.filled_quantity, is_final=order.status in FINAL)
            return
        if not self._is_awaited(order):
            return
        told = self._told.get(order.broker_order_id)
        is_final = order.status in FINAL
        if told is not None and order.filled_quantity <= told.filled and (told.is_final or not is_final):
            return
        before = self._missing.get(order.broker_order_id)
        self._missing[order.broker_order_id] = _Missing(
            self._desk.mono_ns if before is None else before.since_mono_ns,
            order.filled_quantity if before is None else max(order.filled_quantity, before.filled),
            is_final or (before is not None and before.is_final),
            f"{order.client_order_id} is {order.status} with {order.filled_quantity} filled",
        )

    def on_second(self) -> None:
        """Make the connection anew where it owes a report for too long."""
        desk = self._desk
        if not desk.streams_up[Stream.TRADE_UPDATES]:
            return
        late = [each for each in self._missing.values() if desk.age_s(each.since_mono_ns) > REPORT_SECONDS_MAX]
        if not late or (self._cycled_mono_ns is not None and desk.age_s(self._cycled_mono_ns) < CYCLE_GAP_SECONDS):
            return
        reason = f"REST shows what trade_updates did not report for {REPORT_SECONDS_MAX:.0f} s: {late[0].text}"
        self._cycled_mono_ns = desk.mono_ns
        desk.alert(Severity.WARNING, "stream_starved", reason)
        self._healing.cycle(Stream.TRADE_UPDATES, reason)

    def _is_awaited(self, order: BrokerOrder) -> bool:
        ours = self._desk.orders.get(order.client_order_id)
        return ours is not None and not ours.is_external and order.status != HELD

    def _take_as_told(self, broker_order_id: BrokerOrderId, filled: Decimal, *, is_final: bool) -> None:
        told = self._told.setdefault(broker_order_id, _Told(ZERO, False))
        told.filled = max(told.filled, filled)
        told.is_final = told.is_final or is_final
        if len(self._told) > ORDERS_MAX:
            del self._told[next(iter(self._told))]
