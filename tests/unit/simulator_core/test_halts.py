"""Nothing trades through a halt: control, volatility pauses, market-wide breakers; and when shorts are restricted."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.events import SimLuld, SimQuote, SimStatus, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.refusals import Refusal
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, TUESDAY, Floor, buy, sell


def bands(floor: Floor, up: float, down: float) -> None:
    floor.market.say(SimLuld("AAPL", up, down, "A", floor.exchange.now_ns + 1))
    floor.wait(0.001)


def statuses(floor: Floor) -> list[tuple[str, str, str]]:
    return [(e.symbol, e.code, e.reason_code) for e in floor.exchange.take_market_events() if isinstance(e, SimStatus)]


def test_w11_in_a_halt_orders_stay_new_and_afterwards_trading_resumes():
    floor = Floor()
    resting = floor.submit(buy(type="limit", limit_price="99.90"))
    floor.wait()
    floor.exchange.set_status("AAPL", "halt")
    assert floor.exchange.is_halted("AAPL")
    limit = floor.submit(buy(type="limit", limit_price="101"))
    with pytest.raises(Refusal) as refused:
        floor.submit(buy())
    assert (refused.value.http_status, refused.value.code) == (403, 40310010)
    floor.quote(99.50, 99.52)
    floor.trade(99.40)
    floor.wait()
    assert {order.status for order in (resting, limit)} == {"new"}
    floor.exchange.set_status("AAPL", "resume")
    floor.wait()
    assert limit.status == "new", "nothing has been quoted since"
    floor.quote(99.60, 99.62)
    assert [order.filled_avg_price for order in (resting, limit)] == [D("99.62"), D("99.62")]
    assert statuses(floor) == [("AAPL", "H", "T12"), ("AAPL", "T", "")]


def test_what_the_market_says_of_a_symbol_that_control_halted_is_not_told():
    floor = Floor()
    floor.exchange.set_status("AAPL", "halt")
    floor.exchange.take_market_events()
    floor.quote(99.50, 99.52)
    floor.trade(99.40)
    floor.quote(50.00, 50.10, symbol="MSFT")
    assert [type(event) for event in floor.exchange.take_market_events()] == [SimQuote]


def test_codes_are_of_the_symbols_tape():
    floor = Floor()
    floor.exchange.set_status("SPY", "halt")
    floor.exchange.set_status("SPY", "resume")
    floor.exchange.set_status("SPY", "luld_pause")
    assert statuses(floor) == [("SPY", "2", "P"), ("SPY", "3", ""), ("SPY", "2", "M")]


def test_a_halt_that_the_market_tells_of_holds_too_and_is_told_once():
    floor = Floor()
    order = floor.submit(buy(type="limit", limit_price="99.90"))
    floor.wait()
    for code in ("H", "T"):
        floor.market.say(SimStatus("AAPL", code, "", "T1", "", floor.exchange.now_ns + 1))
        floor.wait()
        assert floor.exchange.is_halted("AAPL") == (code == "H")
        if code == "H":
            floor.quote(99.00, 99.10)
            assert order.filled_qty == 0
    assert statuses(floor) == [("AAPL", "H", "T1"), ("AAPL", "T", "T1")]
    floor.quote(99.00, 99.10)
    assert order.status == "filled"


def test_a_reopening_print_trades_everybody_at_one_price():
    floor = Floor()
    floor.hold(50)
    floor.exchange.set_status("AAPL", "halt")
    orders = [floor.submit(sell(type="limit", limit_price=price, qty="10")) for price in ("99", "98", "100.50")]
    floor.wait()
    floor.exchange.set_status("AAPL", "resume")
    floor.market.say(SimTrade("AAPL", 99.20, 15, floor.exchange.now_ns + 1, "Q", 9, ("@", "5")))
    floor.wait()
    assert [order.filled_qty for order in orders] == [D(5), D(10), D(0)]
    assert {event.price for event in floor.events if event.price is not None} == {D("99.20")}
    floor.quote(99.10, 99.12)
    assert (orders[0].status, orders[2].status) == ("filled", "new")


def test_a_volatility_pause_lasts_five_minutes():
    floor = Floor()
    floor.exchange.set_status("AAPL", "luld_pause")
    floor.wait(299)
    assert floor.exchange.is_halted("AAPL")
    floor.wait(1)
    assert not floor.exchange.is_halted("AAPL")
    assert statuses(floor) == [("AAPL", "P", "LUDP"), ("AAPL", "T", "")]


def test_nothing_fills_outside_the_bands():
    floor = Floor()
    bands(floor, 105.00, 95.00)
    order = floor.submit(buy(type="limit", limit_price="106"))
    floor.quote(105.20, 105.40)
    floor.wait()
    assert order.status == "new"
    floor.quote(104.70, 105.00)
    assert (order.status, order.filled_avg_price) == ("filled", D("105.0"))


def test_a_quote_that_stands_at_a_band_for_fifteen_seconds_pauses_the_symbol():
    floor = Floor()
    bands(floor, 105.00, 95.00)
    floor.quote(94.98, 95.00)
    floor.wait(14)
    floor.quote(94.97, 95.00)
    assert not floor.exchange.is_halted("AAPL")
    floor.wait(1.5)
    assert floor.exchange.is_halted("AAPL")
    floor.wait(300)
    assert not floor.exchange.is_halted("AAPL")
    assert statuses(floor) == [("AAPL", "P", "LUDP"), ("AAPL", "T", "")]


def test_a_quote_that_leaves_the_band_in_time_ends_the_limit_state():
    floor = Floor()
    bands(floor, 105.00, 95.00)
    floor.quote(105.00, 105.02)
    floor.wait(10)
    floor.quote(104.90, 105.00)
    floor.wait(3)
    floor.quote(105.00, 105.02)
    floor.wait(5)
    assert not floor.exchange.is_halted("AAPL")
    floor.wait(10)
    assert floor.exchange.is_halted("AAPL")


def test_a_market_wide_breaker_halts_every_equity_for_a_quarter_of_an_hour():
    floor = Floor(symbols=("AAPL", "SPY", "BTC/USD"))
    floor.exchange.set_status("SPY", "halt")
    floor.exchange.set_status("*", "mwcb1")
    assert [floor.exchange.is_halted(s) for s in ("AAPL", "SPY", "BTC/USD")] == [True, True, False]
    floor.wait(15 * 60)
    assert [floor.exchange.is_halted(s) for s in ("AAPL", "SPY")] == [False, True], "the other halt is not over"


def test_a_level_three_breach_ends_the_day():
    floor = Floor()
    floor.exchange.set_status("*", "mwcb3")
    floor.until(CLOSE_NS)
    assert floor.exchange.is_halted("AAPL")
    floor.until(TUESDAY.open_ns)
    assert not floor.exchange.is_halted("AAPL")


@pytest.mark.parametrize(
    ("symbol", "kind", "before_close_minutes", "text"),
    [
        ("AAPL", "sleep", 300, "status must be one of"),
        ("NOPE", "halt", 300, "asset not found"),
        ("BTC/USD", "halt", 300, "of equities"),
        ("*", "mwcb1", 35, "only a level 3 breach"),
        ("*", "mwcb2", -1, "regular hours only"),
    ],
)
def test_a_status_that_makes_no_sense_is_refused(symbol, kind, before_close_minutes, text):
    floor = Floor(symbols=("AAPL", "BTC/USD"))
    floor.until(CLOSE_NS - before_close_minutes * NANOS_PER_MINUTE)
    with pytest.raises(Refusal, match=text):
        floor.exchange.set_status(symbol, kind)


def test_an_immediate_order_does_not_wait_out_a_halt():
    floor = Floor()
    floor.exchange.set_status("AAPL", "halt")
    order = floor.submit(buy(type="limit", limit_price="101", time_in_force="ioc"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("canceled", D(0))


def test_a_restart_goes_on_with_halts_and_their_ends(tmp_path: Path):
    floor = Floor(journal=Journal(tmp_path / "journal"))
    floor.exchange.set_status("AAPL", "luld_pause")
    floor.exchange.set_status("SPY", "halt")
    market = ScriptedMarket(floor.market.symbols, start_ns=OPEN_NS)
    again = Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal"))
    assert (again.is_halted("AAPL"), again.is_halted("SPY"), again.is_halted("MSFT")) == (True, True, False)
    market.say(SimTrade("SPY", 100.0, 100, again.now_ns + 1, "V", 1))
    again.advance(Nanos(OPEN_NS + 6 * NANOS_PER_MINUTE))
    assert (again.is_halted("AAPL"), again.is_halted("SPY")) == (False, True)
    assert not any(isinstance(event, SimTrade) for event in again.take_market_events())


def test_a_resumption_right_after_a_restart_finds_the_orders(tmp_path: Path):
    floor = Floor(journal=Journal(tmp_path / "journal"))
    order = floor.submit(buy(type="limit", limit_price="99.90"))
    floor.wait()
    floor.exchange.set_status("AAPL", "halt")
    floor.market = ScriptedMarket(floor.market.symbols, start_ns=OPEN_NS)
    floor.exchange = Exchange(
        settings=floor.exchange.settings, market=floor.market, journal=Journal(tmp_path / "journal")
    )
    floor.exchange.set_status("AAPL", "resume")
    floor.quote(99.60, 99.62)
    assert floor.exchange.order(order.id).filled_avg_price == D("99.62"), "not at its own price, as one that rested"


def test_a_tenth_below_the_last_close_short_sales_are_restricted_until_the_next_close(tmp_path: Path):
    floor = Floor(symbols=("AAPL", "SPY"), journal=Journal(tmp_path / "journal"))
    for symbol in ("AAPL", "SPY"):
        floor.trade(90.01, symbol=symbol)
        assert not floor.exchange.is_short_restricted(symbol)
        floor.trade(90.00, symbol=symbol)
        assert floor.exchange.is_short_restricted(symbol)
    assert statuses(floor) == [("SPY", "E", "")], "the tape of Nasdaq's listings has no code for it"
    again = Exchange(
        settings=floor.exchange.settings,
        market=ScriptedMarket(floor.market.symbols, start_ns=OPEN_NS),
        journal=Journal(tmp_path / "journal"),
    )
    again.advance(Nanos(TUESDAY.close_ns - NANOS_PER_SECOND))
    assert again.is_short_restricted("AAPL")
    again.advance(TUESDAY.close_ns)
    assert not again.is_short_restricted("AAPL")


def test_under_restriction_a_short_sale_fills_above_the_bid_alone():
    floor = Floor(shorting_enabled=True)
    floor.trade(90.00)
    floor.quote(89.99, 90.01)
    order = floor.submit(sell(type="limit", limit_price="89.95"))
    floor.wait()
    floor.quote(89.98, 90.00)
    assert (order.status, order.filled_qty) == ("new", D(0))
