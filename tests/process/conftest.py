"""Fixtures of process tests: the session's real servers."""

from __future__ import annotations

from tests.support.stores import dsn, server_folder, servers

__all__ = ["dsn", "server_folder", "servers"]
