"""One planted bug: a small defect as somebody might write it, and how it is put into a copy of the code."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

PACKAGE = "quant_trading_system"


class Bug(Struct, frozen=True, kw_only=True):
    """`rows` are the ids of the fault matrix or invariants it belongs to; `old` stands once in `path`."""

    name: str
    rows: str
    text: str
    path: str
    old: str
    new: str


class BugDoesNotFit(Exception):
    """The code has changed under the catalogue: the bug's text is not there, or not once."""


def planted(bug: Bug, source: str) -> str:
    """The source with the bug in it.

    Raises:
        BugDoesNotFit: `old` does not occur exactly once.
    """
    count = source.count(bug.old)
    if count != 1:
        raise BugDoesNotFit(f"{bug.name}: its text occurs {count} times in {bug.path}")
    return source.replace(bug.old, bug.new)


def plant(bug: Bug, root: Path) -> str:
    """Put the bug into the copy of the code below `root`; returns the source as it was."""
    path = root / PACKAGE / bug.path
    source = path.read_text(encoding="utf-8")
    path.write_text(planted(bug, source), encoding="utf-8")
    return source


def heal(bug: Bug, root: Path, source: str) -> None:
    """Take it out again."""
    (root / PACKAGE / bug.path).write_text(source, encoding="utf-8")
