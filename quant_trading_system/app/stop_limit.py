"""The end of a stop that does not end. Decides how long a stop as a whole may take (fault H7).

Each part of it has its own limit, and they add up to more; a disk that takes no sync, or a task that clings on, knows
none. What is left undone then is what the next start recovers, as after a crash.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

STOP_SECONDS_MAX = 9.5  # of 10 s; the exit itself takes a moment
STOP_WITH_SERVERS_SECONDS_MAX = 40.0  # PostgreSQL writes down what it holds; systemd's patience ends at 45 s
WORDS_SECONDS_MAX = 0.2  # for whoever reads our standard error
FRAMES_SHOWN = 12
DEPTH_MAX = 30


def end_within(seconds: float, *, exit_code: Callable[[], int], describe: Callable[[], str]) -> None:
    """End this process after `seconds`, unless it ended by itself; first it says what it waited for.

    By threads, for the loop itself may be what stands; two, for even the words may find nobody who takes them.
    """
    stuck = threading.current_thread().ident

    def explain() -> None:
        frame = sys._current_frames().get(stuck) if stuck is not None else None
        lines = traceback.format_stack(frame)[-FRAMES_SHOWN:] if frame is not None else []
        sys.stderr.write(f"the stop did not end within {seconds:g} s: {describe()}\n{''.join(lines)}")
        sys.stderr.flush()

    _after(seconds, explain)
    _after(seconds + WORDS_SECONDS_MAX, lambda: os._exit(exit_code()))


def where(task: asyncio.Task[None]) -> str:
    """The functions that a task waits in, the innermost last; "" where it has ended."""
    names: list[str] = []
    waiting: Any = task.get_coro()
    while waiting is not None and len(names) < DEPTH_MAX:
        code = getattr(waiting, "cr_code", None) or getattr(waiting, "gi_code", None)
        if code is not None and not task.done():
            names.append(code.co_qualname)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return " > ".join(names)


def _after(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True  # a stop that ends in time waits for nobody
    timer.start()
