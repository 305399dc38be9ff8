"""A stop ends, whatever stands in its way: a loop that is held up, an output that nobody reads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from quant_trading_system.app.stop_limit import where
from tests.support.daemon_process import ROOT
from tests.support.virtual_loop import run_virtual

BEGIN = """
import asyncio, sys, time
from quant_trading_system.app.stop_limit import end_within
end_within({seconds}, exit_code=lambda: 75, describe=lambda: "it waits for a disk")
"""
SAY_MUCH = "sys.stderr.write('x' * 1_000_000)"


def start(then: str, *, seconds: float = 0.3) -> subprocess.Popen[str]:
    script = BEGIN.format(seconds=seconds) + then
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.fault("H7")
@pytest.mark.parametrize("held_up", ["time.sleep(60)", "asyncio.run(asyncio.sleep(60))"])
def test_what_does_not_end_by_itself_is_ended_and_says_what_it_waited_for(held_up: str):
    process = start(held_up)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 75
    assert "the stop did not end within 0.3 s: it waits for a disk" in said
    assert said.count('File "') > 0, "where its loop stands"


@pytest.mark.fault("H7")
def test_it_ends_where_nobody_reads_what_it_says():
    process = start(SAY_MUCH)  # the pipe is full, and stands
    try:
        assert process.wait(20) == 75
    finally:
        process.kill()
        process.communicate()


@pytest.mark.fault("H7")
def test_a_stop_that_ends_in_time_waits_for_nobody():
    began_s = time.monotonic()
    process = start("sys.exit(3)", seconds=60.0)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (3, "")
    assert time.monotonic() - began_s < 20


def test_the_functions_that_a_task_waits_in_are_named():
    async def inner() -> None:
        await asyncio.sleep(60)

    async def outer() -> None:
        await inner()

    async def main() -> tuple[str, str]:
        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        waiting = where(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return waiting, where(task)

    waiting, ended = run_virtual(main())
    assert [name.rpartition(".")[2] for name in waiting.split(" > ")] == ["outer", "inner", "sleep"]
    assert ended == ""
