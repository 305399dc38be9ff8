"""House rules that a machine can check."""

from __future__ import annotations
