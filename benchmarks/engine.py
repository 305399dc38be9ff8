"""The recorded day's mix of messages over a hundred symbols through `engine.handle`, both strategies running."""

from __future__ import annotations

from benchmarks.bench import Bench, Goal
from benchmarks.children import Shared, answer_of, own_python

MEAN = "engine.handle, mean"
MEDIAN = "engine.handle, p50"
P99 = "engine.handle, p99"
FLOOR = "floor: an empty handler, timed alike"


def benches() -> tuple[Bench, ...]:
    work = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.engine_work"]))
    return (
        Bench(
            name="engine-mix",
            title="The recorded day's mix over 100 symbols through engine.handle, two strategies",
            unit="µs of wall a message",
            contenders={
                MEAN: work.measure("mean_us"),
                MEDIAN: work.measure("p50_us"),
                P99: work.measure("p99_us"),
                FLOOR: work.measure("floor_us"),
            },
            goals=(Goal(says="mean", of=MEAN, bound=8.0), Goal(says="p50", of=MEDIAN, bound=8.0)),
        ),
    )
