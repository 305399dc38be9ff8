"""A sample of the campaign: no invariant is broken, and a seed is the same world in every process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import reach
from tests.simulation.campaign import Options, attempt, compare_hashes, run_campaign
from tests.simulation.plan import Plan, make_plan
from tests.simulation.plan_kinds import KINDS
from tests.simulation.totals import Totals, load, save

SAMPLE_SEEDS = 300
HASHED_SEEDS = 10


@pytest.mark.timeout(600)
def test_a_sample_of_seeds_breaks_no_invariant():
    totals = run_campaign(Options(seeds=SAMPLE_SEEDS, workers=1))

    assert totals.failed == {}
    assert totals.seeds == SAMPLE_SEEDS
    assert totals.orders > 5 * SAMPLE_SEEDS


@pytest.mark.invariant("I39")
@pytest.mark.timeout(300)
def test_a_seed_leaves_the_same_trace_in_two_processes_with_different_hash_seeds():
    assert compare_hashes(0, HASHED_SEEDS) == []


def test_another_seed_is_another_world():
    hashes = {attempt(Plan(seed, switches=make_plan(seed).switches)).trace_hash for seed in range(3)}
    assert len(hashes) == 3


def test_a_campaign_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.simulation.campaign.CHUNK_SEEDS", 2)
    path = tmp_path / "totals.json"
    run_campaign(Options(seeds=2, workers=1, totals_file=path))
    first = load(path)

    totals = run_campaign(Options(seeds=4, workers=1, totals_file=path))

    assert first.seeds == 2
    assert totals.seeds == 4
    assert totals.chunks == {0, 1}
    assert load(path) == totals


def test_a_seed_whose_world_breaks_is_a_failed_seed(monkeypatch: pytest.MonkeyPatch):
    def broken(plan: Plan, *, keeps_trace: bool = False) -> None:
        raise KeyError(plan.seed)

    monkeypatch.setattr("tests.simulation.campaign.run", broken)
    assert attempt(make_plan(5)).violations[0].startswith("exception: KeyError: 5")


def test_shortages_are_named():
    enough = {name: reach.ITEM_HITS_MIN for name in reach.items()}
    assert reach.shortages(enough) == []
    assert reach.shortages({**enough, "unknown.entered": 3}) == ["unknown.entered: 3 of 50"]
    assert len(reach.kind_shortages({})) == len(KINDS)
    assert reach.pair_shortages({"crash+halt": 20}) != []
    assert not any(text.startswith("crash+halt:") for text in reach.pair_shortages({"crash+halt": 20}))


def test_pairs_are_counted_once_a_seed():
    assert list(reach.pairs_of({"fault.halt": 9, "fault.crash": 1, "unknown.entered": 4})) == ["crash+halt"]


def test_sums_survive_being_written(tmp_path: Path):
    totals = Totals(chunks={1, 2}, seeds=20, failed={13: ("I5 at 1 s: less",)}, failures=1, reached={"takeover": 2})
    save(tmp_path / "sums.json", totals)
    assert load(tmp_path / "sums.json") == totals
    assert load(tmp_path / "none.json") == Totals()
