"""A million random order operations of several clients on the exchange's core, in two processes that must agree.

`python -m scripts.exercise_exchange --operations N --seed N --clients N`. Each process has another hash seed. Says what
was done how often and the hash of the ledger; exits 1 when a conservation law was broken or the hashes differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from tests.support.exchange_exerciser import Exerciser

HASH_SEEDS = ("1", "20231")


def exercise(options: argparse.Namespace) -> dict[str, object]:
    began_s = time.perf_counter()
    exerciser = Exerciser(seed=options.seed, clients=options.clients)
    exerciser.run(options.operations)
    return {
        "hash": exerciser.digest,
        "counts": dict(sorted(exerciser.counts.items())),
        "seconds": round(time.perf_counter() - began_s, 1),
    }


def both(arguments: list[str]) -> list[dict[str, object]]:
    """The same story in two processes, side by side.

    Raises:
        SystemExit: one of them broke; its own words are on stderr.
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "scripts.exercise_exchange", *arguments, "--alone"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in HASH_SEEDS
    ]
    answers = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(1)
    return [json.loads(answer) for answer in answers]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.exercise_exchange", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="one process, one JSON object")
    options = parser.parse_args(arguments)
    if options.alone:
        sys.stdout.write(json.dumps(exercise(options)) + "\n")
        return 0
    first, second = both(arguments)
    sys.stdout.write(json.dumps(first["counts"], indent=2) + "\n")
    agree = first["hash"] == second["hash"] and first["counts"] == second["counts"]
    sys.stdout.write(
        f"{options.operations:,} operations, seed {options.seed}, {first['seconds']} s; ledger {first['hash']}: "
        f"{'the same in both processes' if agree else 'DIFFERENT in the other process: ' + str(second['hash'])}\n"
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
