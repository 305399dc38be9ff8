"""A limit order waits its turn: behind what was displayed, before what came later."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest

from quant_trading_system.simulator.events import SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.settings import ExchangeSettings, FillSettings
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import NEVER_PARTIAL, OPEN_NS, Floor, buy, sell


def resting(floor, price="99.99", qty="100", side=buy):
    order = floor.submit(side(type="limit", limit_price=price, qty=qty))
    floor.wait()
    assert (order.status, order.is_resting) == ("new", True)
    return order


def test_the_size_displayed_at_its_price_is_ahead_of_an_order():
    floor = Floor()
    floor.quote(99.99, 100.01, bid_size=300)
    order = resting(floor)
    assert order.queue_ahead == 300
    floor.trade(99.99, size=250)
    assert (order.queue_ahead, order.filled_qty) == (50, D(0))
    floor.trade(99.99, size=80)
    assert (order.queue_ahead, order.filled_qty) == (0, D(30))
    floor.trade(99.99, size=500)
    assert order.status == "filled"
    assert {event.price for event in floor.events if event.qty} == {D("99.99")}


def test_an_order_that_improves_the_touch_is_first():
    floor = Floor()
    order = resting(floor, "100.00")
    assert order.queue_ahead == 0
    floor.trade(100.00, size=60)
    assert order.filled_qty == 60


def test_a_sell_waits_at_the_offer_as_a_buy_does_at_the_bid():
    floor = Floor()
    floor.hold(100)
    floor.quote(99.99, 100.01, ask_size=200)
    order = resting(floor, "100.01", side=sell)
    floor.trade(100.01, size=200)
    assert order.filled_qty == 0
    floor.trade(100.02, size=10)
    assert order.filled_qty == 10, "a print through its price met it first"


def test_what_comes_later_is_behind_and_what_leaves_is_shared_out():
    floor = Floor()
    floor.quote(99.99, 100.01, bid_size=300)
    order = resting(floor)
    floor.quote(99.99, 100.01, bid_size=600)
    assert order.queue_ahead == 300
    floor.quote(99.99, 100.01, bid_size=500)
    assert order.queue_ahead == 250, "half of the queue is ahead of it, so is half of what was cancelled"
    floor.quote(99.99, 100.01, bid_size=100)
    assert order.queue_ahead == 50
    floor.quote(99.99, 100.01, bid_size=10)
    assert order.queue_ahead <= 10


def test_shares_that_printed_are_not_counted_again_as_cancels():
    floor = Floor()
    floor.quote(99.99, 100.01, bid_size=300)
    order = resting(floor)
    floor.trade(99.99, size=100)
    floor.quote(99.99, 100.01, bid_size=200)
    assert order.queue_ahead == 200


def test_a_touch_that_falls_below_an_order_leaves_nobody_before_it():
    floor = Floor()
    floor.quote(99.99, 100.01, bid_size=300)
    order = resting(floor)
    floor.quote(99.98, 100.01)
    assert order.queue_ahead == 0
    floor.trade(99.99, size=10)
    assert order.filled_qty == 10


def test_a_restart_keeps_the_place_and_what_moves_it(tmp_path: Path):
    floor = Floor(journal=Journal(tmp_path / "journal"))
    floor.quote(99.99, 100.01, bid_size=300)
    order = resting(floor)
    floor.trade(99.99, size=100)
    market = ScriptedMarket(floor.market.symbols, start_ns=OPEN_NS)
    floor.market, floor.exchange = (
        market,
        Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal")),
    )
    again = floor.exchange.order(order.id)
    assert again.queue_ahead == 200
    floor.quote(99.98, 100.01)
    assert again.queue_ahead == 0
    floor.trade(99.99, size=10)
    assert again.filled_qty == 10


def test_behind_the_touch_the_queue_is_drawn_and_bounded_once_it_is_seen():
    ahead = set()
    for seed in range(20):
        floor = Floor(seed=seed)
        floor.quote(99.99, 100.01, bid_size=400)
        order = resting(floor, "99.90")
        ahead.add(order.queue_ahead)
        floor.quote(99.90, 100.01, bid_size=50)
        assert order.queue_ahead <= 50
    assert len(ahead) > 15
    assert 150 < sum(ahead) / len(ahead) < 900


def test_without_a_queue_model_behind_the_touch_the_first_print_fills():
    floor = Floor(replace(NEVER_PARTIAL, fills=FillSettings(queue_depth_ratio=0.0)))
    order = resting(floor, "99.90")
    floor.trade(99.90, size=5)
    assert order.filled_qty == 5


def test_two_orders_at_one_price_fill_in_the_order_of_their_coming():
    floor = Floor()
    floor.quote(99.99, 100.01, bid_size=100)
    first, second = resting(floor), resting(floor)
    floor.trade(99.99, size=150)
    assert (first.filled_qty, second.filled_qty) == (D(50), D(0))
    floor.trade(99.99, size=70)
    assert (first.filled_qty, second.filled_qty) == (D(100), D(20))


def test_one_print_fills_no_more_than_its_size():
    floor = Floor()
    orders = [resting(floor, price, qty="80") for price in ("99.95", "99.96", "99.97")]
    floor.trade(99.90, size=100)
    assert [order.filled_qty for order in orders] == [D(0), D(20), D(80)]


@pytest.mark.parametrize("condition", ["4", "W", "Z", "M"])
def test_a_print_that_nobody_met_fills_nothing(condition):
    floor = Floor()
    order = resting(floor)
    floor.market.say(SimTrade("AAPL", 99.50, 100, floor.exchange.now_ns + 1, "V", 1, ("@", condition)))
    floor.wait()
    assert order.filled_qty == 0


@pytest.mark.parametrize("field", ["queue_cancel_power", "impact_half_life_seconds"])
def test_settings_that_make_no_sense_are_refused(field):
    with pytest.raises(AssertionError, match=field):
        ExchangeSettings(start_ns=OPEN_NS, fills=FillSettings(**{field: 0.0}))
