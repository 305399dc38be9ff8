"""The tables of the modelled database. Decides which values a column takes and which row a constraint refuses.

Columns, keys, defaults and checks are read from the schema's own metadata, so that they cannot drift from it. What the
model has no word for (a check it cannot read, a foreign key) stops it at import: it must not be weaker than the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any

import asyncpg
from asyncpg.exceptions._base import DataError as ArgumentError
from msgspec import Struct
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from quant_trading_system.persistence.tables import metadata

Row = dict[str, Any]
Key = tuple[Any, ...]
LIMITS = {"BIGINT": 2**63, "INTEGER": 2**31}
UNKNOWN = object()
"""Told instead of a moment: the row asks the server for it."""

ACCEPTED: Mapping[str, tuple[type, ...]] = {
    "TEXT": (str,),
    "JSONB": (str,),
    "NUMERIC": (Decimal, int),
    "BIGINT": (int,),
    "INTEGER": (int,),
    "BOOLEAN": (bool,),
    "BYTEA": (bytes,),
    "DOUBLE PRECISION": (float, int),
    "TIMESTAMP WITH TIME ZONE": (float,),
}
IN_LIST = re.compile(r"(\w+) IN \(((?:'[^']*'(?:, )?)+)\)")
AT_LEAST = re.compile(r"(\w+) >= (\d+)")


class Column(Struct, frozen=True):
    name: str
    kind: str
    accepts: tuple[type, ...]
    usual: frozenset[type]
    """Types that need no second look."""
    limit: int
    """Whole numbers are below it, and not below its negative."""
    is_required: bool
    is_identity: bool
    default: object
    """None, a constant, or UNKNOWN where it is the moment of the insertion."""


class Relation(Struct, frozen=True):
    """One table. `key`: its primary key; `uniques`: columns of every other unique constraint."""

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    identity: str | None
    uniques: tuple[tuple[str, ...], ...]
    checks: tuple[tuple[str, Callable[[Row], bool | None]], ...]

    def key_of(self, row: Row) -> Key:
        return tuple([row[name] for name in self.key])

    def _refuse_unusual(self, column: Column, value: Any) -> None:
        if value is not None:
            _refuse_value(column, value)
        elif column.is_required:
            raise asyncpg.NotNullViolationError(
                f'null value in column "{column.name}" of relation "{self.name}" violates not-null constraint'
            )

    def row(self, columns: Sequence[str], values: Sequence[Any], *, number: int, now_s: float) -> Row:
        """A whole row of the given values, defaults filled in.

        Raises:
            asyncpg.PostgresError, ArgumentError: it is none that the table takes.
        """
        row = dict(zip(columns, values, strict=True))
        if len(row) < len(self.columns):
            for name, column in self.columns.items():
                if name not in row:
                    row[name] = number if column.is_identity else now_s if column.default is UNKNOWN else column.default
        self.refuse_invalid(row)
        return row

    def refuse_invalid(self, row: Row) -> None:
        """Raise as the server would for a value that its column, or a check, does not take."""
        for name, column in self.columns.items():
            value = row[name]
            kind = type(value)
            if kind not in column.usual or (kind is int and not -column.limit <= value < column.limit):
                self._refuse_unusual(column, value)
            elif kind is str and (not value.isascii() or "\0" in value or "\\u0000" in value):
                _refuse_text(column, value)
        for label, holds in self.checks:
            if holds(row) is False:  # unknown (NULL) passes a check
                raise asyncpg.CheckViolationError(
                    f'new row for relation "{self.name}" violates check constraint "{label}"'
                )


def _refuse_text(column: Column, value: str) -> None:
    if str not in column.accepts:
        raise ArgumentError(f"invalid input for column {column.name}: {value!r}")
    if "\0" in value:
        raise asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0x00')
    if column.kind == "JSONB" and "\\u0000" in value:
        raise asyncpg.UntranslatableCharacterError("unsupported Unicode escape sequence")
    if not value.isascii():
        value.encode()  # a lone surrogate has no bytes: the driver's UnicodeEncodeError


def _refuse_value(column: Column, value: Any) -> None:
    if isinstance(value, str):  # a member of a StrEnum
        _refuse_text(column, str(value))
        return
    if not isinstance(value, column.accepts) or (isinstance(value, bool) and column.kind != "BOOLEAN"):
        raise ArgumentError(f"invalid input for column {column.name}: {value!r}")
    if isinstance(value, int) and not -column.limit <= value < column.limit:
        raise ArgumentError(f"invalid input for column {column.name}: value out of range: {value!r}")


@cache
def relations() -> Mapping[str, Relation]:
    """Every table of the schema, by name."""
    return {name: _relation(table) for name, table in metadata.tables.items()}


def _relation(table: Table) -> Relation:
    columns = {column.name: _column(column) for column in table.columns}
    checks, uniques = [], [tuple(column.name for column in index.columns) for index in table.indexes if index.unique]
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            checks.append((str(constraint.name), _check(str(constraint.sqltext))))
        elif isinstance(constraint, UniqueConstraint):
            uniques.append(tuple(column.name for column in constraint.columns))
        elif isinstance(constraint, ForeignKeyConstraint) or not isinstance(constraint, PrimaryKeyConstraint):
            raise TypeError(f"the model has no word for {constraint!r} of {table.name}")
    return Relation(
        name=table.name,
        columns=columns,
        key=tuple(column.name for column in table.primary_key.columns),
        identity=next((column.name for column in columns.values() if column.is_identity), None),
        uniques=tuple(sorted(uniques)),
        checks=tuple(sorted(checks, key=lambda check: check[0])),
    )


def _column(column: Any) -> Column:
    kind = column.type.compile(dialect=postgresql.dialect())
    default = None if column.server_default is None else getattr(column.server_default, "arg", None)
    return Column(
        name=column.name,
        kind=kind,
        accepts=ACCEPTED[kind],
        usual=frozenset((*ACCEPTED[kind], NoneType) if column.nullable else ACCEPTED[kind]),
        limit=LIMITS.get(kind, 10**1000),
        is_required=not column.nullable,
        is_identity=column.identity is not None,
        default=None if default is None or column.identity is not None else _default(str(default)),
    )


def _default(text: str) -> object:
    constants: Mapping[str, object] = {
        "true": True, "false": False, "clock_timestamp()": UNKNOWN, "now()": UNKNOWN, "''": "", "'{}'": "{}",
        "'[]'": "[]",
    }  # fmt: skip
    return Decimal(text) if text.isdigit() else constants[text]


def _check(text: str) -> Callable[[Row], bool | None]:
    """A check as a function of the row. One line a form; a form that is not here stops the model."""
    if text.isidentifier():
        return lambda row: row[text]
    if listed := IN_LIST.fullmatch(text):
        name, allowed = listed[1], frozenset(re.findall(r"'([^']*)'", listed[2]))
        return lambda row: None if row[name] is None else row[name] in allowed
    if least := AT_LEAST.fullmatch(text):
        name, bound = least[1], int(least[2])
        return lambda row: None if row[name] is None else row[name] >= bound
    raise TypeError(f"the model cannot read the check {text!r}: add its form to relations._check")
