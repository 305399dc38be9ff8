"""Many callers at once on a real PostgreSQL: bounded connections, everyone served, one row, whole changes."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.database import (
    ACQUIRE_SECONDS_MAX,
    ORDER_CONNECTIONS_MAX,
    POOL_CONNECTIONS_MAX,
    Database,
)
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.writer import BehindWriter
from tests.support.stores import an_approved, an_equity, on_database, query

CONNECTIONS_MAX = 20  # R159
CONNECTIONS_OF_US = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'alphatrade'"


@pytest.mark.requirement("R159")
def test_a_hundred_readers_at_once_wait_their_turn_and_never_take_more_connections_than_the_pool_has(dsn: str):
    async def script(db: Database) -> None:
        most = 0

        async def watch() -> None:
            nonlocal most
            async with db.order_session() as own:  # the order path's pool: the general one is busy
                while True:
                    most = max(
                        most, await own.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%_sleep%'")
                    )
                    await asyncio.sleep(0.01)

        watching = asyncio.ensure_future(watch())
        answers = await asyncio.gather(*(query(db, "SELECT 1 AS one, pg_sleep(0.25)") for _ in range(100)))
        watching.cancel()
        assert [rows[0]["one"] for rows in answers] == [1] * 100
        assert POOL_CONNECTIONS_MAX // 2 < most - 1 <= POOL_CONNECTIONS_MAX
        assert (await query(db, CONNECTIONS_OF_US))[0]["n"] <= POOL_CONNECTIONS_MAX + ORDER_CONNECTIONS_MAX

    assert POOL_CONNECTIONS_MAX + ORDER_CONNECTIONS_MAX <= CONNECTIONS_MAX
    assert ACQUIRE_SECONDS_MAX == 30.0
    on_database(dsn, script)


@pytest.mark.requirement("R096")
def test_one_intent_committed_by_ten_at_once_is_one_row_and_no_error(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        store = IntentStore(db)
        await asyncio.gather(*(store.commit(an_approved(), payload=b"bytes", epoch=epoch) for _ in range(10)))
        assert await query(db, "SELECT count(*) AS n FROM intents") == [{"n": 1}]
        assert await store.read_payload(an_approved().intent.client_order_id) == b"bytes"
        await lease.release()

    on_database(dsn, script)


@pytest.mark.requirement("R160")
def test_what_came_since_the_last_commit_is_written_in_one(dsn: str):
    async def script(db: Database) -> None:
        commits: list[float] = []
        writer = BehindWriter(db, on_write_seconds=commits.append)
        writer.put_all([an_equity(equity_usd=Decimal(number)) for number in range(1_000)])
        assert await writer.flush(10.0)
        assert await query(db, "SELECT count(*) AS n FROM equity") == [{"n": 1_000}]
        assert len(commits) == 1

    on_database(dsn, script)


@pytest.mark.requirement("R047")
def test_the_kill_latch_changes_together_with_its_history_or_not_at_all(dsn: str):
    async def script(db: Database) -> None:
        kill = KillStore(db)
        await kill.clear("ana", "new database")
        await query(db, "ALTER TABLE operator_actions RENAME TO operator_actions_away")
        with pytest.raises(asyncpg.UndefinedTableError):
            await kill.engage("ben", "half a change")
        assert await kill.read() == (Latch.CLEAR, "ana: new database")
        await query(db, "ALTER TABLE operator_actions_away RENAME TO operator_actions")
        await kill.engage("ben", "a whole one")
        assert (await kill.read())[0] is Latch.ENGAGED

    on_database(dsn, script)


@pytest.mark.requirement("R047")
@pytest.mark.requirement("R048")
def test_a_hundred_changes_at_once_leave_the_latch_as_its_last_line_of_history_says(dsn: str):
    async def script(db: Database) -> None:
        kill = KillStore(db)
        changes = [kill.engage("ana", f"{n}") if n % 3 else kill.clear("ben", f"{n}") for n in range(100)]
        await asyncio.gather(*changes)
        history = await kill.history(1_000)
        latch, why = await kill.read()
        assert len(history) == 100
        assert (history[0]["action"], f"{history[0]['operator']}: {history[0]['reason']}") == (
            f"kill latch {latch}",
            why,
        )

    on_database(dsn, script)
