"""Runs many seeds over processes, adds up what they gave, and says whether that is enough.

Decides pass or fail: no violation in any seed, and from 10,000 seeds on every fault kind, every pair of kinds and every
item of the "sometimes" list reached often enough. Which process runs a seed changes nothing: a seed is a world of its
own, and seeds come in numbered chunks.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType

import msgspec
from msgspec import Struct

from tests.simulation.plan import Plan, make_plan
from tests.simulation.run import Result, run
from tests.simulation.totals import Outcome, Totals, load, save

CHUNK_SEEDS = 10
CHUNKS_OF_A_CHILD = 5
SAVE_EVERY_S = 5.0
HASH_SEEDS = ("1", "20231")


class Options(Struct, frozen=True, kw_only=True):
    """What a campaign is asked for. `first` is rounded down to a whole chunk."""

    seeds: int
    first: int = 0
    workers: int = 2
    totals_file: Path | None = None


Progress = Callable[[Totals, int, float], None]
"""Told (sums so far, seeds wanted, seconds since the start) now and then."""


def attempt(plan: Plan, *, keeps_trace: bool = False) -> Result:
    """Run a plan; a world or a daemon that raises is a violation, not the end of a campaign."""
    try:
        return run(plan, keeps_trace=keeps_trace)
    except Exception as error:  # border: whatever a seed brings about, the campaign reports it
        text = f"exception: {type(error).__name__}: {error} ({_place(error)})"
        return Result(
            seed=plan.seed, trace_hash="", violations=(text,), reached={}, orders=0, crashes=0, virtual_s=0.0,
            cpu_s=0.0, trace=[],
        )  # fmt: skip


def outcome_of(result: Result) -> Outcome:
    """The part of a result that sums need."""
    return Outcome(
        seed=result.seed, trace_hash=result.trace_hash, violations=result.violations, reached=result.reached,
        orders=result.orders, crashes=result.crashes, virtual_s=result.virtual_s, cpu_s=result.cpu_s,
    )  # fmt: skip


def run_campaign(options: Options, *, tell: Progress = lambda _totals, _wanted, _spent_s: None) -> Totals:
    """Run the seeds that the totals do not hold yet; returns the sums over all."""
    totals = Totals() if options.totals_file is None else load(options.totals_file)
    began_s, before_s = time.monotonic(), totals.wall_s
    chunks = [number for number in _chunks(options) if number not in totals.chunks]
    saved_s = began_s
    for part in _results(chunks, options):
        totals.merge(part)
        now_s = time.monotonic()
        totals.wall_s = before_s + now_s - began_s
        tell(totals, options.seeds, now_s - began_s)
        if options.totals_file is not None and now_s - saved_s > SAVE_EVERY_S:
            saved_s = now_s
            save(options.totals_file, totals)
    totals.wall_s = before_s + time.monotonic() - began_s
    if options.totals_file is not None:
        save(options.totals_file, totals)
    return totals


def run_to_first_failure(first: int, count: int) -> Totals:
    """Run seeds in this process, exactly these and one after another, until one fails."""
    totals = Totals()
    for seed in range(first, first + count):
        totals.add(outcome_of(attempt(make_plan(seed))))
        if totals.failed:
            break
        if seed % CHUNK_SEEDS == 0:
            gc.collect()
    return totals


def hashes(first: int, count: int) -> dict[int, str]:
    """The trace hash of each seed."""
    return {seed: attempt(make_plan(seed)).trace_hash for seed in range(first, first + count)}


def compare_hashes(first: int, count: int) -> list[int]:
    """Run seeds in two processes with different hash seeds, side by side. Returns the seeds whose traces differ.

    Raises:
        RuntimeError: one of the processes broke.
    """
    command = [sys.executable, "-m", "tests.simulation", "--hashes", f"{first}:{count}"]
    children = [
        subprocess.Popen(
            command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for hash_seed in HASH_SEEDS
    ]
    answers = [child.communicate() for child in children]
    for child, (_, said) in zip(children, answers, strict=True):
        if child.returncode:
            raise RuntimeError(f"a process ended with {child.returncode}: {said.decode(errors='replace')[-2000:]}")
    one, other = (msgspec.json.decode(answer, type=dict[int, str]) for answer, _ in answers)
    return [seed for seed in range(first, first + count) if not one.get(seed) or one.get(seed) != other.get(seed)]


def _chunks(options: Options) -> range:
    first = options.first // CHUNK_SEEDS
    return range(first, first + -(-options.seeds // CHUNK_SEEDS))


def _results(chunks: Sequence[int], options: Options) -> Iterator[Totals]:
    if options.workers <= 1:
        for number in chunks:
            yield _run_chunk(number)
        return
    context = multiprocessing.get_context("forkserver")  # one that has imported everything, and no threads
    context.set_forkserver_preload([__name__])
    workers = min(options.workers, max(1, len(chunks)))
    with context.Pool(workers, initializer=_settle, maxtasksperchild=CHUNKS_OF_A_CHILD) as pool:
        yield from pool.imap_unordered(_run_chunk, chunks)


def _settle() -> None:
    """A worker never collects what its seeds leave: it runs a few chunks, and ends with all of it."""
    warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)  # power cuts
    gc.disable()
    sys.unraisablehook = _hear_no_dead
    asyncio.tasks._all_tasks.add = _forget  # type: ignore[attr-defined]  # nobody asks for all tasks of a loop


def _hear_no_dead(said: sys.UnraisableHookArgs) -> None:
    """What coroutines say that a power cut left behind, as they are freed, is no news."""
    if not isinstance(said.object, CoroutineType | AsyncGeneratorType):
        sys.__unraisablehook__(said)


def _forget(_task: object) -> None:
    return None


def _run_chunk(number: int) -> Totals:
    totals = Totals(chunks={number})
    for seed in range(number * CHUNK_SEEDS, (number + 1) * CHUNK_SEEDS):
        totals.add(outcome_of(attempt(make_plan(seed))))
    return totals


def _place(error: BaseException) -> str:
    """File and line where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
