"""asyncpg's `connect` and `create_pool` on the modelled server. Decides who waits for a connection and how long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.simulation.stores.session import Session
from tests.simulation.stores.troubles import ERRORS, Kind

if TYPE_CHECKING:
    from tests.simulation.stores.database import DatabaseModel


class Driver:
    """Stands in asyncpg's place for one life of the daemon."""

    def __init__(self, server: DatabaseModel, incarnation: int) -> None:
        self._server = server
        self._incarnation = incarnation

    async def connect(
        self, _dsn: str, *, timeout: float, command_timeout: float, server_settings: Mapping[str, str]
    ) -> Session:
        """One connection.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError: the server is gone, silent, or takes no more.
        """
        server = self._server
        trouble = server.trouble(("connect",), is_read=True) if server.troubles else None
        if server.is_silent or (trouble is not None and trouble.kind in (Kind.HANG, Kind.SLOW, Kind.SLOW_COMMIT)):
            await asyncio.sleep(timeout)
            raise TimeoutError
        delay_s = server.delay_s("connect")
        if delay_s:
            await asyncio.sleep(delay_s)
        server.refuse_connection(self._incarnation)
        if trouble is not None:
            raise ERRORS[trouble.error](trouble.error) if trouble.kind is Kind.ERROR else ConnectionResetError(104, "")
        session = Session(
            server,
            self._incarnation,
            statement_s=int(server_settings["statement_timeout"]) / 1_000,
            lock_s=int(server_settings["lock_timeout"]) / 1_000,
            caller_s=command_timeout,
        )
        server.sessions.append(session)
        return session

    async def create_pool(
        self, dsn: str, *, min_size: int, max_size: int, max_inactive_connection_lifetime: float, reset: Any, **how: Any
    ) -> Pool:
        """A pool with its first connections. How long an idle one is kept, and what resets one, is not modelled."""
        pool = Pool(self, dsn, max_size, how)
        pool.free.extend([await self.connect(dsn, **how) for _ in range(min_size)])
        return pool


class Pool:
    """Connections that are lent. The one given back last is lent first, as asyncpg does."""

    def __init__(self, driver: Driver, dsn: str, most: int, how: Mapping[str, Any]) -> None:
        self._driver = driver
        self._dsn = dsn
        self._most = most
        self._how = how
        self.free: list[Session] = []
        self.lent = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    def acquire(self, *, timeout: float) -> Loan:
        return Loan(self, timeout)

    async def take(self, timeout_s: float) -> Session:
        """A living connection: a free one, a new one, or the next that is given back."""
        if self._is_closed:
            raise asyncpg.InterfaceError("pool is closed")
        while self.free:
            session = self.free.pop()
            if session.is_alive:
                self.lent += 1
                return session
        async with asyncio.timeout(timeout_s):
            while self.lent >= self._most:
                place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._queue.append(place)
                await place
            self.lent += 1
            try:
                return await self._driver.connect(self._dsn, **self._how)
            except BaseException:  # border: the place must not be lost, whatever the reason
                self._give_place()
                raise

    def give_back(self, session: Session) -> None:
        """Lend it to the next; one left inside a transaction is reset first."""
        if session.is_alive:
            if session.transaction_ is not None:
                session.server.end(session.transaction_)
                session.transaction_ = None
            self.free.append(session)
        self._give_place()

    def _give_place(self) -> None:
        self.lent -= 1
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        self._is_closed = True
        for session in self.free:
            session.terminate()
        self.free.clear()


class Loan:
    """`async with pool.acquire(...) as connection`."""

    __slots__ = ("_pool", "_session", "_timeout_s")

    def __init__(self, pool: Pool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._session: Session | None = None

    async def __aenter__(self) -> Session:
        self._session = await self._pool.take(self._timeout_s)
        return self._session

    async def __aexit__(self, *_error: object) -> None:
        assert self._session is not None, "entered before it is left"
        self._pool.give_back(self._session)
