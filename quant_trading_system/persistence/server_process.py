"""One embedded server as a child process: claim, start, readiness, death, orphans, stop. Knows no kind of server.

Decides that a folder has one owner (an exclusive lock on a file beside it), that the child dies with this process
(parent-death signal), that nothing of our environment reaches it, and that a server left over by a killed process ends
before a new one starts on its files.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal, TemporaryFailure
from quant_trading_system.persistence.processes import how_it_ended, is_alive, send_signal, started_ticks
from quant_trading_system.persistence.server_folders import Account

START_SECONDS_MAX = 60.0  # a recovery after a power cut reads the log of the last minutes
STOP_SECONDS_MAX = 10.0
KILL_SECONDS_MAX = 5.0
COMMAND_SECONDS_MAX = 60.0
POLL_PERIOD_S = 0.02
RETRY_PERIOD_S = 0.2
RESTARTS_MAX = 3
RESTART_WINDOW_S = 300.0
LOG_BYTES_MAX = 5 * 1024 * 1024
LOG_CHECK_PERIOD_S = 30.0
LOG_TAIL_BYTES = 2_000
PR_SET_PDEATHSIG = 1
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}  # no key of a broker gets into a child

_LIBC = ctypes.CDLL(None)


async def _at_once(_detail: str) -> None:
    """Nobody counts."""


class ServerInUse(SafetyRefusal):
    """Another live process owns the server's folder."""


class EmbeddedServer(ABC):
    """Base of the embedded servers. A subclass says how it is prepared, called, and when it is ready."""

    name = "server"
    stop_signal = signal.SIGTERM
    kill_signal = signal.SIGKILL
    death_signal = signal.SIGTERM
    passing_errors: tuple[str, ...] = ()
    """Words in the log that mean: the same start works a moment later."""

    def __init__(self, folder: Path, *, account: Account | None, start_seconds_max: float = START_SECONDS_MAX) -> None:
        self.folder = folder
        self.account = account
        self.sockets = folder
        self.log_path = folder / "server.log"
        self._start_seconds_max = start_seconds_max
        self._lock: IO[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self._deaths: deque[float] = deque()

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client connects to."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @abstractmethod
    async def prepare(self) -> None:
        """Make folders and files before the first start. Runs under the lock."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The foreground command line."""

    def environment(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    async def is_ready(self, pid: int) -> bool:
        """Whether the process with this pid answers now."""

    def orphans(self) -> list[int]:
        """Servers left on this folder by a process that was killed."""
        return [pid for pid in [self._remembered_pid()] if pid is not None]

    async def start(self) -> str:
        """Start the server and wait until it answers; returns its URL.

        Raises:
            ServerInUse: another process owns the folder.
            OperatorError: it cannot be started; the message holds the end of its log.
        """
        assert self._lock is None, "started already"
        self._is_stopping = False
        self._claim()
        try:
            await self.prepare()
            await self._launch()
        except BaseException:  # border: no process and no lock outlives a start that failed
            await self._end_process()
            self._unclaim()
            raise
        return self.url

    async def stop(self) -> None:
        """Stop the server in order, by force where it does not, and give the folder back."""
        self._is_stopping = True
        await self._end_process()
        self._unclaim()

    async def wait_died(self) -> str:
        """Return when the server's process has ended, saying how. Keeps its log short meanwhile."""
        assert self._process is not None, "not started"
        while True:
            try:
                async with asyncio.timeout(LOG_CHECK_PERIOD_S):
                    code = await self._process.wait()
            except TimeoutError:
                self._bound_log()
            else:
                return f"{self.name} ended ({how_it_ended(code)})"

    async def supervise(
        self,
        on_down: Callable[[str], None],
        on_up: Callable[[], None],
        wait_allowed: Callable[[str], Awaitable[None]] = _at_once,
        on_failed: Callable[[str], None] = lambda _detail: None,
    ) -> None:
        """Start the server again whenever it dies, until cancelled. After `stop` there is nothing left to watch.

        `wait_allowed` returns when it may be started again, `on_failed` is told of a start that did not succeed.

        Raises:
            TemporaryFailure: it died more than three times in five minutes, or does not come up again (exit 75).
        """
        while True:
            detail = await self.wait_died()
            if self._is_stopping:
                await asyncio.Event().wait()
            on_down(detail)
            await self._restart(detail, wait_allowed, on_failed)
            on_up()

    async def _restart(
        self, detail: str, wait_allowed: Callable[[str], Awaitable[None]], on_failed: Callable[[str], None]
    ) -> None:
        """Start again; a server that dies while it starts has died once more."""
        while True:
            self._count_death(detail)
            await wait_allowed(detail)
            try:
                await self._launch()
            except TemporaryFailure:
                raise
            except OperatorError as error:
                detail = error.message
                on_failed(detail)
                await self._end_process()
            else:
                return
            if self._is_stopping:
                await asyncio.Event().wait()

    def _count_death(self, detail: str) -> None:
        now_s = time.monotonic()
        while self._deaths and now_s - self._deaths[0] > RESTART_WINDOW_S:
            self._deaths.popleft()
        self._deaths.append(now_s)
        if len(self._deaths) > RESTARTS_MAX:
            raise TemporaryFailure(
                f"the embedded {self.name} died {len(self._deaths)} times within {RESTART_WINDOW_S:.0f} s: {detail}",
                fix=f"read {self.log_path}",
            )

    async def run_once(self, command: Sequence[str], *, timeout_s: float = COMMAND_SECONDS_MAX) -> None:
        """Run a helper of the server, as its account, to its end.

        Raises:
            OperatorError: it failed or took too long.
        """
        process = await self._spawn(command)
        try:
            async with asyncio.timeout(timeout_s):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            code = -signal.SIGKILL
        if code != 0:
            raise self._failure(f"{Path(command[0]).name} failed ({how_it_ended(code)})")

    async def _launch(self) -> None:
        give_up_s = time.monotonic() + self._start_seconds_max
        await self._end_orphans()
        while not self._is_stopping:
            self._bound_log()
            log_start = _size(self.log_path)
            process = self._process = await self._spawn(self.command())
            self._remember_pid(process.pid)
            if await self._wait_ready(process, give_up_s):
                return
            if process.returncode is None:
                raise self._failure(f"{self.name} does not answer within {self._start_seconds_max:.0f} s")
            said = self._log_tail(log_start)
            if not any(words in said for words in self.passing_errors) or time.monotonic() > give_up_s:
                raise self._failure(f"{self.name} does not start ({how_it_ended(process.returncode)})")
            await asyncio.sleep(RETRY_PERIOD_S)
        raise self._failure(f"{self.name} was stopped while it started")

    async def _wait_ready(self, process: asyncio.subprocess.Process, give_up_s: float) -> bool:
        while process.returncode is None and time.monotonic() < give_up_s:
            if await self.is_ready(process.pid):
                return True
            await asyncio.sleep(POLL_PERIOD_S)
        return False

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        with self.log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**ENVIRONMENT, **self.environment()},
                start_new_session=True,  # Ctrl-C is for us; we stop the server in order
                preexec_fn=_become(self.account, self.death_signal, os.getpid()),
            )

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for sign, seconds in (
            (self.stop_signal, STOP_SECONDS_MAX),
            (self.kill_signal, KILL_SECONDS_MAX),
            (signal.SIGKILL, KILL_SECONDS_MAX),
        ):
            if process.returncode is not None:
                break
            process.send_signal(sign)
            try:
                async with asyncio.timeout(seconds):
                    await process.wait()
            except TimeoutError:
                continue
        self._pid_path.unlink(missing_ok=True)

    async def _end_orphans(self) -> None:
        for sign, seconds in ((self.stop_signal, STOP_SECONDS_MAX), (self.kill_signal, KILL_SECONDS_MAX)):
            pids = self.orphans()
            for pid in pids:
                send_signal(pid, sign)
                send_signal(pid, signal.SIGCONT)  # a stopped process hears nothing until it goes on
            give_up_s = time.monotonic() + seconds
            # No event tells the end of a process that is not our child.
            while any(is_alive(pid) for pid in pids) and time.monotonic() < give_up_s:  # noqa: ASYNC110
                await asyncio.sleep(POLL_PERIOD_S)
        left = self.orphans()
        if left:
            raise TemporaryFailure(
                f"an earlier {self.name} (pid {left[0]}) still runs on {self.folder}", fix=f"end it: kill {left[0]}"
            )

    def _claim(self) -> None:
        path = self.folder.with_name(self.folder.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except OSError as error:
            raise OperatorError(
                f"{path} cannot be written: {error.strerror}",
                fix="give another --state-dir, or make this one writable",
                exit_code=ExitCode.CONFIGURATION,
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise ServerInUse(
                f"{self.folder} is in use by another process (pid {owner})",
                fix="stop that daemon, or use another --state-dir",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _unclaim(self) -> None:
        if self.sockets != self.folder:  # a short folder of its own; the next start makes it again
            with suppress(OSError):
                self.sockets.rmdir()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.truncate(0)
            lock.close()

    @property
    def _pid_path(self) -> Path:
        return self.folder.with_name(self.folder.name + ".pid")

    def _remember_pid(self, pid: int) -> None:
        self._pid_path.write_text(f"{pid} {started_ticks(pid)}\n", encoding="ascii")

    def _remembered_pid(self) -> int | None:
        """The pid of the last child, where that very process still lives."""
        try:
            pid, ticks = self._pid_path.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return None
        is_same = pid.isdigit() and is_alive(int(pid)) and str(started_ticks(int(pid))) == ticks
        return int(pid) if is_same else None

    def _bound_log(self) -> None:
        """Empty a log that grew too long; the server appends, so it goes on at the start."""
        if _size(self.log_path) > LOG_BYTES_MAX:
            os.truncate(self.log_path, 0)

    def _log_tail(self, start: int = 0) -> str:
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(start, _size(self.log_path) - LOG_TAIL_BYTES))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _failure(self, what: str) -> OperatorError:
        lines = self._log_tail().splitlines()[-3:]
        said = "; ".join(line.strip() for line in lines)
        return OperatorError(
            f"the embedded {what}" + (f": {said}" if said else ""),
            fix=f"read {self.log_path}",
            exit_code=ExitCode.TEMPORARY,
        )


def _become(account: Account | None, death_signal: int, parent: int) -> Callable[[], None]:
    """What the child does between fork and exec: drop privileges, then ask to die with its parent."""

    def become() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        os.umask(0o077)
        if _LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(127)

    return become


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
