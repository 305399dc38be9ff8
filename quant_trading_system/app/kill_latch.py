"""The kill latch over its three stores: file first, then PostgreSQL, then Redis. Writes, reads back, tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

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
        period_s: float = WATCH_PERIOD_S,
        read_period_s: float = READ_PERIOD_S,
    ) -> None:
        self._file = file
        self._touched = touched
        self._rows = rows
        self._redis = redis
        self._inbox = inbox
        self._clock = clock
        self._period_s = period_s
        self._ticks_to_read = max(1, round(read_period_s / period_s))
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Read the copies back now: a store that was gone is back."""
        self._wake.set()

    async def engage(self, operator: str, reason: str) -> None:
        """Write ENGAGED to the file, the database and Redis, each on its own: a failure stops none of them."""
        failpoint("latch.engage.before_file")
        self._write_file(self._file.engage, operator, reason, Latch.ENGAGED)
        failpoint("latch.engage.after_file")
        await self._write(Store.DATABASE, self._rows.engage(operator, reason), Latch.ENGAGED, reason)
        failpoint("latch.engage.after_row")
        await self._write(Store.REDIS, self._redis.write_latch(Latch.ENGAGED, reason), Latch.ENGAGED, reason)
        failpoint("latch.engage.after_mirror")

    async def clear(self, operator: str, reason: str) -> None:
        """Write CLEAR in the opposite order, so that a crash in between leaves it engaged."""
        self._touched.unlink(missing_ok=True)
        failpoint("latch.clear.before_mirror")
        await self._write(Store.REDIS, self._redis.write_latch(Latch.CLEAR, reason), Latch.CLEAR, reason)
        failpoint("latch.clear.after_mirror")
        await self._write(Store.DATABASE, self._rows.clear(operator, reason), Latch.CLEAR, reason)
        failpoint("latch.clear.after_row")
        self._write_file(self._file.clear, operator, reason, Latch.CLEAR)
        failpoint("latch.clear.after_file")

    async def read_all(self) -> dict[Store, Latch]:
        """Read the three copies and tell the engine each. A missing Redis mirror is refilled from the other two."""
        file_latch, file_reason = self._file.read()
        row_latch, row_reason = await self._guarded(self._rows.read())
        mirror_latch, mirror_reason = await self._guarded(self._redis.read_latch())
        if mirror_latch is Latch.MISSING and Latch.UNREADABLE not in (file_latch, row_latch):
            wanted = Latch.CLEAR if file_latch is row_latch is Latch.CLEAR else Latch.ENGAGED
            await self._write(Store.REDIS, self._redis.write_latch(wanted, "refilled"), wanted, "refilled")
            mirror_latch, mirror_reason = await self._guarded(self._redis.read_latch())
        self._tell(Store.LATCH_FILE, file_latch, file_reason)
        self._tell(Store.DATABASE, row_latch, row_reason)
        self._tell(Store.REDIS, mirror_latch, mirror_reason)
        if mirror_latch in (Latch.CLEAR, Latch.ENGAGED) and self._redis.is_up:
            self._inbox.put(StoreSeen(store=Store.REDIS, is_up=True, **stamps(self._clock)), Lane.ORDERS)
        return {Store.LATCH_FILE: file_latch, Store.DATABASE: row_latch, Store.REDIS: mirror_latch}

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
