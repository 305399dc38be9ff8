"""A broker that nobody of the exchange's authors wrote, on a seeded schedule of bad days, against paper mode."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quant_trading_system.core.errors import ExitCode
from tests.support.daemon_process import DaemonProcess
from tests.support.hostile_broker.process import HostileBroker
from tests.support.stores import short_folder

CHAOS_S = 15.0
CHAOS_SECONDS_MAX = 60.0
QUIET_SECONDS_MAX = 60.0
READY_SECONDS_MAX = 90.0  # a rude broker answers the start, too
STARTS_MAX = 3
SILENCE_S = 3.0
SCHEDULES = int(os.environ.get("HOSTILE_SCHEDULES", "1"))
"""How many seeds are played; more than one takes a minute each."""
ENVIRON = {"QTS__DATA__SILENCE_SECONDS_MAX": str(SILENCE_S), "QTS__ORDERS__ENTRY_SECONDS_MAX": "4"}
WAITED_OUT = "data_login.connection_limit"
"""A feed that counts a dead connection is left alone for 90 s, as the real one asks: too long for here."""
NEEDS_A_PERSON = (
    "account.blocked",
    "submit.unknown_status",
    "trade_event.unknown_word",
    "trade_tick.starve",
    "data_tick.mute",
)
MUST_HAPPEN = {"account.blocked", "data_tick.mute", "trade_tick.starve"}
ALARMS = {
    "trade_tick.starve": ("stream_starved", "trade_updates_down"),
    "trade_tick.close_1000": ("trade_updates_down",),
    "trade_tick.abort": ("trade_updates_down",),
    "trade_tick.error_frame": ("trade_updates_down",),
    "data_tick.mute": ("market_data_down",),
    "data_tick.close": ("market_data_down",),
    "data_tick.slow_client": ("market_data_down",),
}
WHILE_IT_LASTS = {"account.blocked": ("account_blocked",)}
"""Over with the schedule: waited for before."""
NOTICED_SECONDS_MAX = 60.0
"""A mute stream is made anew by the silence, a starved one by the next order that it does not tell of."""


@contextmanager
def played(seed: int, *arguments: str, **environ: str) -> Iterator[tuple[HostileBroker, DaemonProcess, Path]]:
    with short_folder() as folder:
        broker = HostileBroker(folder, seed=seed, arguments=arguments)
        daemons: list[DaemonProcess] = []
        try:
            while not (daemons and is_up(daemons[-1])):
                assert len(daemons) < STARTS_MAX, daemons[-1].output[-4000:]
                daemons.append(broker.daemon(folder / "s", environ={**ENVIRON, **environ}))
            yield broker, daemons[-1], folder
        finally:
            for daemon in daemons:
                daemon.end()
            broker.end()


def is_up(daemon: DaemonProcess) -> bool:
    """Whether it became READY; else it ended for its service manager to start it again (exit 75)."""
    try:
        daemon.wait_for(lambda: daemon.get("status")["steps"][-1]["state"] == "ready", "READY", READY_SECONDS_MAX)
    except AssertionError:
        if daemon.popen.poll() != ExitCode.TEMPORARY:
            raise
        return False
    return True


def must_agree(broker: HostileBroker, daemon: DaemonProcess) -> None:
    """Positions, cash and executions are the broker's, to the cent and the share."""

    def agrees() -> bool:
        report, status = broker.report(), daemon.get("status")
        ours = {row["symbol"]: row["qty"] for row in daemon.get("positions")["positions"]}
        fills = daemon.get("fills?limit=500")["fills"]
        booked = sorted((row["order_id"], row["qty"], row["price"]) for row in fills)
        executed = sorted((row["order_id"], row["qty"], row["price"]) for row in report["executions"])
        return ours == report["positions"] and status["cash"] == report["cash"] and booked == executed

    daemon.wait_for(agrees, "books that agree with the broker's", QUIET_SECONDS_MAX)


def must_have_sent_nothing_twice(report: dict[str, Any], daemon: DaemonProcess) -> None:
    """Every POST of one id has the same bytes, one order came of it at most, and each id is a decision's."""
    differing = [name for name, bodies in report["posts"].items() if len(set(bodies)) > 1]
    doubled = [name for name, orders in report["accepted"].items() if len(orders) > 1]
    assert differing == doubled == []
    approved = [each for each in daemon.get("decisions?limit=500")["decisions"] if each["outcome"] == "approved"]
    decided = {each["client_order_id"] for each in approved}
    assert set(report["posts"]) <= decided
    assert len(decided) == len(approved)


def must_have_alarmed(report: dict[str, Any], daemon: DaemonProcess, alarms: Mapping[str, tuple[str, ...]]) -> None:
    """What went wrong with a stream stays so until it is noticed, also after the schedule is over."""

    def silent() -> list[str]:
        raised = {alert["code"] for alert in daemon.get("alerts?limit=500")["alerts"]}
        return [name for name in report["hostilities"] if name in alarms and not raised & set(alarms[name])]

    try:
        daemon.wait_for(lambda: not silent(), "every alarm", NOTICED_SECONDS_MAX)
    except AssertionError as error:
        raise AssertionError(f"no alarm was raised by {silent()}") from error


def must_be_sane(daemon: DaemonProcess, folder: Path) -> None:
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.output
    assert "Traceback" not in (folder / "hostile.log").read_text()


@pytest.mark.parametrize("seed", range(21, 21 + SCHEDULES))
@pytest.mark.fault("A2")
@pytest.mark.fault("C2")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I15")
@pytest.mark.invariant("I40")
def test_a_rude_broker_on_its_own_schedule_leaves_exact_books_and_nothing_sent_twice(seed: int):
    with played(seed, "--rude", "--boost", "2", "--without", WAITED_OUT) as (broker, daemon, folder):
        time.sleep(CHAOS_S)
        report = broker.report()
        assert report["hostilities"], "nothing went wrong, so nothing was shown"
        broker.calm()
        must_agree(broker, daemon)
        must_have_sent_nothing_twice(broker.report(), daemon)
        must_have_alarmed(report, daemon, ALARMS)
        must_be_sane(daemon, folder)


@pytest.mark.fault("A14")
@pytest.mark.fault("D1")
@pytest.mark.fault("C1")
@pytest.mark.invariant("I22")
def test_what_needs_a_person_raises_its_alarm_and_mends_what_can_be_mended():
    with played(5, "--only", ",".join(NEEDS_A_PERSON), "--boost", "20") as (broker, daemon, folder):
        daemon.wait_for(lambda: set(broker.report()["hostilities"]) >= MUST_HAPPEN, "all of it", CHAOS_SECONDS_MAX)
        must_have_alarmed(broker.report(), daemon, WHILE_IT_LASTS)
        broker.calm()
        must_have_alarmed(broker.report(), daemon, ALARMS)
        must_agree(broker, daemon)
        must_have_sent_nothing_twice(broker.report(), daemon)
        assert daemon.get("status")["healing"]["socket_cycle"]["used"] >= 1
        must_be_sane(daemon, folder)


@pytest.mark.fault("H1")
@pytest.mark.invariant("I33")
def test_a_wall_clock_that_jumps_two_days_and_comes_back_is_told_and_moves_no_venue_time():
    jumps = "reconciler.before_pass:3=wall:172800,reconciler.before_pass:4=wall:-172800"
    with played(3, "--only", "nothing", QTS_FAILPOINT=jumps) as (broker, daemon, folder):
        daemon.wait_for(
            lambda: daemon.has_alerted("trading_reducing", "clock_skew"), "the jump is told", NOTICED_SECONDS_MAX
        )
        daemon.wait_for(
            lambda: "; over, ends after" in clock_skew(daemon), "the clock right again", NOTICED_SECONDS_MAX
        )
        status = daemon.get("status")
        assert status["session"]["is_open_by_calendar"]
        assert status["venue_time"].startswith("2026-11-17")
        must_agree(broker, daemon)
        must_be_sane(daemon, folder)


def clock_skew(daemon: DaemonProcess) -> str:
    return "".join(each["detail"] for each in daemon.get("status")["causes"] if each["cause"] == "clock_skew")
