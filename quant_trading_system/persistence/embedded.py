"""PostgreSQL 18 and Valkey 9 from wheels, under our own supervisor. Decides their command lines, and what "ready" is.

Both listen on a Unix socket in a private folder and on nothing else. PostgreSQL keeps its full durability; Valkey keeps
nothing on disk, because nothing in it may be needed again.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg

from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.persistence.processes import command_line, is_alive
from quant_trading_system.persistence.server_folders import (
    make_folder,
    postgres_binaries,
    server_account,
    socket_folder,
    valkey_binary,
)
from quant_trading_system.persistence.server_process import EmbeddedServer, ServerInUse

MAJOR_VERSION = "18"
DATABASE = "alphatrade"
USER = "alphatrade"
PORT = 5432  # part of the socket's name; nothing listens on a network
POSTGRES_SOCKET = f".s.PGSQL.{PORT}"
VALKEY_SOCKET = "valkey.sock"
CONNECTIONS_MAX = 40  # a daemon needs up to 20; the rest is for the command line and psql
VALKEY_MEMORY_MAX = "128mb"
CONNECT_SECONDS_MAX = 10.0


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL in `folder`. `start` returns a DSN of a database of ours."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # fast shutdown: clients are cut, everything is written
    kill_signal = signal.SIGQUIT  # immediate: recovery at the next start
    death_signal = signal.SIGINT
    passing_errors = (
        "pre-existing shared memory block",  # the children of a killed postmaster are still ending
        "the database system is shutting down",
        "could not create lock file",
    )

    def __init__(self, folder: Path, *, start_seconds_max: float = 60.0) -> None:
        super().__init__(folder.absolute(), account=server_account(), start_seconds_max=start_seconds_max)
        self._data = self.folder / "data"
        self._binaries = Path()

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.sockets))}"

    async def prepare(self) -> None:
        self._binaries = await asyncio.to_thread(postgres_binaries, self.account)
        make_folder(self.folder, self.account)
        self.sockets = socket_folder(self.folder, POSTGRES_SOCKET, self.account)
        if not self._data.exists():
            await self._initialise()
        found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR_VERSION:
            raise OperatorError(
                f"{self._data} was made by PostgreSQL {found}, and this version brings {MAJOR_VERSION}",
                fix="dump it with the version that made it and restore it, or start with another --state-dir",
                exit_code=ExitCode.CONFIGURATION,
            )

    def attach(self) -> str:
        """The URL of the server that another process runs in this folder."""
        self.sockets = socket_folder(self.folder, POSTGRES_SOCKET, self.account)
        return self.url

    async def start(self) -> str:
        url = await super().start()
        try:
            await self._make_database()
        except BaseException:  # border: no server outlives a start that failed, whatever ended it
            await self.stop()
            raise
        return url

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": str(CONNECTIONS_MAX),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "jit": "off",
            "max_parallel_workers_per_gather": "0",  # needs shared memory that containers are short of
            "shared_buffers": "64MB",
            "max_wal_size": "256MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self._data), *options]

    def environment(self) -> Mapping[str, str]:
        """Tell PostgreSQL when the pid in its lock file is somebody else's now; it would refuse to start."""
        stale = self._lock_file_pid()
        return {"PG_GRANDPARENT_PID": str(stale)} if stale is not None and is_alive(stale) else {}

    async def is_ready(self, pid: int) -> bool:
        """PostgreSQL writes its state into its lock file; the pid there shows that it is ours."""
        lines = self._lock_file()
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def orphans(self) -> list[int]:
        known = super().orphans()
        locked = self._lock_file_pid()
        if locked is not None and locked not in known and self._is_postgres_of_ours(locked):
            known.append(locked)
        return known

    def _is_postgres_of_ours(self, pid: int) -> bool:
        arguments = command_line(pid)
        is_postgres = bool(arguments) and Path(arguments[0]).name == "postgres"
        return is_alive(pid) and is_postgres and str(self._data) in arguments

    def _lock_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _lock_file_pid(self) -> int | None:
        lines = self._lock_file()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    async def _initialise(self) -> None:
        """Make the cluster beside its place, durably, and move it there: a half-made one is never used."""
        half = self.folder / "data.part"
        if half.exists():
            await asyncio.to_thread(shutil.rmtree, half)
        await self.run_once([
            str(self._binaries / "initdb"), "-D", str(half), "-U", USER, "--auth=trust", "--encoding=UTF8",
            "--locale=C.UTF-8", "--data-checksums", "--no-instructions",
        ])  # fmt: skip
        half.rename(self._data)

    async def _make_database(self) -> None:
        try:
            await (await self._connect(DATABASE)).close()
        except asyncpg.InvalidCatalogNameError:
            connection = await self._connect("postgres")
            try:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
            finally:
                await connection.close()

    async def _connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=str(self.sockets), port=PORT, user=USER, database=database, timeout=CONNECT_SECONDS_MAX
        )


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[str]:
    """A DSN of the PostgreSQL in `folder` for a short piece of work: the daemon's own, or one started for the while.

    Raises:
        OperatorError: it is not running and cannot be started.
    """
    server = EmbeddedPostgres(folder)
    try:
        url = await server.start()
    except ServerInUse:
        yield server.attach()
        return
    try:
        yield url
    finally:
        await server.stop()


class EmbeddedValkey(EmbeddedServer):
    """Valkey in `folder`. `start` returns the URL of its socket."""

    name = "Valkey"

    def __init__(self, folder: Path, *, start_seconds_max: float = 20.0) -> None:
        super().__init__(folder.absolute(), account=server_account(), start_seconds_max=start_seconds_max)
        self._binary = Path()

    @property
    def socket_path(self) -> Path:
        return self.sockets / VALKEY_SOCKET

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket_path))}"

    async def prepare(self) -> None:
        self._binary = await asyncio.to_thread(valkey_binary, self.account)
        make_folder(self.folder, self.account)
        self.sockets = socket_folder(self.folder, VALKEY_SOCKET, self.account)

    def command(self) -> Sequence[str]:
        return [
            str(self._binary), "--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700",
            "--dir", str(self.folder), "--save", "", "--appendonly", "no", "--daemonize", "no",
            "--maxmemory", VALKEY_MEMORY_MAX, "--maxmemory-policy", "noeviction", "--loglevel", "warning",
        ]  # fmt: skip

    async def is_ready(self, pid: int) -> bool:
        """Ask for its pid over the socket: whoever answers has to be our child."""
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_unix_connection(str(self.socket_path))
                try:
                    writer.write(b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n")
                    answer = await reader.readuntil(b"process_id:")
                    shown = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        return bool(answer) and shown.strip() == str(pid).encode()
