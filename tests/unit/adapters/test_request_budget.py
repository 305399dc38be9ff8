"""The request budget on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quant_trading_system.adapters.alpaca.failures import BudgetExhausted
from quant_trading_system.adapters.alpaca.limits import RECHECK_S, WAITERS_MAX, Lane, RequestBudget
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.types import NANOS_PER_SECOND
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import START_NS, HandClock, LoopClock


async def take(budget: RequestBudget, lane: Lane, count: int) -> None:
    for _ in range(count):
        await budget.acquire(lane, 0.0)


async def take_waiting(budget: RequestBudget, lane: Lane, count: int) -> None:
    for _ in range(count):
        await budget.acquire(lane, 5.0)


async def order_served(budget: RequestBudget, asked: dict[str, Lane]) -> list[str]:
    """Who got a request first, of those that ask at once in the order given."""
    served: list[str] = []

    async def ask(name: str, lane: Lane) -> None:
        await budget.acquire(lane, 100.0)
        served.append(name)

    async with asyncio.TaskGroup() as group:
        for name, lane in asked.items():
            group.create_task(ask(name, lane))
    return served


def virtual_s() -> float:
    return asyncio.get_running_loop().time()


def headers(left: int, *, reset_in_s: int) -> dict[str, str]:
    reset_s = START_NS // NANOS_PER_SECOND + reset_in_s
    return {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset_s)}


@pytest.mark.requirement("R195")
@pytest.mark.control("P24")
def test_the_last_forty_of_a_minute_are_for_cancels_alone():
    async def scenario():
        budget = RequestBudget(200, 40, clock=LoopClock())
        await take(budget, Lane.ORDER, 160)
        for lane in (Lane.CLOSE, Lane.ORDER, Lane.POLL):
            with pytest.raises(BudgetExhausted):
                await budget.acquire(lane, 1.0)
        await take(budget, Lane.CANCEL, 40)
        assert budget.remaining == 0

    run_virtual(scenario())


@pytest.mark.control("P24")
def test_cancels_beyond_their_reserve_leave_room_to_see_what_became_of_them():
    async def scenario():
        budget = RequestBudget(200, 40, clock=LoopClock())

        async def repeat() -> None:
            with pytest.raises(BudgetExhausted):
                await take_waiting(budget, Lane.CANCEL, 500)

        async with asyncio.TaskGroup() as group:
            group.create_task(repeat())
            await asyncio.sleep(1.0)
            assert budget.remaining == 30
            with pytest.raises(BudgetExhausted):
                await budget.acquire(Lane.ORDER, 0.5)
            await take(budget, Lane.POLL, 30)
        assert budget.remaining == 0

    run_virtual(scenario())


def test_questions_for_single_orders_wait_behind_what_shows_all_of_them():
    async def scenario():
        budget = RequestBudget(10, 0, clock=LoopClock())
        await take(budget, Lane.ORDER, 10)
        assert await order_served(budget, {"lookup": Lane.LOOKUP, "poll": Lane.POLL}) == ["poll", "lookup"]

    run_virtual(scenario())


def test_reads_leave_room_for_orders():
    async def scenario():
        budget = RequestBudget(200, 40, clock=LoopClock())
        await take(budget, Lane.POLL, 120)
        with pytest.raises(BudgetExhausted):
            await budget.acquire(Lane.POLL, 1.0)
        await take(budget, Lane.ORDER, 40)
        assert budget.remaining == 40

    run_virtual(scenario())


@pytest.mark.invariant("I8")
def test_no_sliding_minute_holds_more_than_the_budget():
    async def scenario():
        budget = RequestBudget(20, 0, clock=LoopClock())
        sent = []
        for _ in range(100):
            await budget.acquire(Lane.ORDER, 120.0)
            sent.append(virtual_s())
            await asyncio.sleep(0.7)
        assert all(later - earlier >= 60.0 for earlier, later in zip(sent, sent[20:], strict=False))

    run_virtual(scenario())


def test_the_minute_is_the_venues():
    async def scenario():
        budget = RequestBudget(10, 0, clock=LoopClock(speed=60.0))
        await take(budget, Lane.ORDER, 10)
        await budget.acquire(Lane.ORDER, 5.0)
        assert virtual_s() == pytest.approx(1.0, abs=2 * RECHECK_S)

    run_virtual(scenario())


def test_waiting_ends_in_the_order_of_the_lanes_and_then_of_arrival():
    async def scenario():
        budget = RequestBudget(10, 0, clock=LoopClock())
        await take(budget, Lane.ORDER, 10)
        asked = {
            "poll": Lane.POLL,
            "order 1": Lane.ORDER,
            "order 2": Lane.ORDER,
            "close": Lane.CLOSE,
            "cancel": Lane.CANCEL,
        }
        assert await order_served(budget, asked) == ["cancel", "close", "order 1", "order 2", "poll"]

    run_virtual(scenario())


def test_waiting_has_an_end_and_gives_its_place_back():
    async def scenario():
        budget = RequestBudget(10, 0, clock=LoopClock())
        await take(budget, Lane.ORDER, 10)
        with pytest.raises(BudgetExhausted, match="within 2 s"):
            await budget.acquire(Lane.CANCEL, 2.0)
        await asyncio.sleep(60)
        await take(budget, Lane.ORDER, 1)
        assert budget.remaining == 9

    run_virtual(scenario())


def test_a_queue_that_cannot_be_served_is_refused_at_its_end():
    async def scenario():
        budget = RequestBudget(10, 0, clock=LoopClock())
        await take(budget, Lane.ORDER, 10)

        async def wait() -> None:
            with pytest.raises(BudgetExhausted):
                await budget.acquire(Lane.ORDER, 1.0)

        async with asyncio.TaskGroup() as group:
            for _ in range(WAITERS_MAX):
                group.create_task(wait())
            await asyncio.sleep(0.1)
            with pytest.raises(BudgetExhausted, match="wait already"):
                await budget.acquire(Lane.ORDER, 1.0)

    run_virtual(scenario())


@pytest.mark.fault("A10")
def test_the_brokers_own_count_is_believed_when_it_is_lower():
    async def scenario():
        budget = RequestBudget(200, 40, clock=LoopClock())
        budget.observe(200, headers(41, reset_in_s=30))
        await take(budget, Lane.ORDER, 1)
        with pytest.raises(BudgetExhausted):
            await budget.acquire(Lane.ORDER, 1.0)
        await take(budget, Lane.CANCEL, 60)  # an attempt costs nothing
        await asyncio.sleep(30)
        await take(budget, Lane.ORDER, 1)

    run_virtual(scenario())


def test_answers_that_overtake_one_another_do_not_raise_the_count():
    clock = HandClock()
    budget = RequestBudget(200, 40, clock=clock)
    budget.observe(200, headers(100, reset_in_s=30))
    budget.observe(200, headers(103, reset_in_s=30))
    assert budget.remaining == 100


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "x"},
        headers(0, reset_in_s=-5),
        headers(0, reset_in_s=9_999),
        {"X-RateLimit-Remaining": "9" * 400, "X-RateLimit-Reset": "٣"},
    ],
)
def test_odd_headers_are_not_believed(odd: dict[str, str]):
    budget = RequestBudget(200, 40, clock=HandClock())
    budget.observe(200, odd)
    assert budget.remaining == 200


@pytest.mark.fault("A10")
@pytest.mark.parametrize("told", [{}, headers(0, reset_in_s=10)])
def test_after_a_429_everything_but_cancels_pauses(told: dict[str, str]):
    async def scenario():
        budget = RequestBudget(200, 40, clock=LoopClock())
        budget.observe(429, told)
        await take(budget, Lane.CANCEL, 1)
        with pytest.raises(BudgetExhausted):
            await budget.acquire(Lane.ORDER, 5.0)
        await budget.acquire(Lane.ORDER, 6.0)
        assert virtual_s() == pytest.approx(10.0, abs=2 * RECHECK_S)

    run_virtual(scenario())


def test_no_limit_means_no_limit():
    async def scenario():
        budget = RequestBudget(0, 0, clock=LoopClock())
        await take(budget, Lane.POLL, 1_000)
        assert virtual_s() == 0.0

    run_virtual(scenario())


def test_a_reserve_larger_than_the_budget_is_a_mistake_of_ours():
    settings: dict[str, Any] = {"per_minute": 30, "reserved": 40}
    with pytest.raises(AssertionError):
        RequestBudget(**settings, clock=HandClock())


class Kept:
    """What earlier processes left behind, and what this one writes down."""

    def __init__(self, *earlier_ns: int) -> None:
        self.earlier_ns = earlier_ns
        self.noted_ns: list[int] = []
        self.time_ns = 0

    async def learn_time(self, venue_ns: int) -> None:
        self.time_ns = venue_ns

    async def note(self, venue_ns: int) -> None:
        self.noted_ns.append(venue_ns)


@pytest.mark.invariant("I8")
def test_a_process_goes_on_counting_where_the_one_before_was():
    async def scenario():
        log = Kept(*[START_NS - 59 * NANOS_PER_SECOND] * 50, *[0] * 100)
        budget = RequestBudget(200, 40, clock=LoopClock(), log=log)
        await take(budget, Lane.ORDER, 10)
        with pytest.raises(BudgetExhausted):
            await budget.acquire(Lane.ORDER, 0.5)
        await asyncio.sleep(1.0)
        await take(budget, Lane.ORDER, 50)
        assert len(log.noted_ns) == 60
        assert budget.remaining == 40

    run_virtual(scenario())


@pytest.mark.invariant("I8")
def test_what_leaves_before_the_venues_time_is_known_counts_from_then_on():
    async def scenario():
        clock = SystemClock(follows_venue=True, mono_now_ns=LoopClock().mono_ns)
        log = Kept(0, 0)
        budget = RequestBudget(200, 40, clock=clock, log=log)
        await take(budget, Lane.ORDER, 3)  # which may be what tells the time
        assert log.time_ns == 0
        clock.anchor(START_NS, mono_ns=clock.mono_ns(), speed=6.0)
        assert budget.remaining == 195
        budget.observe(429, {})
        with pytest.raises(BudgetExhausted):
            await budget.acquire(Lane.ORDER, 0.0)
        assert log.time_ns == START_NS  # told though nothing left
        await asyncio.sleep(10.0)
        assert budget.remaining == 200

    run_virtual(scenario())


@pytest.mark.fault("H1")
@pytest.mark.invariant("I8")
def test_a_clock_that_goes_back_makes_nothing_forgotten_and_nothing_kept_for_ever():
    clock = HandClock()
    budget = RequestBudget(200, 40, clock=clock)
    run_virtual(take(budget, Lane.ORDER, 10))
    clock.advance(-3600)
    assert budget.remaining == 190
    clock.advance(60)
    assert budget.remaining == 200
