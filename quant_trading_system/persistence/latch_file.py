"""The kill latch on disk: the first store to be written, and readable when everything else is down.

Decides what a file says: exactly what was written (CLEAR or ENGAGED), or MISSING, or UNREADABLE. A torn, edited or
shortened file is UNREADABLE, never CLEAR (faults F8, F10). A spare file keeps the space for the next write, so that a
full disk cannot stop the kill switch.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import Latch, Store
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.files import disk_of, sync_folder

FILE_NAME = "kill.latch"
SIZE_BYTES = 4096  # one block, so that the spare holds all the space a write will need
MAGIC = b"alphatrade-kill-latch-1"
OPERATOR_CHARACTERS_MAX = 100
REASON_CHARACTERS_MAX = 500  # six bytes each at worst, once JSON has escaped them


class LatchContent(msgspec.Struct, frozen=True, kw_only=True):
    """What the file remembers. `at_ns` is 0 where the writer knew no time."""

    latch: Latch
    operator: str
    reason: str
    at_ns: int = 0


class LatchFile:
    """Reads and writes one latch file. Synchronous: a write costs two or three fsyncs, a read one small read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._spare = path.with_name(path.name + ".spare")

    def read(self) -> tuple[Latch, str]:
        """The latch, and why."""
        content, problem = self._load()
        if content is None:
            return problem
        who = f"{content.operator}: " if content.operator else ""
        return content.latch, f"{who}{content.reason}"

    def read_content(self) -> LatchContent | None:
        """Everything the file remembers, or None where it is missing or unreadable."""
        return self._load()[0]

    def initialise(self, reason: str = "new database instance", *, at_ns: int = 0) -> None:
        """Write CLEAR where no file is yet: only together with a new database instance. Never overwrites.

        Raises:
            StoreUnavailable: the file cannot be written.
        """
        if not self.path.exists():
            self._write(LatchContent(latch=Latch.CLEAR, operator="", reason=reason, at_ns=at_ns))

    def engage(self, operator: str, reason: str, *, at_ns: int = 0) -> None:
        """Write ENGAGED durably. Whoever calls it may rely on it having survived a power cut.

        Raises:
            StoreUnavailable: it could not be written; the caller must treat the latch as engaged all the same.
        """
        content = LatchContent(latch=Latch.ENGAGED, operator=operator, reason=reason, at_ns=at_ns)
        try:
            self._write(content)
        except StoreUnavailable:
            self._overwrite(content)

    def clear(self, operator: str, reason: str, *, at_ns: int = 0) -> None:
        """Write CLEAR durably, after an accepted reset.

        Raises:
            StoreUnavailable: it could not be written; the latch stays as it was.
        """
        self._write(LatchContent(latch=Latch.CLEAR, operator=operator, reason=reason, at_ns=at_ns))

    def _load(self) -> tuple[LatchContent | None, tuple[Latch, str]]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None, (Latch.MISSING, f"{self.path} does not exist")
        except OSError as error:
            return None, (Latch.UNREADABLE, f"{self.path}: {error.strerror}")
        content = _decode(raw)
        if content is None:
            return None, (Latch.UNREADABLE, f"{self.path} is damaged ({len(raw)} bytes)")
        return content, (content.latch, content.reason)

    def _write(self, content: LatchContent) -> None:
        """Fill the spare, make it durable, and put it in the latch's place; then make room for the next time."""
        try:
            self.path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            _put(self._spare, _encode(content), os.O_CREAT)
            failpoint("latch_file.before_rename")
            self._spare.replace(self.path)
            failpoint("latch_file.after_rename")
            sync_folder(self.path.parent)
        except OSError as error:
            raise StoreUnavailable(Store.LATCH_FILE, f"{self.path}: {error.strerror}") from error
        failpoint("latch_file.before_new_spare")
        # Without a spare the next engagement falls back to overwriting in place, so its loss is no failure now.
        with suppress(OSError):
            _put(self._spare, bytes(SIZE_BYTES), os.O_CREAT)

    def _overwrite(self, content: LatchContent) -> None:
        """Last resort of an engagement: in place, in space the file has. Torn by a crash it is UNREADABLE."""
        try:
            _put(self.path, _encode(content), 0)
        except OSError as error:
            raise StoreUnavailable(Store.LATCH_FILE, f"{self.path}: {error.strerror}") from error


def _encode(content: LatchContent) -> bytes:
    kept = msgspec.structs.replace(
        content,
        operator=_encodable(content.operator)[:OPERATOR_CHARACTERS_MAX],
        reason=_encodable(content.reason)[:REASON_CHARACTERS_MAX],
    )
    body = msgspec.json.encode(kept)
    head = b"%s %s %d\n" % (MAGIC, hashlib.sha256(body).hexdigest().encode(), len(body))
    assert len(head) + len(body) < SIZE_BYTES, "operator and reason are cut to fit"
    return (head + body + b"\n").ljust(SIZE_BYTES, b" ")


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _decode(raw: bytes) -> LatchContent | None:
    head, newline, rest = raw.partition(b"\n")
    fields = head.split(b" ")
    if len(raw) != SIZE_BYTES or not newline or len(fields) != 3 or fields[0] != MAGIC or not fields[2].isdigit():
        return None
    length = int(fields[2][:5])
    body, padding = rest[:length], rest[length:]
    if hashlib.sha256(body).hexdigest().encode() != fields[1] or padding != b"\n".ljust(len(padding), b" "):
        return None
    try:
        content = msgspec.json.decode(body, type=LatchContent)
    except msgspec.MsgspecError:
        return None
    return content if content.latch in (Latch.CLEAR, Latch.ENGAGED) else None


def _put(path: Path, data: bytes, flags: int) -> None:
    """Overwrite the first bytes of `path` without giving its blocks back, and make it durable."""
    disk = disk_of(path)
    descriptor = disk.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    try:
        written = disk.pwrite(descriptor, data, 0)
        if written != len(data):
            raise OSError(28, "no space left on device")
        disk.ftruncate(descriptor, len(data))
        failpoint("latch_file.before_fsync")
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)
