"""Stops are elected by last sales inside the best bid and offer, in regular hours; trailing ones follow them."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, sell


def trailing(floor: Floor, side=sell, **fields):
    order = floor.submit(side(type="trailing_stop", **fields))
    floor.wait()
    return order


def test_a_trailing_sell_follows_the_market_up_and_sells_when_it_falls():
    floor = Floor()
    floor.hold(10)
    floor.trade(100.00)
    order = trailing(floor, trail_price="1")
    assert (order.hwm, order.stop_price) == (D(100), D(99))
    floor.quote(100.99, 101.01)
    floor.trade(101.00)
    assert (order.hwm, order.stop_price, order.status) == (D("101.0"), D("100.0"), "new")
    floor.quote(100.40, 100.60)
    floor.trade(100.50)
    assert order.stop_price == D("100.0"), "it never falls back"
    before = len(floor.told(order))
    floor.quote(99.98, 100.02)
    floor.trade(100.00)
    floor.wait()
    assert (order.status, order.filled_avg_price) == ("filled", D("99.98"))
    assert floor.told(order)[before:] == ["fill"], "no event tells of its moves or its election"


def test_a_trailing_buy_follows_down_by_percent_and_is_not_rounded():
    floor = Floor()
    order = trailing(floor, side=buy, trail_percent="5")
    floor.quote(97.00, 97.50)
    floor.trade(97.13)
    assert (order.hwm, order.stop_price) == (D("97.13"), D("101.9865"))
    floor.quote(101.90, 102.00)
    floor.trade(102.00)
    assert (order.status, order.filled_avg_price) == ("filled", D("102.0"))


def test_a_trailing_stop_sleeps_outside_regular_hours():
    floor = Floor()
    floor.hold(10)
    order = trailing(floor, trail_price="1", time_in_force="gtc")
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    floor.quote(109.99, 110.01)
    floor.trade(110.00)
    floor.quote(89.99, 90.01)
    floor.trade(90.00)
    assert (order.status, order.hwm) == ("new", D(100))


@pytest.mark.parametrize(
    ("price", "conditions", "elects"),
    [
        (98.90, ("@",), True),
        (98.90, ("@", "I"), False),
        (98.90, ("@", "T"), False),
        (98.90, ("@", "4"), False),
        (98.90, ("@", "F"), True),
        (98.70, ("@",), False),
    ],
)
def test_only_last_sales_inside_the_quote_elect(price, conditions, elects):
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(type="stop_limit", stop_price="99", limit_price="99.50"))
    floor.wait()
    floor.quote(98.80, 99.02)
    floor.market.say(SimTrade("AAPL", price, 100, floor.exchange.now_ns + 1, "V", 1, conditions))
    floor.wait()
    assert order.is_elected == elects


def test_an_odd_lot_fills_what_rests_though_it_elects_nothing():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="99.90"))
    floor.wait()
    floor.market.say(SimTrade("AAPL", 99.80, 7, floor.exchange.now_ns + 1, "V", 1, ("@", "I")))
    floor.wait()
    assert order.filled_qty == 7


def test_a_restart_keeps_what_a_trailing_stop_has_seen(tmp_path: Path):
    floor = Floor(journal=Journal(tmp_path / "journal"))
    floor.hold(10)
    order = trailing(floor, trail_price="1")
    floor.quote(102.99, 103.01)
    floor.trade(103.00)
    market = ScriptedMarket(floor.market.symbols, start_ns=OPEN_NS)
    again = Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal"))
    assert again.order(order.id).stop_price == D("102.0")
