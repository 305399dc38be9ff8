"""Replacing, cancelling, closing, trailing: allowed states, races and what answers say (reference 2.8, 2.9, 3.3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.order_index import OrderQuery
from tests.unit.simulator_core.desk_script import (
    CLOSE_NS,
    NEVER_PARTIAL,
    Floor,
    buy,
    grouped,
    order_request,
    refusal_of,
    sell,
)

SHORTING = replace(NEVER_PARTIAL, shorting_enabled=True)


def resting(floor: Floor, **fields):
    """An acknowledged buy of ten at 90."""
    order = floor.submit(buy(**{"type": "limit", "limit_price": "90", **fields}))
    floor.wait()
    return order


# --- replacing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({}, 42210000, "order parameters are not changed"),
        ({"client_order_id": "other"}, 42210000, "order parameters are not changed"),
        ({"qty": "0"}, 40010001, "qty must be > 0"),
        ({"qty": "2.5"}, 42210000, "fractional quantities cannot be replaced"),
        ({"notional": "50"}, 42210000, "notional orders cannot be replaced"),
        ({"time_in_force": "gtd"}, 40010001, "invalid time_in_force"),
        ({"limit_price": "0"}, 40010001, "limit price must be > 0"),
        (
            {"limit_price": "90.001"},
            42210000,
            "invalid limit_price 90.001. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        ({"stop_price": "80"}, 40010001, "limit orders require only limit price"),
        ({"trail": "1"}, 40010001, "trail is only for trailing stop orders"),
        (
            {"limit_price": "91", "client_order_id": "x" * 129},
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
        ({"limit_price": "91", "client_order_id": "taken"}, 40010001, "client_order_id must be unique"),
    ],
)
def test_a_change_that_makes_no_order_is_refused(fields, code, message):
    floor = Floor()
    order = resting(floor, client_order_id="taken")
    refusal = refusal_of(floor.change, order, **fields)
    assert (refusal.http_status, refusal.code, refusal.message) == (422, code, message)


def test_orders_by_amount_and_fractions_keep_their_quantity():
    floor = Floor()
    amount = resting(floor, qty=None, notional="50")
    assert refusal_of(floor.change, amount, limit_price="91").message == "notional orders cannot be replaced"
    fraction = resting(floor, symbol="MSFT", qty="1.5")
    assert refusal_of(floor.change, fraction, qty="2").message == "fractional quantities cannot be replaced"
    assert refusal_of(floor.change, fraction, time_in_force="gtc").message == "fractional orders must be DAY orders"
    assert floor.change(fraction, limit_price="91").qty == D("1.5")


def test_nothing_on_its_way_is_replaced():
    floor = Floor()
    too_early = "unable to replace order, order isn't sent to exchange yet"
    order = floor.submit(buy(type="limit", limit_price="90"))
    assert refusal_of(floor.change, order, limit_price="91").message == too_early
    floor.wait()
    new = floor.change(order, limit_price="91")
    closed = refusal_of(floor.change, order, limit_price="92")
    assert (closed.code, closed.message) == (42210000, "unable to replace order, order is not open")
    assert refusal_of(floor.change, new, limit_price="92").message == too_early
    floor.wait()
    floor.exchange.cancel(new.id)
    assert refusal_of(floor.change, new, limit_price="92").message == "unable to replace order, order is not open"
    floor.until(CLOSE_NS)
    waiting = floor.submit(buy())
    assert refusal_of(floor.change, waiting, qty="5").message == too_early


def test_a_replacement_begins_its_ninety_days_anew():
    floor = Floor()
    order = resting(floor, time_in_force="gtc")
    assert order.expires_at_ns is not None
    assert (new_york_date(order.expires_at_ns) - new_york_date(floor.exchange.now_ns)).days == 89
    floor.until(CLOSE_NS + 86_400 * NANOS_PER_SECOND)
    new = floor.change(order, limit_price="91")
    assert new.expires_at_ns is not None
    assert (new_york_date(new.expires_at_ns) - new_york_date(order.expires_at_ns)).days == 1


def test_a_quantity_that_is_left_out_is_the_whole_of_the_old_order():
    floor = Floor()
    order = resting(floor)
    floor.quote(89.90, 89.95, ask_size=4)
    assert order.filled_qty == 4
    assert floor.change(order, limit_price="89").qty == 10


def test_a_replacement_may_cost_what_the_larger_of_both_costs():
    floor = Floor()
    power = floor.exchange.account().buying_power
    order = resting(floor, qty=str(int(power // 90)))
    refusal = refusal_of(floor.change, order, limit_price="95")
    assert refusal.body() == {"code": 40310000, "message": "insufficient buying power"}
    assert floor.change(order, limit_price="85").is_open


def test_a_sale_that_fills_on_the_way_is_not_sold_again():
    floor = Floor()
    floor.hold(10)
    old = floor.submit(sell(type="limit", limit_price="110"))
    floor.wait()
    new = floor.change(old, limit_price="111")
    floor.exchange.fill_out_of_the_blue(old.id, qty=D(4))
    floor.wait()
    assert (new.status, old.status, old.replaced_by) == ("rejected", "partially_filled", None)
    assert floor.told(old)[-2:] == ["partial_fill", "order_replace_rejected"]
    floor.quote(112.00, 112.02)
    assert floor.exchange.positions() == []


def test_an_order_that_is_being_replaced_is_not_cancelled():
    floor = Floor()
    order = resting(floor)
    floor.change(order, limit_price="91")
    refusal = refusal_of(floor.exchange.cancel, order.id)
    assert (refusal.http_status, refusal.code) == (422, 42210000)
    assert [result.http_status for result in floor.exchange.cancel_all()] == [200, 422]


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_what_waits_at_the_broker_is_cancelled_at_once():
    floor = Floor()
    floor.hold(20)
    trailing = floor.submit(sell(type="trailing_stop", trail_percent="5"))
    pair = floor.group(grouped(sell(type="limit"), "oco", profit="110", stop="95"))
    floor.wait()
    floor.exchange.cancel(trailing.id)
    floor.exchange.cancel(pair[1].id)
    assert [order.status for order in (trailing, pair[1], pair[0])] == ["canceled", "canceled", "pending_cancel"]


def test_a_cancel_that_comes_too_late_is_rejected_with_an_event_and_a_repeated_one_refused():
    floor = Floor()
    order = resting(floor)
    floor.exchange.cancel(order.id)
    assert refusal_of(floor.exchange.cancel, order.id).message == "order pending cancel"
    floor.market.say(SimQuote("AAPL", 88.0, 100, 89.0, 100, floor.exchange.now_ns + 1))
    floor.wait()
    assert floor.told(order)[-2:] == ["fill", "order_cancel_rejected"]
    assert refusal_of(floor.exchange.cancel, order.id).message == 'order is already in "filled" state'


def test_a_part_that_fills_before_the_cancel_stays_filled():
    floor = Floor()
    order = resting(floor)
    floor.exchange.cancel(order.id)
    floor.market.say(SimQuote("AAPL", 88.0, 100, 89.0, 4, floor.exchange.now_ns + 1))
    floor.wait()
    assert (order.status, order.filled_qty) == ("canceled", D(4))
    assert floor.told(order)[-2:] == ["partial_fill", "canceled"]


# --- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "part", "sold"),
    [
        ("10", {"percentage": D("33.333333333")}, D(3)),  # of whole shares whole shares
        ("10.5", {"percentage": D(50)}, D("5.25")),
        ("10.5", {"qty": D("0.123456789")}, D("0.123456789")),
        ("10.5", {}, D("10.5")),
    ],
)
def test_a_part_of_a_position_has_at_most_nine_decimals(held, part, sold):
    floor = Floor()
    floor.submit(buy(qty=held))
    floor.wait()
    assert floor.exchange.close_position("AAPL", **part).qty == sold


@pytest.mark.parametrize(
    ("part", "status", "message"),
    [
        ({"qty": D(0)}, 422, "qty must be > 0"),
        ({"percentage": D(0)}, 422, "percentage must be between 0 and 100"),
        ({"percentage": D("100.1")}, 422, "percentage must be between 0 and 100"),
        ({"percentage": D(1)}, 422, "qty must be > 0"),
        ({"qty": D(1), "percentage": D(1)}, 422, "only one of qty or percentage is accepted"),
        ({"qty": D(11)}, 403, "insufficient qty available for order (requested: 11, available: 10)"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(part, status, message):
    floor = Floor()
    floor.hold(10)
    refusal = refusal_of(floor.exchange.close_position, "AAPL", **part)
    assert (refusal.http_status, refusal.message) == (status, message)


def test_a_short_position_is_bought_back():
    floor = Floor(SHORTING)
    floor.submit(sell(qty="5"))
    floor.wait()
    order = floor.exchange.close_position("AAPL")
    assert (order.side, order.qty, order.position_intent) == ("buy", D(5), "buy_to_close")
    floor.wait()
    assert floor.exchange.positions() == []


def test_an_order_by_amount_never_sells_more_than_there_is():
    floor = Floor()
    floor.hold(1)
    order = floor.submit(order_request(symbol="AAPL", side="sell", notional="99.99"))
    floor.market.say(SimQuote("AAPL", 50.0, 1000, 50.1, 1000, floor.exchange.now_ns + 1))
    floor.wait()
    assert (order.status, order.filled_qty) == ("filled", D(1))
    assert floor.exchange.positions() == []


# --- trailing ---------------------------------------------------------------------------------------------------------


def test_a_trailing_stop_is_new_at_once_and_behind_the_market_without_rounding():
    floor = Floor()
    floor.hold(10)
    floor.trade(3648.1299)
    order = floor.submit(sell(type="trailing_stop", trail_percent="5", qty="4"))
    assert (order.status, order.hwm, order.stop_price) == ("new", D("3648.1299"), D("3465.723405"))
    assert floor.told(order) == ["new"]
    other = floor.submit(sell(type="trailing_stop", trail_price="10", qty="4"))
    assert other.stop_price == D("3638.1299")


def test_a_trailing_purchase_stands_above_the_lowest_price():
    floor = Floor()
    floor.trade(29.27)
    order = floor.submit(buy(type="trailing_stop", trail_price="5"))
    assert (order.hwm, order.stop_price) == (D("29.27"), D("34.27"))


def test_the_stop_follows_the_best_price_and_never_goes_back():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(type="trailing_stop", trail_price="2"))
    floor.wait()
    for price, stop in ((101.0, "99"), (100.5, "99"), (103.5, "101.5"), (102.0, "101.5")):
        floor.quote(price - 0.01, price + 0.01)
        floor.trade(price)
        assert (order.status, order.stop_price) == ("new", D(stop))
    floor.quote(101.49, 101.51)
    floor.trade(101.5)
    floor.wait()
    assert (order.status, order.filled_avg_price, order.hwm) == ("filled", D("101.49"), D("103.5"))


def test_the_distance_of_a_trailing_stop_is_replaced_at_once_from_the_best_price_so_far():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(type="trailing_stop", trail_price="2"))
    floor.wait()
    floor.quote(104.99, 105.01)
    floor.trade(105.0)
    new = floor.change(order, trail="3")
    assert (order.status, new.status) == ("replaced", "new")
    assert (new.trail_price, new.hwm, new.stop_price) == (D(3), D(105), D(102))
    refusal = refusal_of(floor.change, new, stop_price="90")
    assert refusal.message == "trailing stop orders require no stop or limit price"


def test_a_trailing_stop_sent_after_hours_waits_for_the_bell():
    floor = Floor()
    floor.hold(10)
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    order = floor.submit(sell(type="trailing_stop", trail_price="2", time_in_force="gtc"))
    assert order.status == "accepted"
    floor.until(CLOSE_NS + 17 * 3_600 * NANOS_PER_SECOND + 1_800 * NANOS_PER_SECOND + 1)
    assert floor.told(order) == ["accepted", "new"]


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_silent", "told"), [(False, ["pending_new", "rejected"]), (True, ["pending_new"])])
def test_an_order_that_was_taken_may_be_rejected_later_with_an_event_or_without(is_silent, told):
    floor = Floor()
    order = floor.submit(buy())
    floor.exchange.doom(order.id, delay_ns=2 * NANOS_PER_SECOND, is_silent=is_silent)
    floor.wait()
    assert order.status == "pending_new"
    floor.wait(1.5)
    assert (order.status, order.failed_at_ns is not None) == ("rejected", True)
    assert floor.told(order) == told
    assert floor.exchange.orders(OrderQuery(status="closed")) == [order]
    assert floor.exchange.account().buying_power == Floor().exchange.account().buying_power
