"""Pure and fast: no sockets, no processes, no waiting."""

from __future__ import annotations
