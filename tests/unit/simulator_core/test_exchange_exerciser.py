"""Thousands of random operations: every law holds, every path is taken, and every process keeps the same books."""

from __future__ import annotations

from scripts.exercise_exchange import both
from tests.support.exchange_exerciser import OPERATIONS

OPERATIONS_HERE = 12_000  # `make exercise` does a million


def test_several_clients_may_do_what_they_like_and_two_processes_keep_the_same_books():
    first, second = both(["--operations", str(OPERATIONS_HERE), "--seed", "20"])
    assert first["hash"] == second["hash"]
    assert first["counts"] == second["counts"]
    counts = first["counts"]
    assert isinstance(counts, dict)
    never = [name for name, weight in OPERATIONS.items() if weight >= 1 and not counts.get(name)]
    assert never == [], "expected every operation to be granted sometimes"
    assert {"fill", "partial_fill", "canceled", "expired", "replaced", "rejected"} & set(counts) > {"fill", "canceled"}
