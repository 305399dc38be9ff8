"""What was run for a commit so far, kept in a file, so that a campaign goes on where it stopped and adds up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.process_campaign.runs import Run
from tests.support.daemon_process import ROOT

FOLDER = ROOT / ".simulate"
READY_SECONDS_P99_MAX = 5.0


class Count(msgspec.Struct, kw_only=True):
    """Of one subject of a kind. `missed`: runs that did not come by their failpoint; they do not count as done."""

    done: int = 0
    missed: int = 0
    trading: int = 0
    in_flight: int = 0
    failed: int = 0
    ready_ms: list[int] = []
    active_ms: list[int] = []
    not_active: int = 0


class Failure(msgspec.Struct, kw_only=True):
    """One run that broke a rule, with what it takes to run it again."""

    kind: str
    subject: str
    seed: int
    world: int
    violations: list[str]
    note: str
    kept: str


class Totals(msgspec.Struct, kw_only=True):
    commit: str
    counts: dict[str, Count] = {}
    failures: list[Failure] = []
    worlds: int = 0
    elapsed_s: float = 0.0

    def of(self, kind: str, subject: str) -> Count:
        return self.counts.setdefault(f"{kind}/{subject}", Count())

    def add(self, run: Run, *, world: int, kept: str) -> None:
        """Count one run that is over."""
        count = self.of(run.kind, run.subject)
        count.done += run.reached
        count.missed += not run.reached
        count.trading += run.is_trading
        count.in_flight += run.is_trading and run.in_flight
        if run.ready_s is not None:
            count.ready_ms.append(round(run.ready_s * 1_000))
            if run.active_s is None:
                count.not_active += 1
            else:
                count.active_ms.append(round(run.active_s * 1_000))
        if run.violations:
            count.failed += 1
            self.failures.append(
                Failure(
                    kind=run.kind,
                    subject=run.subject,
                    seed=run.seed,
                    world=world,
                    violations=run.violations,
                    note=run.note,
                    kept=kept,
                )
            )


def commit() -> str:
    """The commit that is run, with a mark where the tree differs from it."""
    said = [
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    return (said[0] or "unknown") + ("-changed" if said[1] else "")


def path_of(name: str) -> Path:
    return FOLDER / f"process-{name}.json"


def load(name: str) -> Totals:
    """The totals of a commit, empty ones where nothing was run yet."""
    path = path_of(name)
    return msgspec.json.decode(path.read_bytes(), type=Totals) if path.exists() else Totals(commit=name)


def save(totals: Totals) -> None:
    FOLDER.mkdir(exist_ok=True)
    partial = path_of(totals.commit).with_suffix(".part")
    partial.write_bytes(msgspec.json.encode(totals))
    partial.replace(path_of(totals.commit))


def percentile(values: Iterable[int], fraction: float) -> int:
    """The smallest value that is not below `fraction` of them; 0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] if ordered else 0


def is_ready_in_time(totals: Totals) -> bool:
    """Whether trade-ready again stays within its figure."""
    ready = [each for count in totals.counts.values() for each in count.active_ms]
    return percentile(ready, 0.99) <= READY_SECONDS_P99_MAX * 1_000


def summary(totals: Totals) -> str:
    """A table by kind, the times to trade-ready, and every failure."""
    kinds: dict[str, list[Count]] = {}
    for name, count in sorted(totals.counts.items()):
        kinds.setdefault(name.partition("/")[0], []).append(count)
    lines = [f"{'kind':<12} {'subjects':>8} {'runs':>6} {'missed':>6} {'least':>6} {'in flight':>9} {'failed':>6}"]
    for kind, counts in kinds.items():
        done = sum(count.done for count in counts)
        trading = sum(count.trading for count in counts)
        in_flight = f"{sum(count.in_flight for count in counts) / trading:.0%}" if trading else "-"
        lines.append(
            f"{kind:<12} {len(counts):>8} {done:>6} {sum(c.missed for c in counts):>6}"
            f" {min(c.done for c in counts):>6} {in_flight:>9} {sum(c.failed for c in counts):>6}"
        )
    every = list(totals.counts.values())
    ready = [each for count in every for each in count.ready_ms]
    active = [each for count in every for each in count.active_ms]
    for name, values in (("READY", ready), ("trade-ready", active)):
        lines.append(
            f"{name} after a death: p50 {percentile(values, 0.5)} ms, p99 {percentile(values, 0.99)} ms,"
            f" max {max(values, default=0)} ms, of {len(values)}"
        )
    lines.append(f"came up killed, or only reducing for 10 s: {sum(count.not_active for count in every)}")
    for failure in totals.failures:
        lines.append(
            f"FAILED {failure.kind} '{failure.subject}' seed {failure.seed} world {failure.world} ({failure.note}),"
            f" kept in {failure.kept}"
        )
        lines += [f"    {text}" for text in failure.violations[:10]]
    return "\n".join(lines)
