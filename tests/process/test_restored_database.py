"""PostgreSQL taken back to an earlier day, or lost: the daemon finds it out, doubles nothing, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon_process import READY_SECONDS_MAX, DaemonProcess, ExchangeProcess, exchange_ledger
from tests.support.stores import Servers, short_folder

HOURS_25_S = 25 * 3_600
SESSION_SECONDS_MAX = 60.0  # of ours, in which the exchange plays the rest of a venue day


class Site:
    """One exchange and state directory, and whatever database a test points the daemon at."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder = folder
        self.servers = servers
        self.exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "3")
        self.daemons: list[DaemonProcess] = []

    def start(self, dsn: str, *flags: str, state: str = "s") -> DaemonProcess:
        daemon = DaemonProcess(
            self.folder / state,
            "--exchange",
            self.exchange.url,
            *flags,
            log=self.folder / f"{len(self.daemons)}.log",
            environ={"QTS__DATABASE__URL": dsn, "QTS__REDIS__URL": self.servers.valkey.url},
        )
        self.daemons.append(daemon)
        return daemon

    def trade(self, dsn: str, *, fills: int) -> DaemonProcess:
        """A daemon that has booked so many fills."""
        daemon = self.start(dsn).wait_ready()
        daemon.wait_for(lambda: len(daemon.get("fills?limit=500")["fills"]) >= fills, f"{fills} fills")
        return daemon

    def orders(self) -> list[dict[str, Any]]:
        return list(exchange_ledger(self.exchange.url)["orders"])

    def ids(self) -> list[str]:
        return [order["client_order_id"] for order in self.orders()]

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.end()
        self.exchange.end()


@pytest.fixture
def site(servers: Servers) -> Iterator[Site]:
    with short_folder() as folder:
        started = Site(folder, servers)
        try:
            yield started
        finally:
            started.end()


@pytest.mark.requirement("R037")
@pytest.mark.fault("F13")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I3")
@pytest.mark.invariant("I15")
@pytest.mark.invariant("I19")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("keeps_high_water", [True, False])
def test_a_database_of_yesterday_is_found_out_and_its_orders_are_taken_back(site, dsn, keeps_high_water):
    assert site.trade(dsn, fills=1).stop() == 0
    yesterday = site.servers.copy_database(dsn)
    daemon = site.trade(dsn, fills=3)
    token = daemon.get("status")["steps"][2]["detail"].partition("instance ")[2].split(" ")[0]
    daemon.wait_for(lambda: daemon.ask("control", "pause", "--reason", "a drill").returncode == 0, "a pause")
    daemon.wait_for(lambda: '"paused"' in (site.folder / "s" / "high-water").read_text(), "the halt kept", 10.0)
    daemon.kill()
    before = site.ids()
    if not keeps_high_water:
        (site.folder / "s" / "high-water").unlink()

    restored = site.start(yesterday).wait_ready()
    assert "the database was restored: " in restored.output
    if keeps_high_water:
        assert "its lease is of epoch 1, this directory led with epoch 2" in restored.output
        assert "paused" in restored.causes()
        assert restored.ask("control", "resume", "--reason", "over").returncode == 0
    epoch = restored.get("status")["steps"][2]["detail"].partition("epoch ")[2]
    assert not keeps_high_water or int(epoch) > 2  # which was taken before the restore, and is not taken twice
    restored.must_agree()
    restored.wait_for(lambda: len(site.ids()) > len(before), "a new order")
    ids = site.ids()
    assert all(not each.startswith(f"qts-{token}-") for each in ids if each not in before)
    assert len(ids) == len(set(ids))
    restored.must_know_every_fate()
    restored.must_agree()
    assert restored.stop() == 0

    again = site.start(yesterday).wait_ready()
    assert "the database was restored" not in again.output
    again.must_agree()
    assert again.stop() == 0


@pytest.mark.fault("F5")
@pytest.mark.fault("K1")
@pytest.mark.timeout(240)
def test_an_empty_database_is_refused_wherever_earlier_trading_shows(site, dsn, servers):
    first = site.trade(dsn, fills=1)
    assert first.stop() == 0
    known = site.start(servers.new_database())
    assert known.wait(READY_SECONDS_MAX) == 7
    assert "has traded with database instance" in known.output
    assert "this database is empty" in known.output

    fresh = site.start(servers.new_database(), "--adopt-account", state="fresh")
    assert fresh.wait(READY_SECONDS_MAX) == 7
    assert "were made by another database of this program, such as qts-" in fresh.output
    assert "wait 24 h" in fresh.output

    site.exchange.post("clock", {"step_seconds": HOURS_25_S}, seconds_max=SESSION_SECONDS_MAX)
    later = site.start(servers.new_database(), state="later")
    assert later.wait(READY_SECONDS_MAX) == 7
    assert "this database is empty" in later.output
    assert "--adopt-account begins anew" in later.output

    held = {row["symbol"]: row["qty"] for row in exchange_ledger(site.exchange.url)["positions"]}
    adopted = site.start(servers.new_database(), "--adopt-account", state="adopted").wait_ready()
    books = {row["symbol"]: row["qty"] for row in adopted.get("positions")["positions"]}
    assert held.items() <= books.items()
    assert held
    assert adopted.stop() == 0


@pytest.mark.fault("F10")
@pytest.mark.timeout(240)
def test_damaged_files_of_the_state_directory_are_said_and_stop_no_safe_start(site, dsn):
    state = site.folder / "s"
    assert site.trade(dsn, fills=1).stop() == 0
    mark = (state / "high-water").read_bytes()
    (state / "high-water").write_bytes(mark[:-20])
    daemon = site.start(dsn).wait_ready()
    assert f"the database was restored: {state / 'high-water'} is damaged" in daemon.output
    daemon.must_agree()
    assert daemon.stop() == 0

    token = (state / "instance").read_bytes()
    (state / "instance").write_bytes(token[:3])
    refused = site.start(dsn)
    assert refused.wait(READY_SECONDS_MAX) == 7
    assert "is damaged: expected the 8 characters" in refused.output
    (state / "instance").unlink()
    whole = site.start(dsn).wait_ready()
    assert (state / "instance").read_bytes() == token
    assert whole.stop() == 0
