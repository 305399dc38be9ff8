"""What an examination finds. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands: `fail` stops a start, `warn` hampers it, `skip` was not asked because nothing needs it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One precondition: what was found, and what to do about it where it is not well."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name=name, verdict=Verdict.OK, found=found)


def skip(name: str, found: str) -> Finding:
    return Finding(name=name, verdict=Verdict.SKIP, found=found)


def warn(name: str, found: str, fix: str) -> Finding:
    return Finding(name=name, verdict=Verdict.WARN, found=found, fix=fix)


def fail(name: str, found: str, fix: str) -> Finding:
    return Finding(name=name, verdict=Verdict.FAIL, found=found, fix=fix)
