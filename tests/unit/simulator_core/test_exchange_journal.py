"""A killed exchange goes on with the same books, the same open orders and the same venue time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal, JournalError
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.requests import OrderChange
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, NEVER_PARTIAL, OPEN_NS, Floor, buy, sell


@pytest.fixture
def path(tmp_path):
    return tmp_path / "exchange.journal"


def killed(floor, path):
    """Another exchange on what the first one left on disk, which was neither told nor closed."""
    again = Floor.__new__(Floor)
    again.market = ScriptedMarket(("AAPL", "MSFT", "SPY"), start_ns=floor.exchange.now_ns, last_close=100.0)
    again.exchange = Exchange(settings=floor.exchange.settings, market=again.market, journal=Journal(path))
    again.events = []
    return again


def story(exchange):
    return [
        (order.id, order.client_order_id, order.status, order.filled_qty, order.limit_price)
        for order in exchange.orders(OrderQuery(status="all", limit=500, direction="asc"))
    ]


def test_nothing_that_was_answered_is_lost_by_a_kill(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    resting = floor.submit(sell(type="limit", limit_price="120", qty="4", client_order_id="resting"))
    floor.wait(25)
    fresh = floor.submit(buy("MSFT", type="limit", limit_price="90", time_in_force="gtc"))
    again = killed(floor, path)
    assert again.exchange.ledger()["hash"] == floor.exchange.ledger()["hash"]
    assert story(again.exchange) == story(floor.exchange)
    assert again.exchange.now_ns == floor.exchange.now_ns
    assert again.exchange.position("AAPL").qty_available == 6
    again.wait()
    assert again.exchange.order(fresh.id).status == "new"
    again.quote(120.50, 120.60)
    assert again.exchange.order(resting.id).status == "filled"
    again.exchange.ledger()


def test_ids_go_on_where_they_were(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    again = killed(floor, path)
    again.quote(99.99, 100.01)
    again.submit(sell(qty="10"))
    again.wait()
    executions = again.exchange.ledger()["executions"]
    assert isinstance(executions, list)
    assert len({row["execution_id"] for row in executions}) == 2
    assert [event.sequence for event in again.events] == [4, 5, 6]


def test_requests_on_their_way_arrive_after_the_restart(path):
    floor = Floor(journal=Journal(path))
    cancelled = floor.submit(buy(type="limit", limit_price="90"))
    replaced = floor.submit(buy("MSFT", type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.cancel(cancelled.id)
    new = floor.exchange.replace(replaced.id, OrderChange.from_body({"limit_price": "91"}))
    again = killed(floor, path)
    again.wait()
    found = {order_id: status for order_id, _, status, _, _ in story(again.exchange)}
    assert found == {cancelled.id: "canceled", replaced.id: "replaced", new.id: "new"}


def test_yesterdays_close_is_remembered(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    floor.trade(105.0)
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    again = killed(floor, path)
    account = again.exchange.account()
    assert account.last_equity == D("100049.9")
    assert account.last_maintenance_margin == D(315)


def test_venue_time_without_orders_falls_back_by_ten_seconds_at_most(path):
    floor = Floor(journal=Journal(path))
    for _ in range(120):
        floor.wait(1)
    again = killed(floor, path)
    assert 0 <= floor.exchange.now_ns - again.exchange.now_ns <= 10 * NANOS_PER_SECOND


@pytest.mark.parametrize("lost_bytes", [1, 7, 60])
def test_a_torn_last_batch_is_cut_off_and_what_came_before_stands(path, lost_bytes):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    whole = path.read_bytes()
    floor.submit(buy("MSFT", type="limit", limit_price="90"))
    torn = path.read_bytes()[:-lost_bytes]
    path.write_bytes(torn)
    again = killed(floor, path)
    assert again.exchange.position("AAPL").qty == 10
    assert again.exchange.orders() == []
    assert path.read_bytes() == whole
    again.submit(buy("MSFT", type="limit", limit_price="90"))
    assert len(killed(again, path).exchange.orders()) == 1


def test_damage_before_good_records_is_refused_with_its_line(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"AAPL", b"APPL", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match="line 3: damaged"):
        Journal(path)


@pytest.mark.parametrize(
    ("change", "name"), [({"seed": 9}, "seed"), ({"cash": D(5)}, "cash"), ({"start_ns": OPEN_NS + 1}, "start_ns")]
)
def test_the_journal_of_another_world_is_refused(path, change, name):
    Floor(journal=Journal(path))
    with pytest.raises(JournalError, match=f"made with {name}"):
        Exchange(
            settings=replace(NEVER_PARTIAL, **change),
            market=ScriptedMarket(("AAPL",), start_ns=OPEN_NS),
            journal=Journal(path),
        )


def test_a_session_that_ended_unwritten_is_ended_again(path):
    floor = Floor(journal=Journal(path))
    order = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    before = path.read_bytes()
    floor.until(CLOSE_NS)
    path.write_bytes(before)  # killed before the batch of the close was written
    again = killed(floor, path)
    assert again.exchange.order(order.id).status == "new"
    again.until(CLOSE_NS)
    assert again.exchange.order(order.id).status == "expired"


def test_every_order_event_is_known_after_a_kill_word_for_word(path):
    floor = Floor(journal=Journal(path))
    floor.submit(buy())
    order = floor.submit(buy("MSFT", type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.replace(order.id, OrderChange(limit_price=D(91)))
    floor.wait()
    floor.exchange.cancel_all()
    floor.wait()
    assert [event.event for event in floor.events][-3:] == ["replaced", "new", "canceled"]
    again = killed(floor, path)
    assert list(again.exchange.restored_events) == floor.events


def test_an_event_of_the_past_keeps_the_order_as_it_was_then(path):
    floor = Floor(journal=Journal(path))
    order = floor.submit(buy(type="limit", limit_price="90"))
    again = killed(floor, path)
    again.wait()
    assert again.exchange.order(order.id).status == "new"
    assert [event.order.status for event in again.exchange.restored_events] == ["pending_new"]
