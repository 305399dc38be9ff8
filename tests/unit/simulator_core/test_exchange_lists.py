"""Lists of orders and activities as clients filter and page them."""

from __future__ import annotations

import pytest

from quant_trading_system.simulator.activities import ActivityQuery, FillActivity
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from tests.unit.simulator_core.desk_script import OPEN_NS, Floor, buy, sell


@pytest.fixture
def floor():
    """Three open buys, one a second, then a filled one."""
    floor = Floor()
    for symbol in ("AAPL", "MSFT", "SPY"):
        floor.submit(buy(symbol, type="limit", limit_price="90", client_order_id=symbol))
        floor.wait()
    floor.submit(buy(client_order_id="filled"))
    floor.wait()
    return floor


def names(floor, **query):
    return [order.client_order_id for order in floor.exchange.orders(OrderQuery(**query))]


def test_open_orders_come_newest_first_unless_asked_otherwise(floor):
    assert names(floor) == ["SPY", "MSFT", "AAPL"]
    assert names(floor, direction="asc") == ["AAPL", "MSFT", "SPY"]
    assert names(floor, status="closed") == ["filled"]
    assert names(floor, status="all", limit=2) == ["filled", "SPY"]


def test_orders_are_filtered_by_symbol_side_time_and_neighbour(floor):
    middle = floor.exchange.order_by_client_id("MSFT")
    assert names(floor, symbols=("AAPL", "SPY")) == ["SPY", "AAPL"]
    assert names(floor, side="sell") == []
    assert names(floor, after_ns=middle.submitted_at_ns) == ["SPY"]
    assert names(floor, until_ns=middle.submitted_at_ns) == ["AAPL"]
    assert names(floor, after_order_id=middle.id) == ["SPY"]
    assert names(floor, before_order_id=middle.id) == ["AAPL"]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "some"},
        {"limit": 0},
        {"limit": 501},
        {"direction": "up"},
        {"side": "both"},
        {"before_order_id": "a", "after_order_id": "b"},
        {"before_order_id": "a", "after_ns": 1},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(floor, query):
    with pytest.raises(Refusal) as caught:
        floor.exchange.orders(OrderQuery(**query))
    assert caught.value.http_status == 422


def test_activities_are_paged_by_the_id_of_the_last_one():
    floor = Floor()
    for _ in range(3):
        floor.hold(1)
    floor.submit(sell(qty="3"))
    floor.wait()
    seen, token = [], None
    while page := floor.exchange.activities(ActivityQuery(page_size=2, page_token=token, direction="asc")):
        seen += [activity.execution.sequence for activity in page if isinstance(activity, FillActivity)]
        token = page[-1].id
    assert seen == [1, 2, 3, 4]
    assert [fill.sequence for fill in floor.fills()] == [4, 3, 2, 1]


def test_activities_are_filtered_by_type_day_time_and_order():
    floor = Floor()
    floor.hold(1)
    (only,) = floor.exchange.activities()
    assert floor.exchange.activities(ActivityQuery(types=("FILL",))) == [only]
    assert floor.exchange.activities(ActivityQuery(types=("DIV",))) == []
    assert floor.exchange.activities(ActivityQuery(day=new_york_date(OPEN_NS))) == [only]
    assert floor.exchange.activities(ActivityQuery(after_ns=only.created_at_ns)) == []
    assert floor.exchange.activities(ActivityQuery(until_ns=only.created_at_ns)) == []
    assert floor.exchange.activities(ActivityQuery(order_id="nobody")) == []


@pytest.mark.parametrize("query", [{"types": ("INVALID",)}, {"page_size": 101}, {"page_token": "nobody"}])
def test_an_activity_query_that_makes_no_sense_is_refused(query):
    floor = Floor()
    floor.hold(1)
    with pytest.raises(Refusal) as caught:
        floor.exchange.activities(ActivityQuery(**query))
    assert (caught.value.http_status, caught.value.code) == (422, 40010001)
