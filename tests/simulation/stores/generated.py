"""The statements that `persistence/batches.py` composes. Decides what an INSERT or an upsert of many rows does.

A statement is read piece by piece and carried out as it says, so that one which was composed wrongly does the wrong
thing here too; one of another form is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import asyncpg
from msgspec import Struct

from tests.simulation.stores.relations import Key, Relation, Row, relations
from tests.simulation.stores.statements import Answer, Statement
from tests.simulation.stores.transaction import Transaction

INSERT = re.compile(r"INSERT INTO (\w+) \(([\w, ]+)\) VALUES \(([^()]*)\)")
UPSERT = re.compile(
    r"INSERT INTO (\w+) \(([\w, ]+)\) SELECT \* FROM unnest\(([^()]*)\)"
    r" ON CONFLICT \(([\w, ]+)\) DO UPDATE SET ([\w ,.=]+?)(?: WHERE (\w+)\.(\w+) = '(\w+)')?"
)


class UnknownStatement(Exception):
    """The model has no answer to this text: see `statements.py` for how to add it. It may be one nobody can answer."""


class Upsert(Struct, frozen=True):
    """`only_if`: (column, value) that the row in place must show to be replaced."""

    relation: Relation
    columns: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    only_if: tuple[str, str] | None

    def run(self, tx: Transaction, *arrays: Sequence[Any]) -> Answer:
        rows = [tx.new_row(self.relation, self.columns, values) for values in zip(*arrays, strict=True)]
        keys = [self.relation.key_of(row) for row in rows]
        for key in keys:
            tx.lock(self.relation.name, key)
        return [row for row, key in zip(rows, keys, strict=True) if self._put(tx, key, row, keys)]

    def _put(self, tx: Transaction, key: Key, row: Row, keys: Sequence[Key]) -> bool:
        old = tx.get(self.relation.name, key)
        if old is None:
            tx.put(self.relation, key, row)
            return True
        if len(keys) > 1 and keys.count(key) > 1:
            raise asyncpg.CardinalityViolationError("ON CONFLICT DO UPDATE command cannot affect row a second time")
        if self.only_if is not None and old[self.only_if[0]] != self.only_if[1]:
            return False
        tx.put(self.relation, key, {**old, **{name: row[source] for name, source in self.changes}})
        return True


def parse(text: str) -> Statement:
    """What a generated statement does.

    Raises:
        UnknownStatement: it is none, or the schema has no such table, column or type.
    """
    if found := INSERT.fullmatch(text):
        relation, columns = _target(found[1], found[2])
        _compare_types(relation, columns, found[3], suffix="")
        return _statement(text, lambda tx, *values: [tx.insert(relation, columns, values)])
    if found := UPSERT.fullmatch(text):
        relation, columns = _target(found[1], found[2])
        _compare_types(relation, columns, found[3], suffix="[]")
        return _statement(text, _upsert(relation, columns, found).run)
    raise UnknownStatement(text)


def copy(table: str, columns: Sequence[str]) -> Statement:
    """COPY of some columns of a table."""
    relation, names = _target(table, ", ".join(columns))

    def run(tx: Transaction, *rows: Sequence[Any]) -> Answer:
        return [tx.insert(relation, names, row) for row in rows]

    return _statement(f"COPY {table}", run)


def _statement(text: str, answer: Any) -> Statement:
    return Statement(text=text, answer=answer, label="batch", writes=True, locks=True)


def _target(table: str, columns: str) -> tuple[Relation, tuple[str, ...]]:
    relation = relations().get(table)
    if relation is None:
        raise UnknownStatement(f"there is no table {table}")
    names = tuple(columns.split(", "))
    for name in names:
        if name not in relation.columns:
            raise UnknownStatement(f"{table} has no column {name}")
        if relation.columns[name].is_identity:
            raise UnknownStatement(f"the server numbers {table}.{name} itself")
    return relation, names


def _compare_types(relation: Relation, columns: Sequence[str], texts: str, *, suffix: str) -> None:
    expected = ", ".join(
        f"${number}::{relation.columns[name].kind.lower()}{suffix}" for number, name in enumerate(columns, 1)
    )
    if texts != expected:
        raise UnknownStatement(f"{relation.name} has ({expected}), the statement gives ({texts})")


def _upsert(relation: Relation, columns: tuple[str, ...], found: re.Match[str]) -> Upsert:
    key = tuple(found[4].split(", "))
    if set(key) != set(relation.key) and key not in relation.uniques:
        raise UnknownStatement(f"no constraint of {relation.name} matches ON CONFLICT {key}")
    if set(key) != set(relation.key):
        raise UnknownStatement(f"the model knows conflicts of the primary key alone, not of {key}")
    changes = []
    for change in found[5].split(", "):
        name, _, source = change.partition(" = excluded.")
        if name not in relation.columns or source not in columns:
            raise UnknownStatement(f"{change!r} in an upsert of {relation.name}")
        changes.append((name, source))
    if found[6] not in (None, relation.name):
        raise UnknownStatement(f"{found[6]} is no table of an upsert of {relation.name}")
    return Upsert(relation, columns, tuple(changes), None if found[6] is None else (found[7], found[8]))
