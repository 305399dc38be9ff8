"""Servers that die under the running daemon: what it does meanwhile, and that its books agree afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess, ExchangeProcess, find_child
from tests.support.stores import short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.fixture
def daemon(folder) -> Iterator[DaemonProcess]:
    started = DaemonProcess(folder / "s", "--speed", "240")
    try:
        started.wait_ready()
        started.wait_for(lambda: bool(started.get("fills")["fills"]), "a fill")
        yield started
    finally:
        started.end()


def has_counted(daemon: DaemonProcess, action: str) -> bool:
    """One outage is one re-opening: in the budget, in the metric that follows the audit trail."""
    line = f'qts_healing_actions_total{{action="{action}",outcome="done"}} 1.0'
    return daemon.get("status")["healing"][action]["used"] == 1 and line in daemon.metrics()


@pytest.mark.fault("F5")
@pytest.mark.invariant("I10")
def test_stores_that_die_once_too_often_halt_until_a_person_looks(folder):
    """Time-compressed: the budget of a day is one re-opening."""
    started = DaemonProcess(
        folder / "s", "--speed", "240", environ={"QTS__HEALING_ACTIONS_PER_DAY_MAX__STORE_REOPENINGS": "1"}
    )
    try:
        started.wait_ready()
        os.kill(find_child(started.pid, "valkey"), signal.SIGKILL)
        started.wait_for(lambda: has_counted(started, "store_reopening"), "Redis back", 40.0)
        os.kill(find_child(started.pid, "postgres"), signal.SIGKILL)
        started.wait_for(lambda: "healing_exhausted" in started.causes(), "HALTED", 40.0)
        assert started.state() == "HALTED"
        assert started.has_alerted("trading_halted", "healing_exhausted")
        with pytest.raises(AssertionError):
            find_child(started.pid, "postgres")
        assert {cause["cause"] for cause in started.get("status")["causes"] if cause["is_latched"]} == {
            "healing_exhausted"
        }
    finally:
        started.end()


@pytest.mark.fault("F5")
@pytest.mark.invariant("I10")
def test_without_postgres_nothing_new_is_sent_and_it_comes_back(daemon):
    os.kill(find_child(daemon.pid, "postgres"), signal.SIGKILL)
    daemon.wait_for(lambda: daemon.has_alerted("trading_halted", "database_down"), "HALTED without database")
    daemon.wait_for(lambda: "database_down" not in daemon.causes(), "the database back", 40.0)
    daemon.wait_for(lambda: has_counted(daemon, "store_reopening"), "the re-opening counted and audited", 20.0)
    daemon.must_agree()
    assert daemon.stop() == 0


@pytest.mark.fault("F7")
def test_without_redis_the_daemon_only_reduces_and_comes_back(daemon):
    os.kill(find_child(daemon.pid, "valkey"), signal.SIGKILL)
    daemon.wait_for(lambda: daemon.has_alerted("trading_reducing", "redis_down"), "REDUCING without Redis")
    daemon.wait_for(lambda: daemon.is_free(), "Redis back", 40.0)
    daemon.wait_for(lambda: has_counted(daemon, "store_reopening"), "the re-opening counted and audited", 20.0)
    daemon.must_agree()
    assert daemon.stop() == 0


@pytest.mark.fault("H2")
def test_a_machine_that_stood_still_for_longer_than_a_heartbeat_goes_on_with_books_that_agree(daemon):
    os.kill(daemon.pid, signal.SIGSTOP)
    time.sleep(12.0)  # the kernel's time, which no test can make virtual
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.must_agree()
    assert daemon.stop() == 0


@pytest.mark.fault("C2")
@pytest.mark.fault("G1")
@pytest.mark.invariant("I15")
def test_an_exchange_that_dies_and_returns_is_reconnected_and_the_books_agree(folder):
    exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "3")
    daemon = DaemonProcess(folder / "s", "--exchange", exchange.url)
    try:
        daemon.wait_ready()
        daemon.wait_for(lambda: bool(daemon.get("fills")["fills"]), "a fill")
        listen = exchange.url.removeprefix("http://")
        exchange.kill()
        daemon.wait_for(lambda: not daemon.get("status")["streams"]["trade_updates"]["is_up"], "the stream down")
        exchange = ExchangeProcess(folder / "exchange", "--speed", "240", listen=listen)
        daemon.wait_for(
            lambda: all(stream["is_up"] for stream in daemon.get("status")["streams"].values()),
            "both streams back",
            40.0,
        )
        daemon.must_agree()
        assert daemon.stop() == 0
    finally:
        daemon.end()
        exchange.end()


@pytest.mark.fault("A2")
@pytest.mark.fault("A3")
@pytest.mark.invariant("I2")
def test_lost_answers_and_errors_end_in_agreeing_books_without_a_double_order(folder):
    exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "4")
    daemon = DaemonProcess(folder / "s", "--exchange", exchange.url)
    try:
        daemon.wait_ready()
        faults = [
            {"kind": "accept_then_drop", "where": "POST /v2/orders", "probability": 0.3, "for_seconds": 3600},
            {"kind": "drop_before_accept", "where": "POST /v2/orders", "probability": 0.2, "for_seconds": 3600},
            {"kind": "error_500", "where": "GET /v2/*", "probability": 0.2, "for_seconds": 3600},
            {"kind": "drop_frame", "where": "stream:trade_updates", "probability": 0.2, "for_seconds": 3600},
        ]
        exchange.post("faults", {"faults": faults, "seed": 7})
        daemon.wait_for(lambda: len(daemon.get("fills")["fills"]) >= 3, "fills in spite of the faults", 40.0)
        exchange.post("faults", {"faults": [], "seed": 7})
        daemon.must_agree()
        ids = [order["client_order_id"] for order in daemon.ledger()["orders"]]
        assert len(ids) == len(set(ids))
        assert daemon.stop() == 0
    finally:
        daemon.end()
        exchange.end()
