"""The modelled disk of the state directory. Decides what is left of a file after the power went.

Bytes are durable once their file was synced, names once their folder was. At a power cut each file keeps what was
synced, and of what was written since nothing, all, or a part; of the renames since the folder's last sync the first few
are kept. `DiskPath` is what the daemon is given in place of a `pathlib.Path`.
"""

from __future__ import annotations

import errno
import os
import random
from pathlib import PurePosixPath
from typing import Any

CAPACITY_BYTES = 64 * 1024 * 1024


class Content:
    """The bytes of one file: as a reader sees them, and as the platter holds them."""

    __slots__ = ("durable", "is_lost", "now")

    def __init__(self) -> None:
        self.now = b""
        self.durable = b""
        self.is_lost = False
        """A sync failed: the system counts the bytes as clean, and no later sync will write them."""


class DiskModel:
    """One disk. It outlives every crash of the daemon."""

    def __init__(self, rng: random.Random, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._rng = rng
        self.capacity_bytes = capacity_bytes
        self.free_bytes: int | None = None
        """What may still be written into new space; None: as much as the capacity leaves."""
        self.is_read_only = False
        self.failing_syncs = 0
        """How many of the next syncs fail with an input/output error."""
        self._names: dict[str, Content] = {}
        self._durable_names: dict[str, Content] = {}
        self._renames: list[tuple[str, Content | None]] = []
        self._open: dict[int, tuple[str, Content | None]] = {}
        self._next = 3
        self._at: dict[int, int] = {}
        model = self

        class Bound(DiskPath):
            disk = model

        self._path = Bound

    def path(self, text: str) -> Any:
        """A path on this disk, with the methods of `pathlib.Path` that the daemon uses."""
        return self._path(text)

    # faults

    def crash(self) -> None:
        """The power goes: what was not synced is lost, kept or torn, by draw."""
        kept = self._rng.randint(0, len(self._renames)) if self._renames else 0
        for name, content in self._renames[:kept]:
            _name(self._durable_names, name, content)
        for content in {id(one): one for one in (*self._names.values(), *self._durable_names.values())}.values():
            if content.now != content.durable:
                content.durable = self._torn(content)
            content.now = content.durable
            content.is_lost = False
        self._names = dict(self._durable_names)
        self._renames.clear()
        self._open.clear()

    def tear(self, name: str, keep: float) -> None:
        """Leave only this part of a file, as a torn write does."""
        content = self._names[name]
        content.now = content.durable = content.now[: round(len(content.now) * keep)]

    def heal(self) -> None:
        self.free_bytes = None
        self.is_read_only = False
        self.failing_syncs = 0

    def _torn(self, content: Content) -> bytes:
        chance = self._rng.random()
        if chance < 0.4:
            return content.durable
        if chance < 0.7:
            return content.now
        cut = self._rng.randint(0, len(content.now))
        return content.now[:cut] + content.durable[cut:]

    # what checkers read

    def read(self, name: str) -> bytes | None:
        """A file as a reader sees it now, None where there is none."""
        content = self._names.get(name)
        return None if content is None else content.now

    def write_outside(self, name: str, data: bytes = b"") -> None:
        """Somebody else, a person's `touch`, writes a file; durable at once."""
        content = Content()
        content.now = content.durable = data
        self._names[name] = self._durable_names[name] = content

    def remove_outside(self, name: str) -> None:
        """Somebody else removes a file; durable at once."""
        self._names.pop(name, None)
        self._durable_names.pop(name, None)

    # os

    def open(self, path: Any, flags: int, _mode: int = 0o777, /) -> int:
        name = str(path)
        content = self._names.get(name)
        if content is None and not flags & os.O_DIRECTORY:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            self._refuse_writes()
            self._rename(name, content := Content())
        if content is not None and flags & os.O_TRUNC:
            self._resize(content, 0)
        self._next += 1
        self._open[self._next] = (name, content)
        self._at[self._next] = 0
        return self._next

    def write(self, descriptor: int, data: Any, /) -> int:
        written = self.pwrite(descriptor, bytes(data), self._at[descriptor])
        self._at[descriptor] += written
        return written

    def pwrite(self, descriptor: int, data: bytes, offset: int, /) -> int:
        self._refuse_writes()
        content = self._file(descriptor)
        more = max(0, offset + len(data) - len(content.now))
        free = self._free()
        if more > free:
            if offset + len(data) - (more - free) <= offset:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: len(data) - (more - free)]
        self._resize(content, max(len(content.now), offset + len(data)))
        content.now = content.now[:offset] + data + content.now[offset + len(data) :]
        return len(data)

    def ftruncate(self, descriptor: int, length: int, /) -> None:
        self._resize(self._file(descriptor), length)

    def fsync(self, descriptor: int, /) -> None:
        name, content = self._open[descriptor]
        if self.failing_syncs:
            self.failing_syncs -= 1
            if content is not None:
                content.is_lost = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if content is None:
            self._sync_names(name)
        elif not content.is_lost:
            content.durable = content.now

    def close(self, descriptor: int, /) -> None:
        del self._open[descriptor], self._at[descriptor]

    # paths

    def replace(self, source: str, target: str) -> None:
        content = self._names.get(source)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        self._refuse_writes()
        self._rename(target, content)
        self._rename(source, None)

    def unlink(self, name: str) -> None:
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self._refuse_writes()
        self._rename(name, None)

    def _rename(self, name: str, content: Content | None) -> None:
        _name(self._names, name, content)
        self._renames.append((name, content))

    def _sync_names(self, folder: str) -> None:
        """Journals keep their order: with one name, everything before it is durable."""
        for name, content in self._renames:
            _name(self._durable_names, name, content)
        self._renames.clear()

    def _file(self, descriptor: int) -> Content:
        content = self._open[descriptor][1]
        if content is None:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return content

    def _resize(self, content: Content, length: int) -> None:
        if self.free_bytes is not None:
            self.free_bytes -= length - len(content.now)
        content.is_lost = False  # pages written anew are dirty again
        content.now = content.now[:length].ljust(length, b"\0")

    def _free(self) -> int:
        if self.free_bytes is not None:
            return max(0, self.free_bytes)
        return self.capacity_bytes - sum(len(content.now) for content in self._names.values())

    def _refuse_writes(self) -> None:
        if self.is_read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class DiskPath(PurePosixPath):
    """A path that keeps its file on a modelled disk. Folders always are."""

    disk: DiskModel

    def read_bytes(self) -> bytes:
        found = self.disk.read(str(self))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return found

    def exists(self) -> bool:
        return self.disk.read(str(self)) is not None

    def unlink(self, missing_ok: bool = False) -> None:
        if self.exists() or not missing_ok:
            self.disk.unlink(str(self))

    def replace(self, target: object) -> None:
        self.disk.replace(str(self), str(target))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Folders are not modelled: each is there, and durable."""


def _name(names: dict[str, Content], name: str, content: Content | None) -> None:
    if content is None:
        names.pop(name, None)
    else:
        names[name] = content
