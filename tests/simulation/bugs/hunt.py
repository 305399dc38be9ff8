"""Hunts planted bugs: a copy of the code with one defect in it, seeds until one fails. Decides whether it was found.

Each bug runs in a process of its own, so that nothing of the healthy code is loaded. A seed that fails without the bug as
well says nothing of it, and is passed over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from compileall import compile_dir
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue
from time import monotonic

import msgspec
from msgspec import Struct

from tests.simulation.bugs.bug import PACKAGE, Bug, heal, plant
from tests.tidy.source import ROOT

COPIED = (PACKAGE, "tests", "config", "scripts", "main.py", "pyproject.toml")
SECONDS_MAX = 3_600.0
"""Of one bug. A defect may make a seed slow; one that hangs counts as not found, and says so."""
SAID_CHARACTERS_MAX = 160


class Found(Struct, frozen=True, kw_only=True):
    """`seeds` were tried; `said` is the violation of the last one, "" where none failed. `passed_over` fail without it."""

    bug: str
    is_found: bool
    seeds: int
    seconds: float
    said: str
    passed_over: tuple[int, ...] = ()


class Report(Struct, kw_only=True):
    """What a run of seeds says: those that failed, and by what."""

    seeds: int
    failed: list[int]
    violations: dict[str, list[str]]


Run = Callable[[Path, int, int], Report]
"""Runs on the copy below a folder so many seeds from the first one on, until one fails."""


def hunt_all(
    bugs: Sequence[Bug],
    *,
    seeds: int,
    workers: int,
    first: int = 0,
    on_found: Callable[[Found], None] = lambda _found: None,
) -> list[Found]:
    """Hunt every bug, `workers` at a time, and tell each result as it comes."""
    with _copies(workers) as copies, ThreadPoolExecutor(workers) as pool:

        def one(bug: Bug) -> Found:
            folder = copies.get()
            try:
                found = hunt(bug, folder, seeds=seeds, first=first)
            finally:
                copies.put(folder)
            on_found(found)
            return found

        return list(pool.map(one, bugs))


def hunt(bug: Bug, root: Path, *, seeds: int, first: int = 0, run: Run | None = None) -> Found:
    """Run seeds on the copy below `root` with this bug in it, until one fails that passes without it."""
    run, started_s, end = run or run_seeds, monotonic(), first + seeds
    at = first
    passed_over: list[int] = []
    while True:
        healthy = plant(bug, root)
        try:
            report = run(root, at, end - at)
        finally:
            heal(bug, root, healthy)
        seed = min(report.failed, default=None)
        if seed is None or not run(root, seed, 1).failed:
            break
        passed_over.append(seed)
        at = seed + 1
    said = report.violations.get(str(seed), ["failed"]) if seed is not None else report.violations.get("-", [])
    return Found(
        bug=bug.name,
        is_found=seed is not None,
        seeds=seeds if seed is None else seed + 1 - first,
        seconds=monotonic() - started_s,
        said=said[0][:SAID_CHARACTERS_MAX] if said else "",
        passed_over=tuple(passed_over),
    )


def run_seeds(root: Path, first: int, count: int) -> Report:
    """Run seeds of the copy below `root` in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", "--first", str(first), "--seeds", str(count)]
    try:
        outcome = subprocess.run(
            [*command, "--stop-at-first", "--json"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return Report(seeds=count, failed=[], violations={"-": [f"no result in {SECONDS_MAX:.0f} s"]})
    lines = outcome.stdout.strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else b"", type=Report)
    except msgspec.DecodeError:
        said = (outcome.stderr.strip() or outcome.stdout.strip() or "said nothing").splitlines()[-1]
        raise RuntimeError(f"the campaign ended with {outcome.returncode}: {said}") from None


@contextmanager
def _copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """Folders with a copy of the code each, taken one at a time."""
    folders: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="planted-") as parent:
        for number in range(count):
            root = Path(parent) / str(number)
            root.mkdir()
            for name in COPIED:
                _copy(ROOT / name, root / name)
            # By content, not by time: a defect of the same length written in the same second must not be overlooked.
            compile_dir(root, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
            folders.put(root)
        yield folders


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache", "seeds"))
    else:
        shutil.copy2(source, target)
