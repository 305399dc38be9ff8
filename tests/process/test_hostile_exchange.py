"""A sick exchange under the running daemon: trading pauses visibly or goes on, no order twice, books agree after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess, ExchangeProcess
from tests.support.stores import short_folder

SILENCE_S = 3.0
NOTICE_S = 15.0  # a second on a machine that does nothing else
RECONCILED_SECONDS_MAX = 35.0  # invariant I15: two periods of the grid and five seconds


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@contextmanager
def trading(folder: Path, *, seed: int) -> Iterator[tuple[ExchangeProcess, DaemonProcess]]:
    """An exchange of its own and a daemon on it that has traded."""
    exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", str(seed))
    environ = {"QTS__DATA__SILENCE_SECONDS_MAX": str(SILENCE_S)}
    daemon = DaemonProcess(folder / "s", "--exchange", exchange.url, environ=environ)
    try:
        daemon.wait_ready()
        daemon.wait_for(lambda: bool(daemon.get("fills")["fills"]), "a fill")
        yield exchange, daemon
    finally:
        daemon.end()
        exchange.end()


def must_have_no_double_order(daemon: DaemonProcess) -> None:
    """Every order at the broker has an id of its own, and is one of ours."""
    ids = [order["client_order_id"] for order in daemon.ledger()["orders"]]
    ours = {order["client_order_id"] for order in daemon.get("orders?limit=500&status=all")["orders"]}
    assert len(ids) == len(set(ids))
    assert set(ids) <= ours


@pytest.mark.fault("D1")
@pytest.mark.invariant("I22")
def test_a_feed_that_falls_mute_pauses_trading_in_time_and_trading_goes_on_after_it(folder):
    with trading(folder, seed=5) as (exchange, daemon):
        exchange.post("faults", {"faults": [{"kind": "mute_stream", "where": "stream:market_data"}]})
        daemon.wait_for(lambda: "feed_silent" in daemon.causes(), "REDUCING by the silent feed", SILENCE_S + NOTICE_S)
        assert daemon.state() == "REDUCING"
        exchange.post("faults", {"faults": []})
        daemon.wait_for(daemon.is_free, "free to trade again", 40.0)
        daemon.must_agree()
        assert daemon.stop() == 0


@pytest.mark.fault("D1")
@pytest.mark.fault("C2")
@pytest.mark.invariant("I15")
def test_streams_that_are_cut_and_refused_pause_trading_and_the_books_agree_after_it(folder):
    with trading(folder, seed=6) as (exchange, daemon):
        cut = [
            {"kind": "refuse_connect", "where": "stream:*"},
            {"kind": "disconnect_stream", "where": "stream:market_data", "count": 1},
            {"kind": "disconnect_stream", "where": "stream:trade_updates", "count": 1},
        ]
        exchange.post("faults", {"faults": cut})
        daemon.wait_for(
            lambda: not any(stream["is_up"] for stream in daemon.get("status")["streams"].values()), "both streams down"
        )
        daemon.wait_for(lambda: "feed_silent" in daemon.causes(), "REDUCING without feed", SILENCE_S + NOTICE_S)
        exchange.post("faults", {"faults": []})
        daemon.must_agree()
        must_have_no_double_order(daemon)
        assert daemon.stop() == 0


@pytest.mark.requirement("R132")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I15")
def test_reads_that_all_fail_pause_trading_until_a_pass_agreed_again(folder):
    with trading(folder, seed=7) as (exchange, daemon):
        exchange.post("faults", {"faults": [{"kind": "error_500", "where": "GET /v2/*"}]})
        daemon.wait_for(
            lambda: "broker_unreachable" in daemon.causes(), "REDUCING without reads", RECONCILED_SECONDS_MAX
        )
        assert daemon.state() == "REDUCING"
        exchange.post("faults", {"faults": []})
        daemon.wait_for(
            lambda: "broker_unreachable" not in daemon.causes(), "a pass that agreed", RECONCILED_SECONDS_MAX
        )
        daemon.must_agree()
        must_have_no_double_order(daemon)
        assert daemon.stop() == 0


@pytest.mark.fault("A2")
@pytest.mark.fault("A3")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I15")
def test_answers_to_orders_that_are_lost_cut_or_empty_never_send_an_order_twice(folder):
    with trading(folder, seed=8) as (exchange, daemon):
        kinds = ("accept_then_504", "truncated_body", "empty_body", "accept_then_drop")
        faults = [{"kind": kind, "where": "POST /v2/orders", "probability": 0.3} for kind in kinds]
        faults.append({"kind": "reorder", "where": "stream:trade_updates", "probability": 0.3})
        faults.append({"kind": "replay_frames", "where": "stream:trade_updates", "probability": 0.3})
        before = len(daemon.ledger()["orders"])
        exchange.post("faults", {"faults": faults, "seed": 9})
        daemon.wait_for(lambda: len(daemon.ledger()["orders"]) >= before + 5, "orders in spite of the faults")
        exchange.post("faults", {"faults": []})
        daemon.must_agree()
        daemon.wait_for(lambda: daemon.get("status")["unknown_orders"] == 0, "every fate known", RECONCILED_SECONDS_MAX)
        must_have_no_double_order(daemon)
        assert daemon.stop() == 0
