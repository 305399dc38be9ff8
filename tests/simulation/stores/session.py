"""One connection to the modelled database, with the face of asyncpg's. Decides what its caller is told, and when."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.simulation.stores import generated
from tests.simulation.stores.operation import LOST, Operation, Work
from tests.simulation.stores.relations import Row
from tests.simulation.stores.statements import STATEMENTS, Answer, Statement
from tests.simulation.stores.transaction import Blocked, Transaction
from tests.simulation.stores.troubles import ERRORS, Kind, Trouble

if TYPE_CHECKING:
    from tests.simulation.stores.database import DatabaseModel


class Session:
    """What `asyncpg.connect` gives. Closed for good once it fell, was closed or terminated."""

    def __init__(
        self, server: DatabaseModel, incarnation: int, *, statement_s: float, lock_s: float, caller_s: float
    ) -> None:
        self.server = server
        self.incarnation = incarnation
        self.statement_s = self._usual_statement_s = statement_s
        self.lock_s = lock_s
        self.caller_s = caller_s
        server.backends += 1
        self.pid = server.backends
        self.heard_s = server.now_s()
        """When the lease's session last said something, by the server's clock."""
        self.transaction_: Transaction | None = None
        self.under_way: Operation | None = None
        self.is_alive = True
        self.is_cut_off = False
        """The server has forgotten it, and its caller does not know yet."""
        self._listeners: list[Callable[[Any], object]] = []
        self._context = contextvars.copy_context()

    # asyncpg's face

    async def fetchrow(self, text: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        rows: Answer = await self._ask(self._known(text), arguments, timeout)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any, timeout: float | None = None) -> Any:
        rows: Answer = await self._ask(self._known(text), arguments, timeout)
        return next(iter(rows[0].values())) if rows else None

    async def fetch(self, text: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        rows: Answer = await self._ask(self._known(text), arguments, timeout)
        return list(rows)

    async def execute(self, text: str, *arguments: Any, timeout: float | None = None) -> str:
        known = self._known(text)
        rows: Answer = await self._ask(known, arguments, timeout)
        return f"INSERT 0 {len(rows)}" if known.verb == "INSERT" else f"{known.verb} {len(rows)}"

    async def executemany(self, text: str, rows: Iterable[Sequence[Any]], *, timeout: float | None = None) -> None:
        known = self._known(text)

        def each(tx: Transaction, *listed: Sequence[Any]) -> Answer:
            return [row for values in listed for row in known.answer(tx, *values)]

        many = Statement(text=text, answer=each, label=known.label, writes=known.writes, locks=known.locks)
        await self._ask(many, tuple(rows), timeout)

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Sequence[Any]], columns: Sequence[str], timeout: float | None = None
    ) -> str:
        rows: Answer = await self._ask(generated.copy(table, columns), tuple(records), timeout)
        return f"COPY {len(rows)}"

    def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> Block:
        assert isolation in (None, "repeatable_read"), "an isolation the model knows"
        return Block(self, is_snapshot=isolation is not None, is_read_only=readonly)

    def add_termination_listener(self, listener: Callable[[Any], object]) -> None:
        self._listeners.append(listener)

    def remove_termination_listener(self, listener: Callable[[Any], object]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def get_server_pid(self) -> int:
        return self.pid

    def is_closed(self) -> bool:
        return not self.is_alive

    def terminate(self) -> None:
        """Drop the connection without a word; what the server works at comes true or not."""
        self.hang_up("connection was terminated")

    async def close(self, *, timeout: float | None = None) -> None:
        self.fall("connection was closed")

    # the server's side

    def fall(self, reason: str) -> None:
        """The server ends the session and what it was asked."""
        if self.under_way is not None:
            self.under_way.lose()
        self._tell(reason)
        self.end()

    def vanish(self) -> None:
        """The server's end is gone; the caller learns of it when it asks again."""
        self.is_cut_off = self.under_way is None
        if self.is_cut_off:
            self.end()
        else:
            self.fall("connection was cut")

    def hang_up(self, reason: str) -> None:
        """The caller's end is gone. The server notices when it has done, or dropped, what it was asked."""
        if not self.is_alive:
            return
        self._tell(reason)
        if self.under_way is None:
            self.end()
        else:
            self.under_way.meet(self.server.fate())

    def end(self) -> None:
        """Nothing is left at the server: locks and what was not committed are gone."""
        self.under_way = None
        self.server.forget(self)
        if self.transaction_ is not None:
            self.server.end(self.transaction_)
            self.transaction_ = None

    def _tell(self, reason: str) -> None:
        """Whoever waits or listens hears that the connection is gone."""
        if not self.is_alive:
            return
        self.is_alive = False
        operation = self.under_way
        if operation is not None and not operation.future.done():
            operation.future.set_exception(asyncpg.ConnectionDoesNotExistError(reason))
            operation.future.exception()  # its caller may be dead: nobody need hear it
        for listener in self._listeners:
            asyncio.get_running_loop().call_soon(listener, self, context=self._context)

    def fail_transaction(self) -> None:
        """An error inside a transaction: until its end everything else is refused."""
        if self.transaction_ is not None:
            self.transaction_.is_failed = True

    def _known(self, text: str) -> Statement:
        return STATEMENTS.get(text) or self.server.parsed(text)

    async def _ask(self, known: Statement, arguments: Sequence[Any], timeout_s: float | None) -> Any:
        if self.is_cut_off:
            self._tell("connection was lost")
        is_single = self.transaction_ is None
        labels = (known.label, "commit") if is_single and known.writes else (known.label,)
        way = "inside" if not is_single else "read" if not known.writes else known.way
        if self.server.is_well and not self.server.delays_s[way][1] and self.is_alive and self.under_way is None:
            try:
                return self._run(known, arguments)
            except Blocked:
                pass
        return await self.send(lambda: self._run(known, arguments), way, labels, timeout_s=timeout_s)

    def _run(self, known: Statement, arguments: Sequence[Any]) -> Answer:
        """The server's part: in the transaction that is open, or in one of its own that is committed at once."""
        server, tx = self.server, self.transaction_
        if known.label == "lease":
            self.heard_s = server.now_s()
        if tx is not None and tx.is_failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        single = tx is None
        if tx is None:
            tx = Transaction(server.tables, self, is_single=True)
        mark = tx.mark
        try:
            if known.writes:
                server.refuse_writes()
            rows = known.answer(tx, *arguments)
        except asyncpg.PostgresError:
            tx.is_failed = True
            raise
        except Blocked:
            tx.roll_back_to(mark)
            raise
        if single and tx.changes:
            server.commit(tx)
        return rows

    async def send(self, work: Work, way: str, labels: tuple[str, ...], *, timeout_s: float | None = None) -> Any:
        """Have the server do something, and wait for its answer."""
        server = self.server
        if self.is_cut_off:
            self._tell("connection was lost")
        if not self.is_alive:
            raise asyncpg.InterfaceError("connection is closed")
        if self.under_way is not None:
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
        trouble = server.trouble(labels, is_read=way == "read") if server.troubles else None
        delay_s = server.delay_s(way)
        if trouble is None and not delay_s and not server.is_silent:
            try:
                return work()
            except Blocked:
                delay_s = 0.0
        kind = None if trouble is None else trouble.kind
        operation = Operation(
            self, work, kills=kind is Kind.CUT_AFTER, is_inevitable=kind is Kind.SLOW_COMMIT and way == "commit"
        )
        self.under_way = operation
        self._aim(operation, trouble, delay_s or 0.0, self.caller_s if timeout_s is None else timeout_s)
        try:
            return await operation.future
        except (TimeoutError, asyncio.CancelledError):
            self.terminate()  # asyncpg saves some of these connections; the pool makes new ones either way
            raise
        finally:
            if self.under_way is operation and operation.future.done():
                self.under_way = None

    def _aim(self, operation: Operation, trouble: Trouble | None, delay_s: float, caller_s: float) -> None:
        """Let the operation meet its trouble."""
        if self.server.is_silent or (trouble is not None and trouble.kind is Kind.HANG):
            operation.arrive_after(None, caller_s=caller_s)
        elif trouble is None or trouble.kind is Kind.CUT_AFTER:
            operation.arrive_after(delay_s, caller_s=caller_s)
        elif trouble.kind is Kind.CUT_BEFORE:
            operation.kills = True
            operation.refuse_after(delay_s, asyncpg.ConnectionDoesNotExistError(LOST))
        elif trouble.kind is Kind.ERROR:
            self.fail_transaction()
            operation.refuse_after(delay_s, ERRORS[trouble.error](trouble.error))
        elif trouble.kind is Kind.SLOW and trouble.seconds > self.statement_s:
            self.fail_transaction()
            error = asyncpg.QueryCanceledError("canceling statement due to statement timeout")
            operation.refuse_after(min(self.statement_s, caller_s), error)
        else:
            operation.arrive_after(delay_s + trouble.seconds, caller_s=caller_s)


class Block:
    """`async with connection.transaction()`; inside another one it is a savepoint."""

    def __init__(self, session: Session, *, is_snapshot: bool, is_read_only: bool) -> None:
        self._session = session
        self._is_snapshot = is_snapshot
        self._is_read_only = is_read_only
        self._mark: int | None = None

    async def __aenter__(self) -> Block:
        session = self._session
        if not session.is_alive:
            raise asyncpg.InterfaceError("connection is closed")
        if session.transaction_ is not None:
            self._mark = session.transaction_.mark
            return self
        await session.send(self._begin, "inside", ("begin",))
        return self

    def _begin(self) -> None:
        session = self._session
        server = session.server
        session.transaction_ = tx = Transaction(server.tables, session, is_single=False)
        tx.is_read_only = self._is_read_only
        if self._is_snapshot:
            tx.take_snapshot()

    async def __aexit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        session = self._session
        if not session.is_alive:
            if kind is not None and issubclass(kind, TimeoutError | asyncio.CancelledError):
                return
            raise asyncpg.InterfaceError("cannot call Transaction.__aexit__(): the connection is closed")
        tx = session.transaction_
        assert tx is not None, "entered before it is left"
        if self._mark is not None:
            if kind is not None:
                tx.roll_back_to(self._mark)
                tx.is_failed = False
            elif tx.is_failed:
                raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
            return
        session.statement_s = session._usual_statement_s
        if kind is not None or tx.is_failed or not tx.changes:
            session.server.end(tx)
            session.transaction_ = None
            return
        await session.send(self._commit, "commit", self._labels(tx))

    def _labels(self, tx: Transaction) -> tuple[str, ...]:
        """Its COMMIT, named also by what it commits."""
        return ("commit", *(label for table, label in COMMITS.items() if table in tx.changes))

    def _commit(self) -> None:
        session = self._session
        tx, session.transaction_ = session.transaction_, None
        if tx is not None:
            session.server.commit(tx)


COMMITS = {"writer_progress": "batch", "lease": "lease", "kill": "kill", "instance": "instance"}
"""The table that shows whose transaction it is."""
