"""What the broker says of an order and cannot be, or was not asked for, locks its symbol in the step that hears of it.

Judges I7 and I14 by the words themselves (faults A13, A14, C4): another order than was sent, more filled than it has,
fills that fall, a status that nobody knows and no newer picture has overtaken. Each is judged once an order: a person
may have unlocked it since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, LookupAnswered, OrderAnswered, OrderUpdated
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes, Story
from tests.simulation.reach import STATUS_WORDS

CORRECTIONS = frozenset({"trade_bust", "trade_correct"})
FINAL = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
COMPARED = ("symbol", "side", "quantity", "limit_price", "stop_price")


class Contradictions(Judge):
    """Compares what each event shows with what was approved, and with what was shown before."""

    invariants = ("I7", "I14")
    watches = (OrderUpdated, OrderAnswered, LookupAnswered, BrokerSnapshot)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._filled: dict[str, Decimal] = {}
        self._newest_ns: dict[str, int] = {}
        self._over_ns: dict[str, int] = {}
        self._passed_ns: dict[str, int] = {}
        """Of the newest picture in a pass that counted."""
        self._judged: set[tuple[str, str]] = set()
        self._has_splits = notes.has_planned("split")

    def on_start(self) -> None:
        """A new life heard nothing yet: what contradicts what the last one heard, it cannot know."""
        self._filled.clear()
        self._newest_ns.clear()
        self._over_ns.clear()
        self._passed_ns.clear()

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if isinstance(event, BrokerSnapshot):
            self._note_pass(event)
            return
        assert isinstance(event, OrderUpdated | OrderAnswered | LookupAnswered), "the only others watched"
        shown = event.order
        story = None if shown is None else self.notes.stories.get(shown.client_order_id)
        if shown is None or story is None or story.approved is None or story.life != self.world.incarnation:
            return
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        is_correction = isinstance(event, OrderUpdated) and event.word in CORRECTIONS
        for kind, text in () if is_correction else self._contradictions(shown, story):
            if (kind, story.client_order_id) in self._judged:
                continue
            self._judged.add((kind, story.client_order_id))
            if story.symbol not in engine._desk.symbol_locks:
                invariant = "I7" if kind == "echo" else "I14"
                text = f"{story.client_order_id} {text}, and {story.symbol} is open"
                self.notes.fail(invariant, f"{story.client_order_id} {kind}", text)
        self._remember(shown, event, is_correction=is_correction)

    def _contradictions(self, shown: BrokerOrder, story: Story) -> Iterator[tuple[str, str]]:
        assert story.approved is not None, "looked at before"
        intent, name = story.approved.intent, story.client_order_id
        if shown.status not in STATUS_WORDS and not self._is_overtaken(shown):
            yield "word", f"is {shown.status!r}"
        before = self._filled.get(name, Decimal(0))
        newest_ns = max(self._newest_ns.get(name, 0), self._passed_ns.get(name, 0))
        if shown.filled_quantity < before and shown.updated_ns - newest_ns >= SECOND_NS:
            yield "fell", f"has {shown.filled_quantity} filled, and had {before}"
        if self._has_splits or intent.stop_price is not None:  # both are altered by the broker, as they must be
            return
        if shown.filled_quantity > intent.quantity:
            yield "over", f"has {shown.filled_quantity} of {intent.quantity} filled"
        for field in COMPARED:
            asked, echoed = getattr(intent, field), getattr(shown, field)
            if asked != echoed:
                yield "echo", f"was sent with {field} {asked}, and is shown with {echoed}"
                return

    def _is_overtaken(self, shown: BrokerOrder) -> bool:
        """Whether a newer picture was told before, or of the same moment that it is over, or what a pass shows."""
        name = shown.client_order_id
        is_older = shown.updated_ns < self._newest_ns.get(name, 0)
        return is_older or shown.updated_ns <= max(self._over_ns.get(name, -1), self._passed_ns.get(name, -1))

    def _note_pass(self, event: BrokerSnapshot) -> None:
        if self.notes.hearing.good_pass_ns != event.started_mono_ns:
            return
        for order in (*event.open_orders, *event.closed_orders):
            name = order.client_order_id
            self._passed_ns[name] = max(self._passed_ns.get(name, 0), order.updated_ns)
            if order.status in FINAL:
                self._over_ns[name] = max(self._over_ns.get(name, 0), order.updated_ns)

    def _remember(self, shown: BrokerOrder, event: AnyEvent, *, is_correction: bool) -> None:
        name = shown.client_order_id
        told_ns = shown.updated_ns
        if isinstance(event, OrderUpdated) and event.execution is not None:
            told_ns = max(told_ns, event.execution.venue_ns)
        if shown.status in FINAL:
            self._over_ns[name] = max(self._over_ns.get(name, 0), shown.updated_ns)
        self._newest_ns[name] = max(self._newest_ns.get(name, 0), told_ns)
        if is_correction:
            self._filled[name] = shown.filled_quantity
        else:
            self._filled[name] = max(self._filled.get(name, Decimal(0)), shown.filled_quantity)
