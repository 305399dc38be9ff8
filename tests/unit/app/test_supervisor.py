"""The task tree: a critical task that ends stops the daemon, another is restarted a bounded number of times."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from quant_trading_system.app.supervisor import Supervisor, TaskEnded
from tests.support.virtual_loop import run_virtual

RESTARTS = 3


async def _supervise(run, *, is_critical: bool) -> tuple[list[TaskEnded], list[str]]:
    failures: list[TaskEnded] = []
    restarts: list[str] = []
    stopped = asyncio.Event()

    def on_failure(ended: TaskEnded) -> None:
        failures.append(ended)
        stopped.set()

    async def permit(_name: str, _cause: BaseException | None) -> bool:
        return len(restarts) < RESTARTS

    async with asyncio.TaskGroup() as group:
        supervisor = Supervisor(
            group, on_failure=on_failure, permit=permit, on_restart=lambda name, _cause: restarts.append(name)
        )
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
@pytest.mark.parametrize("returns", [True, False])
def test_another_task_is_restarted_as_often_as_is_allowed_and_then_stops_the_daemon(returns: bool):
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        if not returns:
            raise OSError("again")

    failures, restarts = run_virtual(_supervise(run, is_critical=False))
    assert starts == RESTARTS + 1
    assert restarts == ["worker"] * RESTARTS
    assert len(failures) == 1


@pytest.mark.fault("H3")
@pytest.mark.invariant("I26")
def test_a_task_that_may_not_be_restarted_yet_waits_and_goes_on_when_it_may():
    async def scenario() -> tuple[list[str], list[str]]:
        allowed = asyncio.Event()
        starts: list[str] = []
        failures: list[TaskEnded] = []

        async def run() -> None:
            starts.append("run")
            if len(starts) == 1:
                raise OSError("broken")
            await asyncio.Event().wait()

        async def permit(_name: str, _cause: BaseException | None) -> bool:
            return await allowed.wait()

        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=failures.append, permit=permit)
            supervisor.start("worker", run, owner="test", is_critical=False, beat_seconds_max=10.0)
            for _ in range(60):
                await asyncio.sleep(1)
                supervisor.check_beats()  # one that waits for permission owes no heartbeat
            before = list(starts)
            allowed.set()
            await asyncio.sleep(2)
            await supervisor.stop(timeout_s=1)
        assert failures == []
        return before, starts

    before, after = run_virtual(scenario())
    assert before == ["run"]
    assert after == ["run", "run"]


@pytest.mark.fault("H3")
@pytest.mark.invariant("I26")
@pytest.mark.parametrize("is_stubborn", [False, True])
def test_a_task_that_hangs_is_cancelled_and_started_anew_and_one_that_clings_on_stops_the_daemon(is_stubborn: bool):
    async def scenario() -> tuple[list[str], list[str], float]:
        loop = asyncio.get_running_loop()
        release = asyncio.Event()
        starts: list[float] = []
        failures: list[TaskEnded] = []
        restarts: list[str] = []

        async def run() -> None:
            starts.append(loop.time())
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    if not is_stubborn:
                        raise

        async def permit(_name: str, cause: BaseException | None) -> bool:
            restarts.append(repr(cause))
            return True

        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=failures.append, permit=permit, now_s=loop.time)
            supervisor.start("worker", run, owner="test", is_critical=False, beat_seconds_max=10.0)
            for _ in range(22):
                await asyncio.sleep(1)
                supervisor.check_beats()
                if len(starts) > 1:
                    supervisor.beat("worker")
            release.set()
            await supervisor.stop(timeout_s=1)
        return [str(failure) for failure in failures], restarts, starts[-1]

    failures, restarts, started_s = run_virtual(scenario())
    if is_stubborn:
        assert restarts == []
        assert failures
    else:
        assert restarts == ["TimeoutError('no heartbeat for 10 s')"]
        assert failures == []
        assert started_s <= 12.0


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


def test_a_task_whose_clean_up_ends_by_nothing_is_cut_off_at_half_of_the_time():
    async def scenario() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()

        async def gives_back() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(60)  # to a server that answers nothing

        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=lambda ended: None)
            supervisor.start("writer", gives_back, owner="test")
            await asyncio.sleep(0)
            began_s = loop.time()
            left = await supervisor.stop(timeout_s=2)
            return left, loop.time() - began_s

    assert run_virtual(scenario()) == ([], 1.0)


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


@pytest.mark.fault("H5")
def test_a_task_that_is_cancelled_alone_is_missed():
    failures: list[TaskEnded] = []

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            supervisor = Supervisor(group, on_failure=failures.append)
            lonely = supervisor.start("lonely", asyncio.Event().wait, owner="test")  # type: ignore[arg-type]
            await asyncio.sleep(0)
            assert lonely.task is not None
            lonely.task.cancel()

    run_virtual(scenario())
    assert [failure.name for failure in failures] == ["lonely"]


@pytest.mark.fault("H5")
@pytest.mark.parametrize("broken", ["permission", "wait"])
def test_a_watch_that_fails_between_two_runs_stops_the_daemon_in_order(broken: str, monkeypatch: pytest.MonkeyPatch):
    failures: list[TaskEnded] = []

    async def run() -> None:
        raise OSError("again")

    async def permit(_name: str, _cause: BaseException | None) -> bool:
        if broken == "permission":
            raise RuntimeError("permission")
        return True

    async def wait(_seconds: float) -> None:
        raise RuntimeError("wait")

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:  # nothing may reach it: it would cancel the ordered stop
            Supervisor(group, on_failure=failures.append, permit=permit).start(
                "worker", run, owner="test", is_critical=False
            )

    if broken == "wait":
        monkeypatch.setattr("quant_trading_system.app.supervisor.asyncio.sleep", wait)
    run_virtual(scenario())
    assert [str(failure) for failure in failures] == [f"task worker ended: RuntimeError('{broken}')"]
