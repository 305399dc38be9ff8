"""The lease on a real PostgreSQL: one holder, a loss seen at once, a paused holder overtaken."""

from __future__ import annotations

import asyncio
import os
import time

import asyncpg
import pytest

from quant_trading_system.core.errors import ExitCode, SafetyRefusal
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.lease import TTL_S, Lease
from tests.support.stores import on_database, query


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
def test_a_second_daemon_is_refused_and_told_who_trades(dsn: str):
    async def script(db: Database) -> None:
        first = Lease(db, "A")
        await first.acquire()
        with pytest.raises(SafetyRefusal) as caught:
            await Lease(db, "A").acquire()
        assert f"pid {os.getpid()}" in caught.value.message
        assert "since 20" in caught.value.message
        assert caught.value.exit_code is ExitCode.SAFETY
        await first.release()

    on_database(dsn, script)


@pytest.mark.fault("K1")
def test_of_many_that_start_at_once_exactly_one_gets_it(dsn: str):
    async def script(db: Database) -> None:
        leases = [Lease(db, "A") for _ in range(8)]
        outcomes = await asyncio.gather(*(lease.acquire() for lease in leases), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SafetyRefusal"] * 7 + ["int"]
        for lease in leases:
            await lease.release()

    on_database(dsn, script)


def test_every_new_holder_has_a_higher_epoch(dsn: str):
    async def script(db: Database) -> None:
        epochs = []
        for _ in range(3):
            lease = Lease(db, "A")
            epochs.append(await lease.acquire())
            await lease.release()
        assert epochs == [1, 2, 3]

    on_database(dsn, script)


@pytest.mark.control("P2")
def test_the_deadline_is_ten_seconds_from_before_the_lease_was_taken(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        before_ns = time.monotonic_ns()
        await lease.acquire()
        assert before_ns < lease.deadline_mono_ns <= time.monotonic_ns() + 10_000_000_000
        assert lease.is_held
        await lease.release()
        assert not lease.is_held

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.timeout(30)
def test_a_cut_connection_closes_the_gate_within_a_second_and_the_lease_is_taken_anew(dsn: str):
    async def script(db: Database) -> None:
        told: list[tuple[bool, int, float]] = []
        lease = Lease(db, "A", on_change=lambda held, epoch, _d: told.append((held, epoch, time.monotonic())))
        first = await lease.acquire()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run())
            cut_s = time.monotonic()
            await query(db, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            while [held for held, _, _ in told] != [True, False, True]:
                await asyncio.sleep(0.01)
            running.cancel()
        lost_s = told[1][2]
        assert lost_s - cut_s < 1.0
        assert told[2][1] == lease.epoch == first + 1
        await lease.release()

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.timeout(30)
def test_a_holder_that_shows_no_life_for_longer_than_its_term_is_overtaken_and_stops(dsn: str):
    async def script(db: Database) -> None:
        paused = Lease(db, "A", term_s=1.0)
        old = await paused.acquire()
        await asyncio.sleep(1.1)  # the server's clock says how long a session has been silent
        successor = Lease(db, "A", term_s=1.0)
        assert await successor.acquire() == old + 1
        await asyncio.sleep(0.1)
        assert not paused.is_held
        renewing = asyncio.create_task(successor.run())
        with pytest.raises(SafetyRefusal):
            await paused.run()
        renewing.cancel()
        assert paused.is_overtaken
        assert paused.refusal_to_cancel(is_urgent=True) == "another daemon took the lease"
        await successor.release()

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
def test_a_former_holder_does_not_go_on_where_another_held_it_meanwhile_and_is_gone_again(dsn: str):
    async def script(db: Database) -> None:
        former = Lease(db, "A", holder="former")
        await former.acquire()
        former._drop()
        other = Lease(db, "A", holder="other")
        await other.acquire()
        await other.release()
        with pytest.raises(SafetyRefusal, match="another daemon led meanwhile"):
            await former.run()
        assert former.is_overtaken
        assert former.refusal_to_cancel() is not None

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
@pytest.mark.timeout(30)
def test_of_many_standbys_that_wait_for_a_silent_holder_exactly_one_follows_it(dsn: str):
    async def script(db: Database) -> None:
        paused = Lease(db, "A", term_s=3.0)
        await paused.acquire()
        followers = [Lease(db, "A", term_s=3.0) for _ in range(5)]
        tasks = [asyncio.create_task(each.wait_and_acquire(lambda _holder, _why: None)) for each in followers]
        done, waiting = await asyncio.wait(tasks, timeout=15.0, return_when=asyncio.FIRST_COMPLETED)
        renewing = [asyncio.create_task(each.run()) for each in followers if each.is_held]
        await asyncio.sleep(1.5)  # six more looks of everybody who waits
        assert len(done) == 1
        assert [task.done() for task in waiting] == [False] * 4
        (leader,) = (each for each in followers if each.is_held)
        assert leader.epoch == 2
        for task in (*waiting, *renewing):
            task.cancel()
        await asyncio.gather(*waiting, *renewing, return_exceptions=True)
        await leader.release()

    on_database(dsn, script)


@pytest.mark.fault("K1")
@pytest.mark.timeout(30)
def test_a_standby_says_who_holds_the_lease_and_follows_within_a_second_of_its_release(dsn: str):
    async def script(db: Database) -> None:
        first = Lease(db, "A", holder="first")
        await first.acquire()
        said: list[str] = []
        standby = Lease(db, "A")
        task = asyncio.create_task(
            standby.wait_and_acquire(lambda holder, _why: said.append(holder.holder if holder else "nobody"))
        )
        while len(said) < 2:
            await asyncio.sleep(0.01)
        assert set(said) == {"first"}
        await first.release()
        async with asyncio.timeout(1.0):
            assert await task == 2
        await standby.release()

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.fault("F12")
@pytest.mark.timeout(30)
def test_a_transaction_that_a_leader_left_open_when_it_stood_still_does_not_hold_up_its_follower(dsn: str):
    async def script(db: Database) -> None:
        paused = Lease(db, "A")
        await paused.acquire()
        abandoned = await asyncpg.connect(db.dsn)
        await abandoned.execute("BEGIN")
        await abandoned.execute("SELECT 1 FROM lease FOR SHARE")
        await paused.release()
        await asyncio.sleep(1.1)
        follower = Lease(db, "A")
        async with asyncio.timeout(1.0):
            assert await follower.acquire() == paused.epoch + 1
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await abandoned.execute("COMMIT")
        await follower.release()

    on_database(dsn, script)


@pytest.mark.fault("K2")
@pytest.mark.timeout(30)
def test_a_standby_never_ends_the_session_of_a_holder_that_lives(dsn: str):
    async def script(db: Database) -> None:
        first = Lease(db, "A", term_s=2.0)
        await first.acquire()
        epochs = []
        standby = asyncio.create_task(
            Lease(db, "A", term_s=2.0).wait_and_acquire(lambda holder, _why: epochs.append(holder and holder.epoch))
        )
        for _ in range(12):
            await query(db, "UPDATE lease_beat SET beat_at = clock_timestamp()")
            await asyncio.sleep(0.25)
        assert not standby.done()
        assert first.refusal_to_cancel() == "the single-writer lease is not held"  # its term ran out by its own clock
        standby.cancel()
        await first.release()

    on_database(dsn, script)


@pytest.mark.timeout(30)
def test_a_renewal_moves_the_deadline(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        await lease.acquire()
        deadline = lease.deadline_mono_ns
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run())
            while lease.deadline_mono_ns == deadline:
                await asyncio.sleep(0.05)
            running.cancel()
        assert lease.deadline_mono_ns > deadline + 2_500_000_000
        await lease.release()

    on_database(dsn, script)


@pytest.mark.fault("F12")
@pytest.mark.fault("K2")
def test_a_process_that_stands_still_in_a_transaction_locks_the_leases_row_for_less_than_its_term(dsn: str):
    async def script(db: Database) -> None:
        async with db.session() as connection:
            allowed = await connection.fetchval(
                "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)"
            )
        assert 0 < allowed < TTL_S

    on_database(dsn, script)
