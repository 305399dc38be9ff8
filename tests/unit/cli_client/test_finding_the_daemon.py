"""How a verb finds its daemon, whom it trusts with the token, and what `kill` does when nobody answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from quant_trading_system.app.settings import state_directory
from quant_trading_system.cli.client import Client, Daemon, find, state_folders
from quant_trading_system.cli.control import control
from quant_trading_system.cli.root import cli
from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.types import Latch, Mode
from quant_trading_system.persistence.latch_file import LatchFile

DEAD_PID = 2**22 + 1  # above what Linux gives a process


def state(folder: Path, *, pid: int | None = None, http: str = "127.0.0.1:8080") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "daemon.json").write_text(json.dumps({"http": http, "pid": os.getpid() if pid is None else pid}))
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return tmp_path


@pytest.mark.parametrize("mode", ["sim", "paper", "live"])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_places_looked_at_are_those_the_daemon_uses(here, monkeypatch, mode, uid):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    expected = state_directory(Mode(mode), None, {})
    assert expected in [folder.absolute() for folder in state_folders(None, {})]
    assert state_folders(None, {"STATE_DIRECTORY": "/srv/a:/srv/b"}) == [
        state_directory(Mode(mode), None, {"STATE_DIRECTORY": "/srv/a:/srv/b"})
    ]


def test_the_one_daemon_that_runs_is_found(here):
    state(here / "state" / "paper", http="127.0.0.1:9001")
    state(here / "state" / "sim", pid=DEAD_PID)
    found = find(None, None, {})
    assert (found.host, found.port, found.pid) == ("127.0.0.1", 9001, os.getpid())


def test_between_two_daemons_nothing_is_guessed(here):
    state(here / "state" / "paper", http="127.0.0.1:9001")
    state(here / "state" / "live", http="127.0.0.1:9002")
    with pytest.raises(OperatorError, match="several daemons") as refused:
        find(None, None, {})
    assert refused.value.exit_code is ExitCode.USAGE
    assert find(None, here / "state" / "live", {}).port == 9002
    assert find("127.0.0.1:9001", None, {}).state_dir == Path("state/paper")


@pytest.mark.parametrize("made", [False, True])
def test_no_daemon_or_a_dead_one_is_exit_3(here, made):
    folder = here / "s"
    if made:
        state(folder, pid=DEAD_PID)
    with pytest.raises(OperatorError, match="no daemon runs") as refused:
        find(None, folder, {})
    assert refused.value.exit_code is ExitCode.NOT_RUNNING


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"http": "x", "pid": 1}', '{"pid": 1}', '{"http": "a:1", "pid": "x"}']
)
def test_a_damaged_daemon_file_is_named(here, text):
    (here / "daemon.json").write_text(text)
    with pytest.raises(OperatorError, match="is damaged") as refused:
        find(None, here, {})
    assert refused.value.exit_code is ExitCode.NOT_RUNNING


def test_an_address_needs_no_state_directory():
    assert find("[::1]:8081", None, {"STATE_DIRECTORY": "/nowhere"}) == Daemon(host="::1", port=8081)


def test_an_address_where_nobody_listens_is_exit_3():
    with pytest.raises(OperatorError, match="no daemon answers") as refused:
        Client(Daemon(host="127.0.0.1", port=1)).get("/api/v1/status")
    assert refused.value.exit_code is ExitCode.NOT_RUNNING


def test_a_command_without_a_token_is_exit_6(tmp_path):
    with pytest.raises(OperatorError, match="control token") as refused:
        Client(Daemon(host="127.0.0.1", port=1)).command("pause", {})
    assert refused.value.exit_code is ExitCode.BROKER
    with pytest.raises(OperatorError, match="cannot be read") as refused:
        Client(Daemon(host="127.0.0.1", port=1, state_dir=tmp_path)).command("pause", {})
    assert refused.value.exit_code is ExitCode.BROKER


# kill without a daemon


def test_kill_engages_the_latch_on_disk_when_the_daemon_is_down(here):
    state(here / "s", pid=DEAD_PID)
    done = CliRunner().invoke(control, ["kill", "--state-dir", "s", "--operator", "carol", "--reason", "smells wrong"])
    assert done.exit_code == 0
    assert LatchFile(here / "s" / "kill.latch").read()[0] is Latch.ENGAGED
    assert "engaged" in done.stdout
    assert "cancelled nothing" in done.stderr
    content = LatchFile(here / "s" / "kill.latch").read_content()
    assert content is not None
    assert (content.operator, content.reason) == ("carol", "smells wrong")


def test_kill_as_json_says_what_it_did_not_do(here):
    (here / "s").mkdir()
    done = CliRunner().invoke(control, ["kill", "--state-dir", "s", "--json"])
    answer = json.loads(done.stdout)
    assert answer["accepted"] is True
    assert "cancelled nothing" in answer["details"]["not_done"]


def test_kill_engages_every_state_directory_there_is(here):
    for mode in ("sim", "paper"):
        (here / "state" / mode).mkdir(parents=True)
    assert CliRunner().invoke(control, ["kill"]).exit_code == 0
    assert [LatchFile(here / "state" / mode / "kill.latch").read()[0] for mode in ("sim", "paper")] == [
        Latch.ENGAGED,
        Latch.ENGAGED,
    ]
    assert not (here / "state" / "live").exists()


def test_kill_with_nothing_to_latch_says_so(here):
    done = CliRunner().invoke(control, ["kill"])
    assert isinstance(done.exception, OperatorError)
    assert done.exception.exit_code is ExitCode.NOT_RUNNING
    assert "no state directory" in done.exception.message


# usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["control", "reset"],
        ["control", "reset", "--operator", "carol"],
        ["control", "unlock", "IBM"],
        ["control", "unlock", "--reason", "x"],
        ["control", "enable", "momentum"],
        ["control", "flatten"],
        ["why"],
        ["why", "IBM", "--at", "teatime"],
        ["why", "IBM", "--last", "0"],
        ["orders", "--limit", "0"],
        ["status", "--http", "nowhere"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_a_usage_error(here, arguments):
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == ExitCode.USAGE
    assert "Traceback" not in done.output


def test_an_order_id_with_odd_characters_or_a_time_is_refused(here):
    folder = str(state(here / "s"))
    for arguments in (
        ["why", "a/b?c=1 x", "--state-dir", folder],
        ["why", "qts-1", "--at", "2013-10-07", "--state-dir", folder],
    ):
        assert CliRunner().invoke(cli, arguments).exit_code == ExitCode.USAGE
