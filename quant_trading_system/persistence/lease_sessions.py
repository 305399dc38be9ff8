"""What PostgreSQL shows of the lease: who holds it, which session carries it, and which of them are dead.

Decides when a session counts as dead: never by what one table says alone.
"""

from __future__ import annotations

import asyncpg
from msgspec import Struct

LOCK_KEY = 0x416C_7068_6154_7264  # one constant: advisory locks are per database, and a database has one account
ABANDONED_SECONDS_MIN = 1.0  # a living daemon's transaction is idle for milliseconds


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds the lease, as its row says. `age_s`: since the last sign of life, by the database's clock."""

    holder: str
    host: str
    pid: int
    since: str
    epoch: int
    age_s: float


async def read_holder(connection: asyncpg.Connection) -> Holder | None:
    """The lease's row, or None where nobody ever held it."""
    row = await connection.fetchrow(
        "SELECT holder, host, pid, epoch,"
        " to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS since,"
        " extract(epoch FROM clock_timestamp() - beat_at)::float8 AS age_s FROM lease, lease_beat"
    )
    return None if row is None else Holder(**dict(row))


async def end_dead_session(connection: asyncpg.Connection, *, own_backend: int, term_s: float) -> bool:
    """End the session that holds the lock where its owner is dead; returns whether one was ended.

    Dead is our own earlier session, and one that has said nothing for longer than its term while the lease's last sign
    of life is as old. One statement judges and ends: a session that took the lock this moment has just spoken, so of
    two who come for a dead one's lease neither ends the other's.
    """
    ended = await connection.fetch(
        "SELECT pg_terminate_backend(held.pid) FROM pg_locks AS held JOIN pg_stat_activity AS seen USING (pid)"
        " WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1"
        " AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (held.classid::bigint << 32) | held.objid::bigint = $1 AND held.pid <> pg_backend_pid()"
        " AND (held.pid = $2 OR (seen.state_change < clock_timestamp() - make_interval(secs => $3)"
        " AND (SELECT beat_at FROM lease_beat) < clock_timestamp() - make_interval(secs => $3)))",
        LOCK_KEY,
        own_backend,
        term_s,
    )
    return bool(ended)


async def end_abandoned_transactions(connection: asyncpg.Connection) -> None:
    """End what a leader that stands still left open: a batch of it holds the lease's row, and where it stopped between
    two messages of one statement no limit of PostgreSQL's ends it, for the server counts it as active and waits.

    To be called with the lock held: whoever else holds that row leads no more.
    """
    await connection.execute(
        "SELECT pg_terminate_backend(held.pid) FROM pg_locks AS held JOIN pg_stat_activity AS seen USING (pid)"
        " WHERE held.locktype = 'relation' AND held.relation = 'lease'::regclass AND held.pid <> pg_backend_pid()"
        " AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND seen.xact_start IS NOT NULL AND seen.wait_event = 'ClientRead'"
        " AND seen.state_change < clock_timestamp() - make_interval(secs => $1)",
        ABANDONED_SECONDS_MIN,
    )
