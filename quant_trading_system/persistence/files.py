"""Files that others read while we write them. Decides that a reader finds the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path

from quant_trading_system.core.failpoints import failpoint


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, durably: written and synced beside it, then renamed.

    Raises:
        OSError: it could not be written; what was there before is unchanged.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        failpoint("files.before_rename")
        partial.replace(path)
        failpoint("files.after_rename")
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
