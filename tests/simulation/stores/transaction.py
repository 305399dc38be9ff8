"""What one transaction sees and has changed. Decides isolation: nothing is visible to others before the commit.

Changes lie in a layer over the committed rows and become rows at the commit, so that nothing is copied at the start and
a rollback forgets the layer. A snapshot (repeatable read) remembers the rows that others replaced since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from tests.simulation.stores.relations import Key, Relation, Row, relations

MISSING = object()


class Blocked(Exception):
    """A row is locked by another transaction; the statement has changed nothing and is to be asked again."""


class Tables:
    """The committed rows of one database."""

    def __init__(self) -> None:
        self.relations = relations()
        self.rows: dict[str, dict[Key, Row]] = {name: {} for name in self.relations}
        self.numbers: dict[str, int] = dict.fromkeys(self.relations, 0)  # identities; a rollback gives none back
        self.snapshots: list[Transaction] = []
        self.exclusive: dict[tuple[str, Key], Transaction] = {}
        self.shared: dict[tuple[str, Key], list[Transaction]] = {}

    def apply(self, changes: dict[str, dict[Key, Row | None]]) -> list[tuple[str, Key, Row | None]]:
        """Make changes the committed state, all at once. Returns what undoes them."""
        undo: list[tuple[str, Key, Row | None]] = []
        for table, changed in changes.items():
            rows = self.rows[table]
            for key, row in changed.items():
                old = rows.get(key)
                undo.append((table, key, old))
                for snapshot in self.snapshots:
                    snapshot.before.setdefault(table, {}).setdefault(key, old)
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
        return undo


class Transaction:
    """One transaction, or one statement outside of any (`is_single`)."""

    def __init__(self, tables: Tables, session: Any, *, is_single: bool) -> None:
        self.tables = tables
        self.session = session
        self.is_single = is_single
        self.is_snapshot = False
        self.is_read_only = False
        self.is_failed = False
        self.changes: dict[str, dict[Key, Row | None]] = {}
        self.before: dict[str, dict[Key, Row | None]] = {}
        self._undo: list[tuple[str, Key, Any]] = []
        self._locked: list[tuple[str, Key]] = []
        self._shared: list[tuple[str, Key]] = []

    @property
    def now_s(self) -> float:
        """The moment, by the server's clock."""
        moment: float = self.session.server.now_s()
        return moment

    # reading

    def get(self, table: str, key: Key) -> Row | None:
        """The row under a primary key, as this transaction sees it."""
        changed = self.changes.get(table)
        if changed is not None and key in changed:
            return changed[key]
        old = self.before.get(table)
        if old is not None and key in old:
            return old[key]
        return self.tables.rows[table].get(key)

    def rows(self, table: str) -> Iterable[Row]:
        """All rows of a table, as this transaction sees them."""
        committed = self.tables.rows[table]
        layers = [layer for layer in (self.before.get(table), self.changes.get(table)) if layer]
        if not layers:
            return committed.values()
        merged: dict[Key, Row | None] = dict(committed)
        for layer in layers:
            merged.update(layer)
        return [row for row in merged.values() if row is not None]

    def take_snapshot(self) -> None:
        """From now on see nothing that others commit."""
        if not self.is_snapshot:
            self.is_snapshot = True
            self.tables.snapshots.append(self)

    # writing

    def insert(self, relation: Relation, columns: Sequence[str], values: Sequence[Any]) -> Row:
        """Append one row.

        Raises:
            asyncpg.UniqueViolationError: there is one with its key.
            Blocked: somebody else is writing one with its key.
        """
        row = self.new_row(relation, columns, values)
        key = relation.key_of(row)
        if relation.identity is None:
            self.lock(relation.name, key)
            if self.get(relation.name, key) is not None:
                raise _not_unique(relation, relation.key)
        self.put(relation, key, row)
        return row

    def new_row(self, relation: Relation, columns: Sequence[str], values: Sequence[Any]) -> Row:
        """A row with its defaults, not yet put anywhere."""
        if self.is_read_only:
            raise asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction")
        number = 0
        if relation.identity is not None:
            number = self.tables.numbers[relation.name] = self.tables.numbers[relation.name] + 1
        return relation.row(columns, values, number=number, now_s=self.now_s)

    def put(self, relation: Relation, key: Key, row: Row) -> None:
        """Insert or replace a row whose lock is held."""
        for unique in relation.uniques:
            self._refuse_double(relation, unique, key, row)
        changed = self.changes.setdefault(relation.name, {})
        self._undo.append((relation.name, key, changed.get(key, MISSING)))
        changed[key] = row

    def _refuse_double(self, relation: Relation, unique: tuple[str, ...], key: Key, row: Row) -> None:
        wanted = [row[name] for name in unique]
        if None in wanted:
            return
        for other in self.rows(relation.name):
            if [other[name] for name in unique] == wanted and relation.key_of(other) != key:
                raise _not_unique(relation, unique)

    # locks

    def lock(self, table: str, key: Key) -> None:
        """Take the row for this transaction alone."""
        place = (table, key)
        holder = self.tables.exclusive.get(place)
        sharers = self.tables.shared.get(place)
        if (holder is not None and holder is not self) or (sharers and any(one is not self for one in sharers)):
            raise Blocked
        if holder is None and not self.is_single:
            self.tables.exclusive[place] = self
            self._locked.append(place)

    def share(self, table: str, key: Key) -> None:
        """Keep others from changing the row until this transaction ends."""
        place = (table, key)
        holder = self.tables.exclusive.get(place)
        if holder is not None and holder is not self:
            raise Blocked
        if not self.is_single:
            self.tables.shared.setdefault(place, []).append(self)
            self._shared.append(place)

    # ends

    @property
    def mark(self) -> int:
        """A savepoint."""
        return len(self._undo)

    def roll_back_to(self, mark: int) -> None:
        """Forget what was changed since a savepoint."""
        while len(self._undo) > mark:
            table, key, old = self._undo.pop()
            if old is MISSING:
                del self.changes[table][key]
            else:
                self.changes[table][key] = old

    def commit(self) -> list[tuple[str, Key, Row | None]]:
        """Make the changes everybody's. Returns what undoes them."""
        undo = self.tables.apply(self.changes)
        self.end()
        return undo

    def end(self) -> None:
        """Let go of every lock; what was not committed is gone."""
        self.changes = {}
        for place in self._locked:
            del self.tables.exclusive[place]
        for place in self._shared:
            self.tables.shared[place].remove(self)
        if self.is_snapshot:
            self.tables.snapshots.remove(self)
        self._locked, self._shared, self._undo, self.is_snapshot = [], [], [], False


def _not_unique(relation: Relation, columns: Sequence[str]) -> asyncpg.UniqueViolationError:
    return asyncpg.UniqueViolationError(
        f"duplicate key value violates unique constraint of {relation.name} ({', '.join(columns)})"
    )
