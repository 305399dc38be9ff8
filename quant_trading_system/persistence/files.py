"""Files that others read while we write them. Decides that a reader finds the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from quant_trading_system.core.failpoints import failpoint


class Disk(Protocol):
    """The calls by which bytes become durable: those of `os`, or what a simulated path brings in their place."""

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int: ...
    def write(self, descriptor: int, data: memoryview, /) -> int: ...
    def pwrite(self, descriptor: int, data: bytes, offset: int, /) -> int: ...
    def ftruncate(self, descriptor: int, length: int, /) -> None: ...
    def fsync(self, descriptor: int, /) -> None: ...
    def close(self, descriptor: int, /) -> None: ...


def disk_of(path: Path) -> Disk:
    """Where the bytes of a path lie."""
    simulated: Disk | None = getattr(path, "disk", None)
    return os if simulated is None else simulated


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, durably: written and synced beside it, then renamed.

    Raises:
        OSError: it could not be written; what was there before is unchanged.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        _fill(partial, content)
        failpoint("files.before_rename")
        partial.replace(path)
        failpoint("files.after_rename")
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in it survive a power cut."""
    disk = disk_of(folder)
    descriptor = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def _fill(path: Path, content: bytes) -> None:
    disk = disk_of(path)
    descriptor = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[disk.write(descriptor, rest) :]
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)
