"""The behind-writer on a real PostgreSQL: in order, once, and through an outage of the server."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from quant_trading_system.core.records import Record
from quant_trading_system.persistence.batches import Batch, write_batch
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.embedded import EmbeddedPostgres
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.rows import PLANS
from quant_trading_system.persistence.schema import upgrade
from quant_trading_system.persistence.writer import BehindWriter
from tests.process.test_stores_intents import through
from tests.support.cutting_proxy import CuttingProxy
from tests.support.stores import (
    Servers,
    a_decision,
    a_fill,
    a_position,
    an_equity,
    an_order,
    connected,
    kill,
    on_database,
    one_of_each,
    query,
)


def test_every_record_reaches_its_table(dsn: str):
    async def script(db: Database) -> None:
        writer = BehindWriter(db)
        writer.put_all(one_of_each())
        assert await writer.flush(5.0)
        for plan in (plan for plans in PLANS.values() for plan in plans):
            assert await query(db, f"SELECT count(*) AS n FROM {plan.table}") == [{"n": 1}], plan.table

    on_database(dsn, script)


def test_the_newest_state_wins_within_a_batch_and_across_batches(dsn: str):
    async def script(db: Database) -> None:
        writer = BehindWriter(db)
        writer.put_all([an_order(status="WORKING"), a_position(quantity=Decimal(1)), an_order(status="PARTIAL")])
        assert await writer.flush(5.0)
        writer.put_all([a_position(quantity=Decimal(3)), an_order(status="FILLED", is_final=True)])
        assert await writer.flush(5.0)
        assert await query(db, "SELECT status, is_final FROM orders") == [{"status": "FILLED", "is_final": True}]
        assert await query(db, "SELECT quantity FROM positions") == [{"quantity": Decimal(3)}]
        states = await query(db, "SELECT status FROM order_states ORDER BY id")
        assert [row["status"] for row in states] == ["WORKING", "PARTIAL", "FILLED"]

    on_database(dsn, script)


@pytest.mark.invariant("I13")
def test_a_fill_told_twice_is_one_row_and_a_repair_gives_way_to_the_execution(dsn: str):
    async def script(db: Database) -> None:
        writer = BehindWriter(db)
        writer.put_all([a_fill(source="inferred", price=Decimal(180)), a_fill(), a_fill(source="activity")])
        assert await writer.flush(5.0)
        writer.put(a_fill(source="activity", cumulative_quantity=Decimal("2.50")))
        assert await writer.flush(5.0)
        (fill,) = await History(db).fills()
        assert (fill.source, fill.price) == ("stream", Decimal("182.1234"))

    on_database(dsn, script)


def test_many_records_are_written_in_order(dsn: str):
    async def script(db: Database) -> None:
        writer = BehindWriter(db)
        writer.put_all([an_equity(equity_usd=Decimal(number)) for number in range(7_000)])
        assert await writer.flush(20.0)
        rows = await query(db, "SELECT equity_usd, ordinal FROM equity ORDER BY id")
        assert [row["equity_usd"] for row in rows] == [Decimal(number) for number in range(7_000)]
        assert [row["ordinal"] for row in rows] == list(range(1, 7_001))

    on_database(dsn, script)


def test_a_new_writer_goes_on_where_the_last_one_ended(dsn: str):
    async def script(db: Database) -> None:
        for _ in range(2):
            writer = BehindWriter(db)
            writer.put(an_equity())
            assert await writer.flush(5.0)
        assert [row["ordinal"] for row in await query(db, "SELECT ordinal FROM equity ORDER BY id")] == [1, 2]

    on_database(dsn, script)


@pytest.mark.fault("F4")
def test_a_batch_whose_commit_was_not_answered_is_not_written_twice(servers: Servers, dsn: str, server_folder: Path):
    async def script() -> None:
        proxy = CuttingProxy(servers.postgres.folder / ".s.PGSQL.5432", server_folder)
        await proxy.start()
        async with connected(through(dsn, server_folder)) as db:
            writer = BehindWriter(db)
            writer.put_all(one_of_each())
            proxy.lose_answer_to(b"COMMIT;")
            assert await writer.flush(10.0)
            assert proxy.lost == 1
            assert await query(db, "SELECT count(*) AS n FROM decisions") == [{"n": 1}]
        await proxy.stop()

    asyncio.run(script())


def test_a_batch_number_that_was_written_is_not_written_again(dsn: str):
    async def script(db: Database) -> None:
        batch = Batch(number=1, records=[a_decision()], first_ordinal=1)
        async with db.session() as connection:
            for _ in range(2):
                await write_batch(connection, batch, writer="w", epoch=None, is_patient=False)
        assert await query(db, "SELECT count(*) AS n FROM decisions") == [{"n": 1}]

    on_database(dsn, script)


def test_one_record_that_the_database_refuses_does_not_hold_up_the_others(dsn: str):
    async def script(db: Database) -> None:
        refused: list[tuple[Record, str]] = []
        writer = BehindWriter(db, on_rejected=lambda record, detail: refused.append((record, detail)))
        bad = a_fill(venue_ns=2**70)
        writer.put_all([an_order(), bad, a_decision()])
        assert await writer.flush(5.0)
        assert [record for record, _ in refused] == [bad]
        assert writer.rejected == 1
        assert await query(db, "SELECT count(*) AS n FROM decisions") == [{"n": 1}]
        assert await query(db, "SELECT count(*) AS n FROM orders") == [{"n": 1}]

    on_database(dsn, script)


@pytest.mark.invariant("I25")
def test_a_writer_of_a_stale_epoch_writes_nothing(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        stale, current = BehindWriter(db, fence=lambda: epoch - 1), BehindWriter(db, fence=lambda: epoch)
        stale.put(an_order())
        assert not await stale.flush(0.5)
        current.put(an_order())
        assert await current.flush(5.0)
        assert await query(db, "SELECT count(*) AS n FROM order_states") == [{"n": 1}]
        await lease.release()

    on_database(dsn, script)


@pytest.mark.fault("F5")
@pytest.mark.timeout(60)
def test_nothing_is_lost_or_doubled_when_the_server_is_killed_and_comes_back(server_folder: Path):
    async def script() -> None:
        server = EmbeddedPostgres(server_folder / "pg")
        dsn = await server.start()
        await upgrade(dsn)
        told: list[bool] = []
        async with connected(dsn) as db, asyncio.TaskGroup() as group:
            writer = BehindWriter(db, on_health=lambda up, _detail: told.append(up))
            running = group.create_task(writer.run())
            watching = group.create_task(server.supervise(lambda _detail: None, lambda: None))
            for number in range(300):
                writer.put(a_decision(decision_id=f"d{number}"))
                writer.put(a_fill(cumulative_quantity=Decimal(number + 1)))
                await asyncio.sleep(0.005)
                if number in (100, 200):
                    while server.pid is None:
                        await asyncio.sleep(0.01)
                    kill(server)
            while not writer.is_up or writer.depth:
                await asyncio.sleep(0.05)
            found = await query(db, "SELECT decision_id FROM decisions ORDER BY id")
            assert [row["decision_id"] for row in found] == [f"d{number}" for number in range(300)]
            assert await query(db, "SELECT count(*) AS n FROM fills") == [{"n": 300}]
            running.cancel()
            watching.cancel()
        assert told[:2] == [False, True]
        await server.stop()

    asyncio.run(script())
