"""The single-writer lease: at most one daemon trades with a database (invariant I25, faults K1, K2).

Decides who holds it. A session-level advisory lock on a connection of its own says whether somebody is alive; a row
with a growing epoch fences whoever wakes up late: the database refuses intents of an older epoch. The deadline is
counted from before the renewal was asked for, in monotonic time, so that a paused process sees it has passed.

A standby waits for the same lock, and has no effect on anything while it waits.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable

import asyncpg

from quant_trading_system.core.errors import SafetyRefusal
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.pulse import Pulse, no_pulse
from quant_trading_system.core.types import MonoNanos
from quant_trading_system.persistence.database import UNREACHABLE, Database, unavailable
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.lease_sessions import (
    LOCK_KEY,
    Holder,
    end_abandoned_transactions,
    end_dead_session,
    read_holder,
)

TTL_S = 10.0  # control P2
RENEWALS_PER_TERM = 3.3  # every 3 s: two renewals may fail before the deadline nears
STATEMENT_SECONDS_MAX = 2.0
ACQUIRE_SECONDS_MAX = 3.0  # a killed daemon's session ends within milliseconds of its socket
POLL_PERIOD_S = 0.05  # at first; a lock that stays is asked for as a standby does
REACQUIRE_PERIOD_S = 0.5
AWAY_NOTE_PERIOD_S = 1.0
STANDBY_POLL_PERIOD_S = 0.25  # of the 10 s in which a standby takes over
DATABASE_AWAY_SECONDS_MAX = 6.0  # a failed try to connect says so for this long: longer than one try lasts

OnChange = Callable[[bool, int, MonoNanos], None]
OnWaiting = Callable[["Holder | None", str], None]
"""Told at every look of a standby: who holds the lease, and "" or why the database cannot say."""


def _ignore(_held: bool, _epoch: int, _deadline_mono_ns: MonoNanos) -> None:
    """Nobody listens."""


async def _at_once() -> None:
    """Nobody counts how often the database is connected to anew."""


class Lease:
    """One daemon's claim. `acquire` once, then `run` beside the daemon, `release` on the way down."""

    def __init__(
        self,
        db: Database,
        account: str,
        *,
        on_change: OnChange = _ignore,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        holder: str | None = None,
        pid: int | None = None,
        term_s: float = TTL_S,
        wait_allowed: Callable[[], Awaitable[None]] = _at_once,
        pulse: Pulse = no_pulse,
    ) -> None:
        self._db = db
        self._wait_allowed = wait_allowed
        self._pulse = pulse
        self._account = account
        self._pid = os.getpid() if pid is None else pid
        self._holder = holder or f"{socket.gethostname()}-{self._pid}-{secrets.token_hex(4)}"
        self._connection: asyncpg.Connection | None = None
        self._broken = asyncio.Event()
        self._is_released = False
        self.on_change = on_change
        self._mono_ns = mono_ns
        self._term_s = term_s
        self._own_backend = 0
        self._term_mono_ns = 0
        self._away_mono_ns: int | None = None
        self.is_overtaken = False
        self.previous: Holder | None = None
        """Who held it before this process took it first, and how long ago it gave its last sign of life."""
        self.epoch = 0
        self.deadline_mono_ns = MonoNanos(0)

    @property
    def is_held(self) -> bool:
        """Whether the connection that carries the lock lives and the deadline has not passed."""
        return self._connection is not None and self._mono_ns() < self.deadline_mono_ns

    def refusal_to_cancel(self, *, is_urgent: bool = False) -> str | None:
        """Why this daemon may not cancel orders now, None where it may. To be asked in the loop step of the write.

        A daemon that another one may have followed must not touch what is that one's now. Where the database is away
        nobody can follow, and cancelling only lowers the risk. What is urgent (kill, cancel-all of a person) does not
        wait for the answer of a database whose connection was just cut: it may go while the term taken last runs.
        """
        now_ns = self._mono_ns()
        if self.is_overtaken:
            return "another daemon took the lease"
        if self.is_held or (is_urgent and now_ns < self._term_mono_ns):
            return None
        if self._away_mono_ns is not None and now_ns - self._away_mono_ns < DATABASE_AWAY_SECONDS_MAX * 1e9:
            return None
        return "the single-writer lease is not held"

    async def acquire(self) -> int:
        """Take the lease with a new epoch.

        Raises:
            SafetyRefusal: another daemon holds it and lives.
            StoreUnavailable: the database does not answer.
        """
        assert self._connection is None, "the lease is taken once"
        connection = await self._db.connect_alone(statement_seconds=STATEMENT_SECONDS_MAX)
        return await self._acquire_on(connection, self._lock)

    async def wait_and_acquire(self, on_waiting: OnWaiting) -> int:
        """Wait until nobody holds the lease, however long that takes, then take it. A database away is waited for."""
        assert self._connection is None, "the lease is taken once"

        async def lock(connection: asyncpg.Connection) -> None:
            await self._stand_by(connection, on_waiting)

        while True:
            try:
                connection = await self._db.connect_alone(statement_seconds=STATEMENT_SECONDS_MAX)
                return await self._acquire_on(connection, lock)
            except StoreUnavailable as error:
                on_waiting(None, error.detail)
                await asyncio.sleep(REACQUIRE_PERIOD_S)

    async def _acquire_on(
        self, connection: asyncpg.Connection, lock: Callable[[asyncpg.Connection], Awaitable[None]]
    ) -> int:
        try:
            await lock(connection)
            await end_abandoned_transactions(connection)
            found = await read_holder(connection)
            if self.epoch == 0:
                self.previous = found
            elif found is None or found.holder != self._holder:
                raise _led_meanwhile(found)
            asked_ns = self._mono_ns()
            failpoint("lease.before_take")
            self.epoch = await self._take(connection)
            failpoint("lease.after_take")
        except BaseException as error:  # border: a session without the lease must not hold its lock
            connection.terminate()
            if isinstance(error, UNREACHABLE):
                raise unavailable(error) from error
            raise
        self._broken.clear()
        connection.add_termination_listener(self._lost)
        self._connection = connection
        self._own_backend = connection.get_server_pid()
        self._extend(asked_ns)
        return self.epoch

    async def run(self) -> None:
        """Renew a few times a term until cancelled; after a loss, take it again as soon as the database answers.

        Raises:
            SafetyRefusal: another daemon took the lease meanwhile; this one must stop.
        """
        while not self._is_released:
            if self._connection is None:
                await self._take_again()
                continue
            self._pulse(self._term_s)
            try:
                async with asyncio.timeout(self._term_s / RENEWALS_PER_TERM):
                    await self._broken.wait()
            except TimeoutError:
                if self._connection is not None:  # it may have been lost in the very step in which the wait ended
                    await self._renew()
            else:
                self._drop()
        self._pulse(None)
        await asyncio.Event().wait()  # given back: nothing is left to do until the task is cancelled

    def adopt_epoch(self, epoch: int) -> None:
        """Lead on under the higher epoch that the renewal of a restored database wrote.

        A renewal of the lease that came in between found it changed; it then takes the lease anew, higher still.
        """
        self.epoch = max(self.epoch, epoch)

    def note_refused(self, epoch: int) -> None:
        """The database refused a write of this epoch: another daemon may lead, and what is urgent is its matter now."""
        if epoch == self.epoch:
            self._term_mono_ns = 0
            self._lost(None)

    async def release(self) -> None:
        """Give the lease back, so that the next daemon need not wait. Never fails: closing the session frees it too."""
        self._is_released = True
        connection, self._connection = self._connection, None
        self.deadline_mono_ns = MonoNanos(0)
        if connection is None:
            return
        connection.remove_termination_listener(self._lost)
        failpoint("lease.before_release")
        try:
            await connection.close(timeout=STATEMENT_SECONDS_MAX / 2)  # a stop waits for it
        except UNREACHABLE:
            connection.terminate()

    async def _lock(self, connection: asyncpg.Connection) -> None:
        give_up_ns = self._mono_ns() + round(ACQUIRE_SECONDS_MAX * 1e9)
        poll_s = POLL_PERIOD_S
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            ended = await end_dead_session(connection, own_backend=self._own_backend, term_s=self._term_s)
            if not ended and self._mono_ns() > give_up_ns:
                raise _refusal(await read_holder(connection))
            await asyncio.sleep(poll_s)
            poll_s = min(STANDBY_POLL_PERIOD_S, poll_s * 1.5)

    async def _stand_by(self, connection: asyncpg.Connection, on_waiting: OnWaiting) -> None:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            if not await end_dead_session(connection, own_backend=0, term_s=self._term_s):
                on_waiting(await read_holder(connection), "")
            await asyncio.sleep(STANDBY_POLL_PERIOD_S)

    async def _take(self, connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            epoch = await connection.fetchval(
                "INSERT INTO lease (account, epoch, holder, host, pid) VALUES ($1, 1, $2, $3, $4)"
                " ON CONFLICT (is_only) DO UPDATE SET account = excluded.account, epoch = lease.epoch + 1,"
                " holder = excluded.holder, host = excluded.host, pid = excluded.pid, taken_at = clock_timestamp()"
                " RETURNING epoch",
                self._account,
                self._holder,
                socket.gethostname(),
                self._pid,
            )
            await connection.execute(
                "INSERT INTO lease_beat DEFAULT VALUES ON CONFLICT (is_only) DO UPDATE SET beat_at = clock_timestamp()"
            )
        assert isinstance(epoch, int), "the statement returns its row"
        return epoch

    async def _renew(self) -> None:
        assert self._connection is not None, "renewed while held"
        failpoint("lease.before_renew")
        asked_ns = self._mono_ns()
        try:
            renewed = await self._connection.execute(
                "UPDATE lease_beat SET beat_at = clock_timestamp() WHERE (SELECT epoch FROM lease) = $1",
                self.epoch,
                timeout=STATEMENT_SECONDS_MAX,
            )
        except (*UNREACHABLE, asyncpg.PostgresError):
            self._drop()
            return
        if renewed != "UPDATE 1":
            self._drop()
            return
        failpoint("lease.after_renew")
        self._extend(asked_ns)

    async def _take_again(self) -> None:
        self._pulse(None)
        await self._wait_for_leave()
        self._pulse(self._term_s)
        try:
            await self.acquire()
        except StoreUnavailable:
            self._note_away()
            await asyncio.sleep(REACQUIRE_PERIOD_S)
        except SafetyRefusal as refusal:
            self.is_overtaken = True
            raise SafetyRefusal(f"the lease was lost: {refusal.message}", fix=OVERTAKEN_FIX) from refusal

    async def _wait_for_leave(self) -> None:
        """Until the database may be asked again; meanwhile it stays known that this process runs and it is away."""

        async def wait() -> None:
            await self._wait_allowed()

        async with asyncio.TaskGroup() as group:
            leave = group.create_task(wait(), name="lease-leave")
            while not (await asyncio.wait((leave,), timeout=AWAY_NOTE_PERIOD_S))[0]:
                if self._away_mono_ns is not None:
                    self._note_away()

    def _note_away(self) -> None:
        """The database is away, found out while the term ran, and looked at without a pause ever since.

        After a pause nobody knows: another daemon may have led in it.
        """
        now_ns = self._mono_ns()
        last_ns = self._away_mono_ns
        if last_ns is None:
            self._away_mono_ns = now_ns if now_ns < self._term_mono_ns else None
        else:
            self._away_mono_ns = now_ns if now_ns - last_ns < DATABASE_AWAY_SECONDS_MAX * 1e9 else None

    def _extend(self, asked_ns: int) -> None:
        self._away_mono_ns = None
        self.deadline_mono_ns = MonoNanos(asked_ns + round(self._term_s * 1e9))
        self._term_mono_ns = self.deadline_mono_ns
        self.on_change(True, self.epoch, self.deadline_mono_ns)

    def _lost(self, _connection: object) -> None:
        """The connection ended: the gate must close at once, not at the next renewal."""
        self._broken.set()
        if self._connection is not None:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self.deadline_mono_ns = MonoNanos(0)
        if connection is not None:
            connection.remove_termination_listener(self._lost)
            connection.terminate()
            self.on_change(False, self.epoch, self.deadline_mono_ns)
            failpoint("lease.dropped")


def _led_meanwhile(found: Holder | None) -> SafetyRefusal:
    """The lease is free, but this process is no longer the one that led last: what it knows is of an earlier time."""
    who = "the database knows no leader any more"
    if found is not None:
        who = (
            f"another daemon led meanwhile: pid {found.pid} on {found.host}, since {found.since} (epoch {found.epoch})"
        )
    return SafetyRefusal(who, fix=OVERTAKEN_FIX)


OVERTAKEN_FIX = "that daemon recovers and goes on; start this one again with --standby, or once that one has ended"


def _refusal(other: Holder | None) -> SafetyRefusal:
    if other is None:
        return SafetyRefusal("another daemon is taking the lease of this database", fix="wait for it, or stop it")
    return SafetyRefusal(
        f"another daemon trades with this database: pid {other.pid} on {other.host}, since {other.since}"
        f" (epoch {other.epoch}, last sign of life {other.age_s:.0f} s ago)",
        fix="stop that daemon first; its lease ends by itself 10 s after it stops answering",
    )
