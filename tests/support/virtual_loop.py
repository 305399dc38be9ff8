"""An event loop for tests whose clock jumps to the next timer instead of waiting for it.

Decides how virtual time moves: it stands still while any callback is ready, and otherwise goes straight to the
earliest timer. A day of periodic work then costs milliseconds, and an instant is the same on every machine.

Nothing real may be awaited under it (sockets, child processes, executors): the loop cannot tell waiting for the
world from waiting for ever, and calls both a deadlock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

VIRTUAL_SECONDS_MAX = 400 * 86_400.0
"""A scenario that runs for longer than a simulated year is an endless loop: stop it with a name."""


class Deadlock(Exception):
    """Every task waits and no timer is pending, so virtual time cannot move."""


class VirtualTimeExhausted(Exception):
    """The scenario used up its allowance of virtual seconds."""


class _LeapingSelector(selectors.DefaultSelector):
    """Answers at once and books the wait that was asked for as time passed."""

    def __init__(self, virtual_seconds_max: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self._virtual_seconds_max = virtual_seconds_max

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock("every task waits and no timer is pending")
        # A negative timeout means "do not wait": the loop has callbacks that are already due.
        self.now_s += max(timeout, 0.0)
        if self.now_s > self._virtual_seconds_max:
            raise VirtualTimeExhausted(f"more than {self._virtual_seconds_max} virtual seconds passed")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual seconds that start at zero."""

    def __init__(self, *, virtual_seconds_max: float = VIRTUAL_SECONDS_MAX) -> None:
        self._leaping = _LeapingSelector(virtual_seconds_max)
        super().__init__(self._leaping)
        # Timers closer together than this count as due at once. The real clock's resolution (1 ns) is finer than
        # float addition over months, and a timer one rounding step ahead would make the loop spin without moving.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._leaping.now_s


def run_virtual(main: Coroutine[Any, Any, Result], *, virtual_seconds_max: float = VIRTUAL_SECONDS_MAX) -> Result:
    """Run `main` to its end on virtual time and return what it returns.

    Raises:
        Deadlock: all tasks wait for something that no timer will bring.
        VirtualTimeExhausted: more than `virtual_seconds_max` passed.
    """

    def loop_factory() -> asyncio.AbstractEventLoop:
        return VirtualLoop(virtual_seconds_max=virtual_seconds_max)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)
