"""Intents on a real PostgreSQL: durable before they count, fenced by the lease, and never guessed about."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.embedded import EmbeddedPostgres
from quant_trading_system.persistence.errors import IntentConflict, IntentNotStored, StaleEpoch
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.schema import upgrade
from tests.support.cutting_proxy import CuttingProxy
from tests.support.stores import Servers, an_approved, connected, kill, on_database, query


@pytest.mark.invariant("I1")
def test_a_committed_intent_survives_the_server_being_killed(server_folder: Path):
    async def script() -> None:
        server = EmbeddedPostgres(server_folder / "pg")
        dsn = await server.start()
        await upgrade(dsn)
        committed = await commit_until_the_server_dies(server, dsn)
        assert 50 <= len(committed) < 9_999
        restarted = EmbeddedPostgres(server_folder / "pg")
        await server.stop()
        await restarted.start()
        async with connected(dsn) as db:
            found = {row["client_order_id"] for row in await query(db, "SELECT client_order_id FROM intents")}
        await restarted.stop()
        assert committed <= found

    asyncio.run(script())


async def commit_until_the_server_dies(server: EmbeddedPostgres, dsn: str) -> set[str]:
    committed: set[str] = set()
    async with connected(dsn) as db:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        store = IntentStore(db)
        for number in range(1, 10_000):
            approved = an_approved(number)
            try:
                await store.commit(approved, payload=b"{}", epoch=epoch)
            except IntentNotStored:
                break
            committed.add(approved.intent.client_order_id)
            if number == 50:
                kill(server)
        await lease.release()
    return committed


@pytest.mark.invariant("I25")
@pytest.mark.fault("K2")
def test_a_daemon_that_lost_the_lease_cannot_store_an_intent(dsn: str):
    async def script(db: Database) -> None:
        first, second = Lease(db, "A"), Lease(db, "A")
        old_epoch = await first.acquire()
        await first.release()
        new_epoch = await second.acquire()
        assert new_epoch == old_epoch + 1
        store = IntentStore(db)
        with pytest.raises(StaleEpoch, match=f"epoch {old_epoch}"):
            await store.commit(an_approved(1), payload=b"{}", epoch=old_epoch)
        await store.commit(an_approved(2), payload=b"{}", epoch=new_epoch)
        stored = await query(db, "SELECT client_order_id, epoch FROM intents")
        assert stored == [{"client_order_id": an_approved(2).intent.client_order_id, "epoch": new_epoch}]
        await second.release()

    on_database(dsn, script)


def test_without_a_lease_nothing_is_stored(dsn: str):
    async def script(db: Database) -> None:
        with pytest.raises(StaleEpoch):
            await IntentStore(db).commit(an_approved(), payload=b"{}", epoch=1)

    on_database(dsn, script)


@pytest.mark.requirement("R094")
def test_the_same_intent_twice_is_one_row_and_other_bytes_are_a_bug(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        store = IntentStore(db)
        for _ in range(2):
            await store.commit(an_approved(), payload=b"the bytes", epoch=epoch)
        with pytest.raises(IntentConflict, match="other bytes"):
            await store.commit(an_approved(), payload=b"other bytes", epoch=epoch)
        assert await store.read_payload(an_approved().intent.client_order_id) == b"the bytes"
        assert await query(db, "SELECT count(*) AS n FROM intents") == [{"n": 1}]
        await lease.release()

    on_database(dsn, script)


@pytest.mark.fault("F4")
@pytest.mark.invariant("I31")
def test_a_commit_whose_answer_is_lost_is_read_back(servers: Servers, dsn: str, server_folder: Path):
    async def script() -> None:
        proxy = CuttingProxy(servers.postgres.folder / ".s.PGSQL.5432", server_folder)
        await proxy.start()
        async with connected(through(dsn, server_folder)) as db, connected(dsn) as direct:
            lease = Lease(direct, "A")
            epoch = await lease.acquire()
            store = IntentStore(db)
            await store.commit(an_approved(1), payload=b"warm", epoch=epoch)
            proxy.lose_answer_to(b"qts-abcdefgh-1a2b-momentum-2")
            await store.commit(an_approved(2), payload=b"lost", epoch=epoch)
            assert proxy.lost == 1
            assert await store.read_payload("qts-abcdefgh-1a2b-momentum-2") == b"lost"
            await lease.release()
        await proxy.stop()

    asyncio.run(script())


@pytest.mark.fault("F12")
@pytest.mark.timeout(30)
def test_a_locked_table_denies_an_intent_within_a_few_seconds_instead_of_hanging(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        async with db.session() as connection, connection.transaction():
            await connection.execute("LOCK TABLE intents IN ACCESS EXCLUSIVE MODE")
            started = asyncio.get_running_loop().time()
            with pytest.raises(IntentNotStored):
                await IntentStore(db).commit(an_approved(), payload=b"{}", epoch=epoch)
            assert asyncio.get_running_loop().time() - started < 5.0
        await lease.release()

    on_database(dsn, script)


@pytest.mark.fault("F12")
def test_a_busy_general_pool_does_not_make_an_intent_wait(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        async with asyncio.TaskGroup() as group:
            busy = [group.create_task(query(db, "SELECT pg_sleep(60)")) for _ in range(12)]
            await asyncio.sleep(0.5)
            await IntentStore(db).commit(an_approved(), payload=b"{}", epoch=epoch)
            assert not any(each.done() for each in busy)
            for each in busy:
                each.cancel()
        await lease.release()

    on_database(dsn, script)


def through(dsn: str, folder: Path) -> str:
    return dsn.partition("?")[0] + f"?host={quote(str(folder))}"
