"""Medians, verdicts and missing contenders of the benchmark framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmarks.bench import Bench, Goal, Unavailable, run
from benchmarks.report import document, lines, number


def readings(*values: float) -> Callable[[], float]:
    left: Iterator[float] = iter(values)
    return lambda: next(left)


def bench_of(*goals: Goal, **contenders: Callable[[], float]) -> Bench:
    return Bench(name="example", title="Example", unit="s", contenders=contenders, goals=goals, rounds=3)


def test_the_median_of_the_rounds_counts_and_not_the_best():
    result = run(bench_of(ours=readings(3.0, 1.0, 2.0)))
    assert result.medians == {"ours": 2.0}


def test_every_contender_is_measured_once_in_every_round():
    order: list[str] = []

    def noted(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return 1.0

        return measure

    run(bench_of(ours=noted("ours"), peer=noted("peer")))
    assert order == ["ours", "peer"] * 3


@pytest.mark.parametrize(("bound", "misses"), [(0.5, []), (0.4, ["half of the peer"])])
def test_a_ratio_goal_compares_medians_of_the_same_run(bound: float, misses: list[str]):
    goal = Goal(says="half of the peer", of="ours", to="peer", bound=bound)
    result = run(bench_of(goal, ours=readings(1.0, 1.0, 9.0), peer=readings(2.0, 2.0, 2.0)))
    assert result.misses == misses


def test_a_goal_may_be_a_least_value():
    goal = Goal(says="fast enough", of="ours", bound=10.0, is_met_by="at least")
    assert run(bench_of(goal, ours=readings(9.0, 9.0, 9.0))).misses == ["fast enough"]


def test_a_goal_that_binds_later_is_shown_and_is_no_miss():
    goal = Goal(says="one day", of="ours", bound=1.0, binds_later=True)
    result = run(bench_of(goal, ours=readings(2.0, 2.0, 2.0)))
    assert result.misses == []
    assert "  goal: one day: 2, at most 1: not yet (binds later)" in lines(result)


def test_a_contender_that_cannot_be_measured_is_named_and_its_goal_is_not_met_by_silence():
    def absent() -> float:
        raise Unavailable("needs Python 3.12")

    goal = Goal(says="beside the peer", of="ours", to="peer", bound=1.0)
    result = run(bench_of(goal, ours=readings(1.0, 1.0, 1.0), peer=absent))
    assert result.missing == {"peer": "needs Python 3.12"}
    assert "  goal: beside the peer: not measured" in lines(result)
    assert "not measured: needs Python 3.12" in document([result], rounds=3)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (999.4, "999"), (20_000.4, "20,000")]
)
def test_numbers_are_shown_without_an_exponent(value: float, shown: str):
    assert number(value) == shown
