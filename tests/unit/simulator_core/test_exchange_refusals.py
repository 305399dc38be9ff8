"""What the exchange refuses, in Alpaca's words: status, code, text and the keys beside them."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from tests.unit.simulator_core.desk_script import Floor, buy, order_request, sell


def refusal_of(action, *args, **kwargs):
    with pytest.raises(Refusal) as caught:
        action(*args, **kwargs)
    return caught.value


@pytest.fixture
def floor():
    return Floor(multiplier=2, shorting_enabled=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"qty": "0"}, "qty must be > 0"),
        ({"qty": "-1"}, "qty must be > 0"),
        ({"qty": "1", "notional": "5"}, "only one of qty or notional is accepted"),
        ({"qty": None}, "qty or notional is required"),
        ({"qty": None, "notional": "0.99"}, "notional must be >= 1.00"),
        ({"type": "limit"}, "limit orders require a limit price"),
        ({"type": "limit", "limit_price": "0"}, "limit price must be > 0"),
        ({"type": "stop"}, "stop orders require a stop price"),
        ({"type": "stop", "stop_price": "-3"}, "stop price must be > 0"),
        ({"type": "stop_limit", "stop_price": "101"}, "stop limit orders require both stop and limit price"),
        ({"limit_price": "100"}, "market orders require no stop or limit price"),
        ({"type": "iceberg"}, "invalid order type"),
        ({"type": "stop", "stop_price": "101", "time_in_force": "opg"}, "invalid time_in_force"),
        ({"time_in_force": "forever"}, "invalid time_in_force"),
        ({"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
    ],
)
def test_a_wrong_parameter_is_refused_with_alpacas_text(floor, fields, message):
    refusal = refusal_of(floor.submit, order_request(**{"symbol": "AAPL", "side": "buy", "qty": "1", **fields}))
    assert (refusal.http_status, refusal.body()) == (422, {"code": 40010001, "message": message})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"type": "limit", "limit_price": "290.123"},
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            {"type": "stop", "stop_price": "101.005"},
            "invalid stop_price 101.005. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        ({"qty": "1.5", "time_in_force": "gtc"}, "fractional orders must be DAY orders"),
        ({"symbol": "FACEBOOK"}, 'asset "FACEBOOK" not found'),
        ({"extended_hours": True}, "extended hours order must be DAY or GTC limit orders"),
        (
            {"position_intent": "buy_to_close"},
            "position intent mismatch, inferred: buy_to_open, specified: buy_to_close",
        ),
    ],
)
def test_a_request_that_cannot_be_done_is_refused_with_alpacas_text(floor, fields, message):
    refusal = refusal_of(floor.submit, order_request(**{"symbol": "AAPL", "side": "buy", "qty": "1", **fields}))
    assert (refusal.http_status, refusal.code, refusal.message) == (422, 42210000, message)


def test_prices_below_a_dollar_may_have_four_decimals(floor):
    assert floor.submit(buy(type="limit", limit_price="0.1234")).limit_price == D("0.1234")
    refusal = refusal_of(floor.submit, buy(type="limit", limit_price="0.12345"))
    assert "sub-penny" in refusal.message


@pytest.mark.parametrize(
    "body", [{"qty": "ten"}, {"qty": True}, {"qty": "1e999"}, {"qty": "NaN"}, {"symbol": 5}, {"extended_hours": "yes"}]
)
def test_a_field_of_a_type_that_it_cannot_have_is_a_bad_request(body):
    refusal = refusal_of(OrderRequest.from_body, {"symbol": "AAPL", **body})
    assert (refusal.http_status, refusal.code) == (400, 40010000)


def test_a_client_id_is_taken_once_even_when_its_order_is_over(floor):
    order = floor.submit(buy(client_order_id="mine"))
    floor.wait()
    assert order.status == "filled"
    refusal = refusal_of(floor.submit, buy(client_order_id="mine"))
    assert refusal.body() == {"code": 40010001, "message": "client_order_id must be unique"}


def test_buying_power_is_what_the_order_may_cost_less_what_open_buys_hold(floor):
    refusal = refusal_of(floor.submit, buy(type="limit", limit_price="100", qty="2001"))
    assert refusal.http_status == 403
    assert refusal.body() == {
        "buying_power": "200000",
        "code": 40310000,
        "cost_basis": "200100",
        "message": "insufficient buying power",
    }
    floor.submit(buy(type="limit", limit_price="90", qty="2000"))
    assert floor.exchange.account().buying_power == D(20_000)
    assert refusal_of(floor.submit, buy(type="limit", limit_price="90", qty="223")).extra["buying_power"] == "20000"
    assert floor.submit(buy(type="limit", limit_price="90", qty="222")).status == "pending_new"


def test_a_market_buy_is_checked_at_its_collar_above_the_ask(floor):
    refusal = refusal_of(floor.submit, buy(qty="1955"))
    assert refusal.extra["cost_basis"] == "200407.53875"  # 100.01 × 1.025
    assert floor.submit(buy(qty="1950")).is_open


def test_a_cancelled_buy_gives_its_buying_power_back(floor):
    order = floor.submit(buy(type="limit", limit_price="90", qty="2000"))
    floor.wait()
    floor.exchange.cancel(order.id)
    floor.wait()
    assert floor.exchange.account().buying_power == D(200_000)


def test_a_sale_of_nothing_would_be_short_and_is_refused(floor):
    refusal = refusal_of(floor.submit, sell())
    assert refusal.body() == {"code": 40310000, "message": "account is not allowed to short"}
    assert refusal_of(floor.submit, sell(qty="0.5")).message == "fractional orders cannot be sold short"


def test_more_than_there_is_cannot_be_sold_and_the_holders_are_named(floor):
    floor.hold(10)
    holder = floor.submit(sell(type="limit", limit_price="120", qty="7"))
    refusal = refusal_of(floor.submit, sell(type="limit", limit_price="120", qty="4"))
    assert refusal.http_status == 403
    assert refusal.body() == {
        "available": "3",
        "code": 40310000,
        "existing_qty": "10",
        "held_for_orders": "7",
        "message": "insufficient qty available for order (requested: 4, available: 3)",
        "related_orders": [holder.id],
        "symbol": "AAPL",
    }
    assert floor.submit(sell(type="limit", limit_price="120", qty="3")).is_open
    assert floor.exchange.position("AAPL").qty_available == 0


def test_a_market_order_against_an_open_order_of_the_other_side_is_a_wash_trade(floor):
    floor.hold(10)
    other = floor.submit(sell(type="limit", limit_price="120"))
    refusal = refusal_of(floor.submit, buy())
    assert refusal.body() == {
        "code": 40310000,
        "existing_order_id": other.id,
        "message": "potential wash trade detected. use complex orders",
        "reject_reason": "opposite side market/stop order exists",
    }
    assert floor.submit(buy("MSFT", type="limit", limit_price="90")).is_open


@pytest.mark.parametrize(("limit", "is_refused"), [("119.99", False), ("120", True), ("121", True)])
def test_limits_of_both_sides_must_not_cross(floor, limit, is_refused):
    floor.hold(10)
    floor.submit(sell(type="limit", limit_price="120"))
    request = buy(type="limit", limit_price=limit)
    if is_refused:
        assert refusal_of(floor.submit, request).extra["reject_reason"].startswith("sell order exists")
    else:
        assert floor.submit(request).is_open


def test_a_stop_that_the_market_has_passed_is_refused_with_both_prices(floor):
    floor.hold(10)
    refusal = refusal_of(floor.submit, sell(type="stop", stop_price="100"))
    assert refusal.message == "stop price must be less than current price"
    assert refusal.extra == {"market_price": "100", "stop_price": "100"}
    assert refusal_of(floor.submit, buy(type="stop", stop_price="99.5")).http_status == 422


def test_cancelling_is_refused_while_it_is_pending_and_when_it_is_too_late(floor):
    resting = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.cancel(resting.id)
    assert refusal_of(floor.exchange.cancel, resting.id).message == "order pending cancel"
    floor.wait()
    floor.exchange.cancel(resting.id)  # of a canceled order, once more: granted
    filled = floor.submit(buy())
    floor.wait()
    refusal = refusal_of(floor.exchange.cancel, filled.id)
    assert refusal.body() == {"code": 42210000, "message": 'order is already in "filled" state'}


def test_orders_and_positions_and_assets_that_are_not_there_are_not_found(floor):
    nobody = "904837e3-3b76-47ec-b432-046db621571b"
    assert refusal_of(floor.exchange.order, "fake_id").body() == {"code": 40010001, "message": "order_id is missing"}
    assert refusal_of(floor.exchange.order, nobody).body() == {
        "code": 40410000,
        "message": f"order not found for {nobody}",
    }
    assert refusal_of(floor.exchange.order_by_client_id, "nobody").message == "order not found for nobody"
    assert refusal_of(floor.exchange.position, "AAPL").body() == {
        "code": 40410000,
        "message": "position does not exist",
    }
    assert refusal_of(floor.exchange.asset, "FFFFF").message == "asset not found for FFFFF"


def test_an_order_is_found_by_an_id_without_dashes(floor):
    order = floor.submit(buy())
    assert floor.exchange.order(order.id.replace("-", "")) is order


def test_only_orders_that_the_venue_has_can_be_replaced(floor):
    order = floor.submit(buy(type="limit", limit_price="90"))
    change = OrderChange.from_body({"limit_price": "91"})
    refusal = refusal_of(floor.exchange.replace, order.id, change)
    assert refusal.message == "unable to replace order, order isn't sent to exchange yet"
    floor.wait()
    floor.exchange.cancel(order.id)
    floor.wait()
    refusal = refusal_of(floor.exchange.replace, order.id, change)
    assert refusal.body() == {"code": 42210000, "message": "unable to replace order, order is not open"}


def test_a_replacement_needs_the_larger_of_both_reservations_not_their_sum(floor):
    order = floor.submit(buy(type="limit", limit_price="90", qty="2000"))
    floor.wait()
    refusal = refusal_of(floor.exchange.replace, order.id, OrderChange.from_body({"qty": "2500"}))
    assert refusal.message == "insufficient buying power"
    assert floor.exchange.replace(order.id, OrderChange.from_body({"qty": "2200"})).qty == 2200
