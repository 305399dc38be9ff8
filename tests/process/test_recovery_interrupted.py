"""A start that dies, again and again: recovering five times half is recovering once; of many that race one leads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.daemon_process import READY_SECONDS_MAX, DaemonProcess, exchange_ledger
from tests.support.shared_site import SharedSite
from tests.support.stores import Servers, short_folder

DEATHS = ("lease.after_take", "recovery.after_load", "recovery.after_survey", "first_pass.before", "first_pass.after")
PAIRS = 4


@pytest.fixture
def site(dsn: str, servers: Servers) -> Iterator[SharedSite]:
    with short_folder() as folder:
        started = SharedSite(folder, dsn, servers.valkey.url)
        try:
            yield started
        finally:
            started.end()


@pytest.mark.fault("F3")
@pytest.mark.fault("F1")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I30")
@pytest.mark.timeout(240)
def test_five_deaths_during_recovery_end_like_one_recovery(site: SharedSite):
    first = site.start("a").wait_ready()
    first.wait_for(lambda: len(first.get("fills")["fills"]) >= 2, "two fills")
    first.kill()
    for number, name in enumerate(DEATHS):
        dying = site.start("a", environ={"QTS_FAILPOINT": name}, log=f"dying-{number}.log")
        assert dying.wait(READY_SECONDS_MAX) == -9, f"{name}: {dying.output[-2000:]}"
        assert "READY in" not in dying.output
    heir = site.start("a", log="heir.log").wait_ready()
    heir.must_agree()
    ids = [order["client_order_id"] for order in exchange_ledger(site.exchange.url)["orders"]]
    assert len(ids) == len(set(ids))
    heir.must_know_every_fate()
    assert "the database was restored" not in heir.output
    assert heir.stop() == 0


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
@pytest.mark.timeout(240)
def test_of_two_that_start_at_once_one_leads_and_the_other_ends_with_exit_code_7(site: SharedSite):
    for number in range(PAIRS):
        pair = [site.start(name, log=f"{name}-{number}.log") for name in ("a", "b")]
        deadline_s = time.monotonic() + 30.0
        while all(each.popen.poll() is None for each in pair) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        ended = [each for each in pair if each.popen.poll() is not None]
        assert [each.popen.poll() for each in ended] == [7], [each.output[-1000:] for each in pair]
        assert "another daemon" in ended[0].output
        (leader,) = (each for each in pair if each is not ended[0])
        leader.wait_for(partial(_leads, leader), "leading")
        leader.kill()


def _leads(daemon: DaemonProcess) -> bool:
    return bool(daemon.get("status")["steps"][4]["state"] == "ready")
