"""Row 8: durable writes, behind the engine and before an order, beside the driver alone."""

from __future__ import annotations

from benchmarks.bench import Bench, Goal
from benchmarks.children import Shared, answer_of, own_python

BEHIND = "the behind-writer"
COPY = "floor: bare COPY of 1,000 rows"
INTENT = "the intent store"
INSERT = "floor: bare prepared INSERT, own commit"


def benches() -> tuple[Bench, ...]:
    work = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.store_work"]))
    return (
        Bench(
            name="store-behind",
            title="Row 8: decisions written behind the engine, batches of 1,000",
            unit="rows a second",
            contenders={BEHIND: work.measure("behind_rows_per_second"), COPY: work.measure("copy_rows_per_second")},
            goals=(Goal(says="row 8: of COPY", of=BEHIND, to=COPY, bound=0.7, is_met_by="at least", binds_later=True),),
        ),
        Bench(
            name="store-intent",
            title="Row 8: one intent made durable before its order leaves, p50",
            unit="ms",
            contenders={INTENT: work.measure("intent_commit_ms"), INSERT: work.measure("bare_commit_ms")},
            goals=(Goal(says="row 4: of a bare commit", of=INTENT, to=INSERT, bound=1.3, binds_later=True),),
        ),
    )
