"""Tasks of the running daemon that end, raise or hang: found, stopped for, or started again, within limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import ROOT, DaemonProcess
from tests.support.stores import short_folder

FOUND_SECONDS_MAX = 60.0  # a start on a busy machine, eight sound seconds, ten of silence


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


def daemon_with(folder: Path, broken: str) -> DaemonProcess:
    launcher = (str(ROOT / "tests/support/break_tasks.py"), broken)
    return DaemonProcess(folder / "s", "--speed", "240", launcher=launcher)


def healed(daemon: DaemonProcess, action: str) -> int:
    return int(daemon.get("status")["healing"][action]["used"])


@pytest.mark.fault("H3")
@pytest.mark.invariant("I26")
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("reconciler:hangs", "task reconciler ended: TimeoutError('no heartbeat"),
        ("order-gateway:raises", "task order-gateway ended: Broken('for the test')"),
    ],
)
def test_a_critical_task_that_breaks_ends_the_daemon_in_order_and_says_which(folder: Path, broken: str, says: str):
    daemon = daemon_with(folder, broken)
    try:
        assert daemon.wait(FOUND_SECONDS_MAX) == 75
        assert says in daemon.output
        assert "Traceback" not in daemon.output
    finally:
        daemon.end()


@pytest.mark.fault("H3")
@pytest.mark.invariant("I26")
@pytest.mark.invariant("I6")
def test_other_tasks_are_started_again_three_times_and_the_fourth_needs_a_person(folder: Path):
    daemon = daemon_with(folder, "live-state:ends,tape:raises,venue-clock:hangs,redis-watch:hangs")
    try:
        daemon.wait_ready()
        daemon.wait_for(lambda: healed(daemon, "task_restart") == 3, "three restarts", FOUND_SECONDS_MAX)
        daemon.wait_for(lambda: "healing_exhausted" in daemon.causes(), "HALTED", FOUND_SECONDS_MAX)
        assert daemon.state() == "HALTED"
        assert daemon.has_alerted("trading_halted", "healing_exhausted")
        sent = len(daemon.ledger()["orders"])
        seen = len(refusals(daemon))
        daemon.wait_for(lambda: len(refusals(daemon)) > seen, "an order that the gate refuses", FOUND_SECONDS_MAX)
        assert buys(daemon, sent) == []
        daemon.must_agree()
        assert daemon.stop() == 0
    finally:
        daemon.end()


def refusals(daemon: DaemonProcess) -> list[str]:
    decisions = daemon.get("decisions?limit=500")["decisions"]
    return [each["reason"] for each in decisions if "trading state is HALTED" in each["reason"]]


def buys(daemon: DaemonProcess, sent: int) -> list[str]:
    """Orders that add risk and reached the exchange after the first `sent`."""
    return [order["client_order_id"] for order in daemon.ledger()["orders"][sent:] if order["side"] == "buy"]
