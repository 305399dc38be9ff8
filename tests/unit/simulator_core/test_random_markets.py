"""Whatever the market says and clients do: no fill that may not be, and the same story has the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.simulator.instants import NANOS_PER_MS
from tests.unit.simulator_core.fill_judge import Judge
from tests.unit.simulator_core.random_market import Player, fates, make_story, without_chance

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fill_is_worse_than_its_limit_outside_its_hours_through_a_halt_or_too_much(seed: int):
    player = Player(make_story(seed))
    player.play().ledger()
    assert Judge(player).check() > 20
    assert player.refusals <= {403, 404, 422}


@pytest.mark.parametrize("slice_ms", [700, 47_000])
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_how_finely_time_is_cut_changes_no_fill(seed: int, slice_ms: int):
    story = make_story(seed)
    whole, sliced = Player(story), Player(story, slice_ns=slice_ms * NANOS_PER_MS)
    assert fates(sliced.play()) == fates(whole.play())
    assert sliced.exchange.account() == whole.exchange.account()


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_kills_in_the_middle_of_queues_auctions_and_halts_change_no_fill(seed: int, tmp_path: Path):
    story = make_story(seed)
    whole = Player(story, without_chance())
    torn = Player(story, without_chance(), folder=tmp_path, restart_at=lambda number: number % 7 == seed)
    assert fates(torn.play()) == fates(whole.play())
