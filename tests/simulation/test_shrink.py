"""Shrinking: what is left is as small as it gets, and still fails."""

from __future__ import annotations

from tests.simulation.plan import Fault, Plan, make_plan
from tests.simulation.shrink import invariants_of, shrink


def kinds(plan: Plan) -> list[str]:
    return [fault.kind for fault in plan.faults]


def test_only_the_faults_that_matter_are_left():
    plan = next(plan for plan in map(make_plan, range(2_000)) if {"crash", "feed_mute", "halt"} <= set(kinds(plan)))

    small = shrink(plan, lambda each: {"crash", "halt"} <= set(kinds(each)))

    assert sorted(kinds(small)) == ["crash", "halt"]


def test_what_is_left_is_short_certain_and_plain():
    fault = Fault("frames_dropped", 100.0, 200.0, {"probability": 0.3})
    plan = Plan(seed=1, faults=(fault,), switches={"symbols": 3.0, "ready_choice": 1.0})

    small = shrink(plan, lambda each: any(fault.kind == "frames_dropped" for fault in each.faults))

    assert small.faults[0].for_s <= 1.0
    assert small.faults[0].parameters == {"probability": 1.0}
    assert small.switches == {"symbols": 1.0, "ready_choice": 0.0}


def test_a_plan_that_fails_whatever_is_left_out_loses_all_its_faults():
    assert shrink(make_plan(7), lambda _plan: True).faults == ()


def test_a_plan_is_run_once_and_never_more_often_than_allowed():
    tried: list[Plan] = []

    def fails(plan: Plan) -> bool:
        tried.append(plan)
        return len(plan.faults) > 3

    plan = next(plan for plan in map(make_plan, range(2_000)) if len(plan.faults) > 30)
    shrink(plan, fails, runs_max=40)

    assert len(tried) <= 40
    assert len(tried) == len({str(plan) for plan in tried})


def test_a_failure_is_recognised_by_the_invariants_that_it_breaks():
    assert invariants_of(("I5 at 3.0 s: buys", "exception: KeyError: 3", "I5 at 4.0 s: sells")) == {"I5", "exception"}
