"""What orders go through beyond the worked sequences: waiting, closing, cancelling all, other people's orders."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from tests.unit.simulator_core.desk_script import CLOSE_NS, Floor, buy


def test_an_order_that_waits_for_the_open_is_cancelled_at_once():
    floor = Floor()
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    order = floor.submit(buy())
    floor.exchange.cancel(order.id)
    assert order.status == "canceled"
    assert floor.told(order) == ["accepted", "canceled"]


@pytest.mark.parametrize(
    ("part", "sold"), [({}, D(8)), ({"qty": D(3)}, D(3)), ({"percentage": D(25)}, D(2)), ({"percentage": D(100)}, D(8))]
)
def test_a_position_is_closed_whole_by_quantity_or_by_percentage(part, sold):
    floor = Floor()
    floor.hold(8)
    order = floor.exchange.close_position("AAPL", **part)
    assert (order.side, order.qty, order.time_in_force) == ("sell", sold, "day")
    floor.wait()
    assert order.status == "filled"


def test_a_position_is_found_by_the_id_of_its_asset():
    floor = Floor()
    floor.hold(8)
    asset = floor.exchange.asset("AAPL")
    assert floor.exchange.position(asset.id).symbol == "AAPL"
    assert floor.exchange.close_position(asset.id).symbol == "AAPL"


def test_everything_open_is_cancelled_in_one_call_the_newest_first():
    floor = Floor()
    orders = [floor.submit(buy(symbol, type="limit", limit_price="90")) for symbol in ("AAPL", "MSFT", "SPY")]
    floor.wait()
    assert [(r.order_id, r.http_status) for r in floor.exchange.cancel_all()] == [(o.id, 200) for o in reversed(orders)]
    assert [result.http_status for result in floor.exchange.cancel_all()] == [422, 422, 422]
    floor.wait()
    assert {order.status for order in orders} == {"canceled"}
    assert floor.exchange.cancel_all() == []


def test_somebody_elses_order_goes_the_same_way_under_an_id_of_the_exchange():
    floor = Floor()
    order = floor.exchange.external_order(buy(qty="5", client_order_id="never mine"))
    assert order.client_order_id != "never mine"
    assert order.source == "app"
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "fill"]
    assert floor.exchange.position("AAPL").qty == 5


def test_stuck_cancels_stay_pending_until_they_are_let_go():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.cancels_stuck = True
    floor.exchange.cancel(order.id)
    floor.wait(600)
    assert order.status == "pending_cancel"
    floor.exchange.cancels_stuck = False
    floor.wait()
    assert order.status == "canceled"
