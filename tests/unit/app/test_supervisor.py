"""The task tree: a critical task that ends stops the daemon, another is restarted a bounded number of times."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from quant_trading_system.app.supervisor import RESTARTS_MAX, Supervisor, TaskEnded
from tests.support.virtual_loop import run_virtual


async def _supervise(run, *, is_critical: bool) -> tuple[list[TaskEnded], list[str]]:
    failures: list[TaskEnded] = []
    restarts: list[str] = []
    stopped = asyncio.Event()

    def on_failure(ended: TaskEnded) -> None:
        failures.append(ended)
        stopped.set()

    async with asyncio.TaskGroup() as group:
        supervisor = Supervisor(group, on_failure=on_failure, on_restart=lambda name, _cause: restarts.append(name))
        supervisor.start("worker", run, owner="test", is_critical=is_critical)
        await stopped.wait()
        await supervisor.stop(timeout_s=1)
    return failures, restarts


@pytest.mark.invariant("I26")
@pytest.mark.requirement("R038")
def test_a_critical_task_that_raises_stops_the_daemon_with_its_cause():
    async def run() -> None:
        raise ValueError("broken")

    failures, restarts = run_virtual(_supervise(run, is_critical=True))
    assert [str(failure) for failure in failures] == ["task worker ended: ValueError('broken')"]
    assert restarts == []


@pytest.mark.invariant("I26")
def test_a_critical_task_that_returns_early_stops_the_daemon():
    async def run() -> None:
        await asyncio.sleep(0)

    failures, _ = run_virtual(_supervise(run, is_critical=True))
    assert [str(failure) for failure in failures] == ["task worker returned"]


@pytest.mark.requirement("R038")
def test_another_task_is_restarted_three_times_and_then_stops_the_daemon():
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        raise OSError("again")

    failures, restarts = run_virtual(_supervise(run, is_critical=False))
    assert starts == RESTARTS_MAX + 1
    assert restarts == ["worker"] * RESTARTS_MAX
    assert len(failures) == 1


@pytest.mark.requirement("R034")
def test_stopping_cancels_every_task_and_names_those_that_do_not_end():
    async def scenario() -> list[str]:
        release = asyncio.Event()

        async def stubborn() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=lambda ended: None)
            supervisor.start("stubborn", stubborn, owner="test")
            supervisor.start("willing", asyncio.Event().wait, owner="test")  # type: ignore[arg-type]
            await asyncio.sleep(0)
            left = await supervisor.stop(timeout_s=2)
            release.set()
        return left

    assert run_virtual(scenario()) == ["stubborn"]


def _silences(gaps_s: list[float], *, beats: bool) -> list[str]:
    """What is said of a task that promised a heartbeat every 10 s, looked at after each gap."""
    clock = SimpleNamespace(now_s=1_000.0)
    failures: list[TaskEnded] = []

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=failures.append, now_s=lambda: clock.now_s)
            supervisor.start("worker", asyncio.Event().wait, owner="test", beat_seconds_max=10.0)  # type: ignore[arg-type]
            await asyncio.sleep(0)
            supervisor.beat("worker")
            for gap_s in gaps_s:
                clock.now_s += gap_s
                supervisor.check_beats()
                if beats:
                    supervisor.beat("worker")
            await supervisor.stop(timeout_s=1)

    run_virtual(scenario())
    return [str(failure) for failure in failures]


@pytest.mark.invariant("I26")
def test_a_task_that_shows_no_life_for_as_long_as_it_promised_stops_the_daemon():
    assert _silences([1.0] * 10, beats=False) == []
    assert _silences([1.0] * 11, beats=False) == ["task worker ended: TimeoutError('no heartbeat for 11 s')"]
    assert _silences([1.0] * 60, beats=True) == []


@pytest.mark.fault("H2")
def test_time_in_which_the_whole_machine_stood_still_is_nobodys_silence():
    assert _silences([1.0, 3_600.0, 1.0, 1.0], beats=True) == []
    still = [3_600.0, *[1.0] * 9]
    assert _silences(still, beats=False) == []
    assert len(_silences([*still, 1.0], beats=False)) == 1
