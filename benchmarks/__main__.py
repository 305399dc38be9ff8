"""Run benchmarks by name, print them, and write benchmarks/results.md when all of them ran."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.bench import ROUNDS, Bench, Result, run
from benchmarks.report import document, lines

RESULTS = Path(__file__).parent / "results.md"

MODULES = ("cold_start", "session", "feed", "engine", "throughput", "stores", "exchange")
"""One module a subject; each offers `benches() -> tuple[Bench, ...]`."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="subjects or benchmarks to run (all without a name)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds that the medians are of")
    parser.add_argument("--list", action="store_true", help="say what there is, run nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args(argv)
    chosen = select(options.names)
    if not chosen:
        parser.error(f"no benchmark is named {', '.join(options.names)}; --list shows them")
    if options.list:
        sys.stdout.writelines(f"{bench.name:<24} {bench.title}\n" for bench in chosen)
        return 0
    results = [shown(run(bench, rounds=min(options.rounds, bench.rounds))) for bench in chosen]
    if not options.names:
        RESULTS.write_text(document(results, rounds=options.rounds), encoding="utf-8")
    missed = [says for result in results for says in result.misses]
    return 1 if options.strict and missed else 0


def select(names: list[str]) -> list[Bench]:
    benches = [
        (subject, bench) for subject in MODULES for bench in importlib.import_module(f"benchmarks.{subject}").benches()
    ]
    return [bench for subject, bench in benches if not names or subject in names or bench.name in names]


def shown(result: Result) -> Result:
    sys.stdout.write("\n".join(lines(result)) + "\n\n")
    sys.stdout.flush()
    return result


if __name__ == "__main__":
    sys.exit(main())
