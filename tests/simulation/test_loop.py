"""The deterministic loop: virtual time, one order of running for one seed, lives that end without a `finally`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from tests.simulation.loop import Deadlock, DetLoop, Life


def run(main: Coroutine[Any, Any, Any], *, seed: int | None = 1) -> DetLoop:
    loop = DetLoop(None if seed is None else Random(seed))
    loop.run_until_complete(main)
    return loop


def order_of_five(seed: int | None) -> list[int]:
    ran: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            ran.append(number)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(5)))

    run(main(), seed=seed)
    return ran


def test_an_hour_of_waiting_passes_at_once_and_to_the_moment():
    loop = run(asyncio.sleep(3_600.0))
    assert loop.time() == 3_600.0
    assert loop.handled < 10


@pytest.mark.invariant("I39")
def test_the_seed_decides_what_runs_next_and_the_same_seed_decides_the_same():
    assert order_of_five(7) == order_of_five(7)
    assert len({tuple(order_of_five(seed)) for seed in range(20)}) > 10


def test_without_a_seed_what_came_first_runs_first():
    assert order_of_five(None) == [0, 1, 2, 3, 4] * 3


def test_waiting_for_what_nothing_will_bring_is_a_deadlock():
    with pytest.raises(Deadlock):
        run(asyncio.Event().wait())


@pytest.mark.fault("F1")
def test_a_crash_runs_no_finally_and_nothing_of_that_life_afterwards():
    said: list[str] = []
    life = Life(1)

    async def deep() -> None:
        try:
            await asyncio.sleep(5.0)
            said.append("slept on")
        finally:
            said.append("finally")

    async def process() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(deep())
            asyncio.get_running_loop().call_later(3.0, said.append, "timer")

    async def main() -> None:
        loop.start_life(life, process())
        await asyncio.sleep(1.0)
        loop.crash(life)
        await asyncio.sleep(60.0)

    loop = DetLoop(Random(1))
    loop.run_until_complete(main())
    assert [task.get_name() for task in life.tasks if not task.done()]
    assert said == []
    loop.dispose()
    assert life.tasks == []


@pytest.mark.fault("H2")
def test_a_life_that_stands_still_goes_on_where_it_stood():
    at_s: list[float] = []
    life = Life(1)

    async def process() -> None:
        while True:
            await asyncio.sleep(1.0)
            at_s.append(loop.time())

    async def main() -> None:
        loop.start_life(life, process())
        await asyncio.sleep(2.5)
        loop.freeze(life)
        await asyncio.sleep(10.0)
        loop.thaw(life)
        await asyncio.sleep(1.75)
        loop.crash(life)

    loop = DetLoop(Random(1))
    loop.run_until_complete(main())
    assert at_s == [1.0, 2.0, 12.5, 13.5]
    loop.dispose()


def test_what_an_executor_would_do_is_done_at_once():
    async def main() -> None:
        assert await asyncio.to_thread(lambda: 42) == 42
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(_refuse)

    run(main())


def _refuse() -> None:
    raise ValueError("no")


def test_timeouts_and_cancellation_work_as_on_any_loop():
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.Event().wait()
        assert asyncio.get_running_loop().time() == 2.0
        task = asyncio.ensure_future(asyncio.sleep(100.0))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@pytest.mark.fault("F2")
def test_a_crash_in_the_middle_of_a_step_unwinds_nothing():
    said: list[str] = []
    life = Life(1)

    async def process() -> None:
        try:
            await asyncio.sleep(1.0)
            loop.crash(life)
            loop.vanish()
            said.append("went on")
        finally:
            said.append("finally")

    async def main() -> None:
        loop.start_life(life, process())
        await asyncio.sleep(5.0)
        said.append("the world goes on")

    loop = DetLoop(Random(1))
    loop.run_until_complete(main())
    assert said == ["the world goes on"]
    loop.dispose()
