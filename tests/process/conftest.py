"""Fixtures of process tests: the session's real servers; and the time that real processes need on a busy machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stores import dsn, server_folder, servers

__all__ = ["dsn", "pytest_collection_modifyitems", "server_folder", "servers"]

SECONDS_MAX = 240
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that names no limit of its own gets this one; to remove a session's servers is no test's time."""
    for item in items:
        if item.path.is_relative_to(HERE):
            named = item.get_closest_marker("timeout")
            seconds = SECONDS_MAX if named is None else named.args[0]
            item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)
