"""Opening and closing auctions: one price, those at the market first, and nothing is left over."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.bells import CLOSING_PATIENCE_NS, OPENING_PATIENCE_NS
from quant_trading_system.simulator.events import SimStatus, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, TUESDAY, Floor, buy, sell

SENT_NS = OPEN_NS - 2 * NANOS_PER_MINUTE
EARLY_NS = OPEN_NS - 60 * NANOS_PER_MINUTE


def auction(floor, price, condition, size=1_000, *, at_ns=None):
    now_ns = floor.exchange.now_ns + 1 if at_ns is None else at_ns
    floor.market.say(SimTrade("AAPL", price, size, now_ns, "Q", 7, ("@", condition)))
    floor.until(max(now_ns, floor.exchange.now_ns))


def opg(floor, limit=None, qty="10", side=buy):
    fields = {} if limit is None else {"type": "limit", "limit_price": limit}
    return floor.submit(side(qty=qty, time_in_force="opg", **fields))


def cls(floor, limit=None, qty="10", side=buy):
    fields = {} if limit is None else {"type": "limit", "limit_price": limit}
    return floor.submit(side(qty=qty, time_in_force="cls", **fields))


def test_w10_orders_for_the_opening_are_sent_at_0928_and_filled_or_canceled_at_the_opening_print():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    good, bad = opg(floor, "100.50"), opg(floor, "100.20")
    floor.until(SENT_NS - 1)
    assert floor.told() == ["accepted", "accepted"]
    floor.until(OPEN_NS)
    assert floor.told(good) == ["accepted", "pending_new", "new"]
    auction(floor, 100.30, "O")
    assert floor.told(good) == ["accepted", "pending_new", "new", "fill"]
    assert floor.told(bad) == ["accepted", "pending_new", "new", "canceled"]
    assert good.filled_avg_price == D("100.30"), "everybody pays the auction's price"


def test_w10_an_order_of_the_evening_before_waits_over_night():
    floor = Floor()
    floor.until(CLOSE_NS + 240 * NANOS_PER_MINUTE)
    order = opg(floor, "101")
    assert order.status == "accepted"
    floor.until(TUESDAY.open_ns)
    auction(floor, 99.90, "O")
    assert (order.status, order.filled_avg_price) == ("filled", D("99.90"))


def test_the_auction_serves_the_market_then_the_better_limit_then_the_earlier():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    late_limit, early_same = opg(floor, "100.40", "100"), opg(floor, "100.60", "100")
    late_same, market = opg(floor, "100.60", "100"), opg(floor, None, "100")
    floor.until(OPEN_NS)
    auction(floor, 100.30, "O", size=250)
    assert [o.filled_qty for o in (market, early_same, late_same, late_limit)] == [D(100), D(100), D(50), D(0)]
    assert {o.status for o in (late_same, late_limit)} == {"canceled"}


def test_an_auction_that_nobody_printed_is_settled_at_the_quote():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = opg(floor)
    floor.until(OPEN_NS)
    floor.quote(100.10, 100.14)
    floor.until(OPEN_NS + OPENING_PATIENCE_NS - 1)
    assert order.status == "new"
    floor.until(OPEN_NS + OPENING_PATIENCE_NS)
    assert (order.status, order.filled_avg_price) == ("filled", D("100.14"))


def test_the_first_quote_of_both_sides_is_the_opening_one_and_shows_what_there_is():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = opg(floor, qty="500")
    floor.until(OPEN_NS)
    floor.quote(0.0, 100.50)
    floor.quote(100.10, 100.14, ask_size=300)
    floor.quote(100.40, 100.44)
    floor.until(OPEN_NS + OPENING_PATIENCE_NS)
    assert (order.status, order.filled_qty, order.filled_avg_price) == ("canceled", D(300), D("100.14"))


def test_without_any_price_an_opening_order_is_canceled():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = opg(floor)
    floor.until(OPEN_NS + OPENING_PATIENCE_NS)
    assert (order.status, order.filled_qty) == ("canceled", D(0))


def test_orders_for_the_close_work_all_day_and_meet_the_closing_print_alone():
    floor = Floor()
    floor.hold(30)
    market, limit, low = cls(floor, side=sell), cls(floor, "99.50", side=sell), cls(floor, "120", side=sell)
    floor.wait()
    assert {order.status for order in (market, limit, low)} == {"new"}
    floor.quote(100.50, 100.52)
    floor.trade(130.00)
    floor.until(CLOSE_NS)
    assert {order.status for order in (market, limit, low)} == {"new"}, "day orders end here, these wait"
    auction(floor, 99.80, "6")
    assert (market.status, market.filled_avg_price) == ("filled", D("99.80"))
    assert (limit.status, limit.filled_avg_price) == ("filled", D("99.80"))
    assert (low.status, low.filled_qty) == ("canceled", D(0))


def test_without_a_closing_print_the_closing_quote_counts():
    floor = Floor()
    order = cls(floor)
    floor.until(CLOSE_NS - NANOS_PER_SECOND)
    floor.quote(101.00, 101.05)
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    floor.quote(109.00, 109.05)
    floor.until(CLOSE_NS + CLOSING_PATIENCE_NS)
    assert (order.status, order.filled_avg_price) == ("filled", D("101.05"))


def test_a_closing_print_that_came_before_the_bell_settles_the_auction_at_the_bell():
    floor = Floor()
    order = cls(floor)
    floor.until(CLOSE_NS - 5 * NANOS_PER_SECOND)
    auction(floor, 100.40, "6")
    floor.until(CLOSE_NS - 1)
    assert order.status == "new"
    floor.until(CLOSE_NS)
    assert (order.status, order.filled_avg_price, order.filled_at_ns) == ("filled", D("100.40"), CLOSE_NS)


def test_an_order_that_was_cancelled_takes_no_part_of_the_auction():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    gone, stays = opg(floor, qty="100"), opg(floor, qty="100")
    floor.until(OPEN_NS)
    floor.exchange.cancel(gone.id)
    floor.wait(0.1)
    assert gone.status == "canceled"
    auction(floor, 100.30, "O", size=100)
    assert stays.filled_qty == 100


def test_what_an_auction_traded_does_not_fill_the_book_once_more():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    floor.quote(99.98, 100.02)
    resting = floor.submit(buy(type="limit", limit_price="100.00", extended_hours=True))
    floor.wait()
    order = opg(floor, qty="100")
    floor.until(OPEN_NS)
    auction(floor, 99.00, "O", size=100)
    assert (order.filled_qty, resting.filled_qty) == (D(100), D(0))


def test_what_is_quoted_in_a_halt_is_no_opening_quote():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = opg(floor)
    floor.until(OPEN_NS - NANOS_PER_SECOND)
    floor.market.say(SimStatus("AAPL", "H", "", "T1", "", OPEN_NS - 10))
    floor.until(OPEN_NS)
    floor.quote(100.10, 100.14)
    floor.market.say(SimStatus("AAPL", "T", "", "T3", "", floor.exchange.now_ns + 1))
    floor.wait()
    floor.quote(101.10, 101.14)
    floor.until(OPEN_NS + OPENING_PATIENCE_NS)
    assert order.filled_avg_price == D("101.14")


def test_a_recorded_market_is_not_over_while_its_closing_auction_is_awaited(monkeypatch: pytest.MonkeyPatch):
    floor = Floor()
    monkeypatch.setattr(ScriptedMarket, "end_ns", CLOSE_NS)
    cls(floor)
    floor.until(CLOSE_NS)
    assert not floor.exchange.finished
    auction(floor, 100.40, "6")
    assert floor.exchange.finished


def test_a_closing_order_sent_before_the_open_works_from_the_bell():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = cls(floor)
    assert order.status == "accepted"
    floor.until(OPEN_NS + NANOS_PER_SECOND)
    assert order.status == "new"


def test_a_cancel_before_the_auction_is_in_time():
    floor = Floor(start_ns=EARLY_NS, quoted=False)
    order = opg(floor)
    floor.until(OPEN_NS - NANOS_PER_SECOND)
    floor.exchange.cancel(order.id)
    floor.until(OPEN_NS)
    auction(floor, 100.00, "O")
    assert (order.status, order.filled_qty) == ("canceled", D(0))


@pytest.mark.parametrize(
    ("kill_ns", "print_ns"), [(SENT_NS + 10**9, OPEN_NS + 5), (OPEN_NS + 10**9, OPEN_NS + 2 * 10**9)]
)
def test_a_restart_in_the_middle_of_an_opening_goes_on_with_it(tmp_path: Path, kill_ns: int, print_ns: int):
    floor = Floor(start_ns=EARLY_NS, quoted=False, journal=Journal(tmp_path / "journal"))
    order = opg(floor, "100.50")
    floor.until(kill_ns)
    assert order.status == "new"
    market = ScriptedMarket(floor.market.symbols, start_ns=Nanos(EARLY_NS))
    market.say(SimTrade("AAPL", 100.30, 100, print_ns, "Q", 7, ("@", "O")))
    again = Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal"))
    again.advance(Nanos(OPEN_NS + OPENING_PATIENCE_NS))
    found = again.order(order.id)
    assert (found.status, found.filled_avg_price) == ("filled", D("100.30"))


def test_a_restart_in_the_middle_of_a_closing_goes_on_with_it(tmp_path: Path):
    floor = Floor(journal=Journal(tmp_path / "journal"))
    order = cls(floor)
    floor.until(CLOSE_NS + NANOS_PER_SECOND)
    market = ScriptedMarket(floor.market.symbols, start_ns=Nanos(EARLY_NS))
    market.say(SimTrade("AAPL", 100.30, 100, CLOSE_NS + 2 * NANOS_PER_SECOND, "Q", 7, ("@", "6")))
    again = Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal"))
    again.advance(Nanos(CLOSE_NS + CLOSING_PATIENCE_NS))
    assert again.order(order.id).filled_avg_price == D("100.30")
