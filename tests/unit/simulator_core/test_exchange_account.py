"""Cash, margins, positions and their profits, by the arithmetic of the protocol reference."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.account import (
    Base,
    Reserved,
    buying_power,
    equity_of,
    margins_of,
    regt_buying_power,
)
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.positions import Position
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


SHARE = SimAsset(id="a", symbol="AAPL", name="Apple", exchange="NASDAQ")
NOTHING = Reserved()


def held(qty, price, *, asset=SHARE, intraday_cost=0):
    position = Position("AAPL", qty=D(qty), cost=D(qty) * D(price), intraday_cost=D(intraday_cost))
    return margins_of(position, D(price), asset)


def test_margins_and_buying_power_are_those_recorded_on_2021_06_01():
    values = held("1", "4943.14")
    base = Base(cash=D("85523.79"), last_equity=D("90544.86"), last_maintenance=D("1506.321"))
    assert equity_of(base.cash, values) == D("90466.93")
    assert (values.initial, values.maintenance) == (D("2471.57"), D("1482.942"))
    assert regt_buying_power(base=base, held=values, reserved=NOTHING) == D("175990.72")
    assert buying_power(multiplier=4, base=base, held=values, reserved=NOTHING) == D("356154.156")


def test_margins_and_buying_power_are_those_recorded_on_2021_05_30():
    values = held("1", "5002.11")
    base = Base(cash=D("85523.79"), last_equity=D("90544.86"), last_maintenance=D("1506.321"))
    assert (values.initial, values.maintenance) == (D("2501.055"), D("1500.633"))
    assert regt_buying_power(base=base, held=values, reserved=NOTHING) == D("176049.69")
    assert buying_power(multiplier=4, base=base, held=values, reserved=NOTHING) == D("356154.156")


@pytest.mark.parametrize(
    ("qty", "price", "maintenance", "initial"),
    [
        ("100", "10", "300", "500"),  # long, 30 % and 50 %
        ("100", "2.50", "75", "125"),
        ("100", "2.49", "249", "249"),  # below 2.50 the whole value
        ("-100", "20", "600", "1000"),  # short, 30 %
        ("-100", "10", "500", "500"),  # but 5 USD a share at least
        ("-100", "5", "500", "500"),
        ("-100", "4", "400", "400"),  # below 5 USD the whole value
        ("-100", "2", "250", "250"),  # but 2.50 USD a share at least
    ],
)
def test_margins_follow_the_table(qty, price, maintenance, initial):
    values = held(qty, price)
    assert (values.maintenance, values.initial) == (D(maintenance), D(initial))


def test_a_leveraged_fund_and_coins_tie_up_their_whole_value():
    fund = SimAsset(id="b", symbol="AAPL", name="Fund", exchange="ARCA", margin_requirement=100)
    coin = SimAsset(id="c", symbol="BTC/USD", name="Bitcoin", exchange="CRYPTO", asset_class="crypto", marginable=False)
    assert (held("10", "50", asset=fund).maintenance, held("10", "50", asset=fund).initial) == (500, 500)
    assert (held("10", "50", asset=coin).maintenance, held("10", "50", asset=coin).initial) == (500, 500)


def test_positions_opened_today_use_four_times_buying_power_at_cost_and_those_of_last_night_do_not():
    base = Base(cash=D(40_000), last_equity=D(50_000), last_maintenance=D(3_000))
    last_night = held("100", "100")
    today = held("100", "110", intraday_cost=10_000)
    assert buying_power(multiplier=4, base=base, held=last_night, reserved=NOTHING) == 188_000
    assert buying_power(multiplier=4, base=base, held=today, reserved=NOTHING) == 178_000


def test_what_cannot_be_bought_on_margin_uses_the_multiple():
    base = Base(cash=D(50_000), last_equity=D(50_000), last_maintenance=D(0))
    reserved = Reserved(marginable=D(1_000), cash_only=D(1_000))
    values = held("0", "1")
    assert buying_power(multiplier=4, base=base, held=values, reserved=reserved) == 195_000
    assert buying_power(multiplier=2, base=base, held=values, reserved=reserved) == 97_000
    assert buying_power(multiplier=1, base=base, held=values, reserved=reserved) == 48_000


def test_an_average_entry_price_has_sixteen_decimals_and_sales_leave_it():
    books = Books(D(100_000))
    books.book(execution(1, "buy", "4", "3648.13"))
    books.book(execution(2, "buy", "3", "3648.12"))
    shares = books.position("AAPL")
    assert shares is not None
    assert str(shares.avg_entry_price) == "3648.1257142857142857"
    books.book(execution(3, "sell", "5", "3700"))
    assert str(shares.avg_entry_price) == "3648.1257142857142857"
    assert shares.qty == 2
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
    assert account.buying_power == 4 * 100_000 - D("1000.1")
    assert account.regt_buying_power == 2 * (account.equity - account.initial_margin)


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
