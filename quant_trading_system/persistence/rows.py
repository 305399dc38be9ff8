"""Records as rows and back: which table a record goes to, with which columns, and whether it may be dropped in need.

Decides that a newest-state table (orders, positions, locks) is written by upsert, everything else by append. Every
record type is listed once, in `PLANS`; a record that is not there is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct

from quant_trading_system.core.records import (
    AlertRecord,
    AuditRecord,
    CorrectionRecord,
    DecisionRecord,
    DriftRecord,
    EntryRecord,
    EquityRecord,
    FillRecord,
    GuardRecord,
    LockRecord,
    OrderRecord,
    PositionRecord,
    ReconciliationRecord,
    Record,
)

Value = Any  # what asyncpg takes and gives for one column
Row = tuple[Value, ...]
AnyStruct = TypeVar("AnyStruct", bound=Struct)


class Way(Enum):
    APPEND = "append"
    UPSERT = "upsert"
    UNIQUE = "unique"


class Plan(Struct, frozen=True, kw_only=True):
    """How one record type is stored. `key`: the columns that name a row where it is not appended."""

    table: str
    way: Way
    columns: tuple[str, ...]
    types: tuple[str, ...]
    encode: Callable[[Record, int], Row]
    key: tuple[str, ...] = ()
    may_drop: bool = False


_JSON = msgspec.json.Encoder(decimal_format="string")
_SQL_TYPES: Mapping[object, str] = {Decimal: "numeric", int: "bigint", float: "double precision", bool: "boolean"}
JSON_COLUMNS = frozenset({"allocations", "controls", "inputs", "causes", "details", "context", "parts"})
INTEGER_COLUMNS = frozenset({"incidents", "drifts"})  # counts; stamps are bigint


def to_json(value: object) -> str:
    """JSON for a JSONB column; PostgreSQL refuses the character NUL, so it is shown instead."""
    return _JSON.encode(value).decode().replace("\\u0000", "\\ufffd")


def clean(value: str) -> str:
    """Text without the character NUL, which PostgreSQL cannot store."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def from_row(kind: type[AnyStruct], row: Mapping[str, Value]) -> AnyStruct:
    """Build a struct from the columns that bear its fields' names."""
    values = {name: _told(name, row[name]) for name in kind.__struct_fields__}
    return msgspec.convert(values, kind, builtin_types=(Decimal, bytes), strict=False)


def _told(name: str, value: Value) -> Value:
    if name in JSON_COLUMNS and isinstance(value, str):
        return msgspec.json.decode(value)
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent > 0:  # type: ignore[operator]
        return value.quantize(Decimal(1))  # the driver reads 100000 as 1.0E+5, which nobody wants to see
    return value


def _sql_type(name: str, annotation: object) -> str:
    if name in JSON_COLUMNS:
        return "jsonb"
    if name in INTEGER_COLUMNS:
        return "integer"
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    assert len(kinds) == 1, f"column {name} has one type"
    kind = getattr(kinds[0], "__supertype__", kinds[0])
    return _SQL_TYPES.get(kind, "text")


def _value_of(name: str, sql_type: str) -> Callable[[Record], Value]:
    if sql_type == "jsonb":
        return lambda record: to_json(getattr(record, name))
    get = attrgetter(name)
    if sql_type != "text":
        return get

    def text(record: Record) -> Value:
        value: str | None = get(record)
        return value if value is None or "\0" not in value else clean(value)

    return text


def _plan(
    kind: type[Record],
    table: str,
    *,
    way: Way = Way.APPEND,
    key: tuple[str, ...] = (),
    columns: Sequence[str] | None = None,
    has_ordinal: bool = False,
    may_drop: bool = False,
) -> Plan:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    names = tuple(columns) if columns is not None else tuple(fields)
    types = tuple(_sql_type(name, fields[name]) for name in names)
    getters = tuple(_value_of(name, sql) for name, sql in zip(names, types, strict=True))

    def encode(record: Record, ordinal: int) -> Row:
        row = tuple([get(record) for get in getters])
        return (*row, ordinal) if has_ordinal else row

    if has_ordinal:
        names, types = (*names, "ordinal"), (*types, "bigint")
    return Plan(
        table=table, way=way, columns=names, types=types, encode=encode, key=key, may_drop=may_drop
    )  # fmt: skip


ORDER_STATE_COLUMNS = (
    "client_order_id", "broker_order_id", "status", "broker_status", "filled_quantity", "filled_value_usd", "reason",
    "venue_ns", "seen_ns",
)  # fmt: skip

PLANS: Mapping[type[Record], tuple[Plan, ...]] = {
    DecisionRecord: (_plan(DecisionRecord, "decisions", may_drop=True),),
    OrderRecord: (
        _plan(OrderRecord, "orders", way=Way.UPSERT, key=("client_order_id",)),
        _plan(OrderRecord, "order_states", columns=ORDER_STATE_COLUMNS),
    ),
    FillRecord: (
        _plan(
            FillRecord,
            "fills",
            way=Way.UNIQUE,
            key=("broker_order_id", "cumulative_quantity"),
            has_ordinal=True,
        ),
    ),
    CorrectionRecord: (_plan(CorrectionRecord, "fill_corrections", has_ordinal=True),),
    EntryRecord: (_plan(EntryRecord, "ledger_entries", has_ordinal=True),),
    PositionRecord: (_plan(PositionRecord, "positions", way=Way.UPSERT, key=("strategy", "symbol")),),
    EquityRecord: (_plan(EquityRecord, "equity", has_ordinal=True, may_drop=True),),
    GuardRecord: (_plan(GuardRecord, "guards"),),
    LockRecord: (_plan(LockRecord, "locks", way=Way.UPSERT, key=("kind", "key")),),
    DriftRecord: (_plan(DriftRecord, "drifts", may_drop=True),),
    ReconciliationRecord: (_plan(ReconciliationRecord, "reconciliations", may_drop=True),),
    AuditRecord: (_plan(AuditRecord, "audit"),),
    AlertRecord: (_plan(AlertRecord, "alerts", may_drop=True),),
}


def may_drop(record: Record) -> bool:
    """Whether a full writer may lose this record: history that no recovery needs and no sent order points to."""
    if isinstance(record, DecisionRecord):
        return record.client_order_id is None
    return PLANS[type(record)][0].may_drop
