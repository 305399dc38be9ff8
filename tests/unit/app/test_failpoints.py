"""`QTS_FAILPOINT`: who may ask for it, what it refuses, and that each action does what it says at its hit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.failpoints import install_failpoints, read_failpoints
from quant_trading_system.app.settings import load
from quant_trading_system.app.settings.layers import FAILPOINT_VARIABLE as VARIABLE
from quant_trading_system.core.errors import ConfigurationError, OperatorError
from quant_trading_system.core.failpoints import failpoint, install
from quant_trading_system.core.types import Mode

NAME = "gateway.after_intent_commit"
KEYS = {"QTS__BROKER__KEY_ID": "PK1", "QTS__BROKER__SECRET_KEY": "x"}
LOOPBACK = {
    "QTS__BROKER__TRADING_URL": "http://127.0.0.1:8090",
    "QTS__BROKER__DATA_URL": "http://127.0.0.1:8090",
    "QTS__BROKER__STREAM_URL": "ws://127.0.0.1:8090",
}


@pytest.fixture(autouse=True)
def without_a_hook() -> Iterator[None]:
    yield
    install(None)


def arm(text: str, folder: Path, mode: Mode = Mode.SIM, environ: dict[str, str] | None = None) -> str:
    armed = read_failpoints({VARIABLE: text}, mode)
    return install_failpoints(armed, load(mode, cwd=folder, environ=environ or {}).settings, mode)


def refusal(text: str, folder: Path, mode: Mode = Mode.SIM, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(OperatorError) as caught:
        arm(text, folder, mode, environ)
    assert caught.value.exit_code == 4
    assert caught.value.fix == f"unset {VARIABLE}"
    return caught.value.message


def test_unset_and_empty_ask_for_nothing(tmp_path):
    assert arm("", tmp_path) == ""
    failpoint(NAME)


def test_only_sim_and_paper_on_loopback_may_ask(tmp_path):
    assert arm(NAME, tmp_path).endswith(f"{NAME}:1=kill")
    assert arm(NAME, tmp_path, Mode.PAPER, {**KEYS, **LOOPBACK}).endswith(f"{NAME}:1=kill")
    assert "found mode paper" in refusal(NAME, tmp_path, Mode.PAPER, KEYS)
    for missing in LOOPBACK:
        some = {name: url for name, url in LOOPBACK.items() if name != missing}
        assert "all three URLs" in refusal(NAME, tmp_path, Mode.PAPER, {**KEYS, **some})
    assert "found mode live" in refusal(NAME, tmp_path, Mode.LIVE)


def test_it_is_taken_from_the_environment_and_refused_in_a_file(tmp_path):
    load(Mode.SIM, cwd=tmp_path, environ={VARIABLE: NAME})
    (tmp_path / ".env").write_text(f"{VARIABLE}={NAME}\n")
    with pytest.raises(ConfigurationError, match=VARIABLE):
        load(Mode.SIM, cwd=tmp_path, environ={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gateway.after_intent_comit", f"did you mean {NAME}?"),
        ("zzz", "docs/simulation.md lists them"),
        (f"{NAME}:0", "expected a count from 1"),
        (f"{NAME}:x", "expected a count from 1"),
        (f"{NAME}=explode", "expected one of kill, stop, error"),
        (f"{NAME}=sleep:-1", "expected seconds from 0"),
        (f"{NAME}=wall:nan", "expected seconds from -864000"),
        (f"{NAME},", "there is no failpoint ''"),
    ],
)
def test_what_it_does_not_know_is_refused_and_named(tmp_path, text, said):
    assert said in refusal(text, tmp_path)


def test_an_error_is_raised_at_its_hit_alone(tmp_path):
    arm(f"{NAME}:2=error", tmp_path)
    failpoint(NAME)
    failpoint("gateway.before_bytes")
    with pytest.raises(OSError, match=NAME):
        failpoint(NAME)
    failpoint(NAME)


def test_the_wall_clock_jumps_and_the_monotonic_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", time.time)  # put back afterwards
    monkeypatch.setattr(time, "time_ns", time.time_ns)
    arm(f"{NAME}=wall:-7200", tmp_path)
    clock, wall_s, mono_s = SystemClock(), time.time(), time.monotonic()
    failpoint(NAME)
    assert time.time() - wall_s == pytest.approx(-7200, abs=5)
    assert time.time_ns() / 1e9 - wall_s == pytest.approx(-7200, abs=5)
    assert clock.wall_ns() / 1e9 - wall_s == pytest.approx(-7200, abs=5)
    assert time.monotonic() - mono_s < 5


def test_a_sleep_holds_everything_up(tmp_path):
    arm(f"{NAME}=sleep:0.05", tmp_path)
    began_s = time.monotonic()
    failpoint(NAME)
    assert time.monotonic() - began_s >= 0.05


SCRIPT = """
import sys
from quant_trading_system.app.failpoints import read_failpoints, _hook
from quant_trading_system.core.failpoints import failpoint, install
from quant_trading_system.core.types import Mode
install(_hook(read_failpoints({"QTS_FAILPOINT": sys.argv[1]}, Mode.SIM)))
for _ in range(3):
    print("reached", flush=True)
    failpoint("gateway.before_bytes")
"""


def test_kill_ends_the_process_at_the_hit_without_any_clean_up():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, "gateway.before_bytes:2"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "reached\n" * 2)


def test_stop_halts_the_process_until_it_is_continued():
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, "gateway.before_bytes=stop"], stdout=subprocess.DEVNULL)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    child.send_signal(signal.SIGCONT)
    assert child.wait(30) == 0
