"""Twenty thousand market-data messages a second for a minute, while order updates come in on the other stream."""

from __future__ import annotations

from benchmarks.bench import Bench, Goal
from benchmarks.children import Shared, answer_of, feeding, own_python

MESSAGES_PER_SECOND = 20_000
SECONDS = 60.0

HANDLED = "messages handled, a second"
LATEST = "latest order update, ms"
LAG = "loop lag p99, ms"
IDLE = "floor: loop lag p99 of an idle loop, ms"
DROPPED = "messages dropped"
COALESCED = "quotes coalesced"
SHARE = "share of one CPU"


def run_once() -> dict[str, float]:
    with feeding("benchmarks.busy_feeder", str(MESSAGES_PER_SECOND)) as port:
        return answer_of([own_python(), "-m", "benchmarks.throughput_work", str(port), str(SECONDS)])


def benches() -> tuple[Bench, ...]:
    work = Shared(run_once)
    return (
        Bench(
            name="throughput",
            title="20,000 market-data messages a second for a minute, 100 symbols, an order update every 50 ms",
            unit="as named",
            contenders={
                HANDLED: work.measure("messages_per_second"),
                LATEST: work.measure("order_update_ms_max"),
                LAG: work.measure("loop_lag_ms_p99"),
                IDLE: work.measure("idle_lag_ms_p99"),
                DROPPED: work.measure("dropped"),
                COALESCED: work.measure("coalesced"),
                SHARE: work.measure("cpu_share"),
            },
            goals=(
                Goal(says="rate", of=HANDLED, bound=0.98 * MESSAGES_PER_SECOND, is_met_by="at least"),
                Goal(says="no order update later than", of=LATEST, bound=50.0),
                Goal(says="loop lag p99", of=LAG, bound=20.0),
            ),
        ),
    )
