"""Connections to PostgreSQL. Decides which URLs are accepted, how long anything may take, and what counts as "down".

Two pools: the order path has its own, so that a slow page of the dashboard or a long batch cannot make an intent wait
(fault F12). SQLAlchemy is used for migrations alone and is not imported here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import asyncpg

from quant_trading_system.core.errors import ConfigurationError, ExitCode
from quant_trading_system.core.types import Store
from quant_trading_system.persistence.errors import StoreUnavailable

SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
FORMS = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE or postgresql://USER@/DATABASE?host=/SOCKET/FOLDER"
OPTIONS = frozenset({
    "host", "port", "user", "password", "dbname", "database", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile",
    "krbsrvname", "gsslib", "target_session_attrs",
})  # fmt: skip

POOL_CONNECTIONS_MIN = 1
POOL_CONNECTIONS_MAX = 12
ORDER_CONNECTIONS_MIN = 1
ORDER_CONNECTIONS_MAX = 4  # with the general pool, the lease and a migration this stays below 20 (R159)
CONNECT_SECONDS_MAX = 5.0
ACQUIRE_SECONDS_MAX = 30.0  # R159
ORDER_ACQUIRE_SECONDS_MAX = 0.5
ORDER_STATEMENT_SECONDS_MAX = 0.5  # a commit takes 4 to 15 ms on a slow disk; later than this the price has moved on
STATEMENT_SECONDS_MAX = 10.0
LOCK_SECONDS_MAX = 3.0
PROBE_SECONDS_MAX = 1.0
CLOSE_SECONDS_MAX = 1.0  # a server that does not answer may not hold up a stop
IDLE_IN_TRANSACTION_SECONDS_MAX = 8.0  # below the lease's term: who stands still must not lock its row any longer
IDLE_CONNECTION_SECONDS_MAX = 300.0
TCP_KEEPALIVE_SECONDS = 5  # a host that lost its power frees its lease after about 11 s

PASSING_TRIES_MAX = 3

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InternalServerError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""What asyncpg raises when the server or its moment, not the statement, is at fault."""

MISCONFIGURED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)

Connection: TypeAlias = asyncpg.Connection
Result = TypeVar("Result")


class Driver(Protocol):
    """What makes connections: asyncpg itself, or what a simulation puts in its place."""

    @property
    def connect(self) -> Callable[..., Awaitable[Connection]]: ...

    @property
    def create_pool(self) -> Callable[..., Awaitable[asyncpg.Pool]]: ...


def normalise_dsn(url: str) -> str:
    """Turn every accepted form of a database URL into the one asyncpg understands.

    Raises:
        ConfigurationError: the URL is none of the accepted forms. The message never holds its password.
    """
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise ConfigurationError([f"database.url: not a URL ({error})"], fix=f"write {FORMS}") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    problems = []
    if parts.scheme not in SCHEMES:
        found = parts.scheme or "no scheme"
        problems.append(f"database.url: expected the scheme postgresql, found {found!r}")
    if not parts.hostname and not options.get("host"):
        problems.append("database.url: names no host and no socket folder")
    if not parts.path.strip("/") and not (options.get("dbname") or options.get("database")):
        problems.append("database.url: names no database")
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        problems.append(f"database.url: unknown option {', '.join(unknown)}")
    if problems:
        raise ConfigurationError(problems, fix=f"write {FORMS}")
    query = urlencode(options, quote_via=quote, safe="/")
    return f"postgresql://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def redact_dsn(url: str) -> str:
    """The URL without its password, for messages."""
    parts = urlsplit(url)
    user = f"{unquote(parts.username)}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    options = [(key, value) for key, value in parse_qsl(parts.query) if key != "password"]
    query = f"?{urlencode(options, safe='/')}" if options else ""
    return f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}{query}"


def session_settings(*, statement_seconds: float) -> dict[str, str]:
    """Settings every connection of ours asks for."""
    return {
        "application_name": "alphatrade",
        "timezone": "UTC",
        "synchronous_commit": "on",
        "statement_timeout": str(round(statement_seconds * 1_000)),
        "lock_timeout": str(round(min(LOCK_SECONDS_MAX, statement_seconds) * 1_000)),
        "idle_in_transaction_session_timeout": str(round(IDLE_IN_TRANSACTION_SECONDS_MAX * 1_000)),
        "tcp_keepalives_idle": str(TCP_KEEPALIVE_SECONDS),
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }


async def connect(
    dsn: str, *, statement_seconds: float = STATEMENT_SECONDS_MAX, driver: Driver = asyncpg
) -> Connection:
    """One connection of its own, outside the pools.

    Raises:
        StoreUnavailable: it cannot be had within `CONNECT_SECONDS_MAX`.
    """
    try:
        return await driver.connect(
            normalise_dsn(dsn),
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=statement_seconds + 1.0,
            server_settings=session_settings(statement_seconds=statement_seconds),
        )
    except UNREACHABLE as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> StoreUnavailable:
    """Wrap a driver's error without its connection details."""
    text = str(error).splitlines()[0] if str(error) else ""
    detail = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, MISCONFIGURED):
        return StoreUnavailable(
            Store.DATABASE,
            detail,
            fix="check user, password and name in database.url",
            exit_code=ExitCode.CONFIGURATION,
        )
    return StoreUnavailable(
        Store.DATABASE,
        detail,
        fix="see that the server of database.url runs and lets us in",
        is_passing=isinstance(error, asyncpg.TransactionRollbackError),
    )


async def tried_again(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do one whole transaction, again where the server rolled it back for a passing reason (fault F11).

    Raises:
        StoreUnavailable: `PASSING_TRIES_MAX` attempts, or the server cannot be asked.
    """
    for _ in range(PASSING_TRIES_MAX - 1):
        try:
            return await work()
        except StoreUnavailable as error:
            if not error.is_passing:
                raise
    return await work()


async def _keep_session(_connection: Connection) -> None:
    """The order path sets nothing on a session, so that nothing needs to be reset: saves a round trip per intent."""


async def _close(pool: asyncpg.Pool, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout_s)
    except TimeoutError:
        pool.terminate()


class Database:
    """The pools of one database. `connect` once, `close` once; a broken connection is replaced when it is asked for."""

    def __init__(self, dsn: str, *, driver: Driver = asyncpg) -> None:
        self.dsn = normalise_dsn(dsn)
        self._driver = driver
        self._pool: asyncpg.Pool | None = None
        self._orders: asyncpg.Pool | None = None

    def __str__(self) -> str:
        return redact_dsn(self.dsn)

    async def connect(self) -> None:
        """Open both pools.

        Raises:
            StoreUnavailable: the server does not answer, or refuses us.
        """
        assert self._pool is None, "connected already"
        try:
            self._pool = await self._make_pool(
                POOL_CONNECTIONS_MIN, POOL_CONNECTIONS_MAX, statement_seconds=STATEMENT_SECONDS_MAX, reset=None
            )
            self._orders = await self._make_pool(
                ORDER_CONNECTIONS_MIN,
                ORDER_CONNECTIONS_MAX,
                statement_seconds=ORDER_STATEMENT_SECONDS_MAX,
                reset=_keep_session,
            )
        except UNREACHABLE as error:
            await self.close()
            raise unavailable(error) from error

    async def connect_alone(self, *, statement_seconds: float) -> Connection:
        """One connection outside the pools, for whoever keeps a lock on it.

        Raises:
            StoreUnavailable: it cannot be had within `CONNECT_SECONDS_MAX`.
        """
        return await connect(self.dsn, statement_seconds=statement_seconds, driver=self._driver)

    async def close(self, *, timeout_s: float = CLOSE_SECONDS_MAX) -> None:
        """Close both pools; connections still in use after `timeout_s` are cut."""
        pools = [pool for pool in (self._pool, self._orders) if pool is not None]
        await asyncio.gather(*(_close(pool, timeout_s) for pool in pools))
        self._pool = self._orders = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection of the general pool.

        Raises:
            StoreUnavailable: none can be had, or the connection broke inside the block.
        """
        async with self._borrow(self._pool, ACQUIRE_SECONDS_MAX) as connection:
            yield connection

    @asynccontextmanager
    async def order_session(self) -> AsyncIterator[Connection]:
        """A connection of the order path's own pool. Raises the driver's errors: the caller must tell them apart."""
        if self._orders is None:
            raise StoreUnavailable(Store.DATABASE, "not connected")
        async with self._orders.acquire(timeout=ORDER_ACQUIRE_SECONDS_MAX) as connection:
            yield connection

    async def is_writable(self) -> bool:
        """Whether the server takes writes: it answers, is no standby, and is not set to read only."""
        try:
            async with self.session() as connection:
                answer = await connection.fetchval(
                    "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'",
                    timeout=PROBE_SECONDS_MAX,
                )
        except StoreUnavailable:
            return False
        return bool(answer)

    async def health(self) -> Mapping[str, str]:
        """What `doctor` and `status` show of the server.

        Raises:
            StoreUnavailable: it does not answer.
        """
        async with self.session() as connection:
            row = await connection.fetchrow(
                "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,"
                " current_setting('full_page_writes') AS full_page_writes, pg_is_in_recovery() AS in_recovery,"
                " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,"
                " pg_database_size(current_database()) AS size_bytes"
            )
        assert row is not None, "a SELECT without FROM has one row"
        return {key: str(value) for key, value in row.items()}

    async def _make_pool(self, least: int, most: int, *, statement_seconds: float, reset: Any) -> asyncpg.Pool:
        return await self._driver.create_pool(
            self.dsn,
            min_size=least,
            max_size=most,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=statement_seconds + 0.25,
            max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS_MAX,
            reset=reset,
            server_settings=session_settings(statement_seconds=statement_seconds),
        )

    @asynccontextmanager
    async def _borrow(self, pool: asyncpg.Pool | None, timeout_s: float) -> AsyncIterator[Connection]:
        if pool is None:
            raise StoreUnavailable(Store.DATABASE, "not connected")
        try:
            async with pool.acquire(timeout=timeout_s) as connection:
                yield connection
        except UNREACHABLE as error:
            if isinstance(
                error, ValueError
            ):  # the driver's word for an argument that fits no column: ours, not the server's
                raise
            raise unavailable(error) from error
