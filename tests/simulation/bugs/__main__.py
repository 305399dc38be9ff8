"""`python -m tests.simulation.bugs`: plants each bug of the catalogue in a copy of the code, for the campaign to find.

Decides the exit code: 0 where every bug was found, 1 where one was not, 2 for a name that is not in the catalogue.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

from tests.simulation.bugs.bug import Bug
from tests.simulation.bugs.catalogue import BUGS
from tests.simulation.bugs.hunt import Found, hunt_all

SEEDS_MAX = 2_000
WORKERS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt, tell, and return the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.list:
        for bug in BUGS:
            print(f"{bug.name:<42} {bug.rows:<10} {bug.text}")
        return 0
    bugs = _named(chosen.names)
    if bugs is None:
        return 2
    found = hunt_all(bugs, seeds=chosen.seeds, first=chosen.first, workers=chosen.workers, on_found=_tell)
    missed = [each for each in found if not each.is_found]
    tried = [each.seeds for each in found if each.is_found]
    if tried:
        middle, most = statistics.median(tried), max(tried)
        print(f"{len(tried)} of {len(found)} found; seeds until found: median {middle:g}, most {most}")
    for each in missed:
        print(f"NOT FOUND in {each.seeds} seeds: {each.bug}", file=sys.stderr)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.bugs", description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs of the catalogue; all where none is named")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="tried at most for each bug (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="bugs hunted at a time (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="the catalogue, and nothing else")
    return parser


def _named(names: Sequence[str]) -> list[Bug] | None:
    by_name = {bug.name: bug for bug in BUGS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        print(f"no bug named {', '.join(unknown)}; --list shows the catalogue", file=sys.stderr)
        return None
    return [by_name[name] for name in names] or list(BUGS)


def _tell(found: Found) -> None:
    verdict = f"seed {found.seeds:>5}" if found.is_found else " NOT FOUND "
    passed_over = f"  (without it {', '.join(map(str, found.passed_over))} fail too)" if found.passed_over else ""
    print(f"{found.bug:<42} {verdict} {found.seconds:>7.1f} s  {found.said}{passed_over}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
