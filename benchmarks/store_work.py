"""One round of durable writes on a PostgreSQL of its own. Prints one JSON object.

Behind the engine: decisions through the behind-writer, and the same rows, encoded beforehand, by bare COPY. On the
order path: intents through the intent store, and one bare prepared INSERT a commit.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import asyncpg

from quant_trading_system.core.records import DecisionRecord
from quant_trading_system.persistence import schema
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.embedded import EmbeddedPostgres
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.rows import PLANS
from quant_trading_system.persistence.writer import BehindWriter
from tests.support.stores import a_decision, an_approved, short_folder

BATCHES = 20
ROWS_PER_BATCH = 1_000
COMMITS = 300
PAYLOAD = b'{"symbol":"IBM","qty":"12.5","side":"buy","type":"limit","limit_price":"182.13","time_in_force":"day"}'


async def work() -> dict[str, float]:
    with short_folder() as folder:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            dsn = f"postgresql://alphatrade@/alphatrade?host={quote(str(server.folder))}"
            await schema.upgrade(dsn)
            db = Database(dsn)
            await db.connect()
            try:
                return {**await rows_per_second(db), **await commit_milliseconds(db)}
            finally:
                await db.close()
        finally:
            await server.stop()


async def rows_per_second(db: Database) -> dict[str, float]:
    records = [[decision(batch, row) for row in range(ROWS_PER_BATCH)] for batch in range(BATCHES)]
    writer = BehindWriter(db)
    started_s = time.perf_counter()
    for batch in records:
        writer.put_all(batch)
        assert await writer.flush(60.0)
    behind_s = time.perf_counter() - started_s
    (plan,) = PLANS[DecisionRecord]
    encoded = [[plan.encode(record, 0) for record in batch] for batch in records]
    async with db.session() as connection:
        assert await connection.fetchval("SELECT count(*) FROM decisions") == BATCHES * ROWS_PER_BATCH
        await connection.execute("TRUNCATE decisions")
        started_s = time.perf_counter()
        for rows in encoded:
            await connection.copy_records_to_table(plan.table, records=rows, columns=plan.columns)
        copy_s = time.perf_counter() - started_s
    total = BATCHES * ROWS_PER_BATCH
    return {"behind_rows_per_second": total / behind_s, "copy_rows_per_second": total / copy_s}


async def commit_milliseconds(db: Database) -> dict[str, float]:
    lease = Lease(db, "SIM")
    epoch = await lease.acquire()
    try:
        intents = IntentStore(db)
        async with db.order_session() as connection:
            await connection.execute("CREATE TABLE bare (id text PRIMARY KEY, payload bytea)")
            insert = await connection.prepare("INSERT INTO bare VALUES ($1, $2)")
            bare = await median_ms(lambda number: insert.fetch(f"bare-{number}", PAYLOAD))
        stored = await median_ms(lambda number: intents.commit(an_approved(number), payload=PAYLOAD, epoch=epoch))
    finally:
        await lease.release()
    return {"intent_commit_ms": stored, "bare_commit_ms": bare}


async def median_ms(commit: Callable[[int], Awaitable[object]]) -> float:
    taken_s = []
    for number in range(1, COMMITS + 1):
        started_s = time.perf_counter()
        await commit(number)
        taken_s.append(time.perf_counter() - started_s)
    return statistics.median(taken_s) * 1_000


def decision(batch: int, row: int) -> DecisionRecord:
    return a_decision(decision_id=f"d{batch}-{row}", client_order_id=None)


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(asyncio.run(work())) + "\n")
    except asyncpg.PostgresError as error:
        sys.exit(f"PostgreSQL refused the benchmark: {error}")
