"""The single-writer lease: at most one daemon trades with a database (invariant I25, faults K1, K2).

Decides who holds it. A session-level advisory lock on a connection of its own says whether somebody is alive; a row
with a growing epoch fences whoever wakes up late: the database refuses intents of an older epoch. The deadline is
counted from before the renewal was asked for, in monotonic time, so that a paused process sees it has passed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable

import asyncpg
from msgspec import Struct

from quant_trading_system.core.errors import SafetyRefusal
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import MonoNanos
from quant_trading_system.persistence.database import UNREACHABLE, Database, connect, unavailable
from quant_trading_system.persistence.errors import StoreUnavailable

TTL_S = 10.0  # control P2
RENEW_PERIOD_S = 3.0  # two renewals may fail before the deadline nears
STATEMENT_SECONDS_MAX = 2.0
ACQUIRE_SECONDS_MAX = 3.0  # a killed daemon's session ends within milliseconds of its socket
POLL_PERIOD_S = 0.05
REACQUIRE_PERIOD_S = 0.5
LOCK_KEY = 0x416C_7068_6154_7264  # one constant: advisory locks are per database, and a database has one account

OnChange = Callable[[bool, int, MonoNanos], None]


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds the lease, as its row says. `age_s`: since the last sign of life, by the database's clock."""

    holder: str
    host: str
    pid: int
    since: str
    epoch: int
    age_s: float


def _ignore(_held: bool, _epoch: int, _deadline_mono_ns: MonoNanos) -> None:
    """Nobody listens."""


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
    ) -> None:
        self._dsn = db.dsn
        self._account = account
        self._holder = holder or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._connection: asyncpg.Connection | None = None
        self._broken = asyncio.Event()
        self._is_released = False
        self.on_change = on_change
        self._mono_ns = mono_ns
        self.epoch = 0
        self.deadline_mono_ns = MonoNanos(0)

    @property
    def is_held(self) -> bool:
        """Whether the connection that carries the lock lives and the deadline has not passed."""
        return self._connection is not None and self._mono_ns() < self.deadline_mono_ns

    async def acquire(self) -> int:
        """Take the lease with a new epoch.

        Raises:
            SafetyRefusal: another daemon holds it and lives.
            StoreUnavailable: the database does not answer.
        """
        assert self._connection is None, "the lease is taken once"
        connection = await connect(self._dsn, statement_seconds=STATEMENT_SECONDS_MAX)
        try:
            await self._lock(connection)
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
        self._extend(asked_ns)
        return self.epoch

    async def run(self) -> None:
        """Renew every `RENEW_PERIOD_S` until cancelled; after a loss, take it again as soon as the database answers.

        Raises:
            SafetyRefusal: another daemon took the lease meanwhile; this one must stop.
        """
        while not self._is_released:
            if self._connection is None:
                await self._take_again()
                continue
            try:
                async with asyncio.timeout(RENEW_PERIOD_S):
                    await self._broken.wait()
            except TimeoutError:
                await self._renew()
            else:
                self._drop()
        await asyncio.Event().wait()  # given back: nothing is left to do until the task is cancelled

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
            await connection.close(timeout=STATEMENT_SECONDS_MAX)
        except UNREACHABLE:
            connection.terminate()

    async def _lock(self, connection: asyncpg.Connection) -> None:
        give_up_ns = self._mono_ns() + round(ACQUIRE_SECONDS_MAX * 1e9)
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            other = await read_holder(connection)
            is_ours = other is not None and other.holder == self._holder
            if other is not None and (is_ours or other.age_s > TTL_S):
                await _end_session_of_holder(connection)
            elif self._mono_ns() > give_up_ns:
                raise _refusal(other)
            await asyncio.sleep(POLL_PERIOD_S)

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
                os.getpid(),
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
        try:
            await self.acquire()
        except StoreUnavailable:
            await asyncio.sleep(REACQUIRE_PERIOD_S)

    def _extend(self, asked_ns: int) -> None:
        self.deadline_mono_ns = MonoNanos(asked_ns + round(TTL_S * 1e9))
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


async def read_holder(connection: asyncpg.Connection) -> Holder | None:
    """The lease's row, or None where nobody ever held it."""
    row = await connection.fetchrow(
        "SELECT holder, host, pid, epoch,"
        " to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS since,"
        " extract(epoch FROM clock_timestamp() - beat_at)::float8 AS age_s FROM lease, lease_beat"
    )
    return None if row is None else Holder(**dict(row))


async def _end_session_of_holder(connection: asyncpg.Connection) -> None:
    """End the session that holds the lock: its owner is ours, or has shown no life for longer than the TTL."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (classid::bigint << 32) | objid::bigint = $1 AND pid <> pg_backend_pid()",
        LOCK_KEY,
    )


def _refusal(other: Holder | None) -> SafetyRefusal:
    if other is None:
        return SafetyRefusal("another daemon is taking the lease of this database", fix="wait for it, or stop it")
    return SafetyRefusal(
        f"another daemon trades with this database: pid {other.pid} on {other.host}, since {other.since}"
        f" (epoch {other.epoch}, last sign of life {other.age_s:.0f} s ago)",
        fix="stop that daemon first; its lease ends by itself 10 s after it stops answering",
    )
