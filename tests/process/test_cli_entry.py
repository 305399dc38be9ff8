"""The entry point as a shell meets it: quick help, no heavy import, an environment that is found or named."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from quant_trading_system.cli.root import VERBS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("aiohttp", "sqlalchemy", "numpy", "pydantic", "redis", "asyncpg", "alembic", "talib", "structlog", "rich")
HELP_CPU_SECONDS_MAX = 0.3
WITHOUT_HEAVY = f"""
import sys
from quant_trading_system.cli.root import run
try:
    run(sys.argv[1:])
finally:
    sys.stderr.write(repr([name for name in {HEAVY!r} if name in sys.modules]))
"""


def command(*arguments: str, cwd: Path = ROOT, python: str = sys.executable, **environ: str):
    return subprocess.run(
        [python, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_loads_nothing_heavy(verb):
    found = command("-c", WITHOUT_HEAVY, *verb.split(), "--help")
    assert found.returncode == 0
    assert found.stdout.startswith("Usage: alphatrade")
    assert found.stderr == "[]"


def test_help_takes_less_than_three_tenths_of_a_second_of_cpu():
    def children_cpu_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    costs = []
    for _ in range(3):
        before = children_cpu_s()
        assert command("main.py", "--help").returncode == 0
        costs.append(children_cpu_s() - before)
    assert min(costs) <= HELP_CPU_SECONDS_MAX


def test_main_hands_over_to_the_environment_beside_it(tmp_path):
    shutil.copy(ROOT / "main.py", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "handed over: $2 $3"\n')
    python.chmod(0o755)
    found = command(str(tmp_path / "main.py"), "status", "--json")
    assert (found.returncode, found.stdout) == (0, "handed over: status --json\n")


@pytest.mark.parametrize("damage", ["cannot be run", "is no environment", "is missing"])
def test_a_damaged_environment_is_named_and_never_entered_for_ever(damage, tmp_path):
    shutil.copy(ROOT / "main.py", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    if damage != "is missing":
        python.parent.mkdir(parents=True)
        python.write_text(
            "not a program" if damage == "cannot be run" else f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'
        )
        python.chmod(0o755)
    found = command("-S", str(tmp_path / "main.py"), "--help")
    assert found.returncode == 4
    assert "make run" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_reader_that_leaves_is_no_error():
    shell = f"{sys.executable} main.py config schema | head -c 1; exit $?"
    found = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.fault("K3")
def test_a_wrong_configuration_is_refused_by_the_shell_s_exit_code(tmp_path):
    found = command(str(ROOT / "main.py"), "trade", cwd=tmp_path, QTS__RISK__POSITIONS_MAX="0")
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr.endswith(": risk.positions_max: 0 is below its floor 1\n")
    assert found.stderr.count("\n") == 1


@pytest.mark.requirement("R215")
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_probe_exits_by_what_livez_says(status, code):
    class Livez(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Livez) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        listen = f"127.0.0.1:{server.server_address[1]}"
        found = command("-m", "quant_trading_system.cli.probe", QTS__HTTP__LISTEN=listen)
        thread.join(timeout=10)
    assert (found.returncode, found.stdout, found.stderr) == (code, "", "")
