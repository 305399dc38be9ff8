"""Decides when a long answer lets others have their turn."""

from __future__ import annotations

import asyncio
import time

TURN_WALL_SECONDS = 0.005  # a quarter of what the slowest of a hundred answers may take


class Pacer:
    """Made when an answer begins; asked now and then while it is made."""

    def __init__(self) -> None:
        self._until_s = time.monotonic() + TURN_WALL_SECONDS

    async def breathe(self) -> None:
        """Return at once, or after the other tasks of the loop had a turn."""
        if time.monotonic() >= self._until_s:
            await asyncio.sleep(0)
            self._until_s = time.monotonic() + TURN_WALL_SECONDS
