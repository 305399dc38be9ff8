"""The embedded exchange's listener: the only part of it that knows asyncio."""

from __future__ import annotations
