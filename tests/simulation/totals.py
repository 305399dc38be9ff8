"""Sums of a campaign: added up from seed to seed, process to process, and run to run of one state of the code.

Decides what counts as the same code: the commit, and a hash over everything that differs from it. The sums lie in
`.simulate/`, one small file for each.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.simulation.reach import pairs_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".simulate"
CODE = ("quant_trading_system", "tests/simulation", "tests/support", "config")
FAILED_KEPT_MAX = 200


class Outcome(Struct, frozen=True):
    """What one seed gave, as far as sums need it."""

    seed: int
    trace_hash: str
    violations: tuple[str, ...]
    reached: dict[str, int]
    orders: int
    crashes: int
    virtual_s: float
    cpu_s: float


class Totals(Struct):
    """Sums over seeds. `chunks` are the numbers of those chunks of seeds that are in it."""

    chunks: set[int] = set()
    seeds: int = 0
    orders: int = 0
    crashes: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    failed: dict[int, tuple[str, ...]] = {}
    failures: int = 0
    reached: dict[str, int] = {}
    pairs: dict[str, int] = {}

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.orders += outcome.orders
        self.crashes += outcome.crashes
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.cpu_s
        if outcome.violations:
            self.failures += 1
            self._keep_failed(outcome.seed, outcome.violations)
        _add(self.reached, outcome.reached.items())
        _add(self.pairs, ((pair, 1) for pair in pairs_of(outcome.reached)))

    def merge(self, other: Totals) -> None:
        """Count what another process counted."""
        self.chunks |= other.chunks
        self.seeds += other.seeds
        self.orders += other.orders
        self.crashes += other.crashes
        self.virtual_s += other.virtual_s
        self.cpu_s += other.cpu_s
        self.failures += other.failures
        for seed, violations in other.failed.items():
            self._keep_failed(seed, violations)
        _add(self.reached, other.reached.items())
        _add(self.pairs, other.pairs.items())

    def _keep_failed(self, seed: int, violations: tuple[str, ...]) -> None:
        if len(self.failed) < FAILED_KEPT_MAX:
            self.failed[seed] = violations


def _add(sums: dict[str, int], counts: Iterable[tuple[str, int]]) -> None:
    for name, count in counts:
        sums[name] = sums.get(name, 0) + count


def load(path: Path) -> Totals:
    """The sums of a file; none where it is missing or of another form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Totals)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Totals()


def save(path: Path, totals: Totals) -> None:
    """Write the sums so that a killed campaign leaves the old or the new ones."""
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(totals))
    os.replace(scratch, path)


def file_of_this_code(root: Path = ROOT) -> Path:
    """Where the sums of the code as it lies here are kept."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD").strip() or "no-commit"
    changed = _git(root, "diff", "HEAD", "--", *CODE)
    names = _git(root, "ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines()
    digest = hashlib.sha256(changed.encode())
    for name in sorted(names):
        digest.update(name.encode() + (root / name).read_bytes())
    is_changed = bool(changed or names)
    return root / FOLDER.name / (f"{commit}-{digest.hexdigest()[:12]}.json" if is_changed else f"{commit}.json")


def _git(root: Path, *arguments: str) -> str:
    try:
        found = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout if found.returncode == 0 else ""
