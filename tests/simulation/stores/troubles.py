"""What may go wrong with one statement of the modelled database. Decides which trouble meets which statement."""

from __future__ import annotations

import random
from enum import Enum

import asyncpg
from msgspec import Struct


class Kind(Enum):
    CUT_BEFORE = "cut_before"
    """The connection dies; the server never hears of the statement."""
    CUT_AFTER = "cut_after"
    """The server carries it out (a COMMIT or a single statement is durable); the connection dies before the answer."""
    ERROR = "error"
    """The server refuses it; the transaction has failed."""
    SLOW = "slow"
    """It waits before it is carried out: the server's own limit on a statement ends it."""
    SLOW_COMMIT = "slow_commit"
    """It waits for the disk: no limit of the server's ends it, so it comes true after the client gave up."""
    HANG = "hang"
    """No answer ever comes, and by draw it was carried out or not."""


ERRORS: dict[str, type[BaseException]] = {
    "serialization": asyncpg.SerializationError,
    "deadlock": asyncpg.DeadlockDetectedError,
    "timeout": asyncpg.QueryCanceledError,
    "disk_full": asyncpg.DiskFullError,
    "read_only": asyncpg.ReadOnlySQLTransactionError,
    "too_many_connections": asyncpg.TooManyConnectionsError,
    "out_of_memory": asyncpg.OutOfMemoryError,
    "lock_timeout": asyncpg.LockNotAvailableError,
}
ANY = "any"
OF_WRITES = frozenset({"serialization", "deadlock", "disk_full", "read_only"})
"""Errors that a single read, or a login, cannot meet."""


class Trouble(Struct):
    """One fault that waits for its statements.

    `where`: the label of a statement (intent, read_back, batch, lease, kill, instance, probe, read, connect), `commit`
    (every COMMIT) or `any`. `count`: how many are met, for ever where None. `until_s`: loop time at which it is over.
    """

    kind: Kind
    where: str = ANY
    probability: float = 1.0
    count: int | None = None
    until_s: float | None = None
    seconds: float = 2.0
    error: str = "serialization"
    met: int = 0

    def meets(self, labels: tuple[str, ...], now_s: float, rng: random.Random, *, is_read: bool) -> bool:
        """Whether a statement has this trouble; counts where it does."""
        if self.where != ANY and self.where not in labels:
            return False
        if is_read and self.kind is Kind.ERROR and self.error in OF_WRITES:
            return False
        if self.is_over(now_s) or (self.probability < 1.0 and rng.random() >= self.probability):
            return False
        self.met += 1
        return True

    def is_over(self, now_s: float) -> bool:
        """Whether no statement can meet it any more."""
        is_used_up = self.count is not None and self.met >= self.count
        return is_used_up or (self.until_s is not None and now_s >= self.until_s)
