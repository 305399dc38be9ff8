"""A disk of the state directory that gets full at byte k. Decides how: a tmpfs where we may mount one, else a limit.

Without the right to mount, the kernel's limit of a file's size stands in for it: what is written beyond it fails, which
reaches the tape and the logs as a full disk does, and spares files that are shorter.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

MEGABYTE = 1024 * 1024
STATE_MEGABYTES = 16
DATABASE_MEGABYTES = 160  # of which a new one takes half
CHUNK = bytes(64 * 1024)
LIMIT_BYTES_MIN = 8 * 1024


class Disk(Protocol):
    """`folder` lies on it; `fill` leaves so many bytes as asked for, `free` gives the rest back."""

    folder: Path
    way: str

    def fill(self, pid: int) -> None: ...

    def free(self) -> None: ...


class SmallDisk:
    """A tmpfs, with a ballast that takes all but `room` bytes."""

    way = "a tmpfs"

    def __init__(self, folder: Path, room: int) -> None:
        self.folder = folder / "s"
        self.folder.mkdir(mode=0o711)
        self._ballast = folder / "ballast"
        self._room = room

    def fill(self, pid: int) -> None:
        """Take everything but the last `room` bytes, to the block."""
        with self._ballast.open("wb", buffering=0) as file:
            with suppress(OSError):
                while file.write(CHUNK) == len(CHUNK):
                    pass
            file.truncate(max(0, file.tell() - self._room))

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


class LimitedFiles:
    """No file of the daemon may grow beyond `room` bytes."""

    way = "a limit of the size of files"

    def __init__(self, folder: Path, room: int) -> None:
        self.folder = folder / "s"
        self.folder.mkdir(mode=0o711)
        self._room = max(room, LIMIT_BYTES_MIN)

    def fill(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._room, self._room))

    def free(self) -> None:
        """The daemon that had the limit is gone, and the limit with it."""


@contextmanager
def full_disk(folder: Path, *, room: int, megabytes: int = STATE_MEGABYTES) -> Iterator[Disk]:
    """A disk at `folder`, of the kind that this machine allows."""
    folder.mkdir(mode=0o711)
    if not _mount(folder, megabytes):
        yield LimitedFiles(folder, room)
        return
    try:
        yield SmallDisk(folder, room)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def _mount(folder: Path, megabytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    options = f"size={megabytes * MEGABYTE},mode=0711"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=False, capture_output=True
    )
    return mounted.returncode == 0
