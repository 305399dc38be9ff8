"""The daemon as a user runs it: it starts, trades, stops in order, and goes on where it stopped."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess, ExchangeProcess, run_verb
from tests.support.stores import short_folder

FAST = ("--speed", "240")  # a venue minute in a quarter of a second


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.fixture
def daemons() -> Iterator[list[DaemonProcess]]:
    started: list[DaemonProcess] = []
    yield started
    for daemon in started:
        daemon.end()


def has_filled(daemon: DaemonProcess, count: int = 1) -> bool:
    return len(daemon.get("fills")["fills"]) >= count


def count_buys(daemon: DaemonProcess) -> int:
    """Orders that raise exposure; what only reduces it may pass in every state."""
    return sum(1 for order in daemon.ledger()["orders"] if order["side"] == "buy")


@pytest.mark.requirement("R031")
@pytest.mark.requirement("R149")
@pytest.mark.requirement("R219")
@pytest.mark.fault("F6")
def test_a_first_run_trades_stops_in_order_and_the_next_run_goes_on(folder, daemons):
    state = folder / "s"
    report = folder / "report.json"
    first = DaemonProcess(state, *FAST, "--output", str(report))
    daemons.append(first)
    first.wait_ready()
    assert [step["state"] for step in first.get("status")["steps"]] == ["ready"] * 8
    first.wait_for(lambda: has_filled(first, 3), "three fills")
    first.must_agree()
    asked_s = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - asked_s < 10.0
    said = json.loads(report.read_text())
    assert said["unknown_orders"] == 0
    assert said["fills"] >= 3

    second = DaemonProcess(state, *FAST, log=folder / "second.log")
    daemons.append(second)
    second.wait_ready()
    assert second.get("status")["account"] == said["account"]
    assert len(second.get("fills?limit=500")["fills"]) >= said["fills"]
    assert second.get("account")["equity"] is not None
    second.must_agree()
    assert second.stop() == 0


@pytest.mark.fault("H7")
def test_ctrl_c_stops_in_order_within_ten_seconds(folder, daemons):
    daemon = DaemonProcess(folder / "s", *FAST)
    daemons.append(daemon)
    daemon.wait_ready()
    daemon.signal(signal.SIGINT)
    assert daemon.wait(10.0) == 0
    assert "stopping: Ctrl-C" in daemon.output


@pytest.mark.fault("F1")
@pytest.mark.invariant("I2")
def test_after_kill_9_the_next_run_finds_what_happened_meanwhile_and_sends_nothing_twice(folder, daemons):
    exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "3")
    try:
        state = folder / "s"
        first = DaemonProcess(state, "--exchange", exchange.url)
        daemons.append(first)
        first.wait_ready()
        first.wait_for(lambda: has_filled(first, 2), "two fills")
        first.kill()
        second = DaemonProcess(state, "--exchange", exchange.url, log=folder / "second.log")
        daemons.append(second)
        second.wait_ready()
        second.must_agree()
        ids = [order["client_order_id"] for order in second.ledger()["orders"]]
        assert len(ids) == len(set(ids))
        second.must_know_every_fate()
        assert second.stop() == 0
    finally:
        exchange.end()


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
def test_a_second_daemon_on_the_same_state_directory_is_refused_with_exit_code_7(folder, daemons):
    daemon = DaemonProcess(folder / "s", *FAST)
    daemons.append(daemon)
    daemon.wait_ready()
    second = run_verb("trade", "--state-dir", str(folder / "s"), "--http", "127.0.0.1:0")
    assert second.returncode == 7
    assert "another daemon uses the state directory" in second.stderr
    assert daemon.popen.poll() is None


def test_an_old_world_goes_on_and_refuses_other_values_with_exit_code_4(folder, daemons):
    daemon = DaemonProcess(folder / "s", *FAST, "--seed", "5")
    daemons.append(daemon)
    daemon.wait_ready()
    assert daemon.stop() == 0
    other = run_verb("trade", "--state-dir", str(folder / "s"), "--http", "127.0.0.1:0", "--seed", "6")
    assert other.returncode == 4
    assert "seed" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.requirement("R043")
@pytest.mark.requirement("R044")
@pytest.mark.requirement("R055")
@pytest.mark.control("P1")
def test_a_touched_kill_file_cancels_and_blocks_and_survives_a_restart(folder, daemons):
    state = folder / "s"
    daemon = DaemonProcess(state, *FAST)
    daemons.append(daemon)
    daemon.wait_ready()
    daemon.wait_for(lambda: has_filled(daemon), "a fill")
    (state / "KILL").touch()
    daemon.wait_for(lambda: daemon.state() == "HALTED" and "kill" in daemon.causes(), "HALTED by kill")
    daemon.wait_for(lambda: not daemon.get("orders")["orders"], "no open order")
    bought = count_buys(daemon)
    time.sleep(3.0)  # twelve venue minutes in which strategies go on wanting to trade
    assert count_buys(daemon) == bought
    daemon.kill()
    (state / "KILL").unlink()
    again = DaemonProcess(state, *FAST, log=folder / "again.log")
    daemons.append(again)
    again.wait_ready()
    assert again.state() == "HALTED"
    assert "kill" in again.causes()
    refused = again.ask("control", "reset", "--operator", "alice", "--reason", "")
    assert refused.returncode != 0
    again.wait_for(
        lambda: again.ask("control", "reset", "--operator", "alice", "--reason", "drill is over").returncode == 0,
        "an accepted reset",
    )
    again.wait_for(again.is_free, "free to trade after the reset")
    assert again.stop() == 0


@pytest.mark.requirement("R039")
def test_systemd_is_told_ready_status_watchdog_and_stopping(folder, daemons):
    address = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(address))
        server.settimeout(30.0)
        environ = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        daemon = DaemonProcess(folder / "s", *FAST, environ=environ)
        daemons.append(daemon)
        heard = ""
        while not ("READY=1" in heard and "WATCHDOG=1" in heard and re.search("· (ACTIVE|REDUCING) ·", heard)):
            heard += server.recv(4096).decode() + "\n"
        daemon.signal(signal.SIGTERM)
        while "STOPPING=1" not in heard:
            heard += server.recv(4096).decode() + "\n"
        assert daemon.wait(10.0) == 0
