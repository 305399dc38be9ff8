"""The count of requests outlives the process: what may have left counts, and never less than did."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_trading_system.persistence.request_log import BLOCKS_PER_MINUTE, JUST_NOW_NS, SLOTS, RequestLog
from tests.support.virtual_loop import run_virtual

BLOCK = 200 // BLOCKS_PER_MINUTE
FULL = OSError(errno.ENOSPC, "no space left on device")


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time cannot wait for a thread."""

    async def at_once(work: Callable[..., object], *arguments: object) -> object:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


class Log(RequestLog):
    """One process after another over one file."""

    def __init__(self, folder: Path) -> None:
        self.failures: list[str] = []
        super().__init__(folder / "requests", per_minute=200, on_failure=self.failures.append)


def note(log: Log, *venue_ns: int) -> None:
    async def each() -> None:
        for stamp_ns in venue_ns:
            await log.learn_time(stamp_ns)
            await log.note(stamp_ns)

    run_virtual(each())


def test_a_first_process_finds_nothing(tmp_path: Path):
    assert Log(tmp_path).earlier_ns == ()


@pytest.mark.invariant("I8")
@pytest.mark.parametrize("sent", [1, BLOCK - 1, BLOCK])
def test_the_newest_block_counts_in_full_and_as_of_now(tmp_path: Path, sent: int):
    note(Log(tmp_path), *range(100, 100 + sent))
    assert Log(tmp_path).earlier_ns == (JUST_NOW_NS,) * BLOCK


@pytest.mark.invariant("I8")
def test_all_of_a_block_had_left_when_the_next_one_was_begun(tmp_path: Path):
    note(Log(tmp_path), *range(100, 100 + 2 * BLOCK + 1))
    second_ns, third_ns = 100 + BLOCK, 100 + 2 * BLOCK
    assert Log(tmp_path).earlier_ns == (*[second_ns] * BLOCK, *[third_ns] * BLOCK, *[JUST_NOW_NS] * BLOCK)


@pytest.mark.invariant("I8")
def test_each_process_adds_to_what_the_ones_before_left(tmp_path: Path):
    note(Log(tmp_path), 100)
    note(Log(tmp_path), 0)  # it ended before it knew the time
    note(Log(tmp_path), 300)
    assert Log(tmp_path).earlier_ns == (*[300] * 2 * BLOCK, *[JUST_NOW_NS] * BLOCK)


def test_a_process_that_learns_the_time_later_says_until_when_earlier_ones_sent(tmp_path: Path):
    note(Log(tmp_path), 100)
    log = Log(tmp_path)
    note(log, 0, 0)
    run_virtual(log.learn_time(300))  # though nothing may leave any more
    note(log, 400)
    assert Log(tmp_path).earlier_ns == (*[300] * BLOCK, *[JUST_NOW_NS] * BLOCK)


def test_the_file_never_grows(tmp_path: Path):
    log = Log(tmp_path)
    size = (tmp_path / "requests").stat().st_size
    note(log, *range(1, (SLOTS + 5) * BLOCK))
    assert (tmp_path / "requests").stat().st_size == size
    assert len(Log(tmp_path).earlier_ns) == SLOTS * BLOCK


@pytest.mark.fault("F10")
@pytest.mark.invariant("I8")
def test_a_torn_block_counts_in_full_and_as_of_now(tmp_path: Path):
    note(Log(tmp_path), *[100] * BLOCK, 200)
    path = tmp_path / "requests"
    raw = bytearray(path.read_bytes())
    raw[25] ^= 0xFF
    path.write_bytes(raw)
    assert Log(tmp_path).earlier_ns == (JUST_NOW_NS,) * 2 * BLOCK


@pytest.mark.fault("F8")
def test_a_disk_that_takes_nothing_is_said_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = Log(tmp_path)

    def refuse(*_arguments: object) -> int:
        raise FULL

    monkeypatch.setattr(os, "pwrite", refuse)
    note(log, *[100] * (BLOCK + 1))
    assert len(log.failures) == 2
    assert "no space left" in log.failures[0]


@pytest.mark.invariant("I8")
def test_requests_that_leave_together_share_a_block(tmp_path: Path):
    log = Log(tmp_path)

    async def together() -> None:
        await asyncio.gather(*(log.note(100) for _ in range(BLOCK + 1)))

    run_virtual(together())
    assert len(Log(tmp_path).earlier_ns) == 2 * BLOCK
