"""The verbs against the real HTTP interface: what they print, what they exit with."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from quant_trading_system.cli.client import Client, Daemon
from quant_trading_system.cli.root import cli
from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.types import Latch
from quant_trading_system.dashboard.routes import make_app
from quant_trading_system.dashboard.serve import serving
from quant_trading_system.persistence.latch_file import LatchFile
from tests.unit.dashboard.builders import HALT, TOKEN, FakePort, Step, view

SECONDS_MAX = 20


def asked(folder: Path, scenario: Callable[[Callable[..., Result]], None], port: FakePort, **answers: Any) -> None:
    """Serve `port`, write what the daemon writes into `folder`, and let `scenario` run verbs against it."""

    async def run() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            async with serving(make_app(port, token=answers.get("token", TOKEN)), host="127.0.0.1", port=0) as number:
                pid = answers.get("pid", os.getpid())
                (folder / "daemon.json").write_text(json.dumps({"http": f"127.0.0.1:{number}", "pid": pid}))
                (folder / "control.token").write_text(TOKEN + "\n")
                await asyncio.to_thread(scenario, lambda *words: _invoke(folder, *words))

    asyncio.run(run())


def _invoke(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--state-dir", str(folder)])


def exit_code(result: Result) -> int:
    return int(result.exception.exit_code) if isinstance(result.exception, OperatorError) else result.exit_code


@pytest.mark.requirement("R220")
def test_status_shows_mode_state_and_money(tmp_path):
    def scenario(verb):
        shown = verb("status")
        assert shown.exit_code == 0, shown.output
        for word in ("SIM · SYNTHETIC", "ACTIVE", "100,250.25 USD", "2013-10-07 10:30:00 New York", "CLEAR", "AIG"):
            assert word in shown.stdout
        assert json.loads(verb("status", "--json").stdout)["trading_state"] == "ACTIVE"

    asked(tmp_path, scenario, FakePort())


def test_status_shows_causes_and_the_steps_of_a_start(tmp_path):
    def scenario(verb):
        assert "daily_loss_hard" in verb("status").stdout

    def starting(verb):
        shown = verb("status").stdout
        assert "STARTING" in shown
        assert "Broker" in shown

    asked(tmp_path, scenario, FakePort(now=view(causes=(HALT,))))
    asked(tmp_path, starting, FakePort(now=None, steps=(Step(), Step(5, "Broker", 0.0, "starting"))))


@pytest.mark.requirement("R220")
def test_positions_and_orders_are_tables(tmp_path):
    def scenario(verb):
        positions = verb("positions").stdout.splitlines()
        assert positions[0].split()[:3] == ["Symbol", "Shares", "Average"]
        assert "momentum 120, mean_reversion -20" in positions[1]
        assert "PARTIAL" in verb("orders").stdout
        assert "FILLED" in verb("orders", "--all").stdout
        assert json.loads(verb("orders", "--all", "--json").stdout)["orders"][0]["symbol"] == "IBM"

    asked(tmp_path, scenario, FakePort())


def test_nothing_held_is_talk_and_no_data(tmp_path):
    def scenario(verb):
        for name in ("positions", "orders"):
            shown = verb(name)
            assert (shown.exit_code, shown.stdout) == (0, "")
            assert shown.stderr

    asked(tmp_path, scenario, FakePort(now=view(positions=(), open_orders=())))


def test_why_a_symbol_names_every_control_with_number_and_limit(tmp_path):
    port = FakePort()

    def scenario(verb):
        shown = verb("why", "spy", "--at", "2013-10-07T10:31").stdout
        assert "SPY  momentum: REFUSED" in shown
        assert "P15 price available: no quote" in shown
        assert "rsi 61.5" in shown
        refused, passed = (line for line in shown.splitlines() if line.startswith(("NO", "ok")))
        assert refused.split()[:2] == ["NO", "P15"]
        assert passed.split()[:2] == ["ok", "P1"]

    asked(tmp_path, scenario, port)
    assert port.asked_decisions[0]["symbol"] == "SPY"


def test_why_a_symbol_without_decisions_says_what_is_known(tmp_path):
    def scenario(verb):
        shown = verb("why", "AIG")
        assert shown.exit_code == 0
        assert "AIG is locked: drift seen twice" in shown.stderr
        assert "momentum does not trade AIG" in shown.stderr

    asked(tmp_path, scenario, FakePort())


def test_why_an_order_tells_its_story_to_the_fill(tmp_path):
    def scenario(verb):
        shown = verb("why", "qts-1").stdout
        for word in ("momentum: REFUSED", "buy 100 IBM limit 187.55 day", "FILLED", "0.53", "momentum 100", "stream"):
            assert word in shown
        assert exit_code(verb("why", "qts-99")) == ExitCode.USAGE

    asked(tmp_path, scenario, FakePort())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["pause", "--cancel", "--reason", "lunch", "--operator", "carol"],
            ("pause", "carol", "lunch", {"cancel": "true"}),
        ),
        (["resume", "--operator", "carol"], ("resume", "carol", "", {})),
        (["cancel-all", "--operator", "carol"], ("cancel-all", "carol", "", {})),
        (["kill", "--operator", "carol"], ("kill", "carol", "control kill", {})),
        (["reset", "--operator", "carol", "--reason", "agrees"], ("reset", "carol", "agrees", {})),
        (["unlock", "ibm", "--operator", "c", "--reason", "ok"], ("unlock", "c", "ok", {"symbol": "IBM"})),
        (["enable", "momentum", "--operator", "c", "--reason", "ok"], ("enable", "c", "ok", {"strategy": "momentum"})),
    ],
    ids=lambda value: value[0],
)
def test_control_reaches_the_engine_with_who_and_why(tmp_path, words, expected):
    port = FakePort()

    def scenario(verb):
        done = verb("control", *words)
        assert done.exit_code == 0, done.output
        assert f"{words[0]} done" in done.stdout

    asked(tmp_path, scenario, port)
    assert port.asked == [expected]


def test_limits_and_locks_are_tables(tmp_path):
    def scenario(verb):
        assert "25 %" in verb("control", "limits").stdout
        assert "drift seen twice" in verb("control", "locks").stdout
        assert json.loads(verb("control", "limits", "--json").stdout)["limits"][0]["control"] == "P29"

    asked(tmp_path, scenario, FakePort())


def test_a_refusal_is_exit_7_with_the_engines_words(tmp_path):
    def scenario(verb):
        done = verb("control", "reset", "--operator", "c", "--reason", "x")
        assert exit_code(done) == ExitCode.SAFETY
        assert "no clean reconciliation" in str(done.exception)

    asked(tmp_path, scenario, FakePort(refuses="no clean reconciliation"))


def test_a_wrong_token_is_exit_6(tmp_path):
    def scenario(verb):
        assert exit_code(verb("control", "pause")) == ExitCode.BROKER

    asked(tmp_path, scenario, FakePort(), token="another token of thirty-two letters")


def test_a_daemon_that_starts_is_exit_75_for_what_needs_its_engine(tmp_path):
    def scenario(verb):
        assert exit_code(verb("positions")) == ExitCode.TEMPORARY
        assert exit_code(verb("control", "pause")) == ExitCode.TEMPORARY

    asked(tmp_path, scenario, FakePort(now=None, is_ready=False))


def test_the_token_is_not_sent_to_a_process_the_state_directory_does_not_name(tmp_path):
    port = FakePort()

    def scenario(verb):
        done = verb("control", "pause")
        assert exit_code(done) == ExitCode.SAFETY
        assert "daemon.json names" in str(done.exception)

    asked(tmp_path, scenario, port, pid=os.getppid())
    assert port.asked == []


def test_an_engine_that_is_stuck_leaves_kill_the_latch_on_disk(tmp_path):
    def scenario(verb):
        done = verb("control", "kill", "--reason", "stuck")
        assert done.exit_code == 0
        assert "cancelled nothing" in done.stderr

    asked(tmp_path, scenario, FakePort(is_ready=False))
    assert LatchFile(tmp_path / "kill.latch").read()[0] is Latch.ENGAGED


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", ExitCode.NOT_RUNNING),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ExitCode.NOT_RUNNING),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ExitCode.NOT_RUNNING),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", ExitCode.NOT_RUNNING),
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}", ExitCode.UNEXPECTED),
        (None, ExitCode.TIMEOUT),
    ],
)
def test_whatever_answers_there_no_traceback_comes_of_it(answer, code):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        asked_for = threading.Event()

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4_096)
                if answer is None:
                    asked_for.wait(5)
                else:
                    connection.sendall(answer)

        server = threading.Thread(target=answer_once)
        server.start()
        try:
            with pytest.raises(OperatorError) as failed:
                Client(Daemon(host="127.0.0.1", port=number), timeout_s=0.3).get("/api/v1/status")
        finally:
            asked_for.set()
            server.join(5)
    assert failed.value.exit_code is code


def test_asking_imports_nothing_heavy():
    code = (
        "import sys; import quant_trading_system.cli.status, quant_trading_system.cli.control;"
        "heavy = {'aiohttp', 'sqlalchemy', 'numpy', 'pydantic', 'rich', 'prometheus_client'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
