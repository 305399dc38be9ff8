"""The hostile broker as a process, and a daemon in paper mode that is played against it, both in one session's time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.daemon_process import ROOT, DaemonProcess
from tests.support.hostile_broker.desk import KEYS

SESSION = datetime(2026, 11, 17, 15, 30, tzinfo=UTC)  # a Tuesday, 10:30 in New York
SPEED = 60.0
START_SECONDS_MAX = 15.0
ASK_SECONDS_MAX = 5.0


class HostileBroker:
    """Started with a seed; ended with the test."""

    def __init__(self, folder: Path, *, seed: int, arguments: tuple[str, ...] = ()) -> None:
        self.start_ns, self.real_ns = int(SESSION.timestamp() * 1e9), time.time_ns()
        port_file = folder / "hostile.port"
        self.log = folder / "hostile.log"
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "tests.support.hostile_broker", "--port-file", str(port_file),
                    "--seed", str(seed), "--start-ns", str(self.start_ns), "--real-ns", str(self.real_ns),
                    "--speed", str(SPEED), *arguments,
                ],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=ROOT,
            )  # fmt: skip
        deadline_s = time.monotonic() + START_SECONDS_MAX
        while not port_file.exists():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline_s, self.log.read_text()
            time.sleep(0.05)
        self.url = f"http://127.0.0.1:{port_file.read_text()}"

    def daemon(self, state_dir: Path, *arguments: str, environ: dict[str, str] | None = None) -> DaemonProcess:
        """`trade --mode paper` against this broker."""
        return DaemonProcess(
            state_dir,
            "--mode",
            "paper",
            *arguments,
            environ={
                "QTS__BROKER__KEY_ID": KEYS[0],
                "QTS__BROKER__SECRET_KEY": KEYS[1],
                "QTS__BROKER__TRADING_URL": self.url,
                "QTS__BROKER__DATA_URL": self.url,
                "QTS__BROKER__STREAM_URL": self.url.replace("http", "ws", 1),
                **(environ or {}),
            },
            launcher=(str(ROOT / "tests/support/run_at.py"), str(self.start_ns), str(self.real_ns), str(SPEED)),
        )

    def report(self) -> dict[str, Any]:
        """The broker's own books, and what it was asked."""
        with urllib.request.urlopen(f"{self.url}/hostile/report", timeout=ASK_SECONDS_MAX) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def calm(self) -> None:
        """From now on a good day."""
        request = urllib.request.Request(f"{self.url}/hostile/calm", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=ASK_SECONDS_MAX).close()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(10)
