"""One batch of records in one transaction. Decides the statements: COPY for history, one upsert a newest-state table.

The batch's number is written in the same transaction; a number that is there already means that an earlier attempt was
committed after all, and nothing is written again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

import asyncpg
from msgspec import Struct

from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.records import Record
from quant_trading_system.persistence.errors import StaleEpoch
from quant_trading_system.persistence.rows import PLANS, Plan, Row, Way

PATIENT_STATEMENT_SECONDS_MAX = 60.0
LARGE_ROWS = 5_000  # beyond this a batch is given more time than a statement usually gets
ENCODED_AT_ONCE = 250  # about a millisecond
COPY_ABOVE_ROWS = 3  # below it a prepared INSERT costs less than COPY's own look at the columns


class Batch(Struct):
    """Records of whole engine steps, in the order they were put. `first_ordinal` is set once, at the first attempt."""

    number: int
    records: list[Record]
    first_ordinal: int | None = None
    refused: Sequence[tuple[Record, str]] = ()
    """What the database will never take of it, each with its reason; known even where the commit was not confirmed."""


async def write_batch(
    connection: asyncpg.Connection, batch: Batch, *, writer: str, epoch: int | None, is_patient: bool
) -> None:
    """Write a batch, unless it was written already.

    Args:
        is_patient: write record by record, and keep those the database refuses in `batch.refused` instead of raising
            at the first.

    Raises:
        StaleEpoch: another daemon holds the lease.
        asyncpg.PostgresError: the transaction failed; nothing was written.
    """
    assert batch.first_ordinal is not None, "ordinals are given before the first attempt"
    async with connection.transaction():
        await _allow_time(connection, len(batch.records))
        if epoch is not None and not await connection.fetchval("SELECT 1 FROM lease WHERE epoch = $1 FOR SHARE", epoch):
            raise StaleEpoch(epoch)
        if not await _claim(connection, writer, batch.number):
            return
        numbered = list(enumerate(batch.records, batch.first_ordinal))
        if is_patient:
            batch.refused = [found for item in numbered if (found := await _write_one(connection, item)) is not None]
        else:
            await _write_all(connection, numbered)
        failpoint("writer.inside_batch")


async def _allow_time(connection: asyncpg.Connection, rows: int) -> None:
    if rows > LARGE_ROWS:
        await connection.execute(f"SET LOCAL statement_timeout = {round(PATIENT_STATEMENT_SECONDS_MAX * 1_000)}")


async def _claim(connection: asyncpg.Connection, writer: str, number: int) -> bool:
    claimed = await connection.fetchval(
        "INSERT INTO writer_progress AS progress (writer, batch) VALUES ($1, $2) ON CONFLICT (writer)"
        " DO UPDATE SET batch = excluded.batch, at = clock_timestamp() WHERE progress.batch < excluded.batch"
        " RETURNING 1",
        writer,
        number,
    )
    return claimed is not None


async def _write_one(connection: asyncpg.Connection, item: tuple[int, Record]) -> tuple[Record, str] | None:
    try:
        async with connection.transaction():
            await _write_all(connection, [item])
    except (
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        ValueError,
        TypeError,
        OverflowError,
    ) as error:
        return item[1], f"{type(error).__name__}: {error}"
    return None


async def _write_all(connection: asyncpg.Connection, numbered: Sequence[tuple[int, Record]]) -> None:
    rows: dict[str, tuple[Plan, list[Row]]] = {}
    for place, (ordinal, record) in enumerate(numbered, 1):
        if place % ENCODED_AT_ONCE == 0:
            await asyncio.sleep(0)  # the backlog of an outage must not hold up the engine's loop
        for plan in PLANS[type(record)]:
            rows.setdefault(plan.table, (plan, []))[1].append(plan.encode(record, ordinal))
    for plan, of_plan in rows.values():
        await _write_rows(connection, plan, of_plan)


async def _write_rows(connection: asyncpg.Connection, plan: Plan, rows: Sequence[Row]) -> None:
    if plan.way is not Way.APPEND:
        await connection.execute(_upsert(plan), *_columns(_one_a_key(plan, rows)))
    elif len(rows) > COPY_ABOVE_ROWS:
        await connection.copy_records_to_table(
            plan.table, records=rows, columns=plan.columns, timeout=PATIENT_STATEMENT_SECONDS_MAX
        )
    else:
        await connection.executemany(_insert(plan), rows)


def _columns(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return list(zip(*rows, strict=True))


def _one_a_key(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """One row for each key: the newest state, or the first sight of a fact that is unique."""
    places = [plan.columns.index(name) for name in plan.key]
    kept: dict[Row, Row] = {}
    for row in rows:
        key = tuple(row[place] for place in places)
        if plan.way is Way.UPSERT or key not in kept or _is_inferred(plan, kept[key]):
            kept[key] = row
    return list(kept.values())


def _is_inferred(plan: Plan, row: Row) -> bool:
    return "source" in plan.columns and bool(row[plan.columns.index("source")] == "inferred")


@cache
def _insert_of(table: str, columns: tuple[str, ...], types: tuple[str, ...]) -> str:
    values = ", ".join(f"${n}::{kind}" for n, kind in enumerate(types, 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"  # noqa: S608 - names are constants of rows.py


def _insert(plan: Plan) -> str:
    return _insert_of(plan.table, plan.columns, plan.types)


@cache
def _upsert_of(
    table: str, columns: tuple[str, ...], types: tuple[str, ...], key: tuple[str, ...], is_unique: bool
) -> str:
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, 1))
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    # A repair of the reconciliation gives way to the execution it stood for; a fact is not changed otherwise.
    where = f" WHERE {table}.source = 'inferred'" if is_unique else ""
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - constants of rows.py
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}{where}"
    )


def _upsert(plan: Plan) -> str:
    return _upsert_of(plan.table, plan.columns, plan.types, plan.key, plan.way is Way.UNIQUE)
