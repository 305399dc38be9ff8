"""Brackets, OCOs and OTOs: what the fate of one order does to the others, through cancels, replacements and kills."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.order_index import OrderQuery
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import (
    CLOSE_NS,
    NEVER_PARTIAL,
    Floor,
    bracket_of,
    buy,
    grouped,
    refusal_of,
    sell,
)


def bought(floor: Floor):
    """A bracket whose entry has filled: entry, take-profit at 110, stop-loss at 95."""
    group = floor.group(bracket_of(buy()))
    floor.wait()
    assert [order.status for order in group] == ["filled", "new", "held"]
    return group


def exit_pair(floor: Floor):
    """An OCO around ten shares that are held: take-profit at 110, stop-loss at 95."""
    floor.hold(10)
    pair = floor.group(grouped(sell(type="limit"), "oco", profit="110", stop="95"))
    floor.wait()
    return pair


def statuses(*orders):
    return [order.status for order in orders]


# --- how a group begins -----------------------------------------------------------------------------------------------


def test_legs_undo_the_entry_and_share_its_class_time_and_shares():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(time_in_force="gtc"), limit="94.50"))
    assert {(leg.side, leg.position_intent, leg.time_in_force, leg.qty) for leg in (profit, loss)} == {
        ("sell", "sell_to_close", "gtc", D(10))
    }
    assert (profit.type, profit.limit_price, loss.type) == ("limit", D(110), "stop_limit")
    assert (loss.stop_price, loss.limit_price) == (D(95), D("94.50"))
    assert {order.order_class for order in (entry, profit, loss)} == {"bracket"}
    assert {leg.parent_id for leg in (profit, loss)} == {entry.id}
    assert len({order.client_order_id for order in (entry, profit, loss)}) == 3


def test_a_short_bracket_has_its_take_profit_below_and_buys_back():
    floor = Floor(replace(NEVER_PARTIAL, shorting_enabled=True))
    _, profit, loss = floor.group(bracket_of(sell(), profit="90", stop="105"))
    floor.wait()
    assert {(leg.side, leg.position_intent) for leg in (profit, loss)} == {("buy", "buy_to_close")}
    assert floor.exchange.position("AAPL").qty == -10
    floor.quote(89.80, 89.90)
    assert statuses(profit, loss) == ["filled", "canceled"]
    assert floor.exchange.positions() == []


def test_the_parent_of_an_oco_is_its_take_profit_with_one_leg():
    floor = Floor()
    floor.hold(10)
    profit, loss = floor.group(grouped(sell(type="limit"), "oco", profit="110", stop="95"))
    assert (profit.status, profit.limit_price, profit.parent_id) == ("accepted", D(110), None)
    assert (loss.status, loss.stop_price, loss.parent_id, loss.leg_role) == ("held", D(95), profit.id, "stop_loss")
    floor.wait()
    assert statuses(profit, loss) == ["new", "held"]
    assert floor.exchange.position("AAPL").qty_available == 0, "both protect the same shares"


@pytest.mark.parametrize(
    ("legs", "kind"),
    [({"profit": "110"}, "limit"), ({"stop": "95"}, "stop"), ({"stop": "95", "limit": "94"}, "stop_limit")],
)
def test_the_one_leg_of_an_oto_works_when_its_entry_has_filled(legs, kind):
    floor = Floor()
    entry, leg = floor.group(grouped(buy(), "oto", **legs))
    assert (leg.type, leg.status) == (kind, "held")
    floor.wait()
    assert statuses(entry, leg) == ["filled", "new"]
    assert leg.submitted_at_ns == entry.filled_at_ns


def test_a_group_sent_after_hours_waits_for_the_bell():
    floor = Floor()
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    entry, profit, loss = floor.group(bracket_of(buy(time_in_force="gtc")))
    assert floor.told(entry) == ["accepted"]
    assert statuses(entry, profit, loss) == ["accepted", "held", "held"]
    floor.until(CLOSE_NS + 86_400 * NANOS_PER_SECOND - 3_600 * NANOS_PER_SECOND)
    floor.quote(99.99, 100.01)
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]


# --- fills ------------------------------------------------------------------------------------------------------------


def test_legs_wait_for_the_whole_entry():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="98")))
    floor.wait()
    floor.quote(97.90, 97.95, ask_size=4)
    assert (entry.status, entry.filled_qty) == ("partially_filled", D(4))
    assert statuses(profit, loss) == ["held", "held"]
    floor.quote(97.90, 97.95)
    assert statuses(entry, profit, loss) == ["filled", "new", "held"]


def test_a_part_of_an_entry_that_is_cancelled_stays_without_legs():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="98")))
    floor.wait()
    floor.quote(97.90, 97.95, ask_size=4)
    floor.exchange.cancel(entry.id)
    floor.wait()
    assert statuses(entry, profit, loss) == ["canceled"] * 3
    assert (entry.filled_qty, floor.exchange.position("AAPL").qty_available) == (D(4), D(4))


def test_a_stop_loss_protects_what_its_take_profit_has_not_sold():
    floor = Floor()
    _, profit, loss = bought(floor)
    floor.quote(110.00, 110.02, bid_size=3)
    assert (profit.status, loss.qty) == ("partially_filled", D(7))
    floor.quote(94.90, 94.95)
    floor.trade(94.90)
    floor.wait()
    assert (profit.status, loss.status, loss.filled_qty) == ("canceled", "filled", D(7))
    assert floor.exchange.positions() == []


def test_both_legs_of_an_oco_never_sell():
    floor = Floor()
    profit, loss = exit_pair(floor)
    floor.quote(110.00, 110.02)
    assert statuses(profit, loss) == ["filled", "canceled"]
    floor.quote(94.90, 94.95)
    floor.trade(94.90)
    assert floor.exchange.positions() == []


def test_an_elected_stop_loss_with_a_limit_rests_at_it():
    floor = Floor()
    floor.hold(10)
    profit, loss = floor.group(grouped(sell(type="limit"), "oco", profit="110", stop="95", limit="94.50"))
    floor.wait()
    floor.quote(94.00, 94.10)
    floor.trade(94.05)
    floor.wait()
    assert statuses(profit, loss) == ["canceled", "new"]
    floor.quote(94.50, 94.60)
    assert (loss.status, loss.filled_avg_price) == ("filled", D("94.50"))


def test_legs_sell_no_more_than_their_owner_has_left():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="98")))
    floor.wait()
    floor.quote(97.90, 97.95, ask_size=4)
    floor.submit(sell(qty="4"))
    floor.wait()
    assert floor.exchange.positions() == []
    floor.quote(97.90, 97.95)
    assert (entry.status, profit.qty, loss.qty) == ("filled", D(6), D(6))


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [1, 2])
def test_cancelling_one_leg_cancels_its_sibling(place):
    floor = Floor()
    group = bought(floor)
    floor.exchange.cancel(group[place].id)
    floor.wait()
    assert statuses(*group) == ["filled", "canceled", "canceled"]
    assert floor.exchange.position("AAPL").qty_available == 10


def test_cancelling_a_leg_of_a_waiting_entry_cancels_the_entry_too():
    floor = Floor()
    group = floor.group(bracket_of(buy(type="limit", limit_price="90"), stop="85"))
    floor.wait()
    floor.exchange.cancel(group[2].id)
    assert statuses(*group) == ["pending_cancel", "canceled", "canceled"]
    floor.wait()
    assert statuses(*group) == ["canceled"] * 3


@pytest.mark.parametrize("place", [0, 1])
def test_cancelling_one_side_of_an_oco_cancels_the_other(place):
    floor = Floor()
    pair = exit_pair(floor)
    floor.exchange.cancel(pair[place].id)
    floor.wait()
    assert statuses(*pair) == ["canceled", "canceled"]


def test_the_filled_entry_of_a_bracket_cannot_be_cancelled():
    floor = Floor()
    entry, *_ = bought(floor)
    assert refusal_of(floor.exchange.cancel, entry.id).message == 'order is already in "filled" state'


def test_a_day_group_ends_with_its_day():
    floor = Floor()
    group = bought(floor)
    waiting = floor.group(bracket_of(buy("MSFT", type="limit", limit_price="90"), profit="110", stop="80"))
    floor.until(CLOSE_NS)
    assert statuses(*group) == ["filled", "expired", "expired"]
    assert statuses(*waiting) == ["expired"] * 3
    assert floor.exchange.orders() == []


def test_everything_open_of_a_group_is_cancelled_at_once_and_shown_as_its_parent():
    floor = Floor()
    entry, profit, loss = bought(floor)
    results = floor.exchange.cancel_all()
    assert [(result.order_id, result.http_status, result.order) for result in results] == [(profit.id, 200, entry)]
    floor.wait()
    assert statuses(profit, loss) == ["canceled", "canceled"]


def test_a_position_behind_legs_is_closed_after_they_are_gone():
    floor = Floor()
    _, profit, _ = bought(floor)
    refusal = refusal_of(floor.exchange.close_position, "AAPL")
    assert (refusal.http_status, refusal.extra["related_orders"]) == (403, [profit.id])
    first = floor.exchange.close_all(cancel_orders=True)
    assert [(entry.symbol == "AAPL", entry.http_status) for entry in first] == [(False, 200), (True, 403)]
    floor.wait()
    assert [entry.http_status for entry in floor.exchange.close_all(cancel_orders=True)] == [200]
    floor.wait()
    assert floor.exchange.positions() == []


def test_a_group_whose_entry_is_rejected_late_is_gone():
    floor = Floor()
    group = floor.group(bracket_of(buy()))
    floor.exchange.doom(group[0].id, delay_ns=NANOS_PER_SECOND)
    floor.wait(0.5)
    assert statuses(*group) == ["pending_new", "held", "held"]
    floor.wait()
    assert statuses(*group) == ["rejected", "canceled", "canceled"]
    assert floor.told(group[0]) == ["pending_new", "rejected"]


# --- replacements -----------------------------------------------------------------------------------------------------


def test_the_take_profit_is_replaced_in_its_place():
    floor = Floor()
    entry, profit, loss = bought(floor)
    new = floor.change(profit, limit_price="105")
    assert floor.exchange.position("AAPL").qty_available == 0
    floor.wait()
    assert statuses(profit, new, loss) == ["replaced", "new", "held"]
    assert floor.exchange.legs(entry) == [new, loss]
    assert (new.parent_id, new.leg_role, new.order_class) == (entry.id, "take_profit", "bracket")
    floor.quote(105.00, 105.02)
    assert statuses(new, loss) == ["filled", "canceled"]


def test_an_armed_stop_loss_is_replaced_at_once():
    floor = Floor()
    entry, profit, loss = bought(floor)
    new = floor.change(loss, stop_price="97")
    assert statuses(loss, new) == ["replaced", "held"]
    assert floor.exchange.legs(entry) == [profit, new]
    floor.wait()
    floor.quote(96.90, 96.95)
    floor.trade(96.95)
    floor.wait()
    assert statuses(profit, loss, new) == ["canceled", "replaced", "filled"]
    assert floor.told(loss) == ["replaced"]


def test_a_replaced_entry_keeps_its_legs():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="90"), stop="85"))
    floor.wait()
    new = floor.change(entry, limit_price="98")
    floor.wait()
    assert statuses(entry, new, profit, loss) == ["replaced", "new", "held", "held"]
    assert (floor.exchange.legs(entry), floor.exchange.legs(new)) == ([], [profit, loss])
    floor.quote(97.90, 97.95)
    assert statuses(new, profit, loss) == ["filled", "new", "held"]


def test_when_the_take_profit_fills_first_its_replacement_is_rejected():
    floor = Floor()
    _, profit, loss = bought(floor)
    new = floor.change(profit, limit_price="112")
    floor.exchange.fill_out_of_the_blue(profit.id)
    floor.wait()
    assert statuses(profit, new, loss) == ["filled", "rejected", "canceled"]
    assert floor.exchange.positions() == []


def test_when_the_stop_loss_is_elected_first_the_replacement_of_its_sibling_is_rejected():
    floor = Floor()
    _, profit, loss = bought(floor)
    new = floor.change(profit, limit_price="112")
    now_ns = floor.exchange.now_ns
    floor.market.say(
        SimQuote("AAPL", 94.90, 1000, 94.95, 1000, now_ns + 1), SimTrade("AAPL", 94.90, 100, now_ns + 2, "V", 1)
    )
    floor.wait()
    assert statuses(profit, new, loss) == ["canceled", "rejected", "filled"]
    assert floor.exchange.positions() == []


def test_a_replaced_take_profit_goes_on_with_what_is_left():
    floor = Floor()
    _, profit, loss = bought(floor)
    floor.quote(110.00, 110.02, bid_size=3)
    new = floor.change(profit, limit_price="111")
    floor.wait()
    assert (new.qty, loss.qty, floor.exchange.position("AAPL").qty) == (D(7), D(7), D(7))


def test_a_part_that_fills_on_the_way_is_not_sold_again_by_the_replacement_of_a_leg():
    floor = Floor()
    _, profit, loss = bought(floor)
    new = floor.change(profit, limit_price="111")
    floor.exchange.fill_out_of_the_blue(profit.id, qty=D(4))
    assert floor.exchange.position("AAPL").qty_available == 0
    floor.wait()
    assert statuses(profit, new, loss) == ["replaced", "new", "held"]
    assert (new.qty, loss.qty) == (D(6), D(6))


@pytest.mark.parametrize(
    ("place", "fields", "message"),
    [
        (1, {"qty": "5"}, "only prices of bracket orders can be replaced"),
        (1, {"time_in_force": "gtc"}, "only prices of bracket orders can be replaced"),
    ],
)
def test_of_a_group_prices_alone_are_replaced(place, fields, message):
    floor = Floor()
    group = bought(floor)
    refusal = refusal_of(floor.change, group[place], **fields)
    assert (refusal.http_status, refusal.code, refusal.message) == (422, 42210000, message)


def test_the_leg_of_an_oto_is_not_replaced():
    floor = Floor()
    _, leg = floor.group(grouped(buy(), "oto", profit="110"))
    floor.wait()
    assert refusal_of(floor.change, leg, limit_price="111").message == "oto legs cannot be replaced"


def test_a_leg_that_still_waits_for_its_entry_is_not_replaced():
    floor = Floor()
    _, profit, _ = floor.group(bracket_of(buy(type="limit", limit_price="90"), stop="85"))
    floor.wait()
    refusal = refusal_of(floor.change, profit, limit_price="111")
    assert (refusal.code, refusal.message) == (40010001, "unable to replace order, order isn't sent to exchange yet")


# --- lists ------------------------------------------------------------------------------------------------------------


def test_legs_are_rows_of_their_own_or_rolled_up_into_their_parent():
    floor = Floor()
    entry, profit, loss = floor.group(bracket_of(buy(type="limit", limit_price="90"), stop="85"))
    single = floor.submit(buy("MSFT", type="limit", limit_price="90"))
    flat = floor.exchange.orders()
    assert {order.id for order in flat} == {entry.id, profit.id, loss.id, single.id}
    nested = floor.exchange.orders(OrderQuery(nested=True))
    assert {order.id for order in nested} == {entry.id, single.id}


def test_open_legs_of_a_filled_entry_stay_visible_among_open_orders():
    floor = Floor()
    entry, profit, loss = bought(floor)
    assert {order.id for order in floor.exchange.orders(OrderQuery(nested=True))} == {profit.id, loss.id}
    everything = floor.exchange.orders(OrderQuery(nested=True, status="all"))
    assert [order.id for order in everything] == [entry.id]


def test_a_replaced_leg_is_a_row_of_its_own():
    floor = Floor()
    entry, profit, _ = bought(floor)
    new = floor.change(profit, limit_price="112")
    floor.wait()
    listed = [order.id for order in floor.exchange.orders(OrderQuery(nested=True, status="all"))]
    assert sorted(listed) == sorted([entry.id, profit.id])
    assert new in floor.exchange.legs(entry)


def test_a_leg_moves_to_the_end_of_the_list_when_it_is_sent():
    floor = Floor()
    _, profit, _ = floor.group(bracket_of(buy()))
    floor.wait(0.0005)
    other = floor.submit(buy("MSFT", type="limit", limit_price="90"))
    floor.wait()
    listed = floor.exchange.orders(OrderQuery(status="all", direction="asc"))
    assert [order.id for order in listed][-2:] == [other.id, profit.id]
    after = floor.exchange.orders(OrderQuery(status="all", after_order_id=other.id))
    assert [order.id for order in after] == [profit.id]


# --- kills ------------------------------------------------------------------------------------------------------------


def killed(floor: Floor, path) -> Floor:
    """Another exchange on what the first one left on disk, with the market of the moment."""
    again = Floor.__new__(Floor)
    again.market = ScriptedMarket(floor.market.symbols, start_ns=floor.exchange.now_ns, last_close=100.0)
    again.exchange = Exchange(settings=floor.exchange.settings, market=again.market, journal=Journal(path))
    again.events = []
    again.quote(99.99, 100.01)
    return again


def test_a_group_goes_on_after_a_kill_wherever_it_stood(tmp_path):
    path = tmp_path / "journal"
    floor = Floor(journal=Journal(path))
    ids = [order.id for order in floor.group(bracket_of(buy(time_in_force="gtc")))]
    for at, expected in (
        (0.0, ["filled", "new", "held"]),  # accepted with held legs
        (1.0, ["filled", "new", "held"]),  # the take-profit works, the stop-loss watches
    ):
        floor.wait(at)
        floor = killed(floor, path)
        floor.wait()
        assert [floor.exchange.order(order_id).status for order_id in ids] == expected
    floor.quote(110.00, 110.02, bid_size=3)
    floor = killed(floor, path)
    assert floor.exchange.order(ids[2]).qty == 7
    floor.quote(94.90, 94.95)
    floor.trade(94.90)
    floor = killed(floor, path)
    floor.quote(94.90, 94.95)
    floor.wait()
    assert [floor.exchange.order(order_id).status for order_id in ids] == ["filled", "canceled", "filled"]
    assert floor.exchange.positions() == []


def test_a_replacement_on_its_way_arrives_after_a_kill_even_where_it_was_cancelled(tmp_path):
    path = tmp_path / "journal"
    floor = Floor(journal=Journal(path))
    _, profit, loss = bought(floor)
    new = floor.change(profit, limit_price="112")
    floor.exchange.cancel(new.id)
    floor = killed(floor, path)
    floor.wait()
    after = [floor.exchange.order(order.id).status for order in (profit, new, loss)]
    assert after in (["new", "canceled", "held"], ["replaced", "canceled", "canceled"])


def test_a_doomed_order_is_rejected_after_a_kill(tmp_path):
    path = tmp_path / "journal"
    floor = Floor(journal=Journal(path))
    order = floor.submit(buy())
    floor.exchange.doom(order.id, delay_ns=NANOS_PER_SECOND, is_silent=True)
    floor = killed(floor, path)
    floor.wait(2)
    found = floor.exchange.order(order.id)
    assert (found.status, found.failed_at_ns is not None, floor.told(found)) == ("rejected", True, [])
