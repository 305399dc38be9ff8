"""One tree of named tasks. Decides what happens when one ends: a critical one stops the daemon, others start anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quant_trading_system.core.pulse import Pulse

RESTART_DELAY_S = 1.0
BEAT_SECONDS_MAX = 10.0  # invariant I26
RESTARTABLE: Mapping[str, Any] = {"is_critical": False, "beat_seconds_max": BEAT_SECONDS_MAX}
"""How a task is started that may be started again."""
CHECK_PERIOD_S = 1.0  # between two looks at the heartbeats


@dataclass(slots=True)
class Supervised:
    """A running task, who owns it, and when it last showed life (monotonic seconds)."""

    name: str
    owner: str
    is_critical: bool
    task: asyncio.Task[None] | None = None
    beat_seconds_max: float | None = None
    beat_s: float = 0.0
    is_stopping: bool = False
    is_hung: bool = False
    """It was cancelled for its silence, and has not ended yet."""
    is_waiting: bool = False
    """It ended, and waits to be started again."""

    @property
    def has_ended(self) -> bool:
        return self.task is None or self.task.done()


class TaskEnded(Exception):
    """A critical task ended, or another may not be started again."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        super().__init__(f"task {name} ended: {cause!r}" if cause else f"task {name} returned")
        self.name = name
        self.cause = cause


Permit = Callable[[str, BaseException | None], Awaitable[bool]]


async def never(_name: str, _cause: BaseException | None) -> bool:
    """Nobody counts restarts, so there are none."""
    return False


class Supervisor:
    """Starts tasks in one group, so that none is an orphan, and calls `on_failure` when the daemon has to stop.

    Args:
        permit: asked before a task that is not critical is started again; may take its time. False: the daemon stops.
        on_restart: told that it was started again.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        on_failure: Callable[[TaskEnded], None],
        permit: Permit = never,
        on_restart: Callable[[str, BaseException | None], None] = lambda _name, _cause: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._on_failure = on_failure
        self._permit = permit
        self._on_restart = on_restart
        self.tasks: dict[str, Supervised] = {}
        self._now_s = now_s
        self._checked_s = now_s()

    def start(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        *,
        owner: str,
        is_critical: bool = True,
        beat_seconds_max: float | None = None,
    ) -> Supervised:
        """Run `run()` until the daemon stops. One that is not critical starts anew, as often as `permit` lets it."""
        assert name not in self.tasks, f"two tasks named {name}"
        supervised = Supervised(
            name=name,
            owner=owner,
            is_critical=is_critical,
            beat_seconds_max=beat_seconds_max,
            beat_s=self._now_s(),
        )
        supervised.task = self._group.create_task(self._watch(supervised, run), name=name)
        self.tasks[name] = supervised
        return supervised

    def beat(self, name: str, for_s: float = 0.0) -> None:
        """A task that promised a heartbeat shows life; what it does next may take `for_s` more."""
        self.tasks[name].beat_s = self._now_s() + for_s

    def rest(self, name: str) -> None:
        """A task waits for something that may never come: until its next beat it owes no life."""
        self.tasks[name].beat_s = float("inf")

    def pulse(self, name: str) -> Pulse:
        """What a task is given to show life with."""

        def show(for_s: float | None) -> None:
            if name in self.tasks:  # its first step comes before it is listed
                if for_s is None:
                    self.rest(name)
                else:
                    self.beat(name, for_s)

        return show

    def check_beats(self) -> None:
        """A task that has not shown life for as long as it promised counts as ended (invariant I26).

        To be called once in `CHECK_PERIOD_S`. While the machine or the loop stood still (fault H2) nobody could show
        life: by how much this look comes late, the promise lasts longer.
        """
        now_s = self._now_s()
        stood_still_s = max(0.0, now_s - self._checked_s - CHECK_PERIOD_S)
        self._checked_s = now_s
        for each in self.tasks.values():
            if stood_still_s:
                each.beat_s = max(each.beat_s, min(now_s, each.beat_s + stood_still_s))
            if each.beat_seconds_max is None or now_s - each.beat_s <= each.beat_seconds_max:
                continue
            if not (each.has_ended or each.is_stopping or each.is_waiting):
                self._end_hung(each, now_s)

    def _end_hung(self, each: Supervised, now_s: float) -> None:
        """A critical task that hangs stops the daemon; another is cancelled and started anew, if it lets itself be."""
        silence = _silence(each, now_s)
        if each.is_critical or each.is_hung or each.task is None:
            self._on_failure(TaskEnded(each.name, silence))
            return
        each.is_hung = True
        each.beat_s = now_s
        each.task.cancel()

    async def stop(self, *owners: str, timeout_s: float) -> list[str]:
        """Cancel the tasks of these owners, or all tasks, and wait; at half of the time who cleans up is cut off.

        Returns:
            The names of those that did not end within `timeout_s`.
        """
        chosen = [each for each in self.tasks.values() if not owners or each.owner in owners]
        for each in chosen:
            each.is_stopping = True
        pending = {each.task: each.name for each in chosen if each.task is not None and not each.task.done()}
        for _ in range(2):  # a store that answers nothing would hold up who gives a connection back to it
            left = [task for task in pending if not task.done()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=timeout_s / 2)
        return sorted(name for task, name in pending.items() if not task.done())

    async def _watch(self, supervised: Supervised, run: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                cause = await _run_to_end(supervised, run)
                if supervised.is_stopping:
                    return
                if supervised.is_critical or not await self._may_restart(supervised, cause):
                    self._on_failure(TaskEnded(supervised.name, cause))
                    return
                self._on_restart(supervised.name, cause)
        except asyncio.CancelledError as cancelled:
            if not supervised.is_stopping:  # whoever cancelled it, nobody else would miss it (fault H5)
                self._on_failure(TaskEnded(supervised.name, cancelled))
                raise
        except Exception as error:  # border: the watch itself failed; nobody would start the task again
            self._on_failure(TaskEnded(supervised.name, error))

    async def _may_restart(self, supervised: Supervised, cause: BaseException | None) -> bool:
        supervised.is_hung = False
        supervised.is_waiting = True
        if not await self._permit(supervised.name, cause):
            return False
        await asyncio.sleep(RESTART_DELAY_S)
        supervised.is_waiting = False
        supervised.beat_s = self._now_s()
        return True


def _silence(each: Supervised, now_s: float) -> TimeoutError:
    return TimeoutError(f"no heartbeat for {now_s - each.beat_s:.0f} s")


async def _run_to_end(supervised: Supervised, run: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Run it, and say how it ended: None where it returned."""
    try:
        await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if supervised.is_stopping or not supervised.is_hung or task is None:
            raise
        task.uncancel()  # that was meant for what hung, not for the watch over it
        return TimeoutError(f"no heartbeat for {supervised.beat_seconds_max:.0f} s")
    except Exception as error:  # border: a background task; its end is judged by the caller, never swallowed
        return error
    return None
