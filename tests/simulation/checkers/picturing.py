"""Whether a picture of the broker that is taken for one is whole, of one moment, and no older than what was heard.

Judges I16 by the picture itself and by the exchange's books (faults C8, C9, C13): an order or an execution that is not
in it, two opinions of one order in it, positions that its own account contradicts, a beginning before the last news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, OrderAnswered, OrderUpdated
from quant_trading_system.core.records import ReconciliationRecord
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes

ZERO = Decimal(0)
LISTS_LIE = ("read_empty", "read_partial", "read_stale")
"""Faults by which the broker's answers are no picture of its books."""
HIDING = ("order_mute", "duplicate_unshown")
CORRECTIONS = frozenset({"trade_bust", "trade_correct"})
ALTERING = ("bust", "correct", "frame_overfilled")
TAKEN = ("clean", "differences")
GAP_FRACTION, GAP_USD = Decimal("0.05"), Decimal(50)
"""More than twice of what prices may move between two reads."""


class Picturing(Judge):
    """Looks at every picture, and at whether the engine took it."""

    invariants = ("I16",)
    watches = (BrokerSnapshot, OrderUpdated, OrderAnswered)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._news_ns = 0
        self._told: dict[str, tuple[Decimal, int]] = {}
        """By the broker's id: shares of the newest execution that was told, and when it happened."""
        self._contradicted: set[str] = set()
        self._is_whole = not notes.has_planned(*LISTS_LIE, *HIDING)
        self._is_told_truly = not notes.has_planned(*ALTERING)

    def on_start(self) -> None:
        self._news_ns = 0
        self._told.clear()
        self._contradicted.clear()

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if not isinstance(event, BrokerSnapshot):
            self._news_ns = max(self._news_ns, event.mono_ns)
            if isinstance(event, OrderUpdated) and event.execution is not None and event.word not in CORRECTIONS:
                fill = event.execution
                self._told[fill.broker_order_id] = (fill.cumulative_quantity, fill.venue_ns)
            return
        is_taken = any(
            type(effect) is Remember and type(effect.record) is ReconciliationRecord and effect.record.result in TAKEN
            for effect in effects
        )
        problems = [*self._gaps(event), *self._two_moments(event)] if self._is_whole else []
        older = self._older(event)
        if is_taken:
            problems += [*self._beginning(event), *self._holdings(event), *older]
        for problem in problems:
            self.notes.fail("I16", f"{problem[:40]} {self.world.incarnation}", f"a picture {problem}")

    def _gaps(self, event: BrokerSnapshot) -> Iterator[str]:
        """What was there before the pass began and is there still, or was executed since the picture begins."""
        shown = {order.broker_order_id for order in event.open_orders}
        began_ns, since_ns = event.started_venue_ns or 0, event.since_ns or 0
        for order in self.truth.open_orders():
            is_back = order.client_order_id in self.world.revived  # it had ended, and came back meanwhile
            if order.submitted_at_ns < began_ns and order.status != "held" and order.id not in shown and not is_back:
                yield f"lacks the open order {order.client_order_id}"
        listed: dict[str, Decimal] = defaultdict(Decimal)
        for fill in event.executions:
            listed[fill.broker_order_id] += fill.quantity
        there: dict[str, Decimal] = defaultdict(Decimal)
        for execution in reversed(self.truth.executions):
            if execution.timestamp_ns <= since_ns:
                break
            if execution.timestamp_ns < began_ns:
                there[execution.order_id] += execution.qty
        for order_id, quantity in there.items():
            if self._is_told_truly and listed[order_id] < quantity:
                yield f"lists {listed[order_id]} shares of the order {order_id}, {quantity} were executed"

    def _two_moments(self, event: BrokerSnapshot) -> Iterator[str]:
        """An order that it shows open and closed, or executions that its own orders do not know."""
        closed = {order.broker_order_id: order for order in event.closed_orders}
        for order in event.open_orders:
            other = closed.get(order.broker_order_id)
            if other is not None and other.filled_quantity != order.filled_quantity:
                filled = f"{order.filled_quantity} and {other.filled_quantity}"
                yield f"shows {order.client_order_id} twice, with {filled} shares filled"

    def _beginning(self, event: BrokerSnapshot) -> Iterator[str]:
        if event.started_mono_ns < self._news_ns:
            yield f"was taken that began {(self._news_ns - event.started_mono_ns) / 1e9:.3f} s before the last news"

    def _holdings(self, event: BrokerSnapshot) -> Iterator[str]:
        """Positions and account tell of one holding."""
        values = [position.market_value_usd for position in event.positions]
        if any(value is None for value in values):
            return
        shown_usd = sum((value for value in values if value is not None), ZERO)
        gross_usd = sum((abs(value) for value in values if value is not None), ZERO)
        counted_usd = event.account.equity_usd - event.account.cash_usd
        room_usd = max(GAP_USD, GAP_FRACTION * max(gross_usd, abs(counted_usd)))
        if abs(shown_usd - counted_usd) > room_usd:
            yield f"was taken with positions of {shown_usd:.2f} USD, of which the account counts {counted_usd:.2f}"

    def _older(self, event: BrokerSnapshot) -> list[str]:
        """Orders that it shows with less filled than was told, and with a stamp of before: at the first sight."""
        found = []
        for order in (*event.open_orders, *event.closed_orders):
            if self._is_older(order) and order.broker_order_id not in self._contradicted:
                self._contradicted.add(order.broker_order_id)
                text = f"{order.client_order_id} with {order.filled_quantity} filled, after more was told"
                found.append(f"was taken that shows {text}")
        return found

    def _is_older(self, order: BrokerOrder) -> bool:
        filled, told_ns = self._told.get(order.broker_order_id, (ZERO, 0))
        if order.filled_quantity >= filled or order.updated_ns >= told_ns or not self._is_told_truly:
            return False
        return self.notes.journal.fills.get((order.broker_order_id, filled)) is not None
