"""The daemon mends itself so many times a day and no more; then it is HALTED, and a person has to look."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import (
    HealingAsked,
    HealingEnded,
    OrderUpdated,
    StreamDown,
    StreamUp,
)
from quant_trading_system.core.records import AuditRecord
from quant_trading_system.core.types import Direction, HealingAction, MonoNanos, Severity, Stream, TradingState
from quant_trading_system.engine.stream_alarm import CYCLE_GAP_SECONDS, REPORT_SECONDS_MAX
from quant_trading_system.risk.healing import CEILINGS, DAY_NS, HealingBudget, HealingLimits
from tests.support.floor import Floor, failed, scripted_floor

LATE_S = int(REPORT_SECONDS_MAX) + 2
PERIOD_S = 16


def reconnect(floor: Floor) -> Callable[[Stream], None]:
    """What the shell does when a stream is cycled: down, and up again."""

    def cycle(stream: Stream) -> None:
        floor.tell(StreamDown(stream=stream, reason="cycled", **floor.stamps()))
        floor.tell(StreamUp(stream=stream, **floor.stamps()))

    return cycle


def healings(floor: Floor, outcome: str) -> list[AuditRecord]:
    return [
        record
        for record in floor.records
        if isinstance(record, AuditRecord) and record.actor == "healing" and record.outcome == outcome
    ]


def ask(floor: Floor, action: HealingAction, target: str) -> bool:
    floor.tell(HealingAsked(action=action, target=target, reason="it broke", **floor.stamps()))
    allowed = floor.healing_answers[-1].is_allowed
    if allowed:
        floor.tell(HealingEnded(action=action, target=target, outcome="done", detail="mended", **floor.stamps()))
    return allowed


def muted_floor(**limits: int) -> Floor:
    """A floor whose stream says nothing of orders, while REST shows them."""
    floor = scripted_floor()
    floor.engine._desk.healing._limits = HealingLimits(**limits)
    floor.filter_update = lambda _update: ()
    floor.on_cycle = reconnect(floor)
    return floor


def restarted(floor: Floor) -> Floor:
    again = floor.crash()
    again.start()
    again.advance(2)
    return again


# the order-correlated alarm


@pytest.mark.fault("C1")
@pytest.mark.fault("D1")
@pytest.mark.invariant("I15")
def test_an_order_that_rest_shows_filled_and_the_stream_never_mentioned_makes_the_socket_anew():
    floor = muted_floor()
    floor.decide(Direction.LONG)
    floor.advance(PERIOD_S + LATE_S)
    assert len(floor.cycled) == 1
    assert "trade_updates did not report" in floor.cycled[0]
    assert floor.sent[-1].intent.client_order_id in floor.cycled[0]
    assert [record.action for record in healings(floor, "done")] == ["socket_cycle"]
    assert [alert.severity for alert in floor.alerted("stream_starved")] == [Severity.WARNING]
    assert floor.state() is TradingState.ACTIVE
    floor.must_agree()


@pytest.mark.fault("C1")
def test_a_single_frame_that_was_lost_on_a_healthy_stream_makes_the_socket_anew_as_well():
    floor = scripted_floor()
    floor.on_cycle = reconnect(floor)
    floor.filter_update = lambda update: [] if update.word == "fill" else [update]
    floor.decide(Direction.LONG)
    floor.advance(2)
    floor.filter_update = lambda update: [update]
    floor.advance(PERIOD_S + LATE_S)
    assert len(floor.cycled) == 1
    floor.must_agree()


def test_a_stream_that_reports_in_time_is_left_alone_however_late_rest_asks():
    floor = scripted_floor()
    floor.on_cycle = reconnect(floor)
    held: list[OrderUpdated] = []

    def delay(update: OrderUpdated) -> list[OrderUpdated]:
        held.append(update)
        return []

    floor.filter_update = delay
    floor.decide(Direction.LONG)
    floor.advance(REPORT_SECONDS_MAX - 2)
    floor.filter_update = lambda update: [update]
    for update in held:
        floor.tell(structs.replace(update, **floor.stamps()))
    floor.decide(Direction.EXIT)
    floor.advance(120)
    assert floor.cycled == []
    floor.must_agree()


@pytest.mark.fault("C2")
def test_what_a_gap_of_the_stream_swallowed_is_not_waited_for():
    floor = scripted_floor()
    floor.on_cycle = reconnect(floor)
    floor.filter_update = lambda _update: ()
    floor.decide(Direction.LONG)
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    floor.filter_update = lambda update: [update]
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    floor.advance(60)
    assert floor.cycled == []
    floor.must_agree()


def test_a_stream_that_stays_mute_is_made_anew_once_a_minute_and_not_more_often():
    floor = muted_floor()
    for number in range(4):
        floor.decide(Direction.EXIT if number % 2 else Direction.LONG)
        floor.advance(5)
    seconds = 4 * 65 + 20
    assert 2 <= len(floor.cycled) <= seconds / CYCLE_GAP_SECONDS + 1


@pytest.mark.fault("D1")
@pytest.mark.invariant("I6")
def test_a_mute_stream_uses_up_its_cycles_and_then_no_order_that_adds_risk_leaves():
    floor = muted_floor(socket_cycles=1)
    floor.decide(Direction.LONG)
    floor.advance(PERIOD_S + LATE_S)
    assert len(floor.cycled) == 1
    floor.advance(CYCLE_GAP_SECONDS)
    floor.decide(Direction.EXIT)
    floor.advance(PERIOD_S + LATE_S)
    assert len(floor.cycled) == 1
    assert "healing_exhausted" in floor.causes
    assert floor.state() is TradingState.HALTED
    sent = len(floor.sent)
    floor.decide(Direction.LONG)
    assert "trading_state" in failed(floor.decisions[-1])
    assert len(floor.sent) == sent


# limits of each kind


@pytest.mark.parametrize(
    ("action", "field"),
    [
        (HealingAction.SOCKET_CYCLE, "socket_cycles"),
        (HealingAction.STORE_REOPENING, "store_reopenings"),
        (HealingAction.TASK_RESTART, "task_restarts"),
    ],
)
def test_each_kind_has_its_own_limit_then_halted_then_a_persons_reset_renews_it(action: HealingAction, field: str):
    limit = getattr(CEILINGS, field)
    floor = scripted_floor()
    for number in range(limit):
        assert ask(floor, action, "market_data"), number
        if action is HealingAction.SOCKET_CYCLE:
            floor.tell(StreamUp(stream=Stream.MARKET_DATA, **floor.stamps()))
    assert floor.state() is TradingState.ACTIVE
    assert not ask(floor, action, "market_data")
    assert not ask(floor, action, "market_data")
    assert len(healings(floor, "refused")) == 1  # said once, however often it is asked
    assert floor.causes == {"healing_exhausted"}
    assert floor.state() is TradingState.HALTED
    halted = [alert for alert in floor.alerted("trading_halted") if alert.severity is Severity.CRITICAL]
    assert len(halted) == 1
    assert action.value in halted[0].text
    for other in set(HealingAction) - {action}:
        assert ask(floor, other, "market_data")
    answer = floor.ask("reset", reason="looked at it")
    assert answer.accepted, answer.text
    assert floor.state() is TradingState.ACTIVE
    assert ask(floor, action, "market_data")


def test_a_halt_for_used_up_healing_outlives_a_restart_and_so_does_what_was_used():
    floor = scripted_floor()
    for _ in range(CEILINGS.task_restarts):
        assert ask(floor, HealingAction.TASK_RESTART, "tape")
    floor.advance(20)
    again = restarted(floor)
    assert not ask(again, HealingAction.TASK_RESTART, "tape")
    assert again.state() is TradingState.HALTED
    again.advance(20)
    third = restarted(again)
    assert third.state() is TradingState.HALTED
    assert third.ask("reset", reason="looked at it").accepted
    third.advance(20)
    fourth = restarted(third)
    assert fourth.state() is TradingState.ACTIVE
    assert ask(fourth, HealingAction.TASK_RESTART, "tape")


def test_the_budget_is_of_the_last_24_hours_of_real_time():
    budget = HealingBudget(HealingLimits(task_restarts=2))
    start = MonoNanos(5 * DAY_NS)
    assert budget.take(HealingAction.TASK_RESTART, start)
    assert budget.take(HealingAction.TASK_RESTART, start + DAY_NS // 2)
    assert not budget.take(HealingAction.TASK_RESTART, start + DAY_NS - 1)
    assert budget.take(HealingAction.TASK_RESTART, start + DAY_NS)
    assert not budget.take(HealingAction.TASK_RESTART, start + DAY_NS)


def test_what_earlier_processes_used_counts_by_its_age_and_a_stamp_from_the_future_counts_as_now():
    budget = HealingBudget(HealingLimits(task_restarts=3))
    day_s = 86_400.0
    ages_s = (day_s + 1, 10.0, -500.0)
    budget.restore([*(("task_restart", age_s) for age_s in ages_s), ("?", 1.0)], MonoNanos(7))
    assert budget.used(HealingAction.TASK_RESTART, 7) == 2
    assert budget.used(HealingAction.STORE_REOPENING, 7) == 0


def test_a_cycle_after_which_the_stream_does_not_come_back_is_written_down_as_failed():
    floor = muted_floor()
    floor.on_cycle = lambda stream: floor.tell(StreamDown(stream=stream, reason="cycled", **floor.stamps()))
    floor.decide(Direction.LONG)
    floor.advance(PERIOD_S + LATE_S + 70)
    assert [record.details["target"] for record in healings(floor, "failed")] == ["trade_updates"]
    assert floor.books() == {"momentum": Decimal(47)}
