"""The modelled PostgreSQL: committed rows, sessions, locks and what is wrong with it. Decides what survives a crash.

Give `database(incarnation)` to the daemon instead of a real `Database`: it is the real class, with this model in
asyncpg's place. Everything a plan may do to the server is a method here; everything a checker reads is one, too.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from quant_trading_system.persistence.database import Database
from tests.simulation.stores import generated
from tests.simulation.stores.operation import Fate, Operation
from tests.simulation.stores.pool import Driver
from tests.simulation.stores.relations import Key, Row
from tests.simulation.stores.session import Session
from tests.simulation.stores.statements import Statement
from tests.simulation.stores.transaction import Tables, Transaction
from tests.simulation.stores.troubles import Trouble

DSN = "postgresql://alphatrade@/simulated?host=/simulated"
DELAYS_S: Mapping[str, tuple[float, float]] = {
    "read": (0.0, 0.0), "inside": (0.0, 0.0), "beat": (0.0, 0.0), "commit": (0.0008, 0.006), "connect": (0.002, 0.008),
}  # fmt: skip
"""Seconds from the question to the answer, drawn evenly. Zero is answered at once, which costs the loop nothing."""
COMMITS_KEPT = 100_000
PARSED: dict[str, Statement] = {}


class DatabaseModel:
    """One database server. `now_s`: its own wall clock in seconds; the loop's time where not given."""

    def __init__(self, rng: random.Random, *, now_s: Callable[[], float] | None = None) -> None:
        self._rng = rng
        self._now_s = now_s
        self.tables = Tables()
        self.delays_s = dict(DELAYS_S)
        self.slowness_s: list[float] = []
        """What every statement takes instead, for as long as it is listed; the longest counts."""
        self.troubles: list[Trouble] = []
        self.advisory: dict[int, Session] = {}
        self.waiting: list[Operation] = []
        self.sessions: list[Session] = []
        self.backends = 0
        self.unknown: list[str] = []
        """Texts the model was asked and did not know; a run with any of them proves nothing."""
        self.is_up = True
        self.is_silent = False
        self.is_read_only = False
        self.is_disk_full = False
        self.connections_max = 100
        self.on_commit: Callable[[dict[str, dict[Key, Row | None]]], None] = lambda _changes: None
        """Told of every commit, right after it: table, then key, then the row (None: deleted)."""
        self._dead: set[int] = set()
        self._commits: deque[tuple[float, list[tuple[str, Key, Row | None]]]] = deque(maxlen=COMMITS_KEPT)

    def database(self, incarnation: int) -> Database:
        """The real class on this model, for one life of the daemon. Not connected yet."""
        return Database(DSN, driver=self.driver(incarnation))

    def driver(self, incarnation: int) -> Driver:
        """What stands in asyncpg's place."""
        return Driver(self, incarnation)

    # for checkers

    def rows(self, table: str) -> list[Row]:
        """The committed rows of a table."""
        return list(self.tables.rows[table].values())

    def row(self, table: str, *key: Any) -> Row | None:
        """The committed row under a primary key."""
        return self.tables.rows[table].get(key)

    def committed_intent(self, client_order_id: str) -> Row | None:
        """The intent under an id, where it is durable."""
        return self.tables.rows["intents"].get((client_order_id,))

    # faults

    def add_trouble(self, trouble: Trouble) -> Trouble:
        """From now on let statements meet this."""
        self.troubles.append(trouble)
        return trouble

    def heal(self) -> None:
        """End every fault: the server runs, answers and takes writes."""
        self.troubles.clear()
        self.is_silent = self.is_read_only = self.is_disk_full = False
        self.connections_max = 100
        self.is_up = True

    def go_down(self) -> None:
        """Stop the server at once: sessions fall, what it works at comes true or not, connections are refused."""
        self.is_up = False
        self.cut()
        self._stop_working()

    def come_up(self) -> None:
        self.is_up = True

    def restart(self) -> None:
        """Down and up again: every session falls."""
        self.go_down()
        self.is_up = True

    def cut(self, incarnation: int | None = None) -> None:
        """Cut every connection, or those of one daemon; both ends notice."""
        for session in [one for one in self.sessions if incarnation in (None, one.incarnation)]:
            session.hang_up("connection was cut")

    def drop_sessions(self, incarnation: int, *, linger_s: float = 0.0) -> None:
        """A daemon died and may not come back. Its sessions fall at once or, its host being gone, after `linger_s`.

        A statement that was on its way is lost, carried out now, or carried out when its time comes.
        """
        self._dead.add(incarnation)
        for session in [one for one in self.sessions if one.incarnation == incarnation]:
            if linger_s:
                asyncio.get_running_loop().call_later(linger_s, session.hang_up, "the daemon's host is gone")
            else:
                session.hang_up("the daemon died")

    def restore_backup(self, age_s: float) -> None:
        """Go back to what was committed `age_s` ago, as after a restored backup; sessions fall.

        There is no backup from before the database had an owner.
        """
        self.cut()
        self._stop_working()
        since_s = self.now_s() - age_s
        while self._commits and self._commits[-1][0] > since_s and not _is_birth(self._commits[-1][1]):
            for table, key, old in reversed(self._commits.pop()[1]):
                if old is None:
                    self.tables.rows[table].pop(key, None)
                else:
                    self.tables.rows[table][key] = old

    def empty(self) -> None:
        """Put an empty database with the same schema in its place; sessions fall."""
        self.cut()
        self._stop_working()
        self.put_in_place(Tables())

    def put_in_place(self, tables: Tables) -> None:
        """Have another database; of what came before in it no backup is kept."""
        self.tables = tables
        self._commits.clear()

    # for sessions

    @property
    def is_well(self) -> bool:
        """Whether a statement meets nothing but its usual delay."""
        return not self.troubles and not self.is_silent and not self.slowness_s

    def now_s(self) -> float:
        return self._now_s() if self._now_s is not None else asyncio.get_running_loop().time()

    def delay_s(self, way: str) -> float:
        if self.slowness_s:
            return max(self.slowness_s)
        low, high = self.delays_s[way]
        return low if low == high else low + (high - low) * self._rng.random()

    def trouble(self, labels: tuple[str, ...], *, is_read: bool) -> Trouble | None:
        """The first trouble a statement meets."""
        now_s = asyncio.get_running_loop().time()
        self.troubles = [trouble for trouble in self.troubles if not trouble.is_over(now_s)]
        met = (one for one in self.troubles if one.meets(labels, now_s, self._rng, is_read=is_read))
        return next(met, None)

    def refuse_connection(self, incarnation: int) -> None:
        """Raise what a caller gets instead of a session."""
        if incarnation in self._dead or not self.is_up:
            raise ConnectionRefusedError(111, "Connection refused")
        if len(self.sessions) >= self.connections_max:
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

    def refuse_writes(self) -> None:
        if self.is_read_only:
            raise asyncpg.ReadOnlySQLTransactionError("cannot execute in a read-only transaction")
        if self.is_disk_full:
            raise asyncpg.DiskFullError("could not extend file: No space left on device")

    def parsed(self, text: str) -> Statement:
        """A generated statement, read once."""
        known = PARSED.get(text)
        if known is None:
            try:
                known = PARSED[text] = generated.parse(text)
            except generated.UnknownStatement:
                self.unknown.append(text)
                raise
        return known

    def commit(self, tx: Transaction) -> None:
        """Make a transaction durable."""
        self.refuse_writes()
        changes = tx.changes
        self._commits.append((self.now_s(), tx.commit()))
        self.on_commit(changes)
        self._wake()

    def end(self, tx: Transaction) -> None:
        """Roll a transaction back."""
        tx.end()
        self._wake()

    def fate(self) -> Fate:
        """What becomes of a statement whose caller is gone."""
        return self._rng.choice((Fate.LOST, Fate.LOST, Fate.NOW, Fate.NOW, Fate.LATER))

    def forget(self, session: Session) -> None:
        """A session ended: its place and its advisory locks are free."""
        if session in self.sessions:
            self.sessions.remove(session)
        for key in [key for key, holder in self.advisory.items() if holder is session]:
            del self.advisory[key]

    def _stop_working(self) -> None:
        """What a session without a caller still worked at is lost."""
        for session in list(self.sessions):
            session.fall("the server stopped")

    def _wake(self) -> None:
        """A lock may be free: whoever waits asks again."""
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for operation in waiting:
                asyncio.get_running_loop().call_soon(operation.arrive)


def _is_birth(undo: list[tuple[str, Key, Row | None]]) -> bool:
    """Whether a commit made the instance, or tied it to its account."""
    return any(table == "instance" and (old is None or old["account"] is None) for table, _, old in undo)
