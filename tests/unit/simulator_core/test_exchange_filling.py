"""How orders fill: at the touch, by the size shown, at their own price once they rest."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.refusals import Refusal
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, sell


def fills(floor, order):
    floor.told()
    return [(e.qty, e.price) for e in floor.events if e.order.id == order.id and e.price is not None]


def test_a_market_buy_pays_the_ask_and_a_market_sell_gets_the_bid():
    floor = Floor()
    bought = floor.submit(buy(qty="10"))
    floor.wait()
    sold = floor.submit(sell(qty="10"))
    floor.wait()
    assert fills(floor, bought) == [(D(10), D("100.01"))]
    assert fills(floor, sold) == [(D(10), D("99.99"))]
    assert floor.cash() == D("99999.80")


def test_a_marketable_limit_order_fills_at_the_touch_not_at_its_limit():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="101"))
    floor.wait()
    assert fills(floor, order) == [(D(10), D("100.01"))]


def test_nothing_fills_beyond_the_size_shown_and_the_next_quote_fills_more():
    floor = Floor()
    floor.quote(99.99, 100.01, ask_size=300)
    order = floor.submit(buy(qty="700"))
    floor.wait()
    assert fills(floor, order) == [(D(300), D("100.01"))]
    floor.quote(100.00, 100.02, ask_size=300)
    floor.quote(100.01, 100.03, ask_size=300)
    assert fills(floor, order) == [(D(300), D("100.01")), (D(300), D("100.02")), (D(100), D("100.03"))]
    assert order.status == "filled"
    assert order.filled_avg_price == D("100.017142857")


def test_two_orders_share_the_size_of_one_quote():
    floor = Floor()
    floor.quote(99.99, 100.01, ask_size=100)
    first, second = floor.submit(buy(qty="80")), floor.submit(buy(qty="80"))
    floor.wait()
    assert first.filled_qty + second.filled_qty == 100


def test_a_resting_limit_order_fills_at_its_own_price_when_the_other_side_comes():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="99.50"))
    floor.wait()
    assert order.status == "new"
    floor.quote(99.30, 99.40)
    assert fills(floor, order) == [(D(10), D("99.50"))]


def test_a_resting_limit_order_fills_when_a_trade_prints_through_it_and_not_at_it():
    floor = Floor()
    floor.quote(99.50, 100.01, bid_size=300)
    order = floor.submit(buy(type="limit", limit_price="99.50"))
    floor.wait()
    floor.trade(99.50)
    assert order.filled_qty == 0
    floor.trade(99.49, size=4)
    assert fills(floor, order) == [(D(4), D("99.50"))]
    assert order.status == "partially_filled"


def test_an_order_for_a_symbol_that_is_never_quoted_stays_new():
    floor = Floor()
    floor.trade(167.41, symbol="SPY")
    market, limit = floor.submit(buy("SPY")), floor.submit(buy("SPY", type="limit", limit_price="170"))
    for price in (167.40, 167.30, 160.00):
        floor.trade(price, symbol="SPY")
        floor.wait()
    assert (market.status, limit.status) == ("new", "new")


def test_a_quote_of_before_the_open_fills_nothing():
    floor = Floor(start_ns=OPEN_NS - 10 * NANOS_PER_SECOND)
    order = floor.submit(buy())
    floor.until(OPEN_NS + NANOS_PER_SECOND)
    assert order.status == "new"
    floor.quote(99.98, 100.00)
    assert order.status == "filled"


def test_one_marketable_order_in_ten_fills_in_part_first():
    floor = Floor(partial_fill_probability=0.1)
    orders = []
    for _ in range(300):
        floor.quote(99.99, 100.01, bid_size=1e6, ask_size=1e6)
        orders += [floor.submit(buy(qty="10"))]
        floor.wait()
        orders += [floor.submit(sell(qty="10"))]
        floor.wait()
    assert {order.status for order in orders} == {"filled"}
    in_parts = sum(len(fills_of) > 1 for fills_of in (fills(floor, order) for order in orders))
    assert 30 <= in_parts <= 95


def test_ioc_takes_what_is_there_and_cancels_the_rest():
    floor = Floor()
    floor.quote(99.99, 100.01, ask_size=300)
    order = floor.submit(buy(qty="500", time_in_force="ioc"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("canceled", D(300))
    assert floor.told(order) == ["pending_new", "new", "partial_fill", "canceled"]


@pytest.mark.parametrize(("qty", "status", "filled"), [("301", "canceled", 0), ("300", "filled", 300)])
def test_fok_fills_whole_or_not_at_all(qty, status, filled):
    floor = Floor(partial_fill_probability=1.0)
    floor.quote(99.99, 100.01, ask_size=300)
    order = floor.submit(buy(qty=qty, time_in_force="fok"))
    floor.wait()
    assert (order.status, order.filled_qty) == (status, filled)


def test_an_ioc_limit_away_from_the_market_is_canceled_unfilled():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="99", time_in_force="ioc"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("canceled", D(0))


def test_a_sell_stop_waits_for_a_print_at_its_price_and_then_sells_at_the_bid():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(type="stop", stop_price="99"))
    floor.wait()
    floor.quote(98.00, 98.02)
    assert order.status == "new", "a quote elects no stop"
    floor.trade(99.00)
    assert order.status == "new", "nor does a print outside the best bid and offer"
    floor.trade(98.01)
    floor.wait()
    assert fills(floor, order) == [(D(10), D("98.0"))]


def test_an_elected_stop_limit_rests_at_its_limit():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(type="stop_limit", stop_price="99", limit_price="98.90"))
    floor.wait()
    floor.quote(98.50, 98.60)
    floor.trade(98.60)
    assert (order.status, order.is_elected, order.filled_qty) == ("new", True, D(0))
    floor.quote(98.95, 98.97)
    assert fills(floor, order) == [(D(10), D("98.90"))]


def test_an_elected_buy_stop_pays_no_more_than_its_collar():
    floor = Floor()
    order = floor.submit(buy(type="stop", stop_price="101"))
    floor.wait()
    floor.quote(106.00, 106.10)
    floor.trade(106.00)
    assert (order.is_elected, order.filled_qty) == (True, D(0))
    floor.quote(103.40, 103.52)
    assert fills(floor, order) == [(D(10), D("103.52"))]


def test_an_order_by_amount_buys_what_the_amount_buys_to_nine_decimals():
    floor = Floor()
    order = floor.submit(buy(qty=None, notional="500"))
    floor.wait()
    assert (order.qty, order.status, order.filled_qty) == (None, "filled", D("4.999500049"))
    assert floor.exchange.account().cash > D("99500")


def test_an_order_by_amount_goes_on_with_what_is_left_of_the_amount():
    floor = Floor()
    floor.quote(99.99, 100.01, ask_size=3)
    order = floor.submit(buy(qty=None, notional="500"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("partially_filled", D(3))
    floor.quote(110.00, 110.02, ask_size=300)
    assert fills(floor, order) == [(D(3), D("100.01")), (D("1.817578622"), D("110.02"))]
    assert order.status == "filled"
    assert D("499.99999") < order.filled_cost <= 500


def test_a_fill_can_be_faster_than_a_cancel():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="99"))
    floor.wait()
    floor.exchange.cancel(order.id)
    assert order.status == "pending_cancel"
    floor.market.say(SimQuote("AAPL", 98.0, 100, 98.5, 100, floor.exchange.now_ns + 1))
    floor.wait(0.2)
    assert order.status == "filled"
    assert order.canceled_at_ns is None


def test_day_orders_expire_with_the_session_and_good_till_cancelled_ones_do_not():
    floor = Floor()
    day = floor.submit(buy(type="limit", limit_price="90"))
    gtc = floor.submit(buy(type="limit", limit_price="90", time_in_force="gtc"))
    floor.until(CLOSE_NS - 1)
    assert (day.status, gtc.status) == ("new", "new")
    floor.until(CLOSE_NS)
    assert (day.status, day.expired_at_ns) == ("expired", CLOSE_NS)
    assert gtc.status == "new"
    with pytest.raises(Refusal, match='already in "expired" state'):
        floor.exchange.cancel(day.id)


def test_nothing_fills_after_the_close():
    floor = Floor()
    gtc = floor.submit(buy(type="limit", limit_price="90", time_in_force="gtc"))
    floor.until(CLOSE_NS)
    floor.quote(80.0, 80.1)
    floor.trade(80.0)
    assert gtc.status == "new"


def test_an_order_of_yesterday_that_the_open_makes_marketable_fills_at_the_touch():
    floor = Floor()
    gtc = floor.submit(buy(type="limit", limit_price="90", time_in_force="gtc"))
    floor.until(OPEN_NS + 86_400 * NANOS_PER_SECOND)
    floor.quote(84.9, 85.0)
    assert fills(floor, gtc) == [(D(10), D("85.0"))]
