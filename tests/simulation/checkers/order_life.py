"""What became of each order, against what the exchange knows: no end without evidence, no fill that falls, no silence.

Judges I4 (finality by evidence), I14 (monotone fills), A6 and B4 (who waits for an answer is told about in time).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, OrderDropped
from quant_trading_system.core.records import AlertRecord, LockRecord, OrderRecord
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes, Story
from tests.simulation.checkers.seam import PREFIX

PASSES_MIN = 2
ALERT_S = 33.0
"""Thirty seconds (fault A6), and the second of the timer with what a slow step costs."""
LYING = ("frame_overfilled", "wrong_echo")
"""Faults in which the broker itself says what is not so: what it showed is evidence then, not what it has."""


class OrderLife(Judge):
    """Looks at every record of an order."""

    invariants = ("I4", "I14")
    watches = (OrderDropped,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._filled: dict[str, object] = {}
        self._doubted: dict[tuple[str, str], int] = {}
        """(order, UNKNOWN or CANCELING) → since when this life knows it so."""
        self._alerted: set[tuple[str, str]] = set()
        self._locked: set[str] = set()
        self._retracted = ""
        """What this step's alerts say of fills that the broker's lists do not show any more: where they may be answered
        as they were, that is the broker's word for whoever asks it. The fill comes back with them."""
        self._ends: Mapping[str, Callable[[OrderRecord, Story], str]] = MappingProxyType(
            {
                "FILLED": self._why_not_filled,
                "CANCELED": self._why_not_over,
                "EXPIRED": self._why_not_over,
                "REPLACED": self._why_not_over,
                "REJECTED": self._why_not_rejected,
                "DROPPED": self._why_not_dropped,
            }
        )

    def on_start(self) -> None:
        """A new life counts what was executed alone, until the broker's word is heard again: that is no fall (I14)."""
        self._filled.clear()
        self._doubted.clear()
        self._alerted.clear()

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """The gateway says that not one byte left: the tap must agree."""
        assert isinstance(event, OrderDropped), "the only event watched"
        story = self.notes.story(event.client_order_id)
        if story.arrived_ns is not None:
            text = f"{event.client_order_id} is dropped as unsent, and arrived at the broker ({event.reason})"
            self.notes.fail("I4", event.client_order_id, text)

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._retracted = self._said_of_retracted(effects)
        for effect in effects:
            if type(effect) is not Remember:
                continue
            record = effect.record
            if type(record) is OrderRecord:
                self._judge(record)
            elif type(record) is AlertRecord:
                self._hear(record)
            elif type(record) is LockRecord and record.kind == "symbol" and record.is_locked:
                self._locked.add(record.key)

    def on_second(self) -> None:
        now_ns = self.world.mono_ns
        for (client_order_id, status), since_ns in self._doubted.items():
            story = self.notes.story(client_order_id)
            code = "order_unknown" if status == "UNKNOWN" else "cancel_late"
            symbol = self._symbol(client_order_id)
            if (now_ns - since_ns) / SECOND_NS > ALERT_S and (code, symbol) not in self._alerted:
                text = f"{client_order_id} is {story.status} for {ALERT_S:.0f} s, and nobody is told ({code})"
                self.notes.fail("I4", f"{client_order_id} {code}", text)

    # records

    def _judge(self, record: OrderRecord) -> None:
        client_order_id = record.client_order_id
        self._judge_fills(record)
        for status in ("UNKNOWN", "CANCELING"):
            if record.status == status:
                self._doubted.setdefault((client_order_id, status), self.world.mono_ns)
            else:
                self._doubted.pop((client_order_id, status), None)
        why_not = self._ends.get(record.status)
        if why_not is None or not client_order_id.startswith(PREFIX):
            return
        problem = why_not(record, self.notes.story(client_order_id))
        if problem:
            self.notes.fail("I4", f"{client_order_id} {record.status}", f"{client_order_id} {record.status}: {problem}")

    def _said_of_retracted(self, effects: Sequence[Effect]) -> str:
        if not self.notes.has_planned("read_stale"):
            return ""
        records = [effect.record for effect in effects if type(effect) is Remember]
        return " ".join(each.text for each in records if type(each) is AlertRecord and each.code == "fill_retracted")

    def _judge_fills(self, record: OrderRecord) -> None:
        client_order_id = record.client_order_id
        before = self._filled.get(client_order_id, record.filled_quantity)
        self._filled[client_order_id] = record.filled_quantity
        is_less = record.filled_quantity < before  # type: ignore[operator]
        if is_less and not self._was_corrected(client_order_id) and client_order_id not in self._retracted:
            text = f"{client_order_id}: filled fell from {before} to {record.filled_quantity}"
            self.notes.fail("I14", client_order_id, text)
        is_over = record.filled_quantity > record.quantity > 0
        if is_over and record.symbol not in self._locked and not self._is_lock_coming(record):
            text = f"{client_order_id}: {record.filled_quantity} of {record.quantity} filled, and the symbol is open"
            self.notes.fail("I14", f"{client_order_id} over", text)

    def _is_lock_coming(self, record: OrderRecord) -> bool:
        """The lock of the same step is recorded behind the order: the engine has it already."""
        engine = self.world.engine
        return engine is not None and record.symbol in engine._desk.symbol_locks

    def _hear(self, record: AlertRecord) -> None:
        symbol = record.context.get("symbol")
        if symbol is not None and record.code in ("order_unknown", "cancel_late"):
            self._alerted.add((record.code, symbol))

    # ends: "" or why it is none

    def _why_not_filled(self, record: OrderRecord, _story: Story) -> str:
        order = self.truth.order(record.client_order_id)
        if order is None:
            return "the broker never had it"
        if order.filled_qty >= record.quantity or order.status == "filled" or self._is_lied(order.client_order_id):
            return ""
        return "" if self._was_corrected(record.client_order_id) else f"the broker has {order.filled_qty} filled"

    def _why_not_over(self, record: OrderRecord, story: Story) -> str:
        order = self.truth.order(record.client_order_id)
        if order is None:
            return "the broker never had it"
        if not order.is_open or self._is_lied(order.client_order_id):
            return ""
        return f"the broker has it {order.status}; it was told {', '.join(sorted(story.words)) or 'nothing'}"

    def _why_not_rejected(self, record: OrderRecord, story: Story) -> str:
        order = self.truth.order(record.client_order_id)
        if order is None:
            return "" if story.refused or "rejected" in story.words else "nobody refused it"
        return "" if not order.is_open or self._is_lied(order.client_order_id) else f"the broker has it {order.status}"

    def _why_not_dropped(self, record: OrderRecord, story: Story) -> str:
        order = self.truth.order(record.client_order_id)
        if order is not None:
            return f"the broker has it {order.status}"
        if story.dropped_ns is not None or (story.sending_ns is None and story.life == self.world.incarnation):
            return ""  # not one byte left, by the gateway's word, which the tap confirms
        age_s = (self.world.mono_ns - max(story.sending_ns or 0, story.doubted_ns)) / SECOND_NS
        if story.proving_passes < PASSES_MIN:
            return f"believed absent after {age_s:.1f} s and {story.proving_passes} clean passes behind its quarantine"
        empty_ns = self.world.told_absent.get(record.client_order_id)
        if empty_ns is None or empty_ns < self.notes.proof_begins_ns(story):
            return f"believed absent after {age_s:.1f} s, and not asked for by its id after its quarantine"
        return ""

    def at_end(self) -> None:
        """Absence that was believed stays true."""
        for client_order_id, story in self.notes.stories.items():
            row = self.world.committed("intents").get((client_order_id,))
            own = self.notes.epochs.get(story.life)
            if row is not None and own is not None and row["epoch"] > own:
                continue  # its intent was kept out by the fence; a later leader gave the number out
            if story.status == "DROPPED" and self.truth.order(client_order_id) is not None:
                text = f"{client_order_id} ended DROPPED, and the broker has it"
                self.notes.fail("I4", f"{client_order_id} DROPPED", text)

    def _is_lied(self, client_order_id: str) -> bool:
        """Whether the broker said what is not so: by a fault of its pictures, or it took its own last word back."""
        return client_order_id in self.world.revived or self.notes.has_planned(*LYING)

    def _was_corrected(self, client_order_id: str) -> bool:
        return any(
            execution.previous_execution_id is not None and execution.client_order_id == client_order_id
            for execution in self.truth.executions
        )

    def _symbol(self, client_order_id: str) -> str:
        engine = self.world.engine
        order = None if engine is None else engine._desk.orders.get(client_order_id)  # type: ignore[arg-type]
        return "" if order is None else order.symbol
