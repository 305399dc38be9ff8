"""The real daemon as a user starts it: how long until READY, and what it weighs with a hundred symbols."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import Bench, Goal, Unavailable
from benchmarks.children import ENVIRONMENT, ROOT, Shared, answer_of, own_python

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
WARM_SECONDS = 20.0  # 20 venue minutes at the default speed: bars, indicators and orders of all symbols
SYMBOLS = tuple(f"Q{first}{second}" for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJ")

FIRST = "trade, a new state directory"
LATER = "trade, the same directory again"
FIRST_FLOOR = "floor: initdb and start of PostgreSQL alone"
READY = r"(?m)^(READY) in "
LATER_FLOOR = "floor: start of PostgreSQL alone"


class Running:
    """A child process of ours, whose words are waited for."""

    def __init__(self, *arguments: str) -> None:
        self._log = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed together with the child
        command = [own_python(), "main.py", *arguments]
        self._started_s = time.monotonic()
        self.child = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=self._log, stderr=self._log)

    def wait_for(self, words: str) -> tuple[str, float]:
        """What the pattern's first group matched, and the seconds from the start until then."""
        while not (found := re.search(words, self._said())):
            if self.child.poll() is not None or time.monotonic() - self._started_s > READY_SECONDS_MAX:
                last = [line.strip()[:160] for line in self._said().splitlines() if line.strip()][-2:]
                raise Unavailable(f"no {words!r}: {' / '.join(last)}")
            time.sleep(0.01)
        return found[1], time.monotonic() - self._started_s

    def resident_mebibytes(self) -> float:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found, "the process lives"
        return int(found[1]) / 1_024

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self._log.close()

    def _said(self) -> str:
        return Path(self._log.name).read_text(errors="replace")


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    child = Running(*arguments)
    try:
        yield child
    finally:
        child.stop()


def ready_seconds(state: Path) -> float:
    with running("trade", "--mode", "sim", "--state-dir", str(state), "--http", "127.0.0.1:0") as daemon:
        return daemon.wait_for(READY)[1]


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder that an unprivileged database account can pass through."""
    with tempfile.TemporaryDirectory(prefix="qts") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "state"


class Starts:
    """Two starts on one directory are one measurement of two numbers."""

    def __init__(self) -> None:
        self._later_s: float | None = None

    def first(self) -> float:
        with state_folder() as state:
            first_s = ready_seconds(state)
            self._later_s = ready_seconds(state)
        return first_s

    def later(self) -> float:
        if self._later_s is None:
            raise Unavailable("the first start did not succeed")
        later_s, self._later_s = self._later_s, None
        return later_s


def memory() -> float:
    """The daemon's process alone: the exchange of a hundred symbols runs beside it."""
    with (
        state_folder() as state,
        running("exchange", "--listen", "127.0.0.1:0", "--symbols", ",".join(SYMBOLS)) as venue,
    ):
        url, _ = venue.wait_for(r"exchange at (http://[\d.:]+)")
        flags = ["--exchange", url, "--state-dir", str(state), "--http", "127.0.0.1:0"]
        with running("trade", "--mode", "sim", *flags) as daemon:
            daemon.wait_for(READY)
            time.sleep(WARM_SECONDS)
            return daemon.resident_mebibytes()


def benches() -> tuple[Bench, ...]:
    starts = Starts()
    servers = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.server_work"]))
    return (
        Bench(
            name="ready",
            title="From `trade` to READY, installation not counted",
            unit="s of wall",
            contenders={
                FIRST: starts.first,
                LATER: starts.later,
                FIRST_FLOOR: servers.measure("first_s"),
                LATER_FLOOR: servers.measure("later_s"),
            },
            goals=(
                Goal(says="the first time", of=FIRST, bound=8.0),
                Goal(says="after", of=LATER, bound=4.0),
            ),
        ),
        Bench(
            name="memory",
            title="Resident memory of the daemon's process, 100 symbols, 20 venue minutes",
            unit="MiB",
            contenders={"trade with 100 symbols": memory},
            goals=(Goal(says="resident memory", of="trade with 100 symbols", bound=250.0),),
            rounds=3,
        ),
    )
