"""Folders of embedded servers: reachable or refused by name, sockets within the limit, never a parent changed."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.persistence.server_folders import (
    SOCKET_PATH_BYTES_MAX,
    Account,
    check_reachable,
    make_folder,
    package_folder,
    socket_folder,
)

STRANGER = Account(name="stranger", uid=54_321, gid=54_321)


def test_a_closed_parent_is_named_with_its_fix(tmp_path: Path):
    closed = tmp_path / "closed"
    folder = closed / "state" / "postgres"
    folder.mkdir(parents=True)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o001)
    closed.chmod(0o700)
    with pytest.raises(OperatorError) as caught:
        check_reachable(folder, STRANGER)
    assert str(closed) in caught.value.message
    assert f"chmod o+x {closed}" in caught.value.fix
    assert caught.value.exit_code is ExitCode.CONFIGURATION
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_servers_folder_is_private(tmp_path: Path):
    folder = tmp_path / "state" / "valkey"
    make_folder(folder, None)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(OperatorError, match="file") as caught:
        make_folder(blocked / "postgres", None)
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_a_short_path_keeps_its_socket(tmp_path: Path):
    assert socket_folder(Path("/run/x"), ".s.PGSQL.5432", None) == Path("/run/x")


def test_a_long_path_gets_the_same_short_private_folder_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with tempfile.TemporaryDirectory(prefix="q") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        long = tmp_path / ("x" * SOCKET_PATH_BYTES_MAX)
        first = socket_folder(long, ".s.PGSQL.5432", None)
        assert first == socket_folder(long, ".s.PGSQL.5432", None)
        assert len(os.fsencode(first / ".s.PGSQL.5432")) < SOCKET_PATH_BYTES_MAX
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
        first.chmod(0o755)
        with pytest.raises(OperatorError, match="too long for a Unix socket"):
            socket_folder(long, ".s.PGSQL.5432", None)


def test_a_missing_wheel_says_what_to_install():
    with pytest.raises(OperatorError, match="no embedded server is installed") as caught:
        package_folder("no_such_server_package")
    assert "embedded" in caught.value.fix
