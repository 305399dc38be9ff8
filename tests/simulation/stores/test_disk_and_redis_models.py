"""The modelled disk under the real latch and token files, the modelled Redis under the real live state."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest

from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.instance import open_instance, read_token
from quant_trading_system.persistence.latch_file import FILE_NAME, SIZE_BYTES, LatchFile
from tests.simulation.stores import DatabaseModel, DiskModel, RedisModel
from tests.support.virtual_loop import run_virtual


def a_latch(disk: DiskModel) -> LatchFile:
    latch = LatchFile(disk.path("/state") / FILE_NAME)
    latch.initialise()
    return latch


def test_an_engagement_that_returned_survives_every_power_cut():
    for seed in range(200):
        disk = DiskModel(random.Random(seed))
        latch = a_latch(disk)
        latch.engage("ana", "stop")
        disk.crash()
        assert latch.read() == (Latch.ENGAGED, "ana: stop")


@pytest.mark.fault("F10")
@pytest.mark.invariant("I10")
def test_a_power_cut_within_an_engagement_never_leaves_a_clear_latch_that_was_engaged(monkeypatch: Any):
    seen = set()
    for seed in range(300):
        disk = DiskModel(random.Random(seed))
        latch = a_latch(disk)
        latch.engage("ana", "stop")
        with monkeypatch.context() as patch:
            calls = iter(range(seed % 12))

            def dies_in_time(real: Any, calls: Any = calls) -> Any:
                def call(*arguments: Any) -> Any:
                    if next(calls, None) is None:
                        raise KeyboardInterrupt
                    return real(*arguments)

                return call

            for name in ("open", "pwrite", "fsync", "replace"):
                patch.setattr(disk, name, dies_in_time(getattr(disk, name)))
            with contextlib.suppress(KeyboardInterrupt):
                latch.engage("bob", "again")
        disk.crash()
        state, reason = latch.read()
        assert state in (Latch.ENGAGED, Latch.UNREADABLE)
        seen.add(reason)
    assert {"ana: stop", "bob: again"} <= seen


def test_what_was_written_in_place_and_not_synced_is_lost_kept_or_torn():
    outcomes = set()
    for seed in range(60):
        disk = DiskModel(random.Random(seed))
        latch = a_latch(disk)
        descriptor = disk.open(disk.path(f"/state/{FILE_NAME}"), 0)
        disk.pwrite(descriptor, b"x" * SIZE_BYTES, 0)
        disk.crash()
        raw = latch.path.read_bytes()
        outcomes.add("kept" if raw == b"x" * SIZE_BYTES else "torn" if b"x" in raw[:1] else "lost")
    assert outcomes == {"kept", "torn", "lost"}


@pytest.mark.fault("F8")
def test_a_full_disk_does_not_stop_the_kill_switch():
    for free in (0, 1, 100, 4095, 4096, 5000):
        disk = DiskModel(random.Random(free))
        latch = a_latch(disk)
        disk.free_bytes = free
        latch.engage("ana", "stop")
        disk.crash()
        assert latch.read()[0] is Latch.ENGAGED


@pytest.mark.fault("F9")
def test_a_sync_that_fails_is_not_believed():
    disk = DiskModel(random.Random(1))
    latch = a_latch(disk)
    disk.failing_syncs = 9
    with pytest.raises(StoreUnavailable, match="Input/output"):
        latch.engage("ana", "stop")


def test_the_token_is_kept_on_the_modelled_disk_together_with_the_database():
    async def script() -> None:
        disk, model = DiskModel(random.Random(1)), DatabaseModel(random.Random(2))
        db = model.database(1)
        await db.connect()
        folder = disk.path("/state")

        async def start() -> bool:
            instance = await open_instance(
                db, mode="sim", version="1", state_folder=folder, latch=LatchFile(folder / FILE_NAME)
            )
            assert read_token(folder) == instance.token
            return instance.is_new

        assert await start()
        disk.crash()
        assert not await start()
        assert [row["latch"] for row in model.rows("kill")] == ["CLEAR"]

    run_virtual(script())


def test_a_name_that_was_not_synced_may_be_gone_after_a_power_cut():
    kept = set()
    for seed in range(30):
        disk = DiskModel(random.Random(seed))
        path = disk.path("/state/a")
        disk.close(disk.open(path, 0o101))
        disk.crash()
        kept.add(path.exists())
    assert kept == {True, False}


@pytest.mark.fault("F7")
def test_redis_answers_is_gone_is_slow_forgets_and_holds_wrong_types():
    async def script() -> None:
        server = RedisModel(random.Random(1))
        told: list[bool] = []
        state = server.state(on_health=lambda is_up, _detail: told.append(is_up))
        await state.connect()
        await state.write_latch(Latch.CLEAR, "new")
        assert await state.read_latch() == (Latch.CLEAR, "new")
        assert await state.write_snapshot(b"{}")
        running = asyncio.get_running_loop().create_task(state.run())
        server.spoil()
        assert (await state.read_latch())[0] is Latch.UNREADABLE
        server.flush()
        assert (await state.read_latch())[0] is Latch.MISSING
        await asyncio.sleep(1.5)
        assert await state.read_snapshot() == b"{}"
        server.is_up = False
        assert not await state.heartbeat(1)
        await asyncio.sleep(1.5)
        server.heal()
        server.delay_s = 10.0
        started = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable):
            await state.read_snapshot()
        assert asyncio.get_running_loop().time() - started == pytest.approx(0.25)
        server.heal()
        await asyncio.sleep(1.5)
        assert told == [False, True]
        assert await state.heartbeat(1)
        await asyncio.sleep(31.0)
        assert server.value("qts:heartbeat") is None
        running.cancel()

    run_virtual(script())
