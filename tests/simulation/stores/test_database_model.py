"""The modelled database under the real store code: what is durable, who waits for whom, what a fault leaves behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg
import pytest

from quant_trading_system.core.errors import ExitCode
from quant_trading_system.core.records import AuditRecord, LockRecord, Record
from quant_trading_system.core.types import Latch, MonoNanos, Nanos
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.errors import IntentConflict, IntentNotStored, StaleEpoch, StoreUnavailable
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.instance import bind_account, open_instance
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.recovery import load_restored
from quant_trading_system.persistence.rows import PLANS
from quant_trading_system.persistence.writer import BehindWriter
from tests.simulation.stores import DatabaseModel, DiskModel, Kind, Trouble, UnknownStatement
from tests.support.stores import STAMPED, a_fill, a_guard, a_position, an_approved, an_equity, an_order, one_of_each
from tests.support.virtual_loop import run_virtual

Result = TypeVar("Result")
STAMPS: Any = {"venue_ns": Nanos(1), "seen_ns": Nanos(2), "mono_ns": MonoNanos(3)}


def a_lock() -> Record:
    return LockRecord(**STAMPED, kind="symbol", key="BAC", reason="drift seen twice", is_locked=True)


def an_audit() -> Record:
    return AuditRecord(**STAMPED, actor="ana", action="pause", reason="lunch", outcome="accepted", details={})


ID = an_approved().intent.client_order_id


def on_model(script: Callable[[DatabaseModel, Database], Awaitable[Result]], *, seed: int = 1) -> Result:
    async def run() -> Result:
        model = DatabaseModel(random.Random(seed))
        db = model.database(1)
        await db.connect()
        result = await script(model, db)
        assert model.unknown == []
        return result

    return run_virtual(run())


async def take_lease(db: Database) -> Lease:
    lease = Lease(db, "A", mono_ns=lambda: round(asyncio.get_running_loop().time() * 1e9), holder="daemon")
    await lease.acquire()
    return lease


def test_every_record_reaches_its_table():
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        writer.put_all(one_of_each())
        assert await writer.flush(5.0)
        for plan in (plan for plans in PLANS.values() for plan in plans):
            assert len(model.rows(plan.table)) == 1, plan.table

    on_model(script)


def test_an_intent_is_stored_once_and_other_bytes_are_a_conflict():
    async def script(model: DatabaseModel, db: Database) -> None:
        lease = await take_lease(db)
        store = IntentStore(db)
        for _ in range(2):
            await store.commit(an_approved(), payload=b"the bytes", epoch=lease.epoch)
        with pytest.raises(IntentConflict):
            await store.commit(an_approved(), payload=b"others", epoch=lease.epoch)
        stored = model.committed_intent(ID)
        assert stored is not None
        assert stored["payload"] == b"the bytes"
        assert len(model.rows("intents")) == 1

    on_model(script)


def test_an_intent_without_a_lease_is_refused():
    async def script(model: DatabaseModel, db: Database) -> None:
        with pytest.raises(StaleEpoch):
            await IntentStore(db).commit(an_approved(), payload=b"", epoch=1)
        assert model.rows("intents") == []

    on_model(script)


@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
@pytest.mark.parametrize("is_heard", [True, False])
def test_a_writer_whose_epoch_is_refused_ends_the_lease_for_what_is_urgent_as_well(is_heard: bool):
    async def script(model: DatabaseModel, db: Database) -> None:
        lease = await take_lease(db)
        for session in list(model.advisory.values()):
            session.vanish()
        other = Lease(db, "A", holder="other")
        assert await other.acquire() == lease.epoch + 1
        assert lease.is_held, "nobody told it yet"
        told = lease.note_refused if is_heard else lambda _epoch: None
        writer = BehindWriter(db, name="w", fence=lambda: lease.epoch, on_stale=told)
        writer.put(an_audit())
        assert not await writer.flush(0.5)
        assert lease.is_held is not is_heard
        assert (lease.refusal_to_cancel(is_urgent=True) is not None) is is_heard

    on_model(script)


def test_a_refused_epoch_that_was_given_up_since_is_no_news():
    async def script(model: DatabaseModel, db: Database) -> None:
        lease = await take_lease(db)
        lease.note_refused(lease.epoch - 1)
        assert lease.is_held

    on_model(script)


@pytest.mark.fault("F4")
@pytest.mark.invariant("I31")
@pytest.mark.parametrize(("kind", "is_stored"), [(Kind.CUT_BEFORE, False), (Kind.CUT_AFTER, True)])
def test_a_commit_whose_answer_is_lost_is_read_back(kind: Kind, is_stored: bool):
    async def script(model: DatabaseModel, db: Database) -> None:
        lease = await take_lease(db)
        trouble = model.add_trouble(Trouble(kind, where="intent", count=1))
        if is_stored:
            await IntentStore(db).commit(an_approved(), payload=b"x", epoch=lease.epoch)
        else:
            with pytest.raises(IntentNotStored):
                await IntentStore(db).commit(an_approved(), payload=b"x", epoch=lease.epoch)
        assert trouble.met == 1
        assert (model.committed_intent(ID) is not None) is is_stored

    on_model(script)


def test_a_commit_that_waits_for_the_disk_comes_true_after_the_caller_gave_up():
    async def script(model: DatabaseModel, db: Database) -> bool:
        lease = await take_lease(db)
        model.add_trouble(Trouble(Kind.SLOW_COMMIT, where="intent", count=1, seconds=5.0))
        with pytest.raises(IntentNotStored):
            await IntentStore(db).commit(an_approved(), payload=b"x", epoch=lease.epoch)
        assert model.committed_intent(ID) is None
        await asyncio.sleep(10.0)
        return model.committed_intent(ID) is not None

    assert on_model(script)


@pytest.mark.parametrize("error", ["serialization", "deadlock", "timeout", "disk_full", "read_only"])
@pytest.mark.fault("F11")
def test_a_batch_that_the_server_refuses_is_written_whole_the_next_time(error: str):
    async def script(model: DatabaseModel, db: Database) -> None:
        told: list[bool] = []
        writer = BehindWriter(db, name="w", on_health=lambda is_up, _detail: told.append(is_up))
        model.add_trouble(Trouble(Kind.ERROR, where="batch", count=3, error=error))
        writer.put_all([an_order(), a_fill(), a_position()])
        assert await writer.flush(10.0)
        assert told == [False, True]
        assert [len(model.rows(table)) for table in ("orders", "order_states", "fills", "positions")] == [1, 1, 1, 1]

    on_model(script)


@pytest.mark.fault("F11")
@pytest.mark.parametrize("error", ["serialization", "deadlock", "timeout", "lock_timeout", "too_many_connections"])
@pytest.mark.parametrize("ask", ["restored", "account", "lease", "kill", "instance"])
def test_a_start_that_meets_a_passing_error_ends_as_temporary(error: str, ask: str):
    async def script(model: DatabaseModel, db: Database) -> None:
        disk = DiskModel(random.Random(1))
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "restored": lambda: load_restored(db, stamps=STAMPS),
            "account": lambda: bind_account(db, "PA1"),
            "lease": lambda: take_lease(db),
            "kill": lambda: KillStore(db).engage("ana", "stop"),
            "instance": lambda: open_instance(
                db, mode="sim", version="1", state_folder=disk.path("/s"), latch=LatchFile(disk.path("/s/kill.latch"))
            ),
        }
        model.add_trouble(Trouble(Kind.ERROR, error=error))
        with pytest.raises(StoreUnavailable) as raised:
            await asks[ask]()
        assert raised.value.exit_code is ExitCode.TEMPORARY
        assert model.advisory == {}

    on_model(script)


@pytest.mark.fault("F11")
@pytest.mark.parametrize("error", ["serialization", "deadlock"])
def test_a_transaction_that_was_rolled_back_for_a_passing_reason_is_tried_again(error: str):
    async def script(model: DatabaseModel, db: Database) -> None:
        told: list[bool] = []
        writer = BehindWriter(db, name="w", on_health=lambda is_up, _detail: told.append(is_up))
        trouble = model.add_trouble(Trouble(Kind.ERROR, count=2, error=error))
        writer.put(an_order())
        assert await writer.flush(0.05)
        assert (trouble.met, told, len(model.rows("order_states"))) == (2, [], 1)
        for ask in (
            lambda: load_restored(db, stamps=STAMPS),
            lambda: KillStore(db).engage("ana", "stop"),
            lambda: KillStore(db).clear("ana", "seen"),
        ):
            trouble = model.add_trouble(Trouble(Kind.ERROR, count=2, error=error))
            await ask()
            assert trouble.met == 2
        assert len(model.rows("operator_actions")) == 2

    on_model(script)


def test_a_single_read_meets_no_error_of_a_write():
    async def script(model: DatabaseModel, db: Database) -> None:
        trouble = model.add_trouble(Trouble(Kind.ERROR, error="deadlock"))
        assert await IntentStore(db).read_payload(ID) is None
        other = model.database(2)
        await other.connect()
        assert trouble.met == 0

    on_model(script)


@pytest.mark.invariant("I19")
@pytest.mark.parametrize("urgent", [a_guard(), a_lock(), an_audit()], ids=lambda record: type(record).__name__)
def test_a_trip_a_lock_and_what_a_person_did_are_durable_within_a_commit(urgent: Record):
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        running = asyncio.get_running_loop().create_task(writer.run())
        writer.put(an_equity())
        await asyncio.sleep(0.02)
        writer.put(urgent)
        await asyncio.sleep(0.015)
        assert len(model.rows(PLANS[type(urgent)][0].table)) == 1
        writer.put(an_equity())
        await asyncio.sleep(0.05)
        assert len(model.rows("equity")) == 1, "what is not urgent is gathered"
        running.cancel()

    on_model(script)


def test_guards_that_say_the_same_are_not_urgent():
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        running = asyncio.get_running_loop().create_task(writer.run())
        for seconds, stored in ((0.02, 1), (0.02, 1), (0.1, 3)):
            writer.put(a_guard(high_water_mark_usd=Decimal(100_000)))
            await asyncio.sleep(seconds)
            assert len(model.rows("guards")) == stored
        running.cancel()

    on_model(script)


@pytest.mark.fault("F4")
def test_a_refused_record_is_told_even_where_the_commit_of_the_others_was_not_answered():
    async def script(model: DatabaseModel, db: Database) -> None:
        refused: list[Record] = []
        writer = BehindWriter(db, name="w", on_rejected=lambda record, _detail: refused.append(record))
        model.add_trouble(Trouble(Kind.CUT_AFTER, where="commit", count=1))
        bad = a_fill(venue_ns=2**70)
        writer.put_all([an_order(), bad])
        assert await writer.flush(5.0)
        assert refused == [bad]
        assert len(model.rows("orders")) == 1

    on_model(script)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.CUT_AFTER, Kind.HANG, Kind.SLOW_COMMIT])
def test_a_batch_whose_commit_was_not_answered_is_written_once(kind: Kind):
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        writer.put(an_equity())
        assert await writer.flush(5.0)
        model.add_trouble(Trouble(kind, where="commit", count=2, seconds=20.0))
        writer.put_all([an_order(), an_equity(), an_order(status="FILLED")])
        assert await writer.flush(60.0)
        await asyncio.sleep(60.0)
        assert len(model.rows("order_states")) == 2
        assert sorted(row["ordinal"] for row in model.rows("equity")) == [1, 3]

    for seed in range(6):
        on_model(script, seed=seed)


def test_what_was_not_committed_dies_with_the_daemon():
    async def script(model: DatabaseModel, db: Database) -> None:
        async with db.session() as connection:
            block = connection.transaction()
            await block.__aenter__()
            await connection.execute(
                "INSERT INTO kill (latch, operator, reason) VALUES ('CLEAR', '', 'new database instance')"
            )
            model.drop_sessions(1)
            assert model.rows("kill") == []
            assert model.sessions == []
            with pytest.raises(asyncpg.InterfaceError):
                await block.__aexit__(None, None, None)
        with pytest.raises(StoreUnavailable):
            await KillStore(db).read()
        other = model.database(2)
        await other.connect()
        assert (await KillStore(other).read())[0] is Latch.MISSING

    on_model(script)


def test_a_statement_on_its_way_when_the_daemon_dies_is_lost_or_carried_out():
    async def script(model: DatabaseModel, db: Database) -> bool:
        lease = await take_lease(db)
        task = asyncio.get_running_loop().create_task(
            IntentStore(db).commit(an_approved(), payload=b"x", epoch=lease.epoch)
        )
        await asyncio.sleep(0.0001)
        model.drop_sessions(1)
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return model.committed_intent(ID) is not None

    assert {on_model(script, seed=seed) for seed in range(10)} == {True, False}


@pytest.mark.invariant("I25")
def test_the_lease_falls_with_its_connection_and_the_old_epoch_is_refused():
    async def script(model: DatabaseModel, db: Database) -> None:
        first = await take_lease(db)
        assert first.epoch == 1
        model.drop_sessions(1)
        await asyncio.sleep(0.5)
        other = model.database(2)
        await other.connect()
        second = await take_lease(other)
        assert second.epoch == 2
        with pytest.raises(StaleEpoch):
            await IntentStore(other).commit(an_approved(), payload=b"x", epoch=1)
        await IntentStore(other).commit(an_approved(), payload=b"x", epoch=2)

    on_model(script)


@pytest.mark.invariant("I25")
def test_a_writer_of_a_stale_epoch_writes_nothing_until_it_has_the_lease_again():
    async def script(model: DatabaseModel, db: Database) -> None:
        lease = await take_lease(db)
        epoch = 0
        writer = BehindWriter(db, name="w", fence=lambda: epoch)
        writer.put_all([an_order(), a_position()])
        assert not await writer.flush(0.5)
        assert not writer.is_up
        assert model.rows("orders") == model.rows("positions") == []
        epoch = lease.epoch
        assert await writer.flush(5.0)
        assert len(model.rows("orders")) == 1

    on_model(script)


@pytest.mark.fault("K2")
def test_the_holder_is_told_at_once_when_its_connection_breaks():
    async def script(model: DatabaseModel, db: Database) -> None:
        seen: list[bool] = []
        lease = await take_lease(db)
        lease.on_change = lambda held, _epoch, _deadline: seen.append(held)
        running = asyncio.get_running_loop().create_task(lease.run())
        model.cut()
        await asyncio.sleep(0.001)
        assert seen == [False]
        await asyncio.sleep(1.0)
        assert seen == [False, True]
        assert lease.epoch == 2
        running.cancel()

    on_model(script)


def test_an_intent_waits_for_a_lease_that_is_being_taken_and_then_sees_its_epoch():
    async def script(model: DatabaseModel, db: Database) -> None:
        await take_lease(db)
        other = model.database(2)
        await other.connect()
        async with other.session() as connection, connection.transaction():
            await connection.fetchval(TAKE, "A", "other", "host", 1)
            storing = asyncio.get_running_loop().create_task(
                IntentStore(db).commit(an_approved(), payload=b"x", epoch=1)
            )
            await asyncio.sleep(0.1)
            assert not storing.done()
        with pytest.raises(StaleEpoch):
            await storing
        assert model.rows("intents") == []

    on_model(script)


TAKE = (
    "INSERT INTO lease (account, epoch, holder, host, pid) VALUES ($1, 1, $2, $3, $4)"
    " ON CONFLICT (is_only) DO UPDATE SET account = excluded.account, epoch = lease.epoch + 1,"
    " holder = excluded.holder, host = excluded.host, pid = excluded.pid, taken_at = clock_timestamp()"
    " RETURNING epoch"
)


def test_a_row_lock_that_lasts_ends_the_statement_that_waits_for_it():
    async def script(model: DatabaseModel, db: Database) -> None:
        await take_lease(db)
        other = model.database(2)
        await other.connect()
        started = asyncio.get_running_loop().time()
        async with other.session() as connection, connection.transaction():
            await connection.fetchval(TAKE, "A", "other", "host", 1)
            with pytest.raises(IntentNotStored):
                await IntentStore(db).commit(an_approved(), payload=b"x", epoch=1)
        assert 0.4 < asyncio.get_running_loop().time() - started < 2.0

    on_model(script)


def test_a_snapshot_sees_nothing_that_others_commit():
    async def script(model: DatabaseModel, db: Database) -> None:
        model.delays_s["inside"] = (0.01, 0.01)
        writer = BehindWriter(db, name="w")
        loading = asyncio.get_running_loop().create_task(load_restored(db, stamps=STAMPS))
        await asyncio.sleep(0.015)
        writer.put_all([an_order(), a_position(), an_equity()])
        assert await writer.flush(5.0)
        restored = await loading
        assert restored.is_first_start
        assert (restored.orders, restored.books, restored.cash_usd) == ((), (), None)
        assert not (await load_restored(db, stamps=STAMPS)).is_first_start

    on_model(script)


def test_a_statement_that_is_not_known_word_for_word_is_refused_aloud():
    async def ask() -> list[str]:
        model = DatabaseModel(random.Random(1))
        db = model.database(1)
        await db.connect()
        async with db.session() as connection:
            with pytest.raises(UnknownStatement):
                await connection.fetch("SELECT payload FROM intents WHERE client_order_id = $1 ")
            with pytest.raises(UnknownStatement):
                await connection.execute("INSERT INTO equity (venue_ns) VALUES (1)")
        return model.unknown

    assert len(run_virtual(ask())) == 2


def test_one_record_that_the_database_refuses_does_not_hold_up_the_others():
    async def script(model: DatabaseModel, db: Database) -> None:
        refused: list[Record] = []
        writer = BehindWriter(db, name="w", on_rejected=lambda record, _detail: refused.append(record))
        bad = a_fill(venue_ns=2**70)
        writer.put_all([an_order(), bad, an_equity()])
        assert await writer.flush(5.0)
        assert refused == [bad]
        assert [len(model.rows(table)) for table in ("orders", "equity", "fills")] == [1, 1, 0]

    on_model(script)


@pytest.mark.invariant("I13")
def test_a_repair_gives_way_to_the_execution_and_a_fact_is_not_changed():
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        for fill in (a_fill(source="inferred", price=Decimal(180)), a_fill(), a_fill(source="activity")):
            writer.put(fill)
            assert await writer.flush(5.0)
        (row,) = model.rows("fills")
        assert (row["source"], row["price"]) == ("stream", Decimal("182.1234"))
        assert [fill.source for fill in await History(db).fills()] == ["stream"]

    on_model(script)


@pytest.mark.fault("F13")
def test_a_restored_backup_is_the_state_of_then_and_an_emptied_database_has_nothing():
    async def script(model: DatabaseModel, db: Database) -> None:
        writer = BehindWriter(db, name="w")
        for status in ("WORKING", "PARTIAL", "FILLED"):
            writer.put(an_order(status=status))
            assert await writer.flush(5.0)
            await asyncio.sleep(10.0)
        model.restore_backup(15.0)
        assert [row["status"] for row in model.rows("orders")] == ["PARTIAL"]
        assert len(model.rows("order_states")) == 2
        model.empty()
        assert model.rows("orders") == []
        assert (await load_restored(db, stamps=STAMPS)).is_first_start

    on_model(script)


@pytest.mark.fault("F5")
def test_while_the_server_is_down_or_silent_nothing_is_stored_and_afterwards_all_is():
    async def script(model: DatabaseModel, db: Database) -> None:
        told: list[bool] = []
        writer = BehindWriter(db, name="w", on_health=lambda is_up, _detail: told.append(is_up))
        running = asyncio.get_running_loop().create_task(writer.run())
        model.go_down()
        writer.put(an_order())
        await asyncio.sleep(5.0)
        assert not await db.is_writable()
        model.come_up()
        await asyncio.sleep(5.0)
        assert len(model.rows("orders")) == 1
        model.is_silent = True
        writer.put(an_equity())
        await asyncio.sleep(30.0)
        assert model.rows("equity") == []
        model.heal()
        await asyncio.sleep(30.0)
        assert len(model.rows("equity")) == 1
        assert told == [False, True, False, True]
        running.cancel()

    on_model(script)


def test_a_server_that_takes_no_writes_is_not_writable():
    async def script(model: DatabaseModel, db: Database) -> None:
        assert await db.is_writable()
        model.is_read_only = True
        assert not await db.is_writable()
        with pytest.raises(StoreUnavailable):
            await KillStore(db).engage("ana", "stop")
        model.heal()
        await KillStore(db).engage("ana", "stop")
        assert await KillStore(db).read() == (Latch.ENGAGED, "ana: stop")
        assert [line["action"] for line in await KillStore(db).history()] == ["kill latch ENGAGED"]

    on_model(script)


@pytest.mark.fault("F11")
def test_a_pool_that_is_used_up_makes_the_next_wait_and_then_refuses():
    async def script(model: DatabaseModel, db: Database) -> None:
        model.add_trouble(Trouble(Kind.SLOW_COMMIT, where="intent", count=4, seconds=0.4))
        lease = await take_lease(db)
        store = IntentStore(db)
        started = asyncio.get_running_loop().time()
        await asyncio.gather(
            *(store.commit(an_approved(number), payload=b"x", epoch=lease.epoch) for number in range(1, 6))
        )
        assert len(model.rows("intents")) == 5
        assert 0.4 < asyncio.get_running_loop().time() - started < 0.5

    on_model(script)
