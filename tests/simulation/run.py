"""Runs one plan and says what came of it. Decides nothing."""

from __future__ import annotations

import gc
import time

from msgspec import Struct

from tests.simulation.checkers import Checkers
from tests.simulation.plan import Plan
from tests.simulation.world import World


class Result(Struct, frozen=True):
    """What one seed gave."""

    seed: int
    trace_hash: str
    violations: tuple[str, ...]
    reached: dict[str, int]
    orders: int
    crashes: int
    virtual_s: float
    cpu_s: float
    trace: list[str]


def run(plan: Plan, *, keeps_trace: bool = False) -> Result:
    """Play a plan to its end."""
    started_s = time.process_time()
    was_collecting = gc.isenabled()
    gc.disable()
    if was_collecting:
        gc.freeze()  # what lives longer than the seed is no matter of its collection
    try:
        world = World(plan, keeps_trace=keeps_trace)
        world.loop.collects = was_collecting
        world.checkers = Checkers(world)
        world.run()
        return Result(
            seed=plan.seed,
            trace_hash=world.trace_hash,
            violations=tuple(world.violations),
            reached=world.reached,
            orders=sum(1 for tap in world.tap if tap.method == "POST"),
            crashes=world.crashes,
            virtual_s=world.elapsed_s * world.speed,
            cpu_s=time.process_time() - started_s,
            trace=world.trace_lines,
        )
    finally:
        if was_collecting:
            gc.unfreeze()
            gc.enable()
