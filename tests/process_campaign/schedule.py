"""Which runs come next. Decides that the furthest behind its share goes first, and which runs share a world."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

import msgspec

from tests.process_campaign.kinds import KINDS
from tests.process_campaign.totals import Totals


class Job(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    subject: str
    seed: int


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that follow each other on one database and one exchange."""

    number: int
    jobs: tuple[Job, ...]


def next_jobs(totals: Totals, runs: int, kinds: Sequence[str]) -> list[Job]:
    """So many runs, each of the subject that is furthest behind what a whole campaign has of it."""
    behind: list[tuple[float, int, str, str, int]] = []
    for kind in kinds:
        for place, subject in enumerate(KINDS[kind].subjects):
            count = totals.of(kind, subject)
            heapq.heappush(behind, (count.done / KINDS[kind].wanted, place, kind, subject, count.done + count.missed))
    jobs = []
    for _ in range(runs):
        share, place, kind, subject, number = heapq.heappop(behind)
        jobs.append(Job(kind=kind, subject=subject, seed=number))
        heapq.heappush(behind, (share + 1 / KINDS[kind].wanted, place, kind, subject, number + 1))
    return jobs


def to_worlds(jobs: Sequence[Job], first_number: int) -> list[World]:
    """Mix the runs and cut them into worlds, each of kinds that take worlds of the same size."""
    mixed = list(jobs)
    random.Random(first_number).shuffle(mixed)
    cut: list[tuple[Job, ...]] = []
    for size in sorted({KINDS[job.kind].world_runs for job in mixed}, reverse=True):
        part = [job for job in mixed if KINDS[job.kind].world_runs == size]
        cut += [tuple(part[start : start + size]) for start in range(0, len(part), size)]
    random.Random(first_number).shuffle(cut)
    return [World(number=number, jobs=each) for number, each in enumerate(cut, first_number)]
