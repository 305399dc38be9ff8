"""Cash, margins, positions and their profits, by the arithmetic of the protocol reference."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.account import margins
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.ledger import Books
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, sell

DAY_NS = 86_400 * NANOS_PER_SECOND


def execution(number, side, qty, price, *, cum=None):
    return Execution(
        sequence=number,
        execution_id=f"e{number}",
        order_id=f"o{number}",
        client_order_id=f"c{number}",
        symbol="AAPL",
        side=side,
        qty=D(qty),
        price=D(price),
        fee=D(0),
        timestamp_ns=number,
        cum_qty=D(cum or qty),
        leaves_qty=D(0),
        order_status="filled",
        activity_id=f"a{number}",
    )


def test_margins_are_those_recorded_on_2021_06_01():
    books = Books(D("85523.79"))
    books.book(execution(1, "buy", "1", "4943.14"))
    books.cash = D("90466.93") - D("4943.14")  # the account's history is not in the recording
    held = margins(books, lambda _: D("4943.14"))
    assert (held.equity, held.initial, held.maintenance) == (D("90466.93"), D("2471.57"), D("1482.942"))
    assert 2 * (held.equity - held.initial) == D("175990.72")


def test_an_average_entry_price_has_sixteen_decimals_and_sales_leave_it():
    books = Books(D(100_000))
    books.book(execution(1, "buy", "4", "3648.13"))
    books.book(execution(2, "buy", "3", "3648.12"))
    held = books.position("AAPL")
    assert held is not None
    assert str(held.avg_entry_price) == "3648.1257142857142857"
    books.book(execution(3, "sell", "5", "3700"))
    assert str(held.avg_entry_price) == "3648.1257142857142857"
    assert held.qty == 2
    books.book(execution(4, "sell", "2", "3700"))
    assert books.position("AAPL") is None
    books.check()


def test_cash_is_what_came_in_less_what_went_out_to_the_cent():
    floor = Floor()
    floor.hold(10)
    floor.submit(sell(qty="4"))
    floor.wait()
    assert floor.cash() == D(100_000) - 10 * D("100.01") + 4 * D("99.99")


def test_a_position_is_valued_at_the_last_trade():
    floor = Floor()
    floor.hold(10)
    floor.trade(101.50)
    view = floor.exchange.position("AAPL")
    assert (view.current_price, view.market_value, view.cost_basis) == (D("101.5"), D(1015), D("1000.1"))
    assert (view.unrealized_pl, view.unrealized_intraday_pl) == (D("14.9"), D("14.9"))
    assert str(view.unrealized_plpc) == "0.0148985101489851"
    assert (view.lastday_price, view.change_today) == (D(100), D("0.015"))
    account = floor.exchange.account()
    assert account.equity == D("100014.9")
    assert account.long_market_value == 1015
    assert (account.initial_margin, account.maintenance_margin) == (D("507.5"), D("304.5"))
    assert account.buying_power == 2 * (account.equity - account.initial_margin)


def test_yesterdays_shares_count_today_from_the_last_close():
    floor = Floor()
    floor.hold(10)
    floor.trade(105.0)
    floor.until(OPEN_NS + DAY_NS)
    floor.market._last_close = 105.0
    floor.trade(107.0)
    view = floor.exchange.position("AAPL")
    assert (view.unrealized_pl, view.unrealized_intraday_pl) == (D("69.9"), D(20))


def test_last_equity_is_the_equity_of_the_last_close():
    floor = Floor()
    assert floor.exchange.account().last_equity == 100_000
    floor.hold(10)
    floor.trade(105.0)
    floor.until(CLOSE_NS)
    floor.trade(120.0)
    assert floor.exchange.account().last_equity == D("100049.9")
    assert floor.exchange.account().balance_asof.isoformat() == "2026-11-23"


def test_a_cash_account_buys_for_its_cash_alone():
    floor = Floor(multiplier=1)
    assert floor.exchange.account().buying_power == 100_000
    floor.submit(buy(type="limit", limit_price="90", qty="1000"))
    assert floor.exchange.account().buying_power == 10_000


def test_books_refuse_an_execution_that_does_not_add_up():
    books = Books(D(100_000))
    books.book(execution(1, "buy", "4", "10"))
    with pytest.raises(AssertionError, match="expected 3 filled, found 5"):
        books.book(execution(2, "buy", "3", "10", cum="5"))
