"""Both sides of a protocol against each other over real sockets."""

from __future__ import annotations
