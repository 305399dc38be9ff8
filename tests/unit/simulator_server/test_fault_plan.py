"""A fault plan fires when it says, and a wrong one is refused by the name of its field."""

from __future__ import annotations

import pytest

from quant_trading_system.simulator.server.faults import FaultPlan, FaultPlanError, Kind, parse_plan
from quant_trading_system.simulator.server.socket_faults import FrameFaults

POST = "POST /v2/orders"


class Seconds:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def plan_of(*rules: dict[str, object], seed: int = 0, clock: Seconds | None = None) -> FaultPlan:
    plan = FaultPlan(clock or Seconds())
    parsed, seed = parse_plan({"faults": list(rules), "seed": seed})
    plan.replace(parsed, seed=seed)
    return plan


def firings(plan: FaultPlan, kind: Kind, where: str, occasions: int) -> list[bool]:
    return [plan.fires(kind, where) is not None for _ in range(occasions)]


def test_at_fires_at_the_nth_occasion_alone():
    plan = plan_of({"kind": "error_500", "where": POST, "at": 3})
    assert firings(plan, Kind.ERROR_500, POST, 5) == [False, False, True, False, False]


def test_at_with_count_fires_that_often_in_a_row():
    plan = plan_of({"kind": "error_500", "where": POST, "at": 2, "count": 2})
    assert firings(plan, Kind.ERROR_500, POST, 5) == [False, True, True, False, False]


def test_without_at_and_probability_every_occasion_fires_until_it_is_healed():
    plan = plan_of({"kind": "error_500"})
    assert firings(plan, Kind.ERROR_500, POST, 3) == [True, True, True]
    plan.replace([])
    assert plan.is_empty
    assert firings(plan, Kind.ERROR_500, POST, 1) == [False]


def test_for_seconds_counts_from_the_first_firing():
    clock = Seconds()
    plan = plan_of({"kind": "error_500", "at": 2, "count": 100, "for_seconds": 5}, clock=clock)
    assert firings(plan, Kind.ERROR_500, POST, 2) == [False, True]
    clock.now_s += 4.9
    assert firings(plan, Kind.ERROR_500, POST, 1) == [True]
    clock.now_s += 0.2
    assert firings(plan, Kind.ERROR_500, POST, 1) == [False]


def test_the_same_seed_draws_the_same_faults_and_another_seed_others():
    rule = {"kind": "error_500", "probability": 0.5}
    first, again, other = (firings(plan_of(rule, seed=seed), Kind.ERROR_500, POST, 64) for seed in (7, 7, 8))
    assert first == again != other
    assert 16 < sum(first) < 48


def test_where_is_a_glob_and_other_endpoints_are_left_alone():
    plan = plan_of({"kind": "error_500", "where": "GET /v2/positions*"})
    assert firings(plan, Kind.ERROR_500, "GET /v2/positions/AAPL", 1) == [True]
    assert firings(plan, Kind.ERROR_500, "GET /v2/orders", 1) == [False]
    assert firings(plan, Kind.ERROR_502, "GET /v2/positions", 1) == [False]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "body"),
        ({}, "faults"),
        ({"faults": {}}, "faults"),
        ({"faults": [], "speed": 1}, "speed"),
        ({"faults": [], "seed": "x"}, "seed"),
        ({"faults": ["x"]}, "faults[0]"),
        ({"faults": [{"kind": "latency"}, {"kind": "gremlins"}]}, "faults[1].kind"),
        ({"faults": [{}]}, "faults[0].kind"),
        ({"faults": [{"kind": "latency", "when": 1}]}, "faults[0].when"),
        ({"faults": [{"kind": "latency", "where": 5}]}, "faults[0].where"),
        ({"faults": [{"kind": "latency", "at": 0}]}, "faults[0].at"),
        ({"faults": [{"kind": "latency", "at": 1.5}]}, "faults[0].at"),
        ({"faults": [{"kind": "latency", "at": True}]}, "faults[0].at"),
        ({"faults": [{"kind": "latency", "probability": 2}]}, "faults[0].probability"),
        ({"faults": [{"kind": "latency", "probability": float("nan")}]}, "faults[0].probability"),
        ({"faults": [{"kind": "latency", "at": 1, "probability": 0.5}]}, "faults[0].probability"),
        ({"faults": [{"kind": "latency", "count": -1}]}, "faults[0].count"),
        ({"faults": [{"kind": "latency", "for_seconds": "5"}]}, "faults[0].for_seconds"),
        ({"faults": [{"kind": "error_500", "latency_ms": 5}]}, "faults[0].latency_ms"),
        ({"faults": [{"kind": "latency"}] * 101}, "faults"),
    ],
)
def test_a_wrong_plan_names_its_field(document, field):
    with pytest.raises(FaultPlanError) as caught:
        parse_plan(document)
    assert str(caught.value).startswith(field + ":")


def test_a_plan_tells_its_kinds_fields_and_how_often_it_fired():
    plan = plan_of({"kind": "latency", "where": POST, "latency_ms": 50}, seed=3)
    plan.fires(Kind.LATENCY, POST)
    told = plan.as_json()
    assert told["faults"] == [{"kind": "latency", "where": POST, "latency_ms": 50, "fired": 1}]
    assert told["seed"] == 3
    kinds = told["kinds"]
    assert isinstance(kinds, dict)
    assert set(kinds) == set(Kind)


def test_rules_of_different_kinds_count_the_same_occasions():
    plan = plan_of(
        {"kind": "error_500", "at": 1}, {"kind": "empty_body", "at": 2}, {"kind": "latency", "where": "GET *"}
    )
    kinds = {Kind.ERROR_500, Kind.EMPTY_BODY, Kind.LATENCY}
    assert [set(plan.fire_all(POST, kinds)) for _ in range(3)] == [{Kind.ERROR_500}, {Kind.EMPTY_BODY}, set()]


def sent(*rules: dict[str, object], frames: int = 4) -> list[tuple[int, ...]]:
    faults: FrameFaults[int] = FrameFaults(plan_of(*rules), "stream:trade_updates")
    return [faults.frames_for(number) for number in range(1, frames + 1)]


@pytest.mark.parametrize(
    ("rule", "leaving"),
    [
        ({"kind": "drop_frame", "at": 2}, [(1,), (), (3,), (4,)]),
        ({"kind": "duplicate_frame", "at": 2}, [(1,), (2, 2), (3,), (4,)]),
        ({"kind": "replay_frames", "at": 3}, [(1,), (2,), (3, 1, 2, 3), (4,)]),
        ({"kind": "reorder", "at": 2}, [(1,), (), (3, 2), (4,)]),
        ({"kind": "mute_stream", "at": 3, "where": "stream:*"}, [(1,), (2,), (), ()]),
        ({"kind": "drop_frame", "where": "stream:market_data"}, [(1,), (2,), (3,), (4,)]),
    ],
)
def test_frames_are_lost_doubled_replayed_swapped_and_muted_as_the_plan_says(rule, leaving):
    assert sent(rule) == leaving


def test_a_mute_stream_speaks_again_when_its_time_is_over():
    clock = Seconds()
    faults: FrameFaults[int] = FrameFaults(
        plan_of({"kind": "mute_stream", "at": 1, "for_seconds": 10}, clock=clock), "stream:market_data"
    )
    assert faults.frames_for(1) == ()
    clock.now_s += 11
    assert faults.frames_for(2) == (2,)


def test_a_cut_without_a_count_does_not_wait_for_a_frame_and_one_with_at_does():
    assert plan_of({"kind": "disconnect_stream", "count": 1}).cuts_stream("stream:x", at_frame=False)
    counted = plan_of({"kind": "disconnect_stream", "at": 2})
    assert not counted.cuts_stream("stream:x", at_frame=False)
    assert [counted.cuts_stream("stream:x", at_frame=True) for _ in range(3)] == [False, True, False]
