"""What corporate actions do to positions, cash, open orders and the list of assets, at the turn of their day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.activities import ActivityQuery
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.calendar import session_on
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.corporate_effects import shares_after
from quant_trading_system.simulator.entries import NonTrade
from quant_trading_system.simulator.positions import Position
from quant_trading_system.simulator.refusals import Refusal
from tests.unit.simulator_core.desk_script import Floor, buy, sell

TUESDAY, WEDNESDAY, FRIDAY = date(2026, 11, 24), date(2026, 11, 25), date(2026, 11, 27)
GTC = {"type": "limit", "time_in_force": "gtc"}


def action(kind: Any, *, symbol: str = "AAPL", ex_date: date = TUESDAY, **fields: Any) -> CorporateAction:
    known: dict[str, Any] = {"symbol": symbol, "ex_date": ex_date, "process_date": ex_date, "cusip": "037833100"}
    numbers: dict[str, Any] = {name: D(value) if name in NUMBERS else value for name, value in fields.items()}
    return CorporateAction(id=f"{kind}-{symbol}", kind=kind, **known, **numbers)


NUMBERS = ("cash", "old_rate", "new_rate", "rate")
FOUR_FOR_ONE = action("forward_split", old_rate="1", new_rate="4")
ONE_FOR_FOUR = action("reverse_split", old_rate="4", new_rate="1")


def turn_to(floor: Floor, day: date) -> None:
    """To a second before the open of a day."""
    session = session_on(day)
    assert session is not None
    floor.until(session.open_ns - NANOS_PER_SECOND)


def told(floor: Floor, name: str) -> list[NonTrade]:
    found = floor.exchange.activities(ActivityQuery(types=(name,), direction="asc"))
    return [activity for activity in found if isinstance(activity, NonTrade)]


def not_fractionable(floor: Floor) -> None:
    assets: dict[str, SimAsset] = floor.exchange._asset_list.by_symbol
    assets["AAPL"] = msgspec.structs.replace(assets["AAPL"], fractionable=False)


def test_a_forward_split_multiplies_shares_and_divides_the_average_and_changes_no_value():
    floor = Floor()
    floor.hold(10)
    before = floor.exchange.account()
    floor.exchange.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.avg_entry_price, view.cost_basis) == (D(40), D("25.0025"), D("1000.1"))
    assert (view.current_price, view.lastday_price, view.unrealized_intraday_pl) == (D(25), D(25), D(0))
    after = floor.exchange.account()
    assert (after.cash, after.equity) == (before.cash, before.equity)
    remove, add = told(floor, "SPLIT")
    assert (remove.qty, add.qty, remove.sub_type, remove.group_id == add.group_id) == (-D(10), D(40), "FSPLIT", True)
    assert remove.id.startswith("20261124000000000::")
    floor.trade(25.5)
    assert floor.exchange.position("AAPL").current_price == D("25.5")
    floor.exchange.check()


def test_a_reverse_split_pays_the_fraction_in_cash_where_shares_are_whole():
    floor = Floor()
    not_fractionable(floor)
    floor.hold(10)
    cash = floor.cash()
    floor.exchange.announce(ONE_FOR_FOUR)
    turn_to(floor, TUESDAY)
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.cost_basis) == (D(2), D("800.08"))
    assert floor.cash() == cash + 200, "half a new share at four times the last close of 100"
    assert told(floor, "SPLIT")[-1].net_amount == 200
    floor.exchange.check()


def test_a_reverse_split_leaves_fractions_where_they_are_traded():
    floor = Floor()
    floor.hold(10)
    floor.exchange.announce(ONE_FOR_FOUR)
    turn_to(floor, TUESDAY)
    assert floor.exchange.position("AAPL").qty == D("2.5")
    assert len(told(floor, "SPLIT")) == 2


def test_a_split_of_a_short_position_keeps_it_short():
    floor = Floor()
    floor.submit(sell(qty="10"))
    floor.wait()
    floor.exchange.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    assert floor.exchange.position("AAPL").qty == -40
    floor.exchange.check()


def test_a_dividend_is_owed_to_who_held_on_the_ex_date_and_paid_on_its_day():
    floor = Floor()
    floor.hold(10)
    floor.exchange.announce(action("cash_dividend", cash="0.51", payable_date=FRIDAY))
    turn_to(floor, TUESDAY)
    cash = floor.cash()
    floor.quote(99.99, 100.01)
    floor.wait(1)
    floor.quote(99.99, 100.01)
    floor.submit(sell(qty="10"))
    floor.wait()
    sold = floor.cash()
    assert sold == cash + 10 * D("99.99")
    turn_to(floor, FRIDAY)
    assert floor.cash() == sold + D("5.1")
    (dividend,) = told(floor, "DIV")
    assert (dividend.sub_type, dividend.qty, dividend.per_share_amount) == ("CDIV", D(10), D("0.51"))
    assert (dividend.net_amount, dividend.day) == (D("5.1"), FRIDAY)
    floor.exchange.check()


def test_who_is_short_on_the_ex_date_pays_the_dividend():
    floor = Floor()
    floor.submit(sell(qty="10"))
    floor.wait()
    cash = floor.cash()
    floor.exchange.announce(action("cash_dividend", cash="0.51", payable_date=WEDNESDAY))
    turn_to(floor, WEDNESDAY)
    assert floor.cash() == cash - D("5.1")


def test_a_stock_dividend_gives_shares_at_no_cost():
    floor = Floor()
    floor.hold(10)
    floor.exchange.announce(action("stock_dividend", rate="0.1"))
    turn_to(floor, TUESDAY)
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.cost_basis) == (D(11), D("1000.1"))
    assert [(row.sub_type, row.qty) for row in told(floor, "DIV")] == [("SDIV", D(1))]


def test_a_new_symbol_goes_on_with_the_position_and_the_id_of_the_asset():
    floor = Floor()
    floor.hold(10)
    asset_id = floor.exchange.asset("AAPL").id
    floor.exchange.announce(action("name_change", new_symbol="MSFT"))
    turn_to(floor, TUESDAY)
    (view,) = floor.exchange.positions()
    assert (view.symbol, view.asset_id, view.qty, view.cost_basis) == ("MSFT", asset_id, D(10), D("1000.1"))
    assert floor.exchange.asset("AAPL").status == "inactive"
    assert not floor.exchange.asset("AAPL").tradable
    assert [(row.symbol, row.qty) for row in told(floor, "NC")] == [("AAPL", D(-10)), ("MSFT", D(10))]
    floor.exchange.check()


def test_a_spin_off_gives_shares_and_shares_out_the_cost_by_value():
    floor = Floor()
    floor.hold(10)
    floor.exchange.announce(action("spin_off", new_symbol="MSFT", old_rate="4", new_rate="1"))
    turn_to(floor, TUESDAY)
    views = {view.symbol: view for view in floor.exchange.positions()}
    assert (views["AAPL"].qty, views["MSFT"].qty) == (D(10), D("2.5"))
    assert views["AAPL"].cost_basis + views["MSFT"].cost_basis == D("1000.1")
    assert views["MSFT"].cost_basis == D("250.02"), "a quarter, by the last closes of 100 each"
    floor.exchange.check()


def test_an_action_is_applied_once_and_not_before_its_day():
    floor = Floor()
    floor.hold(10)
    floor.exchange.announce(action("forward_split", ex_date=WEDNESDAY, old_rate="1", new_rate="2"))
    turn_to(floor, TUESDAY)
    assert floor.exchange.position("AAPL").qty == 10
    turn_to(floor, WEDNESDAY)
    turn_to(floor, FRIDAY)
    assert floor.exchange.position("AAPL").qty == 20


def test_the_markets_own_actions_are_applied_like_announced_ones():
    floor = Floor()
    floor.hold(10)
    floor.market.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    assert floor.exchange.position("AAPL").qty == 40
    assert floor.exchange.corporate_actions(["AAPL"], TUESDAY, TUESDAY) == [FOUR_FOR_ONE]


def test_a_forward_split_multiplies_open_orders_and_divides_their_prices():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(sell(qty="10", limit_price="120.02", **GTC))
    floor.wait()
    floor.exchange.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    assert (order.status, order.qty, order.limit_price) == ("new", D(40), D("30"))
    assert floor.exchange.position("AAPL").qty_available == 0
    floor.exchange.check()


@pytest.mark.parametrize(
    ("fields", "prices"),
    [
        ({"side": "buy", "type": "limit", "limit_price": "90"}, ("89.49", None)),
        ({"side": "sell", "type": "limit", "limit_price": "120"}, ("120", None)),
        ({"side": "sell", "type": "stop", "stop_price": "80"}, (None, "79.49")),
        ({"side": "sell", "type": "stop_limit", "stop_price": "80", "limit_price": "79"}, ("78.49", "79.49")),
        ({"side": "buy", "type": "stop", "stop_price": "130"}, (None, "130")),
    ],
)
def test_a_dividend_lowers_limits_of_buys_and_stops_of_sales(fields, prices):
    floor = Floor()
    if fields["side"] == "sell":
        floor.hold(10)
    request = (buy if fields.pop("side") == "buy" else sell)(qty="10", time_in_force="gtc", **fields)
    order = floor.submit(request)
    floor.wait()
    floor.exchange.announce(action("cash_dividend", cash="0.51", payable_date=FRIDAY))
    turn_to(floor, TUESDAY)
    limit, stop = prices
    assert (order.limit_price, order.stop_price) == (limit and D(limit), stop and D(stop))
    floor.exchange.check()


@pytest.mark.parametrize(
    "ends",
    [
        ONE_FOR_FOUR,
        action("name_change", new_symbol="MSFT"),
        action("spin_off", new_symbol="MSFT", old_rate="4", new_rate="1"),
        action("cash_dividend", cash="90", payable_date=FRIDAY),
    ],
    ids=lambda ends: ends.kind,
)
def test_open_orders_end_where_they_cannot_be_adjusted(ends):
    floor = Floor()
    order = floor.submit(buy(qty="10", limit_price="90", **GTC))
    floor.wait()
    floor.exchange.announce(ends)
    turn_to(floor, TUESDAY)
    assert order.status == "canceled"
    assert floor.told(order)[-1] == "canceled"


def test_what_names_unknown_symbols_or_coins_cannot_be_announced():
    floor = Floor(symbols=("AAPL", "BTC/USD"))
    for wrong in (
        action("forward_split", symbol="NONE", old_rate="1", new_rate="2"),
        action("name_change", new_symbol="NONE"),
        action("forward_split", symbol="BTC/USD", old_rate="1", new_rate="2"),
    ):
        with pytest.raises(Refusal) as caught:
            floor.exchange.announce(wrong)
        assert caught.value.http_status == 422
    floor.exchange.announce(FOUR_FOR_ONE)
    with pytest.raises(Refusal, match="expected a new one"):
        floor.exchange.announce(FOUR_FOR_ONE)


def test_the_cost_of_a_fraction_goes_with_it():
    change = shares_after(Position("AAPL", qty=D(10), cost=D(1000)), D("0.25"), is_fractionable=False)
    assert (change.qty, change.fraction, change.cost) == (D(2), D("0.5"), D(800))
