"""Waiting for a condition of the engine, which is pure and signals nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

POLL_S = 0.01  # at first; what takes long is looked at less often
POLL_S_MAX = 0.1


async def wait_until(is_so: Callable[[], bool], *, timeout_s: float) -> bool:
    """Wait until `is_so()`. Returns False after `timeout_s` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            poll_s = POLL_S
            while not is_so():
                await asyncio.sleep(poll_s)
                poll_s = min(POLL_S_MAX, poll_s * 1.5)
    except TimeoutError:
        return False
    return True
