"""`python -m tests.simulation`: a campaign of seeds, one seed again, or a comparison of hashes. Decides nothing."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec

from tests.simulation import reach
from tests.simulation.campaign import Options, attempt, compare_hashes, hashes, run_campaign, run_to_first_failure
from tests.simulation.plan import Plan, from_line, make_plan, to_line
from tests.simulation.shrink import invariants_of, shrink
from tests.simulation.totals import Totals, file_of_this_code

SHOWN_FAILURES_MAX = 5
SHOWN_VIOLATIONS_MAX = 4
SHOWN_SHORTAGES_MAX = 15
SEEDS_FOLDER = Path(__file__).parent / "seeds"
PROGRESS_EVERY_S = 2.0


def main(arguments: list[str]) -> int:
    """Do what the flags ask; 0 where nothing was broken and enough was reached."""
    options = _parser().parse_args(arguments)
    if options.hashes:
        first, count = map(int, options.hashes.split(":"))
        print(msgspec.json.encode(hashes(first, count)).decode())
        return 0
    if options.hash_check:
        return _check_hashes(options.first, options.hash_check)
    if options.plan or options.seed is not None:
        plan = from_line(Path(options.plan).read_text()) if options.plan else make_plan(options.seed)
        return _run_one(plan, options)
    return _run_many(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds there are to be in all (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--seed", type=int, help="run one seed again")
    parser.add_argument("--plan", help="run the plan of this file")
    parser.add_argument("--trace", action="store_true", help="with --seed or --plan: print what happened")
    parser.add_argument("--shrink", action="store_true", help="with --seed or --plan: make a failing plan small")
    parser.add_argument("--keep", metavar="NAME", help="with --shrink: keep the plan in tests/simulation/seeds/")
    parser.add_argument("--hash-check", type=int, metavar="N", help="N seeds in two processes must give equal hashes")
    parser.add_argument("--reach-min", type=int, help="fail below this many hits of an item, however few the seeds")
    parser.add_argument("--stop-at-first", action="store_true", help="one process, ends with the first failure")
    parser.add_argument("--no-totals", action="store_true", help="neither go on from earlier sums nor keep these")
    parser.add_argument("--no-shrink", action="store_true", help="do not make the first failing plan small")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object; nothing is shrunk")
    parser.add_argument("--hashes", help=argparse.SUPPRESS)
    return parser


def _check_hashes(first: int, count: int) -> int:
    began_s = time.monotonic()
    differing = compare_hashes(first, count)
    spent_s = time.monotonic() - began_s
    print(f"{count - len(differing)} of {count} seeds gave the same trace in two processes, in {spent_s:.1f} s")
    if differing:
        print(f"different: {', '.join(map(str, differing[:20]))}")
    return 1 if differing else 0


def _run_one(plan: Plan, options: argparse.Namespace) -> int:
    result = attempt(plan, keeps_trace=options.trace)
    if options.trace:
        print("\n".join(result.trace))
    print(
        f"seed {plan.seed}: {len(plan.faults)} faults, {result.orders} orders, {result.crashes} crashes, "
        f"{result.cpu_s:.3f} s, trace {result.trace_hash}"
    )
    for text in result.violations:
        print(f"  {text}")
    if result.violations and (options.shrink or options.keep):
        small = _shrunk(plan, result.violations)
        print(to_line(small))
        if options.keep:
            SEEDS_FOLDER.mkdir(exist_ok=True)
            (SEEDS_FOLDER / f"{options.keep}.json").write_text(to_line(small) + "\n")
    return 1 if result.violations else 0


def _run_many(options: argparse.Namespace) -> int:
    if options.stop_at_first:
        return _run_to_first_failure(options)
    shown_s = [0.0]

    def tell(totals: Totals, wanted: int, spent_s: float) -> None:
        if spent_s - shown_s[0] >= PROGRESS_EVERY_S and not options.json:
            shown_s[0] = spent_s
            print(f"  {totals.seeds} of {wanted} seeds, {totals.failures} failed, {spent_s:.0f} s", file=sys.stderr)

    totals = run_campaign(
        Options(
            seeds=options.seeds,
            first=options.first,
            workers=options.workers,
            totals_file=None if options.no_totals else file_of_this_code(),
        ),
        tell=tell,
    )
    short = _shortages(totals, options.reach_min)
    must_reach = options.reach_min is not None or totals.seeds >= reach.FULL_SEEDS
    _print_totals(totals)
    _print_short(short, must_reach=must_reach)
    _print_end(totals, options)
    return 1 if totals.failures or (short and must_reach) else 0


def _run_to_first_failure(options: argparse.Namespace) -> int:
    totals = run_to_first_failure(options.first, options.seeds)
    _print_totals(totals)
    _print_end(totals, options)
    return 1 if totals.failures else 0


def _print_end(totals: Totals, options: argparse.Namespace) -> None:
    if options.json:
        answer = {"seeds": totals.seeds, "failed": sorted(totals.failed), "violations": totals.failed}
        print(msgspec.json.encode(answer).decode())
    else:
        _print_failures(totals, shrinks=not options.no_shrink)


def _shortages(totals: Totals, reach_min: int | None) -> list[str]:
    if reach_min is not None:
        return reach.shortages(totals.reached, minimum=reach_min)
    return [
        *reach.kind_shortages(totals.reached),
        *reach.shortages(totals.reached),
        *reach.pair_shortages(totals.pairs),
    ]


def _print_totals(totals: Totals) -> None:
    rate = totals.seeds / totals.wall_s if totals.wall_s else 0.0
    hours = totals.virtual_s / 3600.0
    print(
        f"{totals.seeds} seeds, {totals.failures} failed; {totals.orders} orders, {totals.crashes} crashes, "
        f"{hours:.0f} market hours; {totals.wall_s:.1f} s, {rate:.1f} seeds/s, "
        f"{totals.cpu_s / max(1, totals.seeds):.3f} s of a core each"
    )


def _print_short(short: list[str], *, must_reach: bool) -> None:
    if not short:
        print("every fault kind, every pair of them and every item was reached often enough")
        return
    word = "NOT REACHED often enough" if must_reach else f"not reached as often as {reach.FULL_SEEDS} seeds must"
    print(f"{len(short)} {word}, among them:")
    for text in short[:SHOWN_SHORTAGES_MAX]:
        print(f"  {text}")


def _print_failures(totals: Totals, *, shrinks: bool) -> None:
    for number, seed in enumerate(sorted(totals.failed)[:SHOWN_FAILURES_MAX]):
        violations = totals.failed[seed]
        print(f"seed {seed}: make simulate SEED={seed}")
        for text in violations[:SHOWN_VIOLATIONS_MAX]:
            print(f"  {text}")
        if number == 0 and shrinks:
            print(f"  shrunk: {to_line(_shrunk(make_plan(seed), violations))}")


def _shrunk(plan: Plan, violations: tuple[str, ...]) -> Plan:
    broken = invariants_of(violations)
    return shrink(plan, lambda each: bool(broken & invariants_of(attempt(each).violations)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
