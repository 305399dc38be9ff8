"""The worked sequences of the protocol reference, event for event."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, bracket_of, buy, sell


def test_w1_a_market_buy_is_pending_new_filled_and_leaves_one_activity():
    floor = Floor()
    order = floor.submit(buy(qty="10"))
    assert (order.status, order.filled_qty, order.filled_avg_price) == ("pending_new", D(0), None)
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "fill"]
    pending, new, fill = [event for event in floor.events if event.order.id == order.id]
    assert pending.execution_id is None
    assert new.execution_id
    assert fill.execution_id not in (None, new.execution_id)
    assert (fill.price, fill.qty, fill.position_qty) == (D("100.01"), D(10), D(10))
    assert pending.timestamp_ns < new.timestamp_ns < fill.timestamp_ns
    assert [event.order.status for event in (pending, new, fill)] == ["pending_new", "new", "filled"]
    assert floor.exchange.order(order.id).filled_at_ns == fill.timestamp_ns
    account = floor.exchange.account()
    assert account.cash == D("98999.90")
    (activity,) = floor.fills()
    assert (activity.order_status, activity.cum_qty, activity.leaves_qty) == ("filled", D(10), D(0))
    assert activity.activity_id.startswith("20261123093000")


def test_w2_a_partial_fill_is_followed_by_the_rest():
    floor = Floor(partial_fill_probability=1.0)
    order = floor.submit(buy(qty="10"))
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "partial_fill", "fill"]
    part, rest = [event for event in floor.events if event.price is not None]
    assert part.qty is not None
    assert rest.qty is not None
    assert part.qty + rest.qty == 10
    assert (part.order.status, part.order.filled_qty) == ("partially_filled", part.qty)
    assert (rest.order.status, rest.order.filled_qty) == ("filled", D(10))
    newest, oldest = floor.fills()
    assert (oldest.order_status, oldest.cum_qty, oldest.leaves_qty) == ("partially_filled", part.qty, rest.qty)
    assert (newest.order_status, newest.cum_qty, newest.leaves_qty) == ("filled", D(10), D(0))


def test_w3_a_limit_order_away_from_the_market_is_cancelled():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.cancel(order.id)
    assert order.status == "pending_cancel"
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "canceled"]
    assert order.canceled_at_ns == floor.events[-1].timestamp_ns


def test_w3_when_a_fill_is_faster_than_the_cancel_its_owner_is_told_so():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.cancel(order.id)
    floor.market.say(SimQuote("AAPL", 88.0, 100, 89.0, 100, floor.exchange.now_ns + 1))
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "fill", "order_cancel_rejected"]
    assert (order.status, order.canceled_at_ns) == ("filled", None)


def test_w4_a_replaced_order_gives_way_to_a_new_one():
    floor = Floor()
    old = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    new = floor.exchange.replace(old.id, OrderChange.from_body({"limit_price": "91", "qty": "12"}))
    assert (new.replaces, old.replaced_by, old.status) == (old.id, new.id, "pending_replace")
    assert new.client_order_id != old.client_order_id
    floor.wait()
    told = [(event.event, event.order.id) for event in floor.events]
    assert told[2:] == [("replaced", old.id), ("new", new.id)]
    assert (old.status, new.status, new.limit_price, new.qty) == ("replaced", "new", D(91), D(12))
    assert {order.id for order in floor.exchange.orders(OrderQuery(status="all"))} == {old.id, new.id}
    assert new.created_at_ns == old.created_at_ns


def test_w4_when_the_old_order_fills_first_the_new_one_is_rejected():
    floor = Floor()
    old = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    new = floor.exchange.replace(old.id, OrderChange.from_body({"limit_price": "91"}))
    floor.market.say(SimQuote("AAPL", 88.0, 100, 89.0, 100, floor.exchange.now_ns + 1))
    floor.wait()
    told = [(event.event, event.order.id) for event in floor.events]
    assert told[2:] == [("fill", old.id), ("rejected", new.id)]
    assert (old.status, new.status, new.filled_qty) == ("filled", "rejected", D(0))
    assert new.failed_at_ns is not None


def test_a_replacement_that_is_cancelled_in_time_leaves_the_old_order_alive():
    floor = Floor()
    old = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait()
    new = floor.exchange.replace(old.id, OrderChange.from_body({"limit_price": "91"}))
    floor.exchange.cancel(new.id)
    floor.wait()
    assert new.status == "canceled"
    assert old.status in ("new", "replaced"), "either request may have been first"
    assert old.status == "replaced" or "order_replace_rejected" in floor.told(old)


def test_w5_a_bracket_is_accepted_with_held_legs_and_its_take_profit_follows_the_entry():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy()))
    assert (entry.status, profit.status, loss.status) == ("accepted", "held", "held")
    assert {entry.submitted_at_ns, profit.submitted_at_ns, loss.submitted_at_ns} == {floor.exchange.now_ns}
    sent_at_ns = entry.submitted_at_ns
    floor.wait()
    assert [(event.event, event.order.id) for event in floor.events] == [
        ("pending_new", entry.id),
        ("new", entry.id),
        ("fill", entry.id),
        ("new", profit.id),
    ]
    assert (entry.status, profit.status, loss.status) == ("filled", "new", "held")
    assert (profit.submitted_at_ns, profit.submitted_at_ns > sent_at_ns) == (entry.filled_at_ns, True)
    assert loss.submitted_at_ns == sent_at_ns


def test_w5_the_take_profit_ends_the_stop_loss_of_which_rest_alone_tells():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy()))
    floor.wait()
    floor.quote(110.00, 110.02)
    assert (profit.status, loss.status) == ("filled", "canceled")
    assert floor.told(profit) == ["new", "fill"]
    assert floor.told(loss) == []
    assert loss.canceled_at_ns == profit.filled_at_ns
    assert floor.exchange.positions() == []
    assert floor.exchange.orders() == []
    assert floor.told(entry) == ["pending_new", "new", "fill"]


def test_w5_held_legs_are_told_of_where_the_switch_says_so():
    floor = Floor(tells_held_legs=True)
    _, profit, loss = floor.group(bracket_of(buy()))
    floor.wait()
    floor.quote(110.00, 110.02)
    assert (floor.told(profit), floor.told(loss)) == (["new", "fill"], ["canceled"])


def test_w5_an_elected_stop_loss_takes_the_place_of_the_take_profit():
    floor = Floor()
    _, profit, loss = floor.group(bracket_of(buy()))
    floor.wait()
    floor.events.clear()
    floor.quote(94.90, 94.95)
    floor.trade(94.95)
    floor.wait()
    told = [(event.event, event.order.id) for event in floor.events]
    assert told == [("canceled", profit.id), ("new", loss.id), ("fill", loss.id)]
    assert (profit.status, loss.status) == ("canceled", "filled")
    assert floor.exchange.positions() == []


def test_w5_a_bracket_that_is_cancelled_before_it_fills_is_cancelled_with_its_legs():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="98")))
    floor.wait()
    floor.exchange.cancel(entry.id)
    floor.wait()
    assert {order.status for order in (entry, profit, loss)} == {"canceled"}
    assert floor.told(entry) == ["pending_new", "new", "canceled"]


def test_w6_a_position_behind_an_open_sell_cannot_be_closed():
    floor = Floor()
    floor.hold(2)
    holder = floor.submit(sell(type="limit", limit_price="120", qty="2"))
    with pytest.raises(Refusal) as caught:
        floor.exchange.close_position("AAPL")
    assert (caught.value.http_status, caught.value.code) == (403, 40310000)
    assert caught.value.extra == {
        "available": "0",
        "existing_qty": "2",
        "held_for_orders": "2",
        "symbol": "AAPL",
        "related_orders": [holder.id],
    }


def test_w7_flattening_needs_two_calls_while_cancels_are_on_their_way():
    floor = Floor()
    floor.hold(2)
    order = floor.submit(sell(type="limit", limit_price="120", qty="2"))
    floor.wait()
    first = floor.exchange.close_all(cancel_orders=True)
    assert [(entry.symbol, entry.http_status) for entry in first] == [(order.id, 200), ("AAPL", 403)]
    assert first[1].refusal is not None
    assert first[1].refusal.message == "insufficient qty available for order (requested: 2, available: 0)"
    floor.wait()
    assert order.status == "canceled"
    (second,) = floor.exchange.close_all(cancel_orders=True)
    assert (second.symbol, second.http_status) == ("AAPL", 200)
    assert second.order is not None
    assert (second.order.side, second.order.type, second.order.qty) == ("sell", "market", D(2))
    floor.wait()
    assert floor.exchange.positions() == []
    assert floor.exchange.close_all(cancel_orders=True) == []


def test_w8_an_order_whose_answer_was_lost_is_found_by_its_client_id_and_not_taken_twice():
    floor = Floor()
    order = floor.submit(buy(client_order_id="C"))
    assert floor.exchange.order_by_client_id("C") is order
    with pytest.raises(Refusal, match="client_order_id must be unique"):
        floor.submit(buy(client_order_id="C"))
    floor.wait()
    assert floor.exchange.position("AAPL").qty == 10


def test_w9_an_order_after_hours_waits_for_the_next_open():
    floor = Floor()
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    order = floor.submit(buy())
    assert order.status == "accepted"
    tuesday_open_ns = OPEN_NS + 86_400 * NANOS_PER_SECOND
    assert order.expires_at_ns == CLOSE_NS + 86_400 * NANOS_PER_SECOND
    floor.until(tuesday_open_ns + NANOS_PER_SECOND)
    floor.quote(99.99, 100.01)
    assert floor.told(order) == ["accepted", "pending_new", "new", "fill"]
