"""Executions that are taken back or corrected, crypto fees and transfers: what the books and the activities say."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.activities import Activity, ActivityQuery, FillActivity
from quant_trading_system.simulator.fees import fee_of
from quant_trading_system.simulator.refusals import Refusal
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, order_request, sell
from tests.unit.simulator_core.test_corporate_effects import FOUR_FOR_ONE, TUESDAY, turn_to

DAY_NS = 86_400 * NANOS_PER_SECOND


def executions(floor: Floor) -> list[Any]:
    return list(floor.exchange.ledger()["executions"])  # type: ignore[call-overload]


def bought(floor: Floor, qty: int = 10):
    """An order that filled, and the id of its execution."""
    order = floor.submit(buy(qty=str(qty)))
    floor.wait()
    floor.told()
    floor.events.clear()
    return order, executions(floor)[-1]["execution_id"]


def test_a_bust_reverses_position_cash_and_what_the_order_has_filled():
    floor = Floor()
    order, execution_id = bought(floor)
    floor.exchange.bust(execution_id)
    assert floor.exchange.positions() == []
    assert floor.cash() == 100_000
    assert (order.filled_qty, order.filled_avg_price) == (0, None)
    (event,) = floor.exchange.take_order_events()
    assert (event.event, event.qty, event.price, event.position_qty) == ("trade_bust", D(-10), D("100.01"), D(0))
    assert event.previous_execution_id == execution_id
    assert event.execution_id not in (None, execution_id)
    first, second = executions(floor)
    assert (first["qty"], second["qty"], second["side"]) == ("10", "-10", "buy")
    assert floor.exchange.activities() == [], "a fill that never was is not told of"
    floor.exchange.check()


def test_a_correction_puts_other_numbers_in_place_of_the_execution():
    floor = Floor()
    order, execution_id = bought(floor)
    floor.exchange.correct(execution_id, price=D("99.50"), qty=D(8))
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.avg_entry_price) == (D(8), D("99.5"))
    assert floor.cash() == 100_000 - 8 * D("99.5")
    assert (order.filled_qty, order.filled_avg_price) == (8, D("99.5"))
    (event,) = floor.exchange.take_order_events()
    assert (event.event, event.qty, event.price, event.position_qty) == ("trade_correct", D(8), D("99.5"), D(8))
    assert event.previous_execution_id == execution_id
    (fill,) = floor.exchange.activities()
    assert isinstance(fill, FillActivity)
    assert (fill.execution.qty, fill.execution.price) == (D(8), D("99.5"))
    floor.exchange.correct(str(event.execution_id), price=D("99"))
    assert floor.exchange.position("AAPL").avg_entry_price == 99
    floor.exchange.check()


def test_a_position_becomes_what_it_would_have_been_without_the_execution():
    floor = Floor()
    _, first = bought(floor, 10)
    floor.quote(109.99, 110.01)
    bought(floor, 10)
    floor.submit(sell(qty="5"))
    floor.wait()
    floor.exchange.bust(first)
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.avg_entry_price) == (D(5), D("110.01"))
    assert floor.cash() == 100_000 - 10 * D("110.01") + 5 * D("109.99")
    floor.exchange.check()


def test_a_bust_of_shares_that_were_sold_leaves_a_short_position():
    floor = Floor()
    _, execution_id = bought(floor)
    floor.submit(sell(qty="10"))
    floor.wait()
    floor.exchange.bust(execution_id)
    assert floor.exchange.position("AAPL").qty == -10
    floor.exchange.check()


def test_only_executions_that_stand_can_be_taken_back():
    floor = Floor()
    _, execution_id = bought(floor)
    floor.exchange.bust(execution_id)
    reversal = executions(floor)[-1]["execution_id"]
    for wrong in (execution_id, reversal, "nobody"):
        with pytest.raises(Refusal) as caught:
            floor.exchange.bust(wrong)
        assert caught.value.http_status == 404


@pytest.mark.parametrize("numbers", [{"qty": D(11)}, {"qty": D(-1)}, {"price": D(-5)}, {"qty": D("0.0000000001")}])
def test_a_correction_cannot_be_more_than_the_order_or_nothing(numbers):
    floor = Floor()
    _, execution_id = bought(floor)
    with pytest.raises(Refusal) as caught:
        floor.exchange.correct(execution_id, **numbers)
    assert caught.value.http_status == 422
    assert floor.exchange.position("AAPL").qty == 10


def test_an_execution_from_before_a_split_cannot_be_taken_back():
    floor = Floor()
    _, execution_id = bought(floor)
    floor.exchange.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    with pytest.raises(Refusal, match="a corporate action has changed the shares"):
        floor.exchange.bust(execution_id)


def test_an_order_that_fills_on_after_a_bust_counts_what_stands():
    floor = Floor()
    floor.quote(99.99, 100.01, ask_size=4)
    order = floor.submit(buy(qty="10", type="limit", limit_price="100.01", time_in_force="gtc"))
    floor.wait()
    assert order.filled_qty == 4
    floor.exchange.bust(executions(floor)[-1]["execution_id"])
    floor.quote(99.98, 100.00, ask_size=1000)
    floor.wait()
    assert (order.status, order.filled_qty) == ("filled", D(10))
    assert floor.exchange.position("AAPL").qty == 10
    floor.exchange.check()


# --- crypto fees


def coins() -> Floor:
    floor = Floor(symbols=("AAPL", "BTC/USD"), quoted=False)
    floor.quote(999.0, 1000.0, symbol="BTC/USD", bid_size=1e3, ask_size=1e3)
    floor.trade(1000.0, symbol="BTC/USD")
    return floor


def coin_order(side: str, qty: str):
    return order_request(symbol="BTC/USD", side=side, qty=qty, time_in_force="gtc")


def told(floor: Floor, *types: str) -> list[Activity]:
    return floor.exchange.activities(ActivityQuery(types=types, direction="asc"))


def test_w12_a_coin_less_its_fee_is_held_and_the_fee_is_told_of_at_the_days_end():
    floor = coins()
    order = floor.submit(coin_order("buy", "1"))
    floor.wait()
    assert (order.status, order.filled_qty) == ("filled", D(1))
    view = floor.exchange.position("BTCUSD")
    assert (view.qty, view.avg_entry_price) == (D("0.9975"), D(1000))
    assert floor.cash() == 99_000
    assert told(floor, "CFEE") == []
    floor.until(OPEN_NS + DAY_NS)
    (fee,) = told(floor, "CFEE")
    assert (fee.qty, fee.price, fee.net_amount, fee.symbol) == (D("-0.0025"), 1000, 0, "BTCUSD")  # type: ignore[union-attr]
    assert fee.id.startswith("20261123000000000::")
    assert floor.exchange.position("BTCUSD").qty == D("0.9975"), "it was taken with the fill"
    assert floor.exchange.ledger()["fees"] == {"USD": "0", "BTC/USD": "0.0025"}
    floor.exchange.check()


def test_the_fee_of_a_sale_is_dollars_off_its_proceeds():
    floor = coins()
    floor.submit(coin_order("buy", "1"))
    floor.wait()
    floor.submit(coin_order("sell", "0.5"))
    floor.wait()
    assert floor.cash() == 99_000 + D("499.5") - D("1.24875")
    assert floor.exchange.account().accrued_fees == D("1.24875")
    floor.until(OPEN_NS + DAY_NS)
    assert [fee.net_amount for fee in told(floor, "CFEE")] == [0, D("-1.24875")]  # type: ignore[union-attr]
    assert floor.exchange.account().accrued_fees == 0
    floor.exchange.check()


def test_coins_are_bought_for_cash_alone():
    floor = coins()
    floor.hold(500)
    account = floor.exchange.account()
    assert account.buying_power > 300_000
    assert account.non_marginable_buying_power == account.cash == 100_000 - 500 * D("100.01")
    with pytest.raises(Refusal, match=r"insufficient balance for USD .* available: 49995"):
        floor.submit(coin_order("buy", "51"))
    floor.submit(coin_order("buy", "40"))
    floor.wait()
    account = floor.exchange.account()
    assert account.initial_margin == 500 * 50 + D("39.9") * 1000
    floor.exchange.check()


def test_coins_are_valued_at_every_moment_without_a_message():
    floor = coins()
    floor.submit(coin_order("buy", "1"))
    for _ in range(3):
        floor.wait()
        floor.exchange.account()
    floor.market._trades["BTC/USD"][-1] = floor.market._trades["BTC/USD"][-1].__class__(
        "BTC/USD", 2000.0, 1, floor.exchange.now_ns, "CBSE", 9
    )
    floor.wait(1)
    assert floor.exchange.account().long_market_value == 1995
    floor.exchange.check()


def test_an_order_that_fills_in_small_parts_pays_what_one_large_fill_would():
    parts = [D("0.000000150")] * 8
    fees = [
        fee_of(
            asset_class="crypto", side="buy", qty=part, price=D(100), rate_bps=D(25), filled_before=part * number
        ).qty
        for number, part in enumerate(parts)
    ]
    assert sum(fees) == D("0.000000003")
    assert {*fees} == {D(0), D("0.000000001")}


def test_equities_cost_nothing_to_trade():
    fee = fee_of(asset_class="us_equity", side="buy", qty=D(10), price=D(100), rate_bps=D(25))
    assert (fee.usd, fee.qty) == (D(0), D(0))


# --- the time line


def test_transfers_and_fills_are_one_time_line_that_is_paged_and_filtered():
    floor = Floor()
    floor.exchange.transfer(D(500))
    floor.hold(1)
    floor.exchange.transfer(D(-200))
    floor.submit(sell(qty="1"))
    floor.wait()
    floor.submit(sell(qty="1"))
    floor.wait()
    types = [activity.activity_type for activity in floor.exchange.activities()]
    assert types == ["FILL", "FILL", "CSW", "FILL", "CSD"]
    seen: list[str] = []
    token = None
    while page := floor.exchange.activities(ActivityQuery(page_size=2, page_token=token)):
        seen += [activity.activity_type for activity in page]
        token = page[-1].id
    assert seen == types
    names = {
        "trade": ActivityQuery(category="trade_activity"),
        "other": ActivityQuery(category="non_trade_activity"),
        "transfers": ActivityQuery(types=("TRANS",)),
        "misc": ActivityQuery(types=("MISC",)),
    }
    found = {name: len(floor.exchange.activities(query)) for name, query in names.items()}
    assert found == {"trade": 3, "other": 2, "transfers": 2, "misc": 0}
    newest = floor.exchange.activities()[0]
    assert isinstance(newest, FillActivity)
    assert newest.side == "sell_short"


def test_what_happens_while_a_client_pages_does_not_shift_its_pages():
    floor = Floor()
    for _ in range(3):
        floor.hold(1)
    first = floor.exchange.activities(ActivityQuery(page_size=2))
    floor.hold(1)
    (last,) = floor.exchange.activities(ActivityQuery(page_size=2, page_token=first[-1].id))
    assert isinstance(last, FillActivity)
    assert last.execution.sequence == 1


def test_activities_are_bounded_by_time_on_both_sides():
    floor = Floor()
    floor.hold(1)
    floor.until(CLOSE_NS)
    floor.exchange.transfer(D(5))
    assert len(floor.exchange.activities(ActivityQuery(after_ns=CLOSE_NS - 1))) == 1
    assert len(floor.exchange.activities(ActivityQuery(until_ns=CLOSE_NS))) == 1
    assert len(floor.exchange.activities(ActivityQuery(after_ns=OPEN_NS, until_ns=CLOSE_NS + 1))) == 2
