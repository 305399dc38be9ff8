"""When orders may fill: regular, early and late hours, half-days, crypto at any hour; and when they end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND
from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.sessions import expiry_ns, next_aging_ns, next_midnight_ns
from tests.unit.simulator_core.desk_script import CLOSE_NS, HALF_DAY, MONDAY, OPEN_NS, TUESDAY, Floor, buy, sell

PRE_NS, POST_END_NS = MONDAY.pre_market_ns, MONDAY.post_market_end_ns


def early(seconds: float) -> Floor:
    """An exchange some seconds before the open."""
    return Floor(start_ns=OPEN_NS - round(seconds * NANOS_PER_SECOND), quoted=False)


def test_an_extended_hours_order_fills_before_the_open_and_after_the_close():
    floor = early(3600)
    order = floor.submit(buy(type="limit", limit_price="100.05", extended_hours=True))
    assert order.status == "pending_new"
    floor.quote(99.99, 100.01)
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "fill"]
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    late = floor.submit(sell(type="limit", limit_price="99", extended_hours=True))
    floor.wait()
    floor.quote(99.50, 99.60)
    assert (late.status, late.filled_avg_price) == ("filled", D("99.50"))


def test_an_ordinary_order_waits_for_the_open_whatever_is_quoted_before_it():
    floor = early(3600)
    order = floor.submit(buy())
    floor.quote(99.99, 100.01)
    floor.until(OPEN_NS - 1)
    assert (order.status, floor.told(order)) == ("accepted", ["accepted"])
    floor.until(OPEN_NS + NANOS_PER_SECOND)
    assert (order.status, order.filled_qty) == ("new", D(0)), "quotes of before the bell do not count"
    floor.quote(99.97, 99.99)
    assert floor.told(order) == ["accepted", "pending_new", "new", "fill"]
    assert order.filled_avg_price == D("99.99")


def test_an_ordinary_good_till_cancelled_order_does_not_fill_after_the_close():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="90", time_in_force="gtc"))
    floor.until(CLOSE_NS)
    floor.quote(80.0, 80.1)
    floor.trade(80.0)
    assert order.status == "new"


def test_an_extended_hours_order_sent_at_night_waits_for_the_early_session():
    floor = Floor()
    floor.until(POST_END_NS + NANOS_PER_SECOND)
    order = floor.submit(buy(type="limit", limit_price="100.05", extended_hours=True))
    assert order.status == "accepted"
    floor.until(TUESDAY.pre_market_ns - 1)
    assert order.status == "accepted"
    floor.until(TUESDAY.pre_market_ns + NANOS_PER_SECOND)
    assert order.status == "new"


@pytest.mark.parametrize("extended", [False, True])
def test_a_day_order_ends_with_its_own_session(extended):
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="90", extended_hours=extended))
    end_ns = POST_END_NS if extended else CLOSE_NS
    assert order.expires_at_ns == end_ns
    floor.until(end_ns - 1)
    assert order.status == "new"
    floor.until(end_ns)
    assert (order.status, order.expired_at_ns) == ("expired", end_ns)


def test_on_a_half_day_the_sessions_end_at_one_and_at_five():
    floor = Floor(start_ns=HALF_DAY.open_ns)
    day = floor.submit(buy(type="limit", limit_price="90"))
    late = floor.submit(buy(type="limit", limit_price="90", extended_hours=True))
    floor.until(new_york_ns(HALF_DAY.day, 13))
    assert (day.status, late.status) == ("expired", "new")
    floor.until(new_york_ns(HALF_DAY.day, 17))
    assert late.status == "expired"


def test_a_day_order_sent_after_the_close_belongs_to_the_next_session():
    floor = Floor()
    floor.until(CLOSE_NS + 30 * NANOS_PER_MINUTE)
    order = floor.submit(buy())
    assert (order.status, order.expires_at_ns) == ("accepted", TUESDAY.close_ns)


def test_an_order_good_till_cancelled_ages_at_a_quarter_past_four():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="50", time_in_force="gtc"))
    assert order.expires_at_ns is not None
    aged_ns = order.expires_at_ns + 15 * NANOS_PER_MINUTE
    floor.until(aged_ns - 1)
    assert order.status == "new"
    floor.exchange.cancels_stuck = True  # what is planned next is seen before it is over
    floor.until(aged_ns)
    assert order.status == "pending_cancel"
    floor.exchange.cancels_stuck = False
    floor.wait()
    assert (order.status, floor.told(order)[-1]) == ("canceled", "canceled")


def test_an_order_good_till_cancelled_lives_89_days():
    friday = new_york_ns(date(2026, 9, 18), 10)
    assert expiry_ns("gtc", friday, asset_class="us_equity", extended_hours=False) == new_york_ns(
        date(2026, 12, 16), 16
    )


def test_aging_and_midnight_keep_to_new_york_clocks_when_they_change():
    saturday = new_york_ns(date(2026, 10, 31), 17)
    assert next_aging_ns(saturday) == new_york_ns(date(2026, 11, 1), 16, 15)
    assert next_midnight_ns(saturday) == new_york_ns(date(2026, 11, 1))
    assert next_midnight_ns(new_york_ns(date(2026, 11, 1))) == new_york_ns(date(2026, 11, 2))
    assert next_midnight_ns(new_york_ns(date(2026, 3, 8))) == new_york_ns(date(2026, 3, 9))


def crypto_quote(floor: Floor, bid: float, ask: float, size: float = 5.0) -> None:
    floor.market.say(SimQuote("BTC/USD", bid, size, ask, size, floor.exchange.now_ns + 1))
    floor.wait(0.001)


def test_crypto_trades_on_a_sunday_in_parts_of_nine_decimals():
    sunday = new_york_ns(date(2026, 11, 22), 3)
    floor = Floor(start_ns=sunday, quoted=False, symbols=("AAPL", "BTC/USD"))
    crypto_quote(floor, 59_999.0, 60_001.0, size=0.4)
    order = floor.submit(buy("BTC/USD", "0.500000001", time_in_force="gtc"))
    assert order.status == "pending_new"
    floor.wait()
    assert (order.status, order.filled_qty) == ("partially_filled", D("0.4"))
    crypto_quote(floor, 59_999.0, 60_000.5, size=0.4)
    assert (order.status, order.filled_qty) == ("filled", D("0.500000001"))


def test_a_crypto_order_has_its_market_played_and_it_rests_over_every_bell():
    floor = Floor(symbols=("AAPL", "BTC/USD"))
    crypto_quote(floor, 59_999.0, 60_001.0)
    assert not floor.market.crypto_is_watched
    order = floor.submit(buy("BTC/USD", "0.1", type="limit", limit_price="59000", time_in_force="gtc"))
    assert floor.market.crypto_is_watched
    floor.until(POST_END_NS + NANOS_PER_SECOND)
    assert (order.status, order.is_resting) == ("new", True)
    crypto_quote(floor, 58_000.0, 58_500.0)
    assert (order.status, order.filled_avg_price) == ("filled", D(59_000))
    floor.until(next_midnight_ns(floor.exchange.now_ns))
    assert not floor.market.crypto_is_watched


def test_a_crypto_ioc_takes_what_is_there_at_any_hour():
    floor = Floor(start_ns=new_york_ns(date(2026, 11, 22), 3), quoted=False, symbols=("BTC/USD",))
    crypto_quote(floor, 59_999.0, 60_001.0, size=0.2)
    order = floor.submit(buy("BTC/USD", "0.3", time_in_force="ioc"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("canceled", D("0.2"))


def test_skipped_hours_are_played_while_an_order_waits_for_them():
    floor = Floor()
    floor.exchange.view_extended_hours(False)
    assert not floor.market.extended_is_watched
    order = floor.submit(buy(type="limit", limit_price="90", extended_hours=True))
    assert floor.market.extended_is_watched
    floor.until(POST_END_NS)
    assert (order.status, floor.market.extended_is_watched) == ("expired", False)
