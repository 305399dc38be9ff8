"""One tree of named tasks. Decides what happens when one ends: a critical one stops the daemon, others start anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

RESTARTS_MAX = 3
RESTART_WINDOW_S = 300.0
RESTART_DELAY_S = 1.0
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
    restarts: list[float] = field(default_factory=list)
    is_stopping: bool = False


class TaskEnded(Exception):
    """A critical task ended, or another used up its restarts."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        super().__init__(f"task {name} ended: {cause!r}" if cause else f"task {name} returned")
        self.name = name
        self.cause = cause


class Supervisor:
    """Starts tasks in one group, so that none is an orphan, and calls `on_failure` when the daemon has to stop."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        on_failure: Callable[[TaskEnded], None],
        on_restart: Callable[[str, BaseException | None], None] = lambda _name, _cause: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._on_failure = on_failure
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
        """Run `run()` until the daemon stops. One that is not critical starts anew, three times in 5 min."""
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

    def beat(self, name: str) -> None:
        """A task that promised a heartbeat shows life."""
        self.tasks[name].beat_s = self._now_s()

    def check_beats(self) -> None:
        """A task that has not shown life for as long as it promised counts as ended (invariant I26).

        To be called once in `CHECK_PERIOD_S`. While the machine or the loop stood still (fault H2) nobody could show
        life: by how much this look comes late, the promise lasts longer.
        """
        now_s = self._now_s()
        stood_still_s = max(0.0, now_s - self._checked_s - CHECK_PERIOD_S)
        self._checked_s = now_s
        for each in self.tasks.values():
            each.beat_s = min(now_s, each.beat_s + stood_still_s)
            is_running = each.task is not None and not each.task.done() and not each.is_stopping
            if is_running and each.beat_seconds_max is not None and now_s - each.beat_s > each.beat_seconds_max:
                silence = TimeoutError(f"no heartbeat for {now_s - each.beat_s:.0f} s")
                self._on_failure(TaskEnded(each.name, silence))

    async def stop(self, *owners: str, timeout_s: float) -> list[str]:
        """Cancel the tasks of these owners, or all tasks, and wait.

        Returns:
            The names of those that did not end within `timeout_s`.
        """
        chosen = [each for each in self.tasks.values() if not owners or each.owner in owners]
        for each in chosen:
            each.is_stopping = True
        pending = {each.task: each.name for each in chosen if each.task is not None and not each.task.done()}
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=timeout_s)
        return sorted(name for task, name in pending.items() if not task.done())

    async def _watch(self, supervised: Supervised, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            cause: BaseException | None = None
            try:
                await run()
            except asyncio.CancelledError:
                if supervised.is_stopping:
                    return
                raise
            except Exception as error:  # border: a background task; its end is judged below, never swallowed
                cause = error
            if supervised.is_stopping:
                return
            if supervised.is_critical or not self._may_restart(supervised):
                self._on_failure(TaskEnded(supervised.name, cause))
                return
            self._on_restart(supervised.name, cause)
            await asyncio.sleep(RESTART_DELAY_S)

    def _may_restart(self, supervised: Supervised) -> bool:
        now_s = self._now_s()
        supervised.restarts = [at for at in supervised.restarts if now_s - at < RESTART_WINDOW_S]
        supervised.restarts.append(now_s)
        return len(supervised.restarts) <= RESTARTS_MAX
