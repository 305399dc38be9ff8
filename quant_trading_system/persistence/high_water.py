"""How far a database had come, as its state directory remembers it. Decides whether a database was restored.

A database that shows less than the directory saw committed is an older copy: ids it would give out were given out
before, and halts it does not know stand all the same (fault F13). A file that is missing says nothing; one that is
damaged says that nothing can be known, and the database is treated as restored.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from quant_trading_system.core.events import RestoredGuards
from quant_trading_system.persistence.files import write_atomically

FILE_NAME = "high-water"


class HighWater(Struct, frozen=True, kw_only=True):
    """`epoch` of the lease that was held last, `sequence` of the newest intent that was committed, guards as stored."""

    token: str
    former: tuple[str, ...] = ()
    epoch: int = 0
    sequence: int = 0
    guards: RestoredGuards | None = None
    wall_ns: int = 0
    """When this was written, by the wall clock: the daemon lived then. 0 where a restore wrote it."""
    suspected: str = ""
    """Why a start found an older database before it took the lease, which raises its epoch; "" once it was renewed."""
    restored: str = ""
    """Why the database counts as restored, until a start that got as far as trading has stored its guards there."""


class Damaged(Exception):
    """The file does not say what was written to it."""


def read_high_water(folder: Path) -> HighWater | None:
    """What the directory remembers, None where it has no such file.

    Raises:
        Damaged: the file was cut or changed.
    """
    try:
        raw = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    digest, _, body = raw.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise Damaged(f"{folder / FILE_NAME} is damaged")
    try:
        return msgspec.json.decode(body, type=HighWater)
    except msgspec.MsgspecError as error:
        raise Damaged(f"{folder / FILE_NAME}: {error}") from error


def write_high_water(folder: Path, mark: HighWater) -> None:
    """Remember it durably.

    Raises:
        OSError: it could not be written; what was there before stands.
    """
    body = msgspec.json.Encoder(decimal_format="string").encode(mark)
    write_atomically(folder / FILE_NAME, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def why_restored(mark: HighWater, *, token: str, epoch: int, sequence: int) -> str:
    """Why a database of this instance, epoch before this start and newest intent is an older copy; "" where it is not.

    The lease's epoch grows with every start and every intent is committed before it is told of here, so a database
    that was never taken back shows at least as much.
    """
    if token != mark.token and token in mark.former:
        return f"it is instance {token}, which was given up for {mark.token}"
    if epoch < mark.epoch:
        return f"its lease is of epoch {epoch}, this directory led with epoch {mark.epoch}"
    if sequence < mark.sequence:
        return f"its newest intent is number {sequence}, this directory saw number {mark.sequence} committed"
    return ""
