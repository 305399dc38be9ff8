"""Virtual time: it never waits, never runs backwards, and refuses to hang."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.virtual_loop import Deadlock, VirtualTimeExhausted, run_virtual


def test_a_day_of_sleep_costs_no_real_time():
    async def scenario() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    started_s = time.perf_counter()
    assert run_virtual(scenario()) == 86_400
    assert time.perf_counter() - started_s < 0.5


def test_timers_fire_in_order_of_time_whatever_the_order_of_creation():
    async def note(after_s: float, seen: list[float]) -> None:
        await asyncio.sleep(after_s)
        seen.append(after_s)

    async def scenario() -> list[float]:
        seen: list[float] = []
        await asyncio.gather(*(note(after_s, seen) for after_s in (3, 1, 2, 0.5)))
        return seen

    assert run_virtual(scenario()) == [0.5, 1, 2, 3]


def test_time_stands_still_while_work_is_ready():
    async def scenario() -> float:
        for _ in range(1_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 0


def test_a_timeout_ends_a_wait_at_its_virtual_instant():
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(15):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 15


def test_waiting_for_nothing_is_a_deadlock_and_not_a_hang():
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtual(scenario())


def test_an_endless_loop_ends_at_the_allowance_of_virtual_seconds():
    async def scenario() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(VirtualTimeExhausted, match="60"):
        run_virtual(scenario(), virtual_seconds_max=60)


def test_an_error_of_the_scenario_reaches_the_test():
    async def scenario() -> None:
        await asyncio.sleep(1)
        raise LookupError("no such order")

    with pytest.raises(LookupError, match="no such order"):
        run_virtual(scenario())


def test_a_grid_keeps_its_slots_over_a_simulated_month():
    async def scenario() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        count = 0
        for slot in range(1, 30 * 5_760 + 1, 97):
            await asyncio.sleep(slot * 15 - loop.time())
            count += 1
        return count, loop.time() % 15

    count, offset_s = run_virtual(scenario())
    assert count == 1_782
    assert offset_s in (pytest.approx(0, abs=1e-5), pytest.approx(15, abs=1e-5))
