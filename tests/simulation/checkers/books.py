"""Whether shares and money in our books come from executions and journaled entries alone, exactly.

Judges I12 (conservation), I13 (each execution once), I18 (equity identity) and that the strategies' books add up. Step
by step: what a step changed must be what its records say. At the end: the rows that were stored, against one another
and against the exchange's executions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, OrderUpdated, Restored
from quant_trading_system.core.records import CorrectionRecord, EntryRecord, FillRecord, PositionRecord, Record
from quant_trading_system.core.types import Side
from quant_trading_system.core.values import Allocation
from tests.simulation.checkers.journal import Journal
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes

ZERO = Decimal(0)
CENT = Decimal("0.01")
JOURNALED = (FillRecord, CorrectionRecord, EntryRecord)
ONE = Decimal(1)
SECONDS_BETWEEN_LOOKS = 5
CORRECTIONS = frozenset({"trade_bust", "trade_correct"})
ALTERING = ("bust", "correct", "frame_overfilled", "wrong_echo", "replaced_outside", "split")
"""Faults that change what an order is, or what of it was executed: its parts are others then."""


class Books(Judge):
    """Keeps the positions and the cash of the last step and compares."""

    invariants = ("I12", "I13", "I18")
    watches = (Restored, OrderUpdated)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._positions: dict[str, Decimal] | None = None
        self._cash: Decimal | None = None
        self._balance: Decimal | None = None
        self._seconds = 0
        self._given: dict[str, dict[Decimal, tuple[Allocation, ...]]] = {}
        self._is_altered = notes.has_planned(*ALTERING)

    def on_start(self) -> None:
        self._positions = self._cash = self._balance = None

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """A life begins with what was restored."""
        if isinstance(event, OrderUpdated):
            self._judge_told(event)
        else:
            self._remember()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        records = [effect.record for effect in effects if type(effect) is Remember]
        journaled = [record for record in records if type(record) in JOURNALED]
        if self._positions is None or isinstance(event, Restored):
            return
        if journaled or isinstance(event, BrokerSnapshot) or any(type(record) is PositionRecord for record in records):
            self._judge_step(journaled)
            self._remember()

    def on_second(self) -> None:
        self._seconds += 1
        if self._seconds % SECONDS_BETWEEN_LOOKS == 0 and self._positions is not None:
            self._judge_step(())

    def _judge_step(self, records: Sequence[Record]) -> None:
        moved: dict[str, Decimal] = defaultdict(Decimal)
        spent_usd = ZERO
        for record in records:
            symbol, quantity, cash_usd = self._take(record)
            spent_usd += cash_usd
            if symbol is not None:
                moved[symbol] += quantity
        self._judge_positions(moved)
        cash_usd = self._desk.ledger.cash_usd
        if self._cash is not None and cash_usd is not None and cash_usd != self._cash + spent_usd:
            text = f"cash became {cash_usd}, was {self._cash}, and {spent_usd} is journaled"
            self.notes.fail("I18", f"cash {self.world.incarnation}", text)
        if all(type(record) is FillRecord for record in records):
            self._judge_balance()

    def _take(self, record: Record) -> tuple[str | None, Decimal, Decimal]:
        assert isinstance(record, FillRecord | CorrectionRecord | EntryRecord), "chosen by the caller"
        if isinstance(record, FillRecord):
            if self.notes.journal.knows(record):
                text = f"{record.client_order_id}: the execution at {record.cumulative_quantity} is booked again"
                self.notes.fail("I13", f"{record.broker_order_id} {record.cumulative_quantity}", text)
            self._judge_allocations(record)
            self._judge_shares(record)
        return self.notes.journal.take(record)

    def _judge_shares(self, fill: FillRecord) -> None:
        """Every strategy of an order gets its part of each fill: never more than a share beside what it asked for.

        Not of an order whose intent was lost with a restored database: who wanted what stood there alone. Its parts are
        then a guess by who holds what, and only their sum can be judged.
        """
        story = None if fill.client_order_id is None else self.notes.stories.get(fill.client_order_id)
        if story is None or story.approved is None or self._is_altered:
            return
        if (story.client_order_id,) in self.world.losses.intents:
            return
        intent = story.approved.intent
        wanted = {each.strategy: each.quantity for each in intent.allocations}
        given = self._given.setdefault(story.client_order_id, {})
        given[fill.cumulative_quantity] = fill.allocations
        if not {each.strategy for each in fill.allocations} <= set(wanted) or intent.quantity <= ZERO:
            return
        done = sum((abs(sum((each.quantity for each in parts), ZERO)) for parts in given.values()), ZERO)
        for strategy, quantity in wanted.items():
            has = sum((each.quantity for parts in given.values() for each in parts if each.strategy == strategy), ZERO)
            fair = quantity * done / intent.quantity
            if abs(has - fair) > ONE:
                text = f"{fill.client_order_id}: {strategy} got {has} shares of {done}, its part is {fair:.2f}"
                self.notes.fail("I12", f"share {fill.client_order_id} {strategy}", text)

    def _judge_told(self, event: OrderUpdated) -> None:
        """What the stream says was executed is in the books after that step, or locks the symbol as impossible."""
        told, engine = event.execution, self.world.engine
        if told is None or event.word in CORRECTIONS or engine is None:
            return
        is_booked = self.notes.journal.fills.get((told.broker_order_id, told.cumulative_quantity)) is not None
        if not is_booked and told.symbol not in engine._desk.symbol_locks:
            text = f"{told.client_order_id}: the stream told of {told.quantity} shares at {told.price}; none is booked"
            self.notes.fail("I13", f"told {told.broker_order_id} {told.cumulative_quantity}", text)

    def _judge_positions(self, moved: Mapping[str, Decimal]) -> None:
        after, before = self._current_positions(), self._positions or {}
        for symbol in sorted({*after, *before, *moved}):
            expected = before.get(symbol, ZERO) + moved.get(symbol, ZERO)
            found = after.get(symbol, ZERO)
            if found != expected:
                text = f"{symbol}: {found} shares, executions and entries make {expected}"
                self.notes.fail("I12", f"{symbol} {self.world.incarnation}", text)

    def _judge_allocations(self, fill: FillRecord) -> None:
        given = sum((allocation.quantity for allocation in fill.allocations), ZERO)
        signed = fill.quantity * (1 if fill.side is Side.BUY else -1)
        if given != signed:
            text = f"fill {fill.execution_id} of {signed} shares went to books as {given}"
            self.notes.fail("I12", f"allocation {fill.execution_id}", text)

    def _judge_balance(self) -> None:
        """Cash plus cost less realised profit: no execution changes it, by not one digit."""
        balance = self._current_balance()
        if self._balance is not None and balance is not None and balance != self._balance:
            text = f"cash + cost - realised became {balance}, was {self._balance}"
            self.notes.fail("I18", f"balance {self.world.incarnation}", text)

    # the engine's view

    @property
    def _desk(self) -> Any:
        engine = self.world.engine
        assert engine is not None, "only a living engine makes steps"
        return engine._desk

    def _remember(self) -> None:
        self._positions, self._cash = self._current_positions(), self._desk.ledger.cash_usd
        self._balance = self._current_balance()

    def _current_positions(self) -> dict[str, Decimal]:
        return dict(self._desk.ledger.positions())

    def _current_balance(self) -> Decimal | None:
        ledger = self._desk.ledger
        cash_usd: Decimal | None = ledger.cash_usd
        if cash_usd is None:
            return None
        books = [book for symbol in ledger.symbols() for book in ledger.books(symbol).values()]
        return cash_usd + sum((book.cost_usd - book.realised_usd for book in books), ZERO)

    # at the end

    def at_end(self) -> None:
        if not self.notes.is_quiet or self.notes.waits_for_a_person or not self.notes.had_time_to_agree:
            return
        stored = Journal()
        stored.begin(self.world.committed("fills").values(), self.world.committed("fill_corrections").values())
        self._judge_stored_fills(stored)
        self._judge_stored_books()

    def _judge_stored_fills(self, stored: Journal) -> None:
        """Each execution of an order of ours is stored once, whoever told of it first, with what became of it."""
        there: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
        for execution in self.truth.executions:
            there[execution.order_id][0] += execution.qty
            there[execution.order_id][1] += execution.qty * execution.price
        values: dict[str, Decimal] = defaultdict(Decimal)
        for (broker_order_id, _), (_, spent_usd) in stored.fills.items():
            values[broker_order_id] += abs(spent_usd)
        intents = {**self.world.losses.intents, **self.world.committed("intents")}
        for order in self.truth.orders():
            if (order.client_order_id,) not in intents:
                continue
            quantity, value_usd = there[order.id]
            if stored.executed[order.id] != quantity:
                text = f"{order.client_order_id}: {stored.executed[order.id]} shares stored, {quantity} executed there"
                self.notes.fail("I13", order.id, text)
            elif abs(values[order.id] - value_usd) > CENT:
                text = f"{order.client_order_id}: {values[order.id]} USD stored, {value_usd} USD executed there"
                self.notes.fail("I18", order.id, text)

    def _judge_stored_books(self) -> None:
        """The strategies' stored books add up to the broker's position."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.world.committed("positions").values():
            sums[row["symbol"]] += row["quantity"]
        found = {symbol: quantity for symbol, quantity in sums.items() if quantity}
        if found != self.truth.positions():
            text = f"the stored books add up to {_say(found)}, the broker holds {_say(self.truth.positions())}"
            self.notes.fail("I12", "stored books", text)


def _say(positions: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{symbol} {quantity}" for symbol, quantity in sorted(positions.items())) or "nothing"
