"""The kill latch over its three stores: file first, then PostgreSQL, then Redis. Writes, reads back, repairs, tells.

Decides what copies that disagree become: an engagement in the file or the row is repeated in every copy that lacks it,
for a copy may have been away when it was written; only a person's reset makes them CLEAR. The mirror decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.events import LatchSeen, StoreSeen
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import Latch, Store
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.redis_state import RedisState

KILL_FILE = "KILL"  # in the state directory; touching it is enough
WRITE_SECONDS_MAX = 2.0
WATCH_PERIOD_S = 0.25  # a touched KILL file engages within a quarter of a second
READ_PERIOD_S = 5.0  # the stores are read back so often
READS_MAX = 3  # a reading that a change overtook is worth nothing
REPEATED_BY = "the daemon, which repeats it"

Copies = dict[Store, tuple[Latch, str]]
"""What each copy says, and why."""


class KillLatch:
    """One latch, three copies. Whatever cannot be read or written counts as not clear."""

    def __init__(
        self,
        *,
        file: LatchFile,
        touched: Path,
        rows: KillStore,
        redis: RedisState,
        inbox: Inbox,
        clock: Clock,
        refusal_to_clear: Callable[[], str | None] = lambda: None,
        period_s: float = WATCH_PERIOD_S,
        read_period_s: float = READ_PERIOD_S,
    ) -> None:
        self._file = file
        self._touched = touched
        self._rows = rows
        self._redis = redis
        self._inbox = inbox
        self._clock = clock
        self._refusal_to_clear = refusal_to_clear
        self._period_s = period_s
        self._ticks_to_read = max(1, round(read_period_s / period_s))
        self._wake = asyncio.Event()
        self._changes = 0
        self._resetting = asyncio.Lock()
        """Held by a reset and by a reading that may repair, never by an engagement: its file waits for nobody."""
        self._writing = asyncio.Lock()
        """Held while row and mirror are written, for two seconds a store at most: the later word is written later."""
        self._engagements = 0
        """How many were asked for."""

    def wake(self) -> None:
        """Read the copies back now: a store that was gone is back."""
        self._wake.set()

    def engage(self, operator: str, reason: str) -> Coroutine[Any, Any, None]:
        """Write ENGAGED to the file, the database and Redis, each on its own: a failure stops none of them.

        Asking counts, not the first step of the work: a reset that was asked for earlier writes nothing more.
        """
        self._engagements += 1
        return self._engage(operator, reason)

    def clear(self, operator: str, reason: str) -> Coroutine[Any, Any, None]:
        """Write CLEAR in the opposite order, so that a crash in between leaves it engaged.

        It ends where an engagement is asked for meanwhile: who says stop last must not find it lifted. So it does
        where this daemon leads no more: the word of a person may have waited in a process that stood still, and what
        the one that leads now knows of books and orders has not been asked.
        """
        return self._clear(operator, reason, self._engagements)

    async def _engage(self, operator: str, reason: str) -> None:
        self._changes += 1
        failpoint("latch.engage.before_file")
        self._write_file(self._file.engage, operator, reason, Latch.ENGAGED)
        failpoint("latch.engage.after_file")
        async with self._writing:
            await self._write(Store.DATABASE, self._rows.engage(operator, reason), Latch.ENGAGED, reason)
            failpoint("latch.engage.after_row")
            await self._write(Store.REDIS, self._redis.write_latch(Latch.ENGAGED, reason), Latch.ENGAGED, reason)
            failpoint("latch.engage.after_mirror")

    async def _clear(self, operator: str, reason: str, engagements: int) -> None:
        self.wake()  # what it leaves is read back at once: a mirror that could not be read had its store count as down
        async with self._resetting, self._writing:
            if self._is_void(engagements):
                return
            self._changes += 1
            self._touched.unlink(missing_ok=True)
            failpoint("latch.clear.before_mirror")
            await self._write(Store.REDIS, self._redis.write_latch(Latch.CLEAR, reason), Latch.CLEAR, reason)
            failpoint("latch.clear.after_mirror")
            if self._is_void(engagements):
                return
            await self._write(Store.DATABASE, self._rows.clear(operator, reason), Latch.CLEAR, reason)
            failpoint("latch.clear.after_row")
            if self._is_void(engagements):
                return
            self._write_file(self._file.clear, operator, reason, Latch.CLEAR)
            failpoint("latch.clear.after_file")

    def _is_void(self, engagements: int) -> bool:
        """Whether a reset must not go on. Why it did not is told with what the file says, unless it is overtaken."""
        if self._engagements != engagements:
            return True
        refusal = self._refusal_to_clear()
        if refusal is not None:
            self._tell(Store.LATCH_FILE, self._file.read()[0], f"the reset was not carried out: {refusal}")
        return refusal is not None

    async def read_all(self) -> dict[Store, Latch]:
        """Read the three copies, repair those that lack what the others know, and tell the engine each."""
        async with self._resetting:
            found = await self._read_settled()
            if await self._repair(found):
                found = await self._read_settled()
            for store, (latch, reason) in found.items():
                self._tell(store, latch, reason)
            latches = {store: latch for store, (latch, _) in found.items()}
        if latches[Store.REDIS] in (Latch.CLEAR, Latch.ENGAGED) and self._redis.is_up:
            self._inbox.put(StoreSeen(store=Store.REDIS, is_up=True, **stamps(self._clock)), Lane.ORDERS)
        return latches

    async def _read_settled(self) -> Copies:
        """The three copies as they are together: read anew where one was written meanwhile."""
        for _ in range(READS_MAX - 1):
            changes = self._changes
            found = await self._read()
            if changes == self._changes:
                return found
        return await self._read()

    async def _read(self) -> Copies:
        file = self._file.read()
        row = await self._guarded(self._rows.read())
        return {
            Store.LATCH_FILE: file,
            Store.DATABASE: row,
            Store.REDIS: await self._guarded(self._redis.read_latch()),
        }

    async def _repair(self, found: Copies) -> bool:
        """Write what a copy lacks. Returns whether any was written."""
        (file, file_reason), (row, row_reason) = found[Store.LATCH_FILE], found[Store.DATABASE]
        mirror = found[Store.REDIS][0]
        is_engaged = Latch.ENGAGED in (file, row)
        if is_engaged and file is not Latch.ENGAGED:
            self._write_file(self._file.engage, REPEATED_BY, row_reason, Latch.ENGAGED)
        if is_engaged and row in (Latch.CLEAR, Latch.MISSING):
            writing = self._rows.engage(REPEATED_BY, file_reason)
            await self._write(Store.DATABASE, writing, Latch.ENGAGED, file_reason)
        wanted = Latch.ENGAGED if is_engaged else Latch.CLEAR
        # A missing row blocks by itself; repeated in the mirror it would also block the database that comes back.
        is_known = is_engaged or file is row is Latch.CLEAR
        is_lost = mirror is Latch.MISSING or (mirror is Latch.UNREADABLE and self._redis.is_up)
        repairs_mirror = is_known and (is_lost or (is_engaged and mirror is Latch.CLEAR))
        if repairs_mirror:
            await self._write(Store.REDIS, self._redis.write_latch(wanted, "refilled"), wanted, "refilled")
        return repairs_mirror or (is_engaged and (file, row) != (Latch.ENGAGED, Latch.ENGAGED))

    async def watch(self, *, on_touched: Callable[[str], None], on_tick: Callable[[], None]) -> None:
        """Look for `<state-dir>/KILL` and read the copies back, until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(self._period_s)
            on_tick()
            tick += 1
            is_woken = self._wake.is_set()
            self._wake.clear()
            if self._touched.exists() and self._file.read()[0] is not Latch.ENGAGED:
                on_touched(f"{self._touched.name} was touched in the state directory")
            if is_woken or tick % self._ticks_to_read == 0:
                await self.read_all()

    def _write_file(self, write: Callable[..., None], operator: str, reason: str, latch: Latch) -> None:
        try:
            write(operator, reason, at_ns=self._clock.wall_ns())
        except StoreUnavailable as error:
            self._tell(Store.LATCH_FILE, Latch.UNREADABLE, error.detail)
        else:
            self._tell(Store.LATCH_FILE, latch, reason)

    async def _guarded(self, reading: Awaitable[tuple[Latch, str]]) -> tuple[Latch, str]:
        try:
            async with asyncio.timeout(WRITE_SECONDS_MAX):
                return await reading
        except Exception as error:  # border: a store that cannot say is UNREADABLE, whatever its reason
            return Latch.UNREADABLE, repr(error)

    async def _write(self, store: Store, writing: Awaitable[None], latch: Latch, reason: str) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS_MAX):
                await writing
        except Exception as error:  # border: the other copies still have to be written
            self._tell(store, Latch.UNREADABLE, repr(error))
        else:
            self._tell(store, latch, reason)

    def _tell(self, store: Store, latch: Latch, reason: str) -> None:
        self._inbox.put(LatchSeen(store=store, latch=latch, reason=reason, **stamps(self._clock)), Lane.OPERATOR)
