"""A file that others read is the old one or the new one, whatever fails on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from quant_trading_system.persistence.files import write_atomically

FULL = OSError(errno.ENOSPC, "no space left on device")


def broken(*_arguments: object) -> None:
    raise FULL


@pytest.mark.requirement("R162")
@pytest.mark.parametrize(
    ("owner", "name"), [(os, "fsync"), (Path, "replace"), (os, "open")], ids=["sync", "rename", "open"]
)
def test_a_write_that_fails_at_any_step_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
):
    path = tmp_path / "daemon.json"
    write_atomically(path, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, broken)
        with pytest.raises(OSError, match="no space left"):
            write_atomically(path, b"a new and longer content")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.requirement("R162")
def test_the_new_content_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "daemon.json"
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        steps.append("sync")
        fsync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        assert self.read_bytes() == b"new"
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    write_atomically(path, b"new")
    assert steps == ["sync", "rename", "sync"], "the last one makes the rename itself survive a power cut"
    assert path.read_bytes() == b"new"
