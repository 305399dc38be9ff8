"""Plans: functions of the seed, whole when written and read again, over when healing begins, with every pair."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.simulation.faults import PLAYERS
from tests.simulation.plan import BEFORE_THE_START, QUIET_S, Fault, Plan, from_line, make_plan, to_line
from tests.simulation.plan_kinds import KINDS

SEEDS = range(1_200)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [make_plan(seed) for seed in SEEDS]


def test_a_plan_is_a_function_of_its_seed(plans: list[Plan]):
    assert [make_plan(seed) for seed in SEEDS[:50]] == plans[:50]
    assert len({to_line(plan) for plan in plans}) == len(plans)


def test_a_plan_survives_being_written_on_one_line(plans: list[Plan]):
    for plan in plans[:100]:
        line = to_line(plan)
        assert "\n" not in line
        assert from_line(line) == plan


def test_a_plan_with_a_kind_that_nobody_plays_is_refused():
    with pytest.raises(ValueError, match="no fault kind sunspots"):
        from_line(to_line(Plan(seed=1, faults=(Fault("sunspots", 1.0),))))


def test_every_fault_lies_in_the_chaos_phase_with_all_that_follows_from_it(plans: list[Plan]):
    rounding_s = 1.0
    for plan in plans:
        for fault in plan.faults:
            assert fault.at_s >= QUIET_S or str(fault.parameters["point"]).startswith(BEFORE_THE_START)
            assert fault.ends_s <= plan.chaos_s + rounding_s, fault


def test_some_seeds_have_no_fault_some_one_some_many(plans: list[Plan]):
    kinds = Counter(min(len({fault.kind for fault in plan.faults}), 5) for plan in plans)
    assert kinds[0] >= 20
    assert kinds[1] >= 60
    assert kinds[5] >= 500


def test_every_kind_is_played_and_nothing_else():
    assert set(PLAYERS) == {kind.name for kind in KINDS}


def test_every_pair_of_kinds_is_planned_together(plans: list[Plan]):
    """In 10,000 seeds each must happen 20 times: it is planned three times as often at least."""
    pairs: Counter[tuple[str, str]] = Counter()
    for plan in plans:
        pairs.update(itertools.combinations(sorted({fault.kind for fault in plan.faults}), 2))
    wanted = itertools.combinations(sorted(kind.name for kind in KINDS), 2)
    assert {pair for pair in wanted if pairs[pair] < 60 * len(SEEDS) / 10_000} == set()
