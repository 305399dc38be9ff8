"""Work measured in a process of its own, so that one contender's imports and memory are not another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Measure, Unavailable

ROOT = Path(__file__).resolve().parents[1]
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
CHILD_SECONDS_MAX = 300

# What the reports compare is bytecode that was compiled at installation, and no proxy or broker setting of the shell.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith(("QTS__", "ALPACA", "APCA"))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    cpu_seconds: float
    peak_mebibytes: float


def usage_of(command: Sequence[str | Path]) -> Usage:
    """Run a command to its end; CPU of it and its children, and the peak of its resident memory."""
    child = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode != 0:
        raise Unavailable(f"exit code {child.returncode}: {last_line(said)}")
    return Usage(cpu_seconds=used.ru_utime + used.ru_stime, peak_mebibytes=used.ru_maxrss / 1024)


def answer_of(command: Sequence[str | Path]) -> dict[str, Any]:
    """Run a command that prints one JSON object, and return it."""
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=CHILD_SECONDS_MAX
    )
    if done.returncode != 0:
        raise Unavailable(f"exit code {done.returncode}: {last_line(done.stderr)}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@contextmanager
def feeding(module: str, *arguments: str) -> Iterator[int]:
    """A feeder in a process of its own, which prints its port and ends when its input is closed; yields the port."""
    command = [own_python(), "-m", module, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline())
        finally:
            child.stdin.close()
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()


class Shared:
    """Numbers that one run of some work answers together. Each of them takes part in the rounds by its name.

    A number that was handed out is not handed out again: the next request for it starts the next run.
    """

    def __init__(self, run: Callable[[], dict[str, Any]]) -> None:
        self._run = run
        self._waiting: dict[str, Any] = {}

    def measure(self, name: str) -> Measure:
        def take() -> float:
            if name not in self._waiting:
                self._waiting = self._run()
            return float(self._waiting.pop(name))

        return take


def own_python() -> str:
    return sys.executable


def peer_python() -> Path:
    """The interpreter of the peers' environment."""
    if not PEER_PYTHON.exists():
        raise Unavailable("the peers' environment is missing: run it by `make bench`")
    return PEER_PYTHON


def last_line(text: str) -> str:
    kept = [line for line in text.splitlines() if line.strip()]
    return kept[-1] if kept else "it said nothing"
