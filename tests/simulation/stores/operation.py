"""One request under way to the modelled server. Decides when it is carried out, and its fate without a caller.

A request has a life of its own: it arrives at the server after a delay, whether or not the caller still waits. So a
commit may come true after its connection was cut, or after the daemon that sent it died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.simulation.loop import in_life
from tests.simulation.stores.transaction import Blocked

if TYPE_CHECKING:
    from tests.simulation.stores.session import Session

Work = Callable[[], Any]
LOST = "connection was closed in the middle of operation"


class Fate(Enum):
    """What becomes of a request whose caller is gone."""

    LOST = "lost"
    NOW = "now"
    LATER = "later"


class Operation:
    """One request under way between a caller and the server. `kills`: its answer is the end of the connection."""

    __slots__ = ("_late", "_limit", "_lock_limit", "_session", "_work", "future", "is_inevitable", "kills")

    def __init__(self, session: Session, work: Work, *, kills: bool, is_inevitable: bool) -> None:
        self._session = session
        self.is_inevitable = is_inevitable
        self._work: Work | None = work
        self._late: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._lock_limit: asyncio.TimerHandle | None = None
        self.kills = kills
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def arrive_after(self, delay_s: float | None, *, caller_s: float) -> None:
        """Reach the server after `delay_s`, never where None; the caller waits no longer than `caller_s`."""
        loop = asyncio.get_running_loop()
        if delay_s is not None:
            self._late = loop.call_later(delay_s, self.arrive)
        if delay_s is None or delay_s >= caller_s:
            self._limit = loop.call_later(caller_s, self._give_up)

    def refuse_after(self, delay_s: float, error: BaseException) -> None:
        """Be answered with an error after `delay_s`, nothing done."""
        self._work = None
        self._late = asyncio.get_running_loop().call_later(delay_s, self._answer, None, error)

    def arrive(self) -> None:
        """Be carried out, unless a row is locked: then wait for it."""
        work, session = self._work, self._session
        if work is None:
            return
        try:
            result = work()
        except Blocked:
            session.server.waiting.append(self)
            if self._lock_limit is None:
                self._lock_limit = asyncio.get_running_loop().call_later(session.lock_s, self._give_up_lock)
            return
        except Exception as error:  # border: whatever the server says belongs to the caller
            self._work = None
            self._answer(None, error)
            return
        self._work = None
        self._answer(result, None)

    def lose(self) -> None:
        """Never be carried out."""
        self._work = None
        self._stop()

    def meet(self, fate: Fate) -> None:
        """Be decided without a caller."""
        late = self._late
        if self._work is None or late is None:  # refused already, or on a way that has no end
            fate = Fate.NOW if self._work is not None and fate is Fate.NOW else Fate.LOST
        elif self.is_inevitable:
            fate = Fate.LATER
        if fate is Fate.LATER and late is not None:
            loop = asyncio.get_running_loop()
            late.cancel()  # its time stands, but it is no longer the caller's: who died may not take it along
            left_s = max(0.0, late.when() - loop.time())
            self._late = loop.call_later(left_s, self.arrive, context=in_life(None))
            return
        if fate is Fate.NOW:
            self.arrive()
        self.lose()
        self._session.end()

    def _answer(self, result: Any, error: BaseException | None) -> None:
        self._stop()
        session = self._session
        if not session.is_alive:
            session.end()
            return
        if self.kills:
            session.fall(LOST)
            return
        session.under_way = None
        if not self.future.done():
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)

    def _give_up(self) -> None:
        if not self.future.done():
            self.future.set_exception(TimeoutError())

    def _give_up_lock(self) -> None:
        self._work = None
        self._session.fail_transaction()
        self._answer(None, asyncpg.LockNotAvailableError("canceling statement due to lock timeout"))

    def _stop(self) -> None:
        for timer in (self._late, self._limit, self._lock_limit):
            if timer is not None:
                timer.cancel()
