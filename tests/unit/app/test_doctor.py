"""The doctor finds what is wrong, names the fix, and starts nothing."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from quant_trading_system.cli.doctor import doctor
from quant_trading_system.persistence.latch_file import FILE_NAME, LatchFile


def examine(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the verb as a script would and return its findings by name."""
    tmp_path.chmod(0o711)
    state = ("--state-dir", str(tmp_path / "state"))
    result = CliRunner().invoke(doctor, ["--json", *state, *arguments])
    findings = json.loads(result.stdout)["findings"]
    return result.exit_code, {finding["name"]: finding for finding in findings}


@pytest.fixture
def free_listen() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.requirement("R027")
def test_a_port_in_use_fails_with_its_fix(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, findings = examine(tmp_path, "--http", f"127.0.0.1:{other.getsockname()[1]}")
    assert code == 4
    assert findings["port"]["verdict"] == "fail"
    assert "--http" in findings["port"]["fix"]


def test_paper_without_keys_fails_and_says_which_variables(tmp_path, free_listen):
    code, findings = examine(tmp_path, "--mode", "paper", "--http", free_listen)
    assert code == 4
    assert "APCA_API_KEY_ID" in findings["settings"]["found"]


def test_a_server_named_by_url_that_does_not_answer_fails_without_showing_its_password(
    tmp_path, free_listen, monkeypatch
):
    monkeypatch.setenv("QTS__DATABASE__URL", "postgresql://me:hunter2@127.0.0.1:1/none")
    code, findings = examine(tmp_path, "--http", free_listen)
    assert code == 4
    assert findings["database"]["verdict"] == "fail"
    assert "hunter2" not in json.dumps(findings)


@pytest.mark.requirement("R033")
def test_an_engaged_kill_latch_is_shown_with_who_and_why(tmp_path, free_listen):
    state = tmp_path / "state"
    state.mkdir()
    LatchFile(state / FILE_NAME).engage("alice", "fat finger")
    _code, findings = examine(tmp_path, "--http", free_listen)
    assert findings["kill latch"]["verdict"] == "warn"
    assert "alice: fat finger" in findings["kill latch"]["found"]


def test_a_state_directory_that_is_a_file_fails(tmp_path, free_listen):
    (tmp_path / "state").write_text("not a folder")
    result = CliRunner().invoke(doctor, ["--json", "--state-dir", str(tmp_path / "state" / "s"), "--http", free_listen])
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 4
    assert findings["state directory"]["verdict"] == "fail"
