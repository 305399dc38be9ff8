"""Waiting for a condition of the engine, which is pure and signals nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

POLL_S = 0.02


async def wait_until(is_so: Callable[[], bool], *, timeout_s: float) -> bool:
    """Wait until `is_so()`. Returns False after `timeout_s` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            while not is_so():  # noqa: ASYNC110  the engine has no events to wait for: it is told, and it answers
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return False
    return True
