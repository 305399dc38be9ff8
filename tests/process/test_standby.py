"""Two daemons, one database: one trades, the other waits and follows; a former leader changes nothing any more."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import READY_SECONDS_MAX, DaemonProcess, exchange_ledger, run_verb
from tests.support.shared_site import SPEED, SharedSite, resting_flags
from tests.support.stores import Servers, short_folder

TAKE_OVER_SECONDS_MAX = 10.0
HTTP_SECONDS_MAX = 5.0
RESTS_S = 10.0  # half of what the daemon lets an entry rest


@pytest.fixture
def pair(dsn: str, servers: Servers) -> Iterator[SharedSite]:
    with short_folder() as folder:
        started = SharedSite(folder, dsn, servers.valkey.url)
        try:
            yield started
        finally:
            started.end()


@pytest.fixture
def resting_pair(dsn: str, servers: Servers) -> Iterator[SharedSite]:
    """At this exchange every order rests for a while."""
    with short_folder() as folder:
        started = SharedSite(folder, dsn, servers.valkey.url, *resting_flags(RESTS_S))
        try:
            yield started
        finally:
            started.end()


def probe(daemon: DaemonProcess, path: str) -> tuple[int, str]:
    """Status and text of a plain GET."""
    address = json.loads((daemon.state_dir / "daemon.json").read_text())["http"]
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=HTTP_SECONDS_MAX) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def stands_by(daemon: DaemonProcess) -> bool:
    return bool(daemon.get("status")["trading_state"] == "STANDBY")


def rests_an_order(pair: SharedSite) -> bool:
    """Whether the exchange has an open order."""
    return any(row["status"] in ("new", "accepted") for row in exchange_ledger(pair.exchange.url)["orders"])


def is_stopped(daemon: DaemonProcess) -> bool:
    return Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def has_filled(daemon: DaemonProcess, count: int = 1) -> Callable[[], bool]:
    return lambda: len(daemon.get("fills")["fills"]) >= count


def test_a_standby_without_a_database_to_share_is_refused_by_name_of_the_rule(tmp_path):
    refused = run_verb("trade", "--standby", "--state-dir", str(tmp_path / "s"), "--http", "127.0.0.1:0")
    assert refused.returncode == 4
    assert "trade.is_standby: --standby needs a database that both daemons share: set database.url" in refused.stderr
    assert "in mode sim it needs an exchange" in refused.stderr


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
def test_a_second_daemon_of_another_state_directory_ends_with_exit_code_7_and_names_the_holder(pair):
    first = pair.start("a").wait_ready()
    second = pair.start("b")
    assert second.wait(READY_SECONDS_MAX) == 7
    assert f"another daemon trades with this database: pid {first.pid} on {socket.gethostname()}" in second.output
    assert pair.proxies[1].requests() == []
    assert first.stop() == 0


@pytest.mark.fault("F1")
@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
@pytest.mark.invariant("I2")
def test_a_standby_waits_without_touching_the_broker_and_trades_within_ten_seconds_of_the_leaders_death(pair):
    leader = pair.start("a").wait_ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = pair.folder / "notify"
        notify.bind(str(address))
        notify.settimeout(10.0)
        environ = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        standby = pair.start("b", "--standby", environ=environ)
        standby.wait_for(lambda: stands_by(standby), "standing by")
        heard = ""
        while not ("READY=1\nSTATUS=standby: waits for pid" in heard and "WATCHDOG=1" in heard):
            heard += notify.recv(4096).decode() + "\n"
    assert probe(standby, "/livez") == (200, "ok")
    assert probe(standby, "/readyz") == (503, "not ready: standby")
    assert f"pid {leader.pid}" in probe(standby, "/readyz?verbose")[1]
    assert "qts_standby 1.0" in probe(standby, "/metrics")[1]
    leader.wait_for(has_filled(leader, 2), "fills")
    assert pair.proxies[1].requests() == []

    leader.kill()
    died_s = time.monotonic()
    standby.wait_ready()
    assert time.monotonic() - died_s < TAKE_OVER_SECONDS_MAX
    assert standby.get("status")["kill_latch"]["state"] == "CLEAR"
    assert "qts_standby 0.0" in probe(standby, "/metrics")[1]
    fills = len(standby.get("fills?limit=500")["fills"])
    standby.wait_for(has_filled(standby, fills + 1), "a fill of its own")
    standby.must_agree()
    ids = [order["client_order_id"] for order in exchange_ledger(pair.exchange.url)["orders"]]
    assert len(ids) == len(set(ids))
    assert standby.stop() == 0


@pytest.mark.fault("K2")
@pytest.mark.fault("H2")
@pytest.mark.invariant("I25")
@pytest.mark.timeout(240)
def test_a_leader_that_stood_still_past_its_lease_sends_nothing_more_that_changes_anything(resting_pair):
    leader = resting_pair.start("a").wait_ready()
    standby = resting_pair.start("b", "--standby")
    standby.wait_for(lambda: stands_by(standby), "standing by")
    leader.wait_for(lambda: rests_an_order(resting_pair), "an order that rests", 60.0)
    resting_pair.exchange.post("clock", {"speed": 0.001})  # so that it goes on resting
    assert rests_an_order(resting_pair)
    os.kill(leader.pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    standby.wait_for(lambda: standby.get("status")["steps"][4]["state"] == "ready", "reconciled by the standby")
    assert time.monotonic() - stopped_s < 20.0  # the lease's 10 s, and 10 more
    os.kill(leader.pid, signal.SIGCONT)
    assert leader.wait(READY_SECONDS_MAX) == 7
    resting_pair.exchange.post("clock", {"speed": SPEED})
    assert resting_pair.proxies[0].changes(after_s=stopped_s + 1.0) == []
    assert f"the lease was lost: another daemon trades with this database: pid {standby.pid}" in leader.output
    assert resting_pair.proxies[0].changes()
    standby.must_agree()
    assert standby.stop() == 0


@pytest.mark.fault("K2")
@pytest.mark.invariant("I1")
@pytest.mark.invariant("I25")
@pytest.mark.timeout(240)
def test_a_leader_that_stood_still_between_its_intent_and_the_first_byte_never_writes_it(pair):
    leader = pair.start("a", environ={"QTS_FAILPOINT": "gateway.after_intent_commit:2=stop"}).wait_ready()
    standby = pair.start("b", "--standby")
    standby.wait_for(lambda: stands_by(standby) and is_stopped(leader), "a leader that stands still", 60.0)
    stopped_s = time.monotonic()
    standby.wait_for(lambda: standby.get("status")["steps"][4]["state"] == "ready", "reconciled by the standby")
    assert standby.get("status")["unknown_orders"] >= 1  # an intent is asked about until it is known to be absent
    assert standby.stop() == 0
    os.kill(leader.pid, signal.SIGCONT)  # nobody holds the lease now, but what this one knows is old
    assert leader.wait(READY_SECONDS_MAX) == 7
    assert "the lease was lost: another daemon led meanwhile" in leader.output
    assert pair.proxies[0].changes(after_s=stopped_s) == []


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
@pytest.mark.timeout(240)
def test_of_two_standbys_exactly_one_follows(pair):
    leader = pair.start("a").wait_ready()
    standbys = [pair.start(name, "--standby") for name in ("b", "c")]
    for each in standbys:
        each.wait_for(lambda each=each: stands_by(each), "standing by")
    leader.kill()
    deadline_s = time.monotonic() + TAKE_OVER_SECONDS_MAX
    led: list[DaemonProcess] = []
    while not led and time.monotonic() < deadline_s:
        time.sleep(0.2)
        led = [each for each in standbys if not stands_by(each)]
    assert len(led) == 1
    led[0].wait_ready()
    (waiting,) = (each for each in standbys if each is not led[0])
    waiting.wait_for(lambda: f"pid {led[0].pid}" in probe(waiting, "/readyz?verbose")[1], "the new leader's name")
    assert pair.proxies[standbys.index(waiting) + 1].requests() == []
    assert waiting.stop() == 0
    assert led[0].stop() == 0
