"""`make simulate-process RUNS=N`: run so many more, add them to the commit's totals, exit 1 where a rule was broken."""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.context import SpawnProcess
from typing import Any

from tests.process_campaign import totals as kept
from tests.process_campaign.kinds import KINDS
from tests.process_campaign.runs import Run
from tests.process_campaign.schedule import Job, World, next_jobs, to_worlds
from tests.process_campaign.worker import serve

WORKERS = 2
SAVED_RUNS = 25
END_SECONDS_MAX = 120.0  # of a worker that is asked to end in the middle of a run


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell in the background has us ignore them
        signal.signal(number, signal.default_int_handler)
    totals = kept.load(kept.commit())
    jobs = (
        [Job(kind=options.kinds[0], subject=options.subject, seed=options.seed)]
        if options.subject
        else next_jobs(totals, options.runs, options.kinds)
    )
    worlds = to_worlds(jobs, options.world if options.world is not None else totals.worlds)
    totals.worlds += len(worlds)
    print(f"commit {totals.commit}: {len(jobs)} runs in {len(worlds)} worlds, {options.workers} at a time", flush=True)
    began_s, before_s = time.monotonic(), totals.elapsed_s
    failed_before = len(totals.failures)
    try:
        for count, (run, world, folder) in enumerate(_results(worlds, options.workers), 1):
            totals.add(run, world=world, kept=folder)
            totals.elapsed_s = before_s + time.monotonic() - began_s
            if run.violations or options.verbose:
                _say(run, world)
            if count % SAVED_RUNS == 0:
                kept.save(totals)
                print(f"{count} runs, {time.monotonic() - began_s:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted; what was judged so far is kept", flush=True)
        return 130
    finally:
        kept.save(totals)
    print(kept.summary(totals))
    print(f"totals in {kept.path_of(totals.commit)}: {totals.elapsed_s:.0f} s so far")
    return 1 if len(totals.failures) > failed_before or not kept.is_ready_in_time(totals) else 0


def _say(run: Run, world: int) -> None:
    word = "FAILED" if run.violations else "ok" if run.reached else "missed"
    ready = "-" if run.ready_s is None else f"{run.ready_s:.2f} s"
    said = " ".join(filter(None, (run.note, " | ".join(run.violations[:3]))))
    print(
        f"{word} {run.kind} '{run.subject}' seed {run.seed} world {world}: {run.took_s:.1f} s, READY {ready} {said}",
        flush=True,
    )


def _results(worlds: Sequence[World], workers: int) -> Any:
    """Each run that is over, as it comes, from worker processes."""
    context = multiprocessing.get_context("spawn")
    wanted, over = context.Queue(), context.Queue()
    for world in worlds:
        wanted.put(world)
    for _ in range(workers):
        wanted.put(None)
    processes = [context.Process(target=serve, args=(wanted, over, kept.FOLDER / "kept")) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        yield from _until_done(processes, over)
    except BaseException:  # border: also where we are interrupted, no server and no daemon is left behind
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join(END_SECONDS_MAX)
            process.kill()


def _until_done(processes: Sequence[SpawnProcess], over: Any) -> Any:
    open_ends = len(processes)
    while open_ends:
        try:
            result = over.get(timeout=1.0)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                raise SystemExit("a worker ended before its work was done") from None
            continue
        if result is None:
            open_ends -= 1
        else:
            yield result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate-process", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many more (100)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of these alone: {','.join(KINDS)}")
    parser.add_argument("--workers", type=int, default=WORKERS, help="daemons at a time (2)")
    parser.add_argument("--verbose", action="store_true", help="a line for each run")
    parser.add_argument("--subject", default="", help="repeat one run: its subject, with one kind and --seed")
    parser.add_argument("--seed", type=int, default=0, help="with --subject: its seed")
    parser.add_argument("--world", type=int, help="the number of the first world, to repeat one")
    options = parser.parse_args(arguments)
    options.kinds = [kind for kind in options.kinds.split(",") if kind]
    unknown = [kind for kind in options.kinds if kind not in KINDS]
    if unknown or options.runs < 1 or not 1 <= options.workers <= 16:
        parser.error(f"--kinds takes {', '.join(KINDS)}; --runs 1 or more; --workers 1 to 16")
    if options.subject and options.subject not in KINDS[options.kinds[0]].subjects:
        parser.error(f"--subject of {options.kinds[0]}: {', '.join(KINDS[options.kinds[0]].subjects)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
