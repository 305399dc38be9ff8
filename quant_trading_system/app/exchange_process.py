"""The embedded exchange as a child process (mode sim). Decides when it is started anew, and when that is enough."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from quant_trading_system.core.errors import ExitCode, OperatorError, TemporaryFailure

START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 3.0
RESTARTS_MAX = 3
RESTART_WINDOW_S = 300.0
POLL_S = 0.02
LINES_SAID_MAX = 3
PR_SET_PDEATHSIG = 1


class ExchangeInfo(msgspec.Struct, frozen=True):
    """What the exchange writes about itself once it listens."""

    url: str
    pid: int


class ExchangeProcess:
    """Starts `main.py exchange` on a free port, keeps it alive, stops it. Its books lie in its own folder."""

    def __init__(self, folder: Path, arguments: Sequence[str], *, log: Path) -> None:
        self._folder = folder
        self._arguments = tuple(arguments)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._starts: list[float] = []
        self._log_begins_at = 0  # what earlier runs said is not this one's refusal
        self.url = ""

    async def start(self) -> str:
        """Start it and return its URL.

        Raises:
            OperatorError: it refused (its words and exit code are passed on), or did not listen in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        info_path = self._folder / "exchange.json"
        info_path.unlink(missing_ok=True)
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._log_begins_at = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "quant_trading_system.cli",
                "exchange",
                "--listen",
                listen,
                "--state-dir",
                str(self._folder),
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the daemon, which stops the exchange last
                preexec_fn=_die_with_parent,
                env=_environment(),
            )
        deadline_s = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline_s:
            if self._process.returncode is not None:
                raise self._refusal(self._process.returncode)
            if info_path.exists():
                info = msgspec.json.decode(info_path.read_bytes(), type=ExchangeInfo)
                if info.pid == self._process.pid:
                    self.url = info.url
                    return info.url
            await asyncio.sleep(POLL_S)
        await self.stop()
        raise TemporaryFailure(
            f"the embedded exchange did not listen within {START_SECONDS_MAX:.0f} s", fix=f"see {self._log}"
        )

    async def keep_alive(self, *, on_down: Callable[[str], None], on_up: Callable[[], None]) -> None:
        """Start it anew when it ends, at most three times in five minutes.

        Raises:
            TemporaryFailure: it ended a fourth time.
        """
        while True:
            assert self._process is not None, "started before it is kept alive"
            code = await self._process.wait()
            on_down(f"the embedded exchange ended with {code}")
            now_s = time.monotonic()
            self._starts = [at for at in self._starts if now_s - at < RESTART_WINDOW_S]
            if len(self._starts) >= RESTARTS_MAX:
                raise TemporaryFailure("the embedded exchange ended four times in five minutes", fix=f"see {self._log}")
            self._starts.append(now_s)
            await self.start()
            on_up()

    async def stop(self) -> None:
        """Ask it to stop, then make it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sign)
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await process.wait()
                    return
            except TimeoutError:
                continue

    def _refusal(self, code: int) -> OperatorError:
        text = self._log.read_bytes()[self._log_begins_at :].decode(errors="replace")
        lines = [line.strip().removeprefix("exchange: ") for line in text.splitlines() if line.strip()]
        said = " ".join(lines[-LINES_SAID_MAX:]) if lines else "no message"
        if code == ExitCode.CONFIGURATION:
            return OperatorError(f"the embedded exchange refused its world: {said}", exit_code=ExitCode.CONFIGURATION)
        return TemporaryFailure(f"the embedded exchange ended with {code}: {said}", fix=f"see {self._log}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment() -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("QTS__", "APCA_", "ALPACA_"))}
    root = str(Path(__file__).resolve().parents[2])
    keep["PYTHONPATH"] = os.pathsep.join(part for part in (root, keep.get("PYTHONPATH", "")) if part)
    return keep
