"""Whether shares and money in our books come from executions and journaled adjustments alone, exactly.

Judges I12 (conservation), I13 (each execution once), I18 (equity identity) and that the strategies' books add up. Step
by step: what a step changed must be what its records say. At the end: the rows that were stored against the exchange's
executions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, Restored
from quant_trading_system.core.records import DriftRecord, FillRecord, PositionRecord
from quant_trading_system.core.types import Side
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes

ZERO = Decimal(0)
CHANGES = (FillRecord, DriftRecord, PositionRecord)
HARMLESS = frozenset(
    {"Wait", "LockSymbol", "BookExecution", "ObserveOrder", "AdoptOrder", "RaiseAlert", "SetCash", "AskOrder"}
)
"""Actions of reconciliation that leave shares alone, or change them by an execution that has its own record. Any other
is an adjustment, which must lead to what the pass shows."""
SHARE_KINDS = frozenset(
    {"missing_fill", "status_gap", "orphan_order", "missing_order", "phantom_position", "quantity_gap", "sign_flip"}
)
"""Kinds of drift that say nothing of cash; behind any other the cash may have been set anew."""
SECONDS_BETWEEN_LOOKS = 5


class Books(Judge):
    """Keeps the positions of the last step and compares."""

    invariants = ("I12", "I13", "I18")
    watches = (Restored,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._positions: dict[str, Decimal] | None = None
        self._balance: Decimal | None = None
        self._seconds = 0

    def on_start(self) -> None:
        self._positions = self._balance = None

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """A life begins with what was restored."""
        self._remember()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if self._positions is None or isinstance(event, Restored):
            return
        records = [effect.record for effect in effects if type(effect) is Remember]
        if any(type(record) in CHANGES for record in records):
            self._judge_step(event, records)
            self._remember()

    def on_second(self) -> None:
        self._seconds += 1
        if self._seconds % SECONDS_BETWEEN_LOOKS or self._positions is None:
            return
        engine = self.world.engine
        assert engine is not None, "its timer was handled"
        if _positions(engine) != self._positions:
            text = f"positions became {_positions(engine)} without a record, were {self._positions}"
            self.notes.fail("I12", f"silent {self.world.incarnation}", text)
            self._remember()

    def _judge_step(self, event: AnyEvent, records: Sequence[object]) -> None:
        engine = self.world.engine
        assert engine is not None, "it made the records"
        assert self._positions is not None, "checked by the caller"
        moved: dict[str, Decimal] = defaultdict(Decimal)
        adjusted: dict[str, str] = {}
        cash_set = False
        for record in records:
            if type(record) is FillRecord:
                moved[record.symbol] += record.quantity * (1 if record.side is Side.BUY else -1)
                self._judge_allocations(record)
            elif type(record) is DriftRecord:
                if record.symbol is not None and record.action not in HARMLESS:
                    adjusted[record.symbol] = record.action
                cash_set = cash_set or record.kind not in SHARE_KINDS
        after = _positions(engine)
        for symbol in sorted(set(after) | set(self._positions) | set(moved)):
            expected = self._positions.get(symbol, ZERO) + moved[symbol]
            found = after.get(symbol, ZERO)
            if symbol in adjusted:
                self._judge_adjustment(event, symbol, found)
            elif found != expected:
                text = f"{symbol}: {found} shares, executions make {expected}"
                self.notes.fail("I12", f"{symbol} {self.world.incarnation}", text)
        if not adjusted and not cash_set:
            self._judge_balance()

    def _judge_allocations(self, fill: FillRecord) -> None:
        given = sum((allocation.quantity for allocation in fill.allocations), ZERO)
        signed = fill.quantity * (1 if fill.side is Side.BUY else -1)
        if given != signed:
            text = f"fill {fill.execution_id} of {signed} shares went to books as {given}"
            self.notes.fail("I12", f"allocation {fill.execution_id}", text)

    def _judge_adjustment(self, event: AnyEvent, symbol: str, found: Decimal) -> None:
        """An adjustment makes the position what the pass shows (broker truth wins), nothing else."""
        if not isinstance(event, BrokerSnapshot):
            return
        shown = next((each.quantity for each in event.positions if each.symbol == symbol), ZERO)
        if found != shown:
            text = f"{symbol}: adjusted to {found} shares, the pass shows {shown}"
            self.notes.fail("I12", f"adjusted {symbol} {self.world.incarnation}", text)

    def _judge_balance(self) -> None:
        """Cash plus cost less realised profit: no execution changes it, by not one digit."""
        balance = self._current_balance()
        if self._balance is not None and balance is not None and balance != self._balance:
            text = f"cash + cost - realised became {balance}, was {self._balance}"
            self.notes.fail("I18", f"balance {self.world.incarnation}", text)

    def _remember(self) -> None:
        engine = self.world.engine
        if engine is not None:
            self._positions, self._balance = _positions(engine), self._current_balance()

    def _current_balance(self) -> Decimal | None:
        engine = self.world.engine
        if engine is None:
            return None
        ledger = engine._desk.ledger
        cash_usd = ledger.cash_usd
        if cash_usd is None:
            return None
        books = [book for symbol in ledger.symbols() for book in ledger.books(symbol).values()]
        return cash_usd + sum((book.cost_usd - book.realised_usd for book in books), ZERO)

    # at the end

    def at_end(self) -> None:
        self._judge_stored_fills()
        self._judge_stored_books()

    def _judge_stored_fills(self) -> None:
        """Each execution of an order of ours is stored once, whoever told of it first."""
        corrected = {each.order_id for each in self.truth.executions if each.previous_execution_id is not None}
        stored: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
        for row in self.world.committed("fills").values():
            stored[row["broker_order_id"]][0] += row["quantity"]
            stored[row["broker_order_id"]][1] += row["quantity"] * row["price"]
        intents = self.world.committed("intents")
        for order in self.truth.orders():
            if (order.client_order_id,) not in intents or order.id in corrected:
                continue
            quantity, value_usd = stored[order.id]
            if quantity != order.filled_qty:
                text = f"{order.client_order_id}: {quantity} shares are stored, the broker executed {order.filled_qty}"
                self.notes.fail("I13", order.id, text)
            elif abs(value_usd - order.filled_cost) > Decimal("0.01"):
                text = f"{order.client_order_id}: {value_usd} USD are stored, the broker executed {order.filled_cost}"
                self.notes.fail("I18", order.id, text)

    def _judge_stored_books(self) -> None:
        """The strategies' stored books add up to the broker's position."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.world.committed("positions").values():
            sums[row["symbol"]] += row["quantity"]
        found = {symbol: quantity for symbol, quantity in sums.items() if quantity}
        if found != self.truth.positions():
            text = f"the stored books add up to {found}, the broker holds {self.truth.positions()}"
            self.notes.fail("I12", "stored books", text)


def _positions(engine: object) -> dict[str, Decimal]:
    return dict(engine._desk.ledger.positions())  # type: ignore[attr-defined]
