"""Writes records behind the engine: in batches, in order, each batch in one transaction, none twice.

Decides what waits and what is lost. Records wait in memory while the database is away. When too many wait, history that
no recovery needs is dropped and counted; orders, fills, positions, guards, locks and audit are kept up to a hard limit,
beyond which the daemon has to stop taking risk. A batch whose commit was not confirmed is tried again under its number,
which the database remembers, so that it cannot be written twice (faults F4, F5).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import asyncpg

from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.pulse import Pulse, no_pulse
from quant_trading_system.core.records import AuditRecord, GuardRecord, LockRecord, Record
from quant_trading_system.persistence.batches import Batch, write_batch
from quant_trading_system.persistence.database import Database, tried_again
from quant_trading_system.persistence.errors import StaleEpoch, StoreUnavailable
from quant_trading_system.persistence.rows import may_drop

WRITE_SECONDS_MAX = 45.0  # thirty for a connection, ten for a statement
PERIOD_S = 0.1  # ten commits a second, each of everything that came since; what is urgent does not wait
DROP_ABOVE = 50_000  # about 50 MB; at twice the recorded peak this is minutes of an absent database
RECORDS_MAX = 200_000
RETRY_DELAYS_S = (0.1, 0.25, 0.5, 1.0)  # the last one repeats
IDLE_PROBE_PERIOD_S = 1.0
UNTAKEN = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, TypeError, OverflowError)
"""What one bad record raises. It must not keep the others from being written."""

Fence = Callable[[], int | None]
OnHealth = Callable[[bool, str], None]
OnOverflow = Callable[[int, bool], None]
OnRejected = Callable[[Record, str], None]


class BehindWriter:
    """One queue, one reader. `put` from the engine's loop; `run` beside it; `flush` on the way down.

    Args:
        fence: the lease's epoch, or None where no lease guards the database; a batch of a stale epoch is refused.
        on_health: told when writing starts to fail and when it works again.
        on_stale: told of the epoch that the database refused, since another daemon took the lease.
        on_overflow: told how many records were just dropped, and whether orders or fills were among them.
        on_rejected: told of a record that the database will never take.
        on_write_seconds: how long a batch took.
        now_s: monotonic seconds.
        name: tells this writer from every other that wrote to the database; random where not given.
        probe_period_s: how long nothing may be written before the server is asked whether it could be.
    """

    def __init__(
        self,
        db: Database,
        *,
        fence: Fence = lambda: None,
        on_health: OnHealth = lambda _up, _detail: None,
        on_stale: Callable[[int], None] = lambda _epoch: None,
        on_overflow: OnOverflow = lambda _count, _is_critical: None,
        on_rejected: OnRejected = lambda _record, _detail: None,
        on_write_seconds: Callable[[float], None] = lambda _seconds: None,
        now_s: Callable[[], float] = time.monotonic,
        name: str | None = None,
        probe_period_s: float = IDLE_PROBE_PERIOD_S,
        gather_s: float = PERIOD_S,
        pulse: Pulse = no_pulse,
    ) -> None:
        self._pulse = pulse
        self._db = db
        self._fence = fence
        self._on_health = on_health
        self._on_stale = on_stale
        self._on_overflow = on_overflow
        self._on_rejected = on_rejected
        self._on_write_seconds = on_write_seconds
        self._now_s = now_s
        self._probe_period_s = probe_period_s
        self._gather_s = gather_s
        self._queue: deque[tuple[Record, float]] = deque()
        self._pending: Batch | None = None
        self._pending_since_s = 0.0
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._guards: tuple[object, ...] = ()
        self._writer = name or secrets.token_hex(8)
        self._batches = 0
        self._next_ordinal: int | None = None
        self.is_up = True
        self.written = 0
        self.dropped = 0
        self.rejected = 0

    def put(self, record: Record) -> bool:
        """Queue one record; returns False where it was dropped. Never blocks.

        Put all records of one engine step without an `await` in between: they are then committed together.
        """
        depth = self.depth
        if depth >= DROP_ABOVE and (depth >= RECORDS_MAX or may_drop(record)):
            self.dropped += 1
            self._on_overflow(1, not may_drop(record))
            return False
        self._queue.append((record, self._now_s()))
        self._wake.set()
        if self._is_urgent(record):
            self._urgent.set()
        return True

    def put_all(self, records: Iterable[Record]) -> None:
        """Queue the records of one engine step."""
        for record in records:
            self.put(record)

    @property
    def depth(self) -> int:
        """Records not yet known to be durable."""
        return len(self._queue) + (len(self._pending.records) if self._pending else 0)

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest of them has waited; 0 where none waits."""
        if self._pending is not None:
            return self._now_s() - self._pending_since_s
        return self._now_s() - self._queue[0][1] if self._queue else 0.0

    async def run(self) -> None:
        """Write until cancelled. What is left then is written by `flush`."""
        failures = 0
        while True:
            self._pulse(WRITE_SECONDS_MAX)
            if not self.depth and not await self._wait_for_work():
                continue
            if await self._write():
                failures = 0
                await self._pause()
            else:
                await asyncio.sleep(RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S) - 1)])
                failures += 1

    async def flush(self, timeout_s: float) -> bool:
        """Write everything that waits. Returns whether all of it is durable; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.depth:
                    if not await self._write():
                        await asyncio.sleep(RETRY_DELAYS_S[0])
        except TimeoutError:
            return False
        return True

    def _is_urgent(self, record: Record) -> bool:
        """Whether it must outlive a crash of the next moment: a trip of the guards, a lock, what a person did (I19)."""
        if isinstance(record, GuardRecord):
            before, self._guards = self._guards, (record.state, record.causes, record.incidents)
            return before != self._guards
        return isinstance(record, LockRecord | AuditRecord)

    async def _pause(self) -> None:
        """Gather what comes until the next batch, unless something urgent comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._gather_s):
                await self._urgent.wait()

    async def _wait_for_work(self) -> bool:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._probe_period_s):
                await self._wake.wait()
        except TimeoutError:
            self._set_health(await self._db.is_writable(), "the database takes no writes")
            return False
        return True

    async def _write(self) -> bool:
        async with self._writing:
            self._take()
            if self._pending is None:
                return True
            started_s = self._now_s()
            failpoint("writer.before_batch")
            try:
                pending = self._pending
                await tried_again(lambda: self._write_pending(pending))
            except StoreUnavailable as error:
                self._set_health(False, error.detail)
                return False
            except StaleEpoch as error:
                self._on_stale(error.epoch)
                self._set_health(False, str(error))
                return False
            except (asyncpg.PostgresError, TimeoutError) as error:
                self._set_health(False, f"{type(error).__name__}: {error}")
                return False
            failpoint("writer.after_batch")
            self._report_refused(pending.refused)
            self.written += len(pending.records)
            self._pending = None
            self._set_health(True, "")
            self._on_write_seconds(self._now_s() - started_s)
            return True

    def _take(self) -> None:
        """Take everything that waits as the next batch: cut between engine steps, never inside one."""
        if self._pending is not None or not self._queue:
            return
        taken, self._queue = self._queue, deque()
        self._urgent.clear()
        self._pending_since_s = taken[0][1]
        self._batches += 1
        self._pending = Batch(number=self._batches, records=[record for record, _ in taken])

    async def _write_pending(self, batch: Batch) -> None:
        async with self._db.session() as connection:
            if self._next_ordinal is None:
                self._next_ordinal = await last_ordinal(connection) + 1
            if batch.first_ordinal is None:
                batch.first_ordinal = self._next_ordinal
                self._next_ordinal += len(batch.records)
            try:
                await write_batch(connection, batch, writer=self._writer, epoch=self._fence(), is_patient=False)
            except UNTAKEN:
                await write_batch(connection, batch, writer=self._writer, epoch=self._fence(), is_patient=True)

    def _report_refused(self, refused: Sequence[tuple[Record, str]]) -> None:
        for record, detail in refused:
            self.rejected += 1
            self._on_rejected(record, detail)

    def _set_health(self, is_up: bool, detail: str) -> None:
        if is_up is not self.is_up:
            self.is_up = is_up
            self._on_health(is_up, "" if is_up else detail)


async def last_ordinal(connection: asyncpg.Connection) -> int:
    """The newest place in the order of all rows that have one, 0 where there is none."""
    found = await connection.fetchval(
        "SELECT greatest((SELECT max(ordinal) FROM fills), (SELECT max(ordinal) FROM equity),"
        " (SELECT max(ordinal) FROM fill_corrections), (SELECT max(ordinal) FROM ledger_entries), 0)"
    )
    assert isinstance(found, int), "greatest() of a bigint"
    return found
