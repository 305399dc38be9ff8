"""Whether what the engine had written down is stored, once: nothing is thrown away with a failed batch, none put twice.

Judges I29 and I31 (faults F4, F5) by the committed rows, at the end, against what the last life asked to be remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.records import AuditRecord, LockRecord, OrderRecord
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes

WRITTEN_S = 20.0
"""Batches go out ten times a second, and are tried again every second while the database is away."""
NUMBERED = ("fills", "equity", "ledger_entries", "fill_corrections")
"""Tables whose rows bear their place in the order in which records were made."""


class Storing(Judge):
    """Keeps the newest record of each order and lock, and every word of the audit."""

    invariants = ("I29", "I31")

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._orders: dict[str, tuple[OrderRecord, int]] = {}
        self._locks: dict[tuple[str, str], tuple[LockRecord, int]] = {}
        self._audit: list[tuple[AuditRecord, int]] = []

    def on_start(self) -> None:
        """What a process had in its memory when it died is gone with it."""
        self._orders.clear()
        self._locks.clear()
        self._audit.clear()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        now_ns = self.world.mono_ns
        for effect in effects:
            if type(effect) is not Remember:
                continue
            record = effect.record
            if type(record) is OrderRecord:
                self._orders[record.client_order_id] = (record, now_ns)
            elif type(record) is LockRecord:
                self._locks[record.kind, record.key] = (record, now_ns)
            elif type(record) is AuditRecord:
                self._audit.append((record, now_ns))

    def at_end(self) -> None:
        engine = self.world.engine
        if engine is None or self.notes.waits_for_a_person or not self._leads:
            return
        for table in NUMBERED:
            counts = Counter(row["ordinal"] for row in self.world.committed(table).values())
            twice = [ordinal for ordinal, count in counts.items() if count > 1]
            if twice:
                self.notes.fail("I31", table, f"{table} holds the rows {sorted(twice)[:5]} more than once")
        until_ns = self.world.mono_ns - int(WRITTEN_S * SECOND_NS)
        self._judge_newest(until_ns)
        self._judge_audit(until_ns)

    @property
    def _leads(self) -> bool:
        lease = self.notes.hearing.lease
        return lease is not None and lease.held and all(self.notes.hearing.stores.values())

    def _judge_newest(self, until_ns: int) -> None:
        orders, locks = self.world.committed("orders"), self.world.committed("locks")
        for name, (record, at_ns) in self._orders.items():
            row = orders.get((name,))
            if at_ns < until_ns and (row is None or row["status"] != record.status):
                stored = "nothing" if row is None else row["status"]
                self.notes.fail("I29", f"order {name}", f"{name} became {record.status}, stored is {stored}")
        for key, (lock, at_ns) in self._locks.items():
            row = locks.get(key)
            if at_ns < until_ns and (row is None or row["is_locked"] != lock.is_locked):
                self.notes.fail("I29", f"lock {key}", f"the lock of {key[1]} is stored as {row}")

    def _judge_audit(self, until_ns: int) -> None:
        """Each word once."""
        words = [record for record, at_ns in self._audit if at_ns < until_ns]
        told = Counter((each.actor, each.action, each.outcome, each.seen_ns) for each in words)
        rows = self.world.committed("audit").values()
        stored = Counter((row["actor"], row["action"], row["outcome"], row["seen_ns"]) for row in rows)
        for word, count in told.items():
            if stored[word] != count:
                self.notes.fail("I29", f"audit {word}", f"{word} was to be written {count} times, {stored[word]} are")
