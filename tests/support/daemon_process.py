"""Real processes for tests: the daemon and the exchange as a user starts them, found by what they print and answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 40.0
STOP_SECONDS_MAX = 30.0  # three times what is promised; tests of the promise say so themselves
FATE_SECONDS_MAX = 120.0  # sixty of quarantine, two passes of fifteen, and a slow machine
POLL_S = 0.1
BUSY_TRIES = 20  # the daemon limits requests a second; a test that asks too often waits
HTTP_SECONDS_MAX = 5.0


SLOW_MACHINE = {
    "QTS__RISK__LOOP_LAG_SECONDS_MAX": "1.0",
    "QTS__RISK__COMMIT_P99_SECONDS_MAX": "1.0",
    "QTS__RISK__QUIET_SECONDS": "60",
}
"""Ceilings of the health limits, and the least time for which one keeps a daemon from trading."""
CAUSES_OF_THE_MACHINE = frozenset({"loop_lag", "commit_latency"})
HELD_UP_SECONDS_MAX = 90.0
"""So much longer a test waits for a daemon that its busy machine keeps from trading."""


class Process:
    """A child whose output goes to a file; killed with its group when the test ends."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        environ: dict[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.log = log
        with log.open("ab") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, *launcher, str(ROOT / "main.py"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=ROOT,
                env={**os.environ, **SLOW_MACHINE, **(environ or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait(self, seconds_max: float) -> int:
        try:
            return self.popen.wait(seconds_max)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds_max} s:\n{self.output[-4000:]}") from None

    def stop(self, seconds_max: float = STOP_SECONDS_MAX) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds_max)

    def kill(self) -> None:
        """`kill -9`, as a crash."""
        self.popen.kill()
        self.popen.wait(10)

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)


class DaemonProcess(Process):
    """`trade`, with its HTTP interface."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        log: Path | None = None,
        environ: dict[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.state_dir = state_dir
        super().__init__(
            ["trade", "--state-dir", str(state_dir), "--http", "127.0.0.1:0", *arguments],
            log=log or state_dir.parent / f"{state_dir.name}.log",
            environ=environ,
            launcher=launcher,
        )

    def wait_ready(self) -> DaemonProcess:
        self.wait_for(lambda: self.get("status")["steps"][-1]["state"] == "ready", "READY", READY_SECONDS_MAX)
        return self

    def get(self, path: str) -> dict[str, Any]:
        """GET /api/v1/<path>."""
        address = json.loads((self.state_dir / "daemon.json").read_text())
        assert address["pid"] == self.pid, "the address is an earlier daemon's"
        for _ in range(BUSY_TRIES):
            try:
                with urllib.request.urlopen(
                    f"http://{address['http']}/api/v1/{path}", timeout=HTTP_SECONDS_MAX
                ) as answer:
                    found: dict[str, Any] = json.loads(answer.read())
                    return found
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise
                time.sleep(POLL_S)
        raise AssertionError(f"the daemon is too busy for GET {path}")

    def metrics(self) -> str:
        """GET /metrics."""
        address = json.loads((self.state_dir / "daemon.json").read_text())
        with urllib.request.urlopen(f"http://{address['http']}/metrics", timeout=HTTP_SECONDS_MAX) as answer:
            return str(answer.read().decode())

    def state(self) -> str:
        return str(self.get("status")["trading_state"])

    def is_free(self) -> bool:
        """Whether nothing keeps it from trading but the machine it runs on."""
        return self.causes() <= CAUSES_OF_THE_MACHINE

    def causes(self) -> set[str]:
        return {cause["cause"] for cause in self.get("status")["causes"]}

    def has_alerted(self, code: str, word: str) -> bool:
        """Whether an alert of this code, with this word in its text, went out since the start."""
        return any(alert["code"] == code and word in alert["text"] for alert in self.get("alerts")["alerts"])

    def ledger(self) -> dict[str, Any]:
        """The exchange's own books."""
        return exchange_ledger(str(self.get("status")["exchange_url"]))

    def wait_for(self, is_so: Callable[[], bool], what: str, seconds_max: float = 30.0) -> None:
        """Ask again and again until it is so; a daemon that ends meanwhile fails the test with its output."""
        deadline_s = time.monotonic() + seconds_max
        last_s = deadline_s + HELD_UP_SECONDS_MAX
        last = ""
        while time.monotonic() < (deadline_s if not self._is_held_up(deadline_s) else last_s):
            code = self.popen.poll()
            assert code is None, f"ended with {code} while waiting for {what}:\n{self.output[-4000:]}"
            try:
                if is_so():
                    return
            except (OSError, KeyError, IndexError, ValueError, AssertionError, urllib.error.URLError) as error:
                last = repr(error)
            time.sleep(POLL_S)
        raise AssertionError(f"not within {seconds_max} s: {what} ({last})\n{self.output[-4000:]}")

    def must_know_every_fate(self) -> None:
        """No order is UNKNOWN any more: one whose intent alone outlived a death is absent after its quarantine."""
        self.wait_for(lambda: self.get("status")["unknown_orders"] == 0, "every fate known", FATE_SECONDS_MAX)

    def _is_held_up(self, deadline_s: float) -> bool:
        """Whether the time is over, and the machine was too slow to let it trade."""
        if time.monotonic() < deadline_s:
            return False
        try:
            return bool(self.causes() & CAUSES_OF_THE_MACHINE)
        except (OSError, KeyError, ValueError, AssertionError):
            return False

    def must_agree(self) -> None:
        """Cash, positions and executions equal the exchange's ledger at one quiet moment."""

        def agrees() -> bool:
            ledger = self.ledger()
            status = self.get("status")
            ours = {row["symbol"]: row["qty"] for row in self.get("positions")["positions"]}
            theirs = {row["symbol"]: row["qty"] for row in ledger["positions"]}
            fills = self.get("fills?limit=500")["fills"]
            return status["cash"] == ledger["cash"] and ours == theirs and len(fills) == len(ledger["executions"])

        self.wait_for(agrees, "books that agree with the exchange's ledger", 35.0)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another verb against this daemon."""
        return run_verb(*arguments, "--state-dir", str(self.state_dir))


class ExchangeProcess(Process):
    """`exchange`, with its books in a folder, so that it can be killed and started again."""

    def __init__(self, folder: Path, *arguments: str, listen: str = "127.0.0.1:0") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "exchange.json").unlink(missing_ok=True)
        super().__init__(
            ["exchange", "--state-dir", str(folder), "--listen", listen, *arguments],
            log=folder.parent / f"{folder.name}.log",
        )
        deadline_s = time.monotonic() + READY_SECONDS_MAX
        while not (folder / "exchange.json").exists():
            assert self.popen.poll() is None, self.output
            assert time.monotonic() < deadline_s, f"does not listen: {self.output}"
            time.sleep(POLL_S)
        self.url = str(json.loads((folder / "exchange.json").read_text())["url"])

    def post(self, path: str, body: object, *, seconds_max: float = HTTP_SECONDS_MAX) -> dict[str, Any]:
        """POST /simulator/v1/<path>."""
        request = urllib.request.Request(
            f"{self.url}/simulator/v1/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=seconds_max) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


def exchange_ledger(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/simulator/v1/ledger", timeout=HTTP_SECONDS_MAX) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def run_verb(
    *arguments: str, environ: dict[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        check=False,
    )


def child_pids(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def find_child(pid: int, word: str) -> int:
    """The child whose command holds `word`."""
    for child in child_pids(pid):
        command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if word in command:
            return child
    raise AssertionError(f"process {pid} has no child with {word!r}")
