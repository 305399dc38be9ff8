"""The simulated world: one seed is one history, every fault of the table takes effect, and dead processes stay dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import PLAYERS
from tests.simulation.plan import Fault, Plan
from tests.simulation.plan_kinds import BY_NAME, KINDS, Choice, Kind, Span, Value
from tests.simulation.run import run
from tests.simulation.world import World

SHORT_S = Plan(seed=0).heal_s + 150.0
BUSY = {
    "temperament": 0.9,
    "strategies": 2.0,
    "symbols": 2.0,
    "volatility": 0.0015,
    "resting_probability": 0.5,
    "venue_speed": 6.0,
}
SEEDS = 6
"""A fault that waits for its occasion, such as a cancel, may find none in one short seed."""
NEED_STOPS = ("leg_fills_during_cancel",)
HASHES = """
from tests.simulation.plan import make_plan
from tests.simulation.run import run
for seed in (3, 4):
    print(run(make_plan(seed)).trace_hash)
"""


def world_with(kind: Kind, seed: int) -> World:
    """A busy half hour of the market with one fault, as strong as its row allows."""
    parameters = {name: _strong(name, parameter, seed) for name, parameter in kind.parameters.items()}
    fault = Fault(kind.name, AFTER_TRADES_S, 0.0, parameters)
    if kind.seconds is not None:
        fault = Fault(kind.name, 15.0, 120.0, parameters)
    switches = BUSY | {"stops": float(kind.name in NEED_STOPS)}
    world = World(Plan(seed=seed, faults=(fault,), switches=switches), ends_s=SHORT_S)
    world.run()
    return world


def _strong(name: str, parameter: Choice | Span, seed: int) -> Value:
    if name == "point":
        return POINTS[seed % len(POINTS)]
    if isinstance(parameter, Choice):
        return parameter.values[seed % len(parameter.values)]
    return parameter.high if name == "probability" else parameter.low


AFTER_TRADES_S = 90.0
"""Late enough that something was executed, which may then be taken back."""
POINTS = ("gateway.before_bytes", "reconciler.before_tell", "writer.inside_batch", "http.after_bytes")
"""Failpoints that ten minutes pass."""


def test_every_kind_of_the_table_is_played():
    assert set(PLAYERS) == set(BY_NAME)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_fault_takes_effect(kind: Kind):
    for seed in range(1, SEEDS + 1):
        world = world_with(kind, seed)
        assert [text for text in world.violations if text.startswith("exception")] == []
        if world.reached.get(f"fault.{kind.name}"):
            return
    pytest.fail(f"{kind.name} took effect in none of {SEEDS} seeds")


@pytest.mark.invariant("I39")
def test_two_processes_with_different_hash_seeds_see_the_same_histories():
    def hashes(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first, second = hashes("1"), hashes("4242")
    assert first == second
    assert len(set(first.split())) == 2


@pytest.mark.invariant("I39")
def test_another_seed_is_another_history():
    assert run(Plan(seed=1, switches=BUSY)).trace_hash != run(Plan(seed=2, switches=BUSY)).trace_hash


def test_a_day_without_faults_trades_and_agrees_with_the_broker_at_its_end():
    world = World(Plan(seed=11, switches=BUSY), ends_s=SHORT_S)
    stored: list[dict[str, object]] = []
    world.loop.call_later(SHORT_S - 1.0, lambda: stored.append(_shares(world)), context=world.context)
    world.run()
    assert world.violations == []
    assert sum(1 for tap in world.tap if tap.method == "POST") >= 5
    assert stored == [{each.symbol: each.qty for each in world.exchange._books.positions()}]


def test_a_daemon_that_is_ready_again_knows_the_days_loss_without_another_second():
    """READY means that orders may leave; until the day's loss was measured control P29 refuses them."""
    world = World(Plan(seed=11, faults=(Fault("crash", AFTER_TRADES_S, 0.0, {"down_s": 5.0}),)), ends_s=SHORT_S)
    measured: list[object] = []
    lives: set[int] = set()

    def look() -> None:
        process = world.process
        if process is not None and process.engine is not None and process.parts.is_ready and id(process) not in lives:
            lives.add(id(process))
            engine = process.engine
            world.loop.call_later(
                0.05, lambda: measured.append(engine.view().money.day_loss_ratio), context=world.context
            )
        world.loop.call_later(0.01, look, context=world.context)

    world.loop.call_later(0.0, look, context=world.context)
    world.run()
    assert len(measured) == 2
    assert None not in measured


def _shares(world: World) -> dict[str, object]:
    assert world.engine is not None, "the daemon lives at the end"
    return {str(view.symbol): view.quantity for view in world.engine.view().positions if view.quantity}


@pytest.mark.fault("F1")
@pytest.mark.fault("F3")
def test_five_crashes_deep_in_recovery_end_in_a_daemon_that_trades_again():
    fault = Fault("crash_in_recovery", 40.0, 0.0, {"depth": 5.0, "after_s": 0.05})
    world = World(Plan(seed=5, faults=(fault,), switches=BUSY), ends_s=SHORT_S)
    world.run()
    assert world.violations == []
    assert world.crashes == 6
    assert world.incarnation == 7
    assert any(tap.method == "POST" and tap.incarnation == 7 for tap in world.tap)


@pytest.mark.fault("F2")
@pytest.mark.invariant("I1")
def test_a_crash_between_commit_and_send_leaves_an_intent_and_no_order():
    world = World(Plan(seed=9, switches=BUSY), ends_s=SHORT_S)
    seen: list[tuple[int, int]] = []

    def die() -> None:
        seen.append((len(world.committed("intents")), sum(1 for tap in world.tap if tap.method == "POST")))
        world.crash_now(2.0)

    world.loop.call_later(60.0, lambda: world.at_failpoint("gateway.after_intent_commit", die), context=world.context)
    world.run()
    [(intents, posts)] = seen
    assert intents == posts + 1
    assert world.violations == []
    assert world.crashes == 1


def test_a_plan_is_run_whole_however_fast_the_venue_is():
    for speed in (1.0, 6.0):
        result = run(Plan(seed=2, switches=BUSY | {"venue_speed": speed}))
        assert result.virtual_s == 1800.0
        assert result.orders >= 5
