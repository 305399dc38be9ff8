"""Decides what runs next: virtual time, one ready handle at a time, chosen by the seed or first in, first out.

A life of the daemon is a `Life`: every task, timer and callback carries it in its context. A life that ended by power
cut is dropped without running any `finally`; one that stands still is parked and goes on later. Nothing real may be
awaited here: with no handle ready and no timer pending the loop calls a deadlock.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, ClassVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]
from msgspec import Struct

VIRTUAL_SECONDS_MAX = 100_000.0
COLLECT_EVERY = 64


class Deadlock(Exception):
    """Every task waits and no timer is pending, so virtual time cannot move."""


class VirtualTimeExhausted(Exception):
    """A run used up its allowance of virtual seconds."""


class Ready(Struct, eq=False):
    """A callback that waits for its turn: what asyncio's Handle is, without what only debugging needs."""

    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class Timer(Ready, eq=False):
    """One whose time is to come."""

    due_s: float = 0.0

    def when(self) -> float:
        return self.due_s


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set is its number's: a group that ends cancels its tasks in the order of its set."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class Life:
    """One incarnation of a process: its tasks, and whether it runs, stands still, or is dead."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tasks: list[asyncio.Task[Any]] = []
        self.is_dead = False


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


def in_life(life: Life | None) -> Context:
    """A context whose tasks, timers and callbacks belong to a life; None: to the world."""
    context = copy_context()
    context.run(LIFE.set, life)
    return context


class DetLoop(asyncio.BaseEventLoop):
    """An event loop without selector and without chance of its own."""

    disposed: ClassVar[int] = 0

    def __init__(self, chance: Random | None, *, virtual_seconds_max: float = VIRTUAL_SECONDS_MAX) -> None:
        super().__init__()
        self._now_s = 0.0
        self.now_ns = 0
        self._virtual_seconds_max = virtual_seconds_max
        self._draw = None if chance is None else chance.random
        self._queue: list[Ready] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_number = 0
        self._task_number = 0
        self._stopped: dict[Life, list[Ready] | None] = {}  # what a life that stands still missed; None: it is dead
        self._graveyard: list[Life] = []
        self._ghosts: list[greenlet] = []  # steps that power cuts left unfinished
        self.handled = 0
        self.collects = gc.isenabled()
        self.complaints: list[str] = []
        self.set_exception_handler(self._note_complaint)

    # time

    def time(self) -> float:
        return self._now_s

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Timer:
        timer = Timer(callback, args, copy_context() if context is None else context, False, when)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Timer:
        when = self._now_s + delay
        timer = Timer(callback, args, copy_context() if context is None else context, False, when)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, timer))
        return timer

    # what is ready

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Ready:
        ready = Ready(callback, args, copy_context() if context is None else context)
        self._queue.append(ready)
        return ready

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def _run_once(self) -> None:
        """Run until somebody stops the loop. A life that ends in the middle of a step leaves that step unfinished."""
        while not self._stopping:  # type: ignore[attr-defined]
            body = greenlet(self._spin)
            body.switch()
            if not body.dead:
                self._ghosts.append(body)

    def vanish(self) -> None:
        """Called inside a step of a life that was just crashed: never returns, and nothing is unwound."""
        task = asyncio.current_task(self)
        if task is not None:
            asyncio.tasks._leave_task(self, task)
        hub = getcurrent().parent
        assert hub is not None, "a step runs below the loop"
        hub.switch()

    def _spin(self) -> None:
        queue, timers, draw = self._queue, self._timers, self._draw
        heappop = heapq.heappop
        while not self._stopping:  # type: ignore[attr-defined]
            if not queue:
                self._leap()
            now_s = self._now_s
            while timers and timers[0][0] <= now_s:
                queue.append(heappop(timers)[2])
            ready = queue.pop() if len(queue) == 1 else self._choose(queue, draw)
            if ready.is_cancelled or (self._stopped and self._is_stopped(ready)):
                continue
            self.handled += 1
            ready.context.run(ready.callback, *ready.args)

    @staticmethod
    def _choose(queue: list[Ready], draw: Callable[[], float] | None) -> Ready:
        """One of several: the first, or a drawn one, whose place the last one takes."""
        if draw is None:
            return queue.pop(0)
        place = int(draw() * len(queue))
        last = queue.pop()
        if place == len(queue):
            return last
        ready, queue[place] = queue[place], last
        return ready

    def _leap(self) -> None:
        """Nothing is ready: go straight to the next timer."""
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock("every task waits and no timer is pending")
        due_s = timers[0][0]
        if due_s <= self._now_s:
            return
        self._now_s = due_s
        self.now_ns = int(due_s * 1e9)
        if due_s > self._virtual_seconds_max:
            raise VirtualTimeExhausted(f"more than {self._virtual_seconds_max} virtual seconds passed")

    # lives

    def start_life(self, life: Life, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a process of its own."""
        return self.create_task(main, context=in_life(life))

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        self._task_number += 1
        number = self._task_number
        task = NumberedTask(number, coro, loop=self, name=name or f"task-{number}", context=context, **options)
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.tasks.append(task)
        return task

    def crash(self, life: Life) -> None:
        """Cut the power: nothing of this life runs any more, no `finally` either."""
        life.is_dead = True
        self._stopped[life] = None
        self._graveyard.append(life)  # collected early, its coroutines would be closed, and that runs `finally`
        for task in life.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def freeze(self, life: Life) -> None:
        """Let a life stand still, as SIGSTOP does. What comes for it waits."""
        self._stopped.setdefault(life, [])

    def thaw(self, life: Life) -> None:
        """Let it go on. A dead one stays dead."""
        if self._stopped.get(life) is not None:
            self._queue.extend(self._stopped.pop(life) or [])

    def forget(self, future: asyncio.Future[Any]) -> None:
        """Drop what would end a future in time: somebody else ends it now."""
        parked = [ready for missed in self._stopped.values() for ready in missed or ()]
        for ready in (*self._queue, *parked, *(timer for _, _, timer in self._timers)):
            if ready.args and ready.args[0] is future:
                ready.cancel()

    def is_frozen(self, life: Life) -> bool:
        return self._stopped.get(life) is not None

    def _is_stopped(self, ready: Ready) -> bool:
        life = ready.context.get(LIFE)
        if life is None or life not in self._stopped:
            return False
        missed = self._stopped[life]
        if missed is not None:
            missed.append(ready)
        return True

    # what an event loop has besides

    get_debug = staticmethod(bool)  # False; every future asks

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Work for a thread is done at once: a thread would bring real time and chance."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # border: told to whoever awaits it, as an executor does
            future.set_exception(error)
        return future

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Signals are faults of the plan, not of the system."""

    def remove_signal_handler(self, sig: int) -> bool:
        return False

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there is no selector")

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def _note_complaint(self, _loop: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(f"{context.get('message')}: {error!r}")

    def dispose(self) -> None:
        """End a seed: what still waits is closed now, and what its `finally` does reaches nobody."""
        lives, self._graveyard = self._graveyard, []
        self._queue.clear()
        self._timers.clear()
        self._closed = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of coroutines that a power cut kept from being awaited
            for ghost in self._ghosts:
                _lay(ghost)
            self._ghosts.clear()
            for life in lives:
                for task in life.tasks:
                    _bury(task)
                life.tasks.clear()
            DetLoop.disposed += 1
            if self.collects or DetLoop.disposed % COLLECT_EVERY == 0:
                gc.collect()  # here, where nobody hears what the dead say; but seldom where speed counts


def _lay(ghost: greenlet) -> None:
    with suppress(BaseException):  # the dead may say what they like: nobody listens
        ghost.throw()


def _bury(task: asyncio.Task[Any]) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task._log_traceback = False
    if task.done():
        return
    with suppress(BaseException):  # as above
        coroutine = task.get_coro()
        if coroutine is not None:
            coroutine.close()
