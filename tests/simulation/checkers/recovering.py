"""Whether a life begins with what the last one had made durable, all of it and nothing else.

Judges I29 (journal before handlers, nothing from elsewhere), I30 (recover∘recover = recover: what is restored is a
function of the committed rows) and I19 (a restart resets no baseline).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, Restored
from quant_trading_system.core.records import GuardRecord
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes
from tests.simulation.checkers.seam import Row

ZERO = Decimal(0)


class Recovering(Judge):
    """Compares the first event of every life with the committed rows, and the guards with what they were."""

    invariants = ("I19", "I29", "I30")
    watches = (Restored,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._guards: Row | None = None

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        assert isinstance(event, Restored), "the only event watched"
        self._judge_orders(event)
        self._judge_books(event)
        self._judge_rest(event)
        rows = list(self.world.committed("guards").values())
        self._guards = rows[-1] if rows else None

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if type(effect) is Remember and type(effect.record) is GuardRecord and self._guards is not None:
                self._judge_guards(effect.record, self._guards)
                self._guards = None

    def _judge_orders(self, event: Restored) -> None:
        """Every intent whose fate is not final comes back, with what was known of it."""
        orders = self.world.committed("orders")
        expected = {key[0] for key, row in orders.items() if not row["is_final"]}
        expected |= {key[0] for key in self.world.committed("intents") if key not in orders}
        found = {saved.client_order_id for saved in event.orders}
        lost, invented = sorted(expected - found), sorted(found - expected)
        if lost or invented:
            text = f"restored without {', '.join(lost) or 'none'}, and with {', '.join(invented) or 'none'} besides"
            self._fail("I30", "orders", text)
        for saved in event.orders:
            row = orders.get((saved.client_order_id,))
            stored = (ZERO, ZERO) if row is None else (row["filled_quantity"], row["filled_value_usd"])
            if row is not None and (saved.filled_quantity, saved.filled_value_usd) != stored:
                self._fail("I30", saved.client_order_id, f"{saved.client_order_id}: other fills than stored")

    def _judge_books(self, event: Restored) -> None:
        stored = {
            key: (row["quantity"], row["cost_usd"], row["realised_usd"])
            for key, row in self.world.committed("positions").items()
        }
        found = {
            (book.strategy, book.symbol): (book.quantity, book.cost_usd, book.realised_usd) for book in event.books
        }
        if stored != found:
            self._fail("I30", "books", f"restored books {found}, stored {stored}")
        booked = {key for key, (quantity, _) in self.notes.journal.fills.items() if quantity}
        known = set(event.known_executions)
        if booked != known:
            text = (
                f"{len(booked - known)} stored executions are not known, {len(known - booked)} known ones do not stand"
            )
            self._fail("I30", "fills", text)

    def _judge_rest(self, event: Restored) -> None:
        sequences = [row["sequence"] for row in self.world.committed("intents").values() if row["sequence"]]
        if sequences and event.next_sequence <= max(sequences):
            self._fail("I3", "sequence", f"ids go on with {event.next_sequence}, {max(sequences)} was used")
        locked = {key[1] for key, row in self.world.committed("locks").items() if row["is_locked"]}
        found = {symbol for symbol, _ in event.locks} | {strategy for strategy, _ in event.disabled_strategies}
        if locked != found:
            self._fail("I30", "locks", f"restored locks of {sorted(found)}, stored {sorted(locked)}")

    def _judge_guards(self, record: GuardRecord, stored: Row) -> None:
        """The first word of the guards after a restart: nothing was reset by it."""
        if record.session_date != stored["session_date"]:
            return
        for name in ("day_start_equity_usd", "high_water_mark_usd", "session_high_usd"):
            now, was = getattr(record, name), stored[name]
            is_start = name == "day_start_equity_usd"
            room_usd = self._flows_usd()
            if was is not None and (now is None or now < was - room_usd or (is_start and now > was + room_usd)):
                self._fail("I19", name, f"{name} became {now}, was {was}, over a restart")
        if record.incidents < stored["incidents"]:
            self._fail("I19", "incidents", f"incidents fell from {stored['incidents']} to {record.incidents}")

    def _flows_usd(self) -> Decimal:
        """Money that came or went without a trade moves the baselines with it (fault D12): by no more than its sum."""
        entries = self.world.exchange._books.non_trades
        return sum((abs(entry.cash) for entry in entries), ZERO)

    def _fail(self, invariant: str, subject: str, text: str) -> None:
        self.notes.fail(invariant, f"{subject} {self.world.incarnation}", f"life {self.world.incarnation}: {text}")
