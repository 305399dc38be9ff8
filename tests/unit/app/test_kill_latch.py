"""Three copies of one latch: the file first, each on its own, and whatever cannot be said counts as not clear."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quant_trading_system.app.inbox import Inbox
from quant_trading_system.app.kill_latch import KillLatch
from quant_trading_system.core.events import LatchSeen, StoreSeen
from quant_trading_system.core.types import Latch, Store
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import LoopClock
from tests.unit.app.fakes import Journal, JournaledLatchFile, ScriptedLatchStore, drain

FILE, ROWS, MIRROR = Store.LATCH_FILE, Store.DATABASE, Store.REDIS


class Stores:
    """A real file and two stores that a test takes away."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal()
        self.touched = folder / "KILL"
        self.file = JournaledLatchFile(folder / "kill.latch", self.journal)
        self.rows = ScriptedLatchStore(ROWS, self.journal)
        self.redis = ScriptedLatchStore(MIRROR, self.journal)
        self.inbox = Inbox()
        self.refusals: list[str | None] = []
        self.latch = KillLatch(
            file=self.file,
            touched=self.touched,
            rows=self.rows,  # type: ignore[arg-type]
            redis=self.redis,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=LoopClock(),
            refusal_to_clear=lambda: self.refusals.pop(0) if self.refusals else None,
        )

    def engage(self) -> dict[Store, Latch]:
        run_virtual(self.latch.engage("alice", "stop"))
        return self.told()

    def told(self) -> dict[Store, Latch]:
        return {event.store: event.latch for event in drain(self.inbox) if isinstance(event, LatchSeen)}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


@pytest.mark.requirement("R044")
@pytest.mark.invariant("I9")
def test_the_file_is_written_first_then_the_database_then_the_mirror(stores: Stores):
    assert stores.engage() == dict.fromkeys(Store, Latch.ENGAGED)
    assert stores.journal.lines == ["latch_file ENGAGED", "database ENGAGED", "redis ENGAGED"]
    assert stores.file.read() == (Latch.ENGAGED, "alice: stop")


@pytest.mark.requirement("R044")
@pytest.mark.invariant("I10")
def test_clearing_goes_the_other_way_so_that_a_crash_in_between_leaves_it_engaged(stores: Stores):
    stores.engage()
    stores.journal.lines.clear()
    run_virtual(stores.latch.clear("alice", "looked at"))
    assert stores.journal.lines == ["redis CLEAR", "database CLEAR", "latch_file CLEAR"]
    assert stores.told() == dict.fromkeys(Store, Latch.CLEAR)


@pytest.mark.requirement("R046")
@pytest.mark.invariant("I9")
@pytest.mark.invariant("I10")
@pytest.mark.parametrize("trouble", ["is down", "hangs"])
@pytest.mark.parametrize("store", list(Store))
def test_a_store_that_does_not_take_it_stops_none_of_the_others_and_is_told_as_unreadable(
    stores: Stores, store: Store, trouble: str
):
    if store is FILE:
        stores.file.is_full = True
    else:
        scripted = stores.rows if store is ROWS else stores.redis
        scripted.is_down, scripted.hangs = trouble == "is down", trouble == "hangs"
    told = stores.engage()
    assert told == {each: Latch.UNREADABLE if each is store else Latch.ENGAGED for each in Store}


@pytest.mark.requirement("R046")
@pytest.mark.requirement("R057")
@pytest.mark.invariant("I10")
@pytest.mark.parametrize("store", [ROWS, MIRROR])
def test_a_store_that_cannot_be_read_is_unreadable_not_clear(stores: Stores, store: Store):
    (stores.rows if store is ROWS else stores.redis).is_down = True
    assert run_virtual(stores.latch.read_all())[store] is Latch.UNREADABLE


@pytest.mark.invariant("I10")
@pytest.mark.parametrize("damage", ["gone", "torn", "edited"])
def test_a_file_that_is_gone_or_damaged_is_never_clear(stores: Stores, damage: str):
    path = stores.file.path
    if damage == "gone":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.write_bytes(path.read_bytes().replace(b"new database", b"old database"))
    expected = Latch.MISSING if damage == "gone" else Latch.UNREADABLE
    assert run_virtual(stores.latch.read_all())[FILE] is expected


@pytest.mark.requirement("R057")
@pytest.mark.fault("F7")
@pytest.mark.invariant("I29")
@pytest.mark.parametrize("truth", [Latch.CLEAR, Latch.ENGAGED])
def test_an_empty_mirror_is_refilled_from_the_other_two_and_never_decides(stores: Stores, truth: Latch):
    if truth is Latch.ENGAGED:
        stores.engage()
    stores.redis.latch = Latch.MISSING
    assert run_virtual(stores.latch.read_all())[MIRROR] is truth
    assert stores.redis.latch is truth


@pytest.mark.invariant("I10")
def test_an_empty_mirror_is_filled_as_engaged_where_the_other_two_disagree(stores: Stores):
    stores.rows.latch = Latch.ENGAGED
    stores.redis.latch = Latch.MISSING
    run_virtual(stores.latch.read_all())
    assert stores.redis.latch is Latch.ENGAGED


@pytest.mark.invariant("I10")
def test_an_empty_mirror_stays_empty_while_one_of_the_other_two_cannot_say(stores: Stores):
    stores.rows.is_down = True
    stores.redis.latch = Latch.MISSING
    assert run_virtual(stores.latch.read_all())[MIRROR] is Latch.MISSING


def test_an_empty_mirror_stays_empty_where_the_database_has_no_row_and_nothing_says_engaged(stores: Stores):
    """So that a mirror outlives an empty database that stood in for the real one."""
    run_virtual(stores.latch.clear("alice", "looked at"))
    stores.rows.latch = stores.redis.latch = Latch.MISSING
    run_virtual(stores.latch.read_all())
    assert stores.redis.latch is Latch.MISSING


@pytest.mark.fault("F7")
@pytest.mark.parametrize("truth", [Latch.CLEAR, Latch.ENGAGED])
def test_a_mirror_that_holds_nonsense_is_refilled_from_the_other_two(stores: Stores, truth: Latch):
    if truth is Latch.ENGAGED:
        stores.engage()
    stores.redis.latch = Latch.UNREADABLE
    assert run_virtual(stores.latch.read_all())[MIRROR] is truth


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("lost", [Latch.CLEAR, Latch.MISSING])
def test_an_engagement_that_the_database_did_not_take_is_repeated_when_it_answers_again(stores: Stores, lost: Latch):
    stores.rows.is_down = True
    stores.engage()
    stores.rows.is_down, stores.rows.latch = False, lost
    assert run_virtual(stores.latch.read_all()) == dict.fromkeys(Store, Latch.ENGAGED)
    assert stores.rows.latch is Latch.ENGAGED


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("damage", ["full", "gone", "torn"])
def test_an_engagement_that_the_file_does_not_hold_is_repeated_there(stores: Stores, damage: str):
    stores.file.is_full = damage == "full"
    stores.engage()
    stores.file.is_full = False
    if damage == "gone":
        stores.file.path.unlink()
    elif damage == "torn":
        stores.file.path.write_bytes(b"torn")
    assert run_virtual(stores.latch.read_all()) == dict.fromkeys(Store, Latch.ENGAGED)
    assert stores.file.read()[0] is Latch.ENGAGED


@pytest.mark.invariant("I10")
def test_nothing_is_repeated_where_nothing_says_engaged(stores: Stores):
    stores.rows.latch = Latch.MISSING
    assert run_virtual(stores.latch.read_all())[ROWS] is Latch.MISSING


@pytest.mark.invariant("I9")
def test_a_reading_that_an_engagement_overtook_does_not_tell_that_it_is_clear(stores: Stores):
    async def both() -> None:
        reading = asyncio.get_running_loop().create_task(stores.latch.read_all())
        await asyncio.sleep(0.006)  # the file and the row were read
        await stores.latch.engage("alice", "stop")
        await reading

    stores.redis.is_up, stores.redis.is_down = False, True
    run_virtual(both())
    told = [event for event in drain(stores.inbox) if isinstance(event, LatchSeen)]
    assert {event.latch for event in told if event.store is not MIRROR} == {Latch.ENGAGED}


@pytest.mark.invariant("I9")
def test_a_reset_is_not_undone_by_a_reading_in_its_middle(stores: Stores):
    async def both() -> None:
        reset = asyncio.get_running_loop().create_task(stores.latch.clear("alice", "looked at"))
        for _ in range(4):
            await asyncio.sleep(0.004)
            await stores.latch.read_all()
        await reset

    stores.engage()
    run_virtual(both())
    assert (stores.file.read()[0], stores.rows.latch, stores.redis.latch) == (Latch.CLEAR, Latch.CLEAR, Latch.CLEAR)


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("later_s", [0.0, 0.002, 0.006], ids=["at once", "mirror being written", "row being written"])
def test_an_engagement_that_overtakes_a_reset_stands_in_every_copy(stores: Stores, later_s: float):
    async def both() -> None:
        reset = asyncio.get_running_loop().create_task(stores.latch.clear("alice", "looked at"))
        await asyncio.sleep(later_s)
        await asyncio.gather(stores.latch.engage("bob", "stop"), reset)

    stores.engage()
    run_virtual(both())
    assert stores.file.read() == (Latch.ENGAGED, "bob: stop")
    assert (stores.rows.latch, stores.redis.latch) == (Latch.ENGAGED, Latch.ENGAGED)
    assert "latch_file CLEAR" not in stores.journal.lines
    assert stores.told() == dict.fromkeys(Store, Latch.ENGAGED)


@pytest.mark.invariant("I9")
def test_a_reset_asked_for_before_an_engagement_changes_nothing_however_late_it_begins(stores: Stores):
    reset = stores.latch.clear("alice", "looked at")
    stores.engage()
    run_virtual(reset)
    assert (stores.file.read()[0], stores.rows.latch, stores.redis.latch) == (Latch.ENGAGED,) * 3


@pytest.mark.invariant("I9")
@pytest.mark.fault("K2")
@pytest.mark.parametrize("copies_cleared", [0, 1, 2])
def test_a_reset_ends_where_this_daemon_leads_no_more_and_says_so(stores: Stores, copies_cleared: int):
    stores.engage()
    stores.refusals = [*[None] * copies_cleared, "not the leader"]
    run_virtual(stores.latch.clear("alice", "looked at"))
    assert stores.file.read()[0] is Latch.ENGAGED
    assert (stores.redis.latch, stores.rows.latch) == (
        Latch.CLEAR if copies_cleared > 0 else Latch.ENGAGED,
        Latch.CLEAR if copies_cleared > 1 else Latch.ENGAGED,
    )
    said = [event for event in drain(stores.inbox) if isinstance(event, LatchSeen) and event.store is FILE]
    assert [(event.latch, event.reason) for event in said] == [
        (Latch.ENGAGED, "the reset was not carried out: not the leader")
    ]


@pytest.mark.invariant("I9")
def test_a_reset_asked_for_while_an_engagement_is_written_clears_every_copy(stores: Stores):
    async def both() -> None:
        engagement = asyncio.get_running_loop().create_task(stores.latch.engage("bob", "stop"))
        await asyncio.sleep(0.002)  # the file is written
        await stores.latch.clear("alice", "looked at")
        await engagement

    run_virtual(both())
    assert (stores.file.read()[0], stores.rows.latch, stores.redis.latch) == (Latch.CLEAR,) * 3
    assert stores.told() == dict.fromkeys(Store, Latch.CLEAR)


@pytest.mark.requirement("R043")
def test_a_touched_file_is_seen_within_half_a_second_and_said_until_the_latch_is_engaged(stores: Stores):
    seen: list[str] = []
    ticks: list[int] = []

    async def main() -> None:
        watching = asyncio.create_task(stores.latch.watch(on_touched=seen.append, on_tick=lambda: ticks.append(1)))
        await asyncio.sleep(2)
        assert seen == []
        stores.touched.touch()
        await asyncio.sleep(0.5)
        assert seen
        await stores.latch.engage("kill-file", seen[0])
        count = len(seen)
        await asyncio.sleep(5)
        assert len(seen) == count
        watching.cancel()

    run_virtual(main())
    assert "KILL was touched" in seen[0]
    assert len(ticks) >= 28


@pytest.mark.invariant("I10")
def test_the_copies_are_read_back_every_five_seconds_and_at_once_when_woken(stores: Stores):
    async def main() -> None:
        watching = asyncio.create_task(stores.latch.watch(on_touched=lambda _reason: None, on_tick=lambda: None))
        await asyncio.sleep(1)
        stores.rows.latch = Latch.ENGAGED
        stores.latch.wake()
        await asyncio.sleep(0.5)
        assert stores.told()[ROWS] is Latch.ENGAGED
        stores.redis.latch = Latch.ENGAGED
        await asyncio.sleep(5.5)
        watching.cancel()

    run_virtual(main())
    assert stores.told()[MIRROR] is Latch.ENGAGED


def test_a_mirror_that_speaks_again_is_said_to_be_up(stores: Stores):
    run_virtual(stores.latch.read_all())
    ups = [event for event in drain(stores.inbox) if isinstance(event, StoreSeen)]
    assert [(event.store, event.is_up) for event in ups] == [(MIRROR, True)]


def test_clearing_takes_the_touched_file_away(stores: Stores):
    stores.touched.touch()
    run_virtual(stores.latch.clear("alice", "looked at"))
    assert not stores.touched.exists()
