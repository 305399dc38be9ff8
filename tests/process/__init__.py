"""The real program as a child process, with real servers."""

from __future__ import annotations
