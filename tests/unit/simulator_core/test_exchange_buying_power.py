"""What the account may still buy, and that its running totals are what a computation from scratch makes."""

from __future__ import annotations

import random
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.configurations import AccountFlags
from quant_trading_system.simulator.events import SimTrade
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, order_request, sell

DAY_NS = 86_400 * NANOS_PER_SECOND


def refusal_of(action, *args):
    with pytest.raises(Refusal) as caught:
        action(*args)
    return caught.value


def test_a_fresh_paper_account_has_four_times_its_cash_and_may_short():
    account = Floor().exchange.account()
    assert (account.cash, account.equity, account.last_equity) == (D(100_000), D(100_000), D(100_000))
    assert (account.multiplier, account.shorting_enabled) == (4, True)
    assert (account.buying_power, account.regt_buying_power) == (D(400_000), D(200_000))
    assert (account.non_marginable_buying_power, account.options_buying_power) == (D(100_000), D(100_000))


def test_an_account_below_2000_usd_has_its_cash_and_may_not_short():
    floor = Floor(cash=D(1_999))
    account = floor.exchange.account()
    assert (account.multiplier, account.shorting_enabled, account.buying_power) == (1, False, D(1_999))
    assert refusal_of(floor.submit, sell(qty="1")).message == "account is not allowed to short"


def test_a_day_trade_uses_buying_power_and_gives_it_back_when_it_is_closed():
    floor = Floor()
    floor.hold(100)
    assert floor.exchange.account().buying_power == 400_000 - 100 * D("100.01")
    floor.submit(sell(qty="40"))
    floor.wait()
    assert floor.exchange.account().buying_power == 400_000 - 60 * D("100.01")
    floor.submit(sell(qty="60"))
    floor.wait()
    assert floor.exchange.account().buying_power == 400_000


def test_positions_of_last_night_fix_the_days_buying_power_whatever_is_sold():
    floor = Floor()
    floor.hold(100)
    floor.until(OPEN_NS + DAY_NS)
    account = floor.exchange.account()
    base = 4 * (account.last_equity - account.last_maintenance_margin)
    assert account.last_maintenance_margin == 3_000
    assert account.buying_power == base
    floor.quote(99.99, 100.01)
    floor.submit(sell(qty="100"))
    floor.wait()
    assert floor.exchange.account().buying_power == base


def test_a_short_sale_reserves_three_percent_above_the_ask_or_its_limit():
    floor = Floor()
    floor.submit(sell(qty="10"))
    assert floor.exchange.account().buying_power == 400_000 - 10 * D("103.0103")
    floor.wait()
    floor.submit(sell(qty="10", type="limit", limit_price="110"))
    account = floor.exchange.account()
    assert account.short_market_value == -1_000
    assert account.buying_power == 400_000 - 10 * D("99.99") - 1_100


def test_a_short_sale_for_more_than_there_is_names_its_cost():
    floor = Floor()
    refusal = refusal_of(floor.submit, sell(qty="4000"))
    assert refusal.extra == {"buying_power": "400000", "cost_basis": "412041.2"}


def test_a_cover_and_a_sale_reserve_nothing():
    floor = Floor()
    floor.submit(sell(qty="10"))
    floor.wait()
    before = floor.exchange.account().buying_power
    floor.submit(buy(qty="10", type="limit", limit_price="50"))
    assert floor.exchange.account().buying_power == before
    view = floor.exchange.position("AAPL")
    assert (view.qty, view.qty_available, view.side, view.market_value) == (-D(10), D(0), "short", D(-1_000))
    assert view.cost_basis == D("-999.9")


def test_a_short_position_owes_what_the_shares_cost_now():
    floor = Floor()
    floor.submit(sell(qty="10"))
    floor.wait()
    floor.trade(104.0)
    account = floor.exchange.account()
    assert (account.cash, account.equity) == (D("100999.9"), D("99959.9"))
    assert (account.initial_margin, account.maintenance_margin) == (D(520), D(312))
    assert floor.exchange.position("AAPL").unrealized_pl == D("-40.1")


def test_deposits_and_withdrawals_move_the_days_buying_power():
    floor = Floor()
    floor.exchange.transfer(D(10_000))
    account = floor.exchange.account()
    assert (account.cash, account.intraday_adjustments, account.buying_power) == (D(110_000), D(10_000), D(440_000))
    floor.exchange.transfer(D(-60_000))
    account = floor.exchange.account()
    assert (account.cash, account.intraday_adjustments, account.buying_power) == (D(50_000), D(-50_000), D(200_000))
    floor.until(OPEN_NS + DAY_NS)
    account = floor.exchange.account()
    assert (account.intraday_adjustments, account.last_equity, account.buying_power) == (D(0), D(50_000), D(200_000))
    assert refusal_of(floor.exchange.transfer, D(-50_001)).http_status == 422


def test_day_trades_are_counted_over_five_days():
    floor = Floor()
    floor.hold(10)
    floor.submit(sell(qty="10"))
    floor.wait()
    assert floor.exchange.account().day_trades == 1
    floor.hold(10)
    floor.until(OPEN_NS + DAY_NS)
    floor.quote(99.99, 100.01)
    floor.submit(sell(qty="10"))
    floor.wait()
    assert floor.exchange.account().day_trades == 1, "shares of last night are no day trade"


@pytest.mark.parametrize("name", ["trading_blocked", "account_blocked"])
def test_a_blocked_account_takes_no_orders(name):
    floor = Floor()
    floor.exchange.account_flags = AccountFlags().changed({name: True})
    assert refusal_of(floor.submit, buy()).message == "account is not authorized to trade"
    assert getattr(floor.exchange.account(), name)


def test_an_account_that_is_not_active_takes_no_orders_and_no_transfers_when_blocked():
    floor = Floor()
    floor.exchange.account_flags = AccountFlags(status="ACCOUNT_UPDATED", transfers_blocked=True)
    assert floor.exchange.account().status == "ACCOUNT_UPDATED"
    assert refusal_of(floor.submit, buy()).http_status == 403
    assert refusal_of(floor.exchange.transfer, D(5)).http_status == 403
    with pytest.raises(ValueError, match="status: expected one of"):
        AccountFlags().changed({"status": "WELL"})
    with pytest.raises(ValueError, match="balance: no flag"):
        AccountFlags().changed({"balance": True})


class Walk:
    """Random orders and prices in four symbols; after each step the totals are compared with fresh ones."""

    symbols = ("AAPL", "MSFT", "SPY")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.floor = Floor(ExchangeSettings(start_ns=OPEN_NS, seed=seed, partial_fill_probability=0.5))
        self.refused = 0

    def step(self) -> None:
        name = self.random.choices(("price", "order", "cancel", "replace", "flatten", "wait"), (10, 10, 4, 4, 1, 4))[0]
        try:
            getattr(self, f"_{name}")()
        except Refusal:
            self.refused += 1
        self.floor.exchange.check()

    def _price(self) -> None:
        symbol, middle = self.random.choice(self.symbols), self.random.randint(9_000, 11_000) / 100
        self.floor.quote(middle - 0.01, middle + 0.01, symbol=symbol, bid_size=300, ask_size=300)
        self.floor.trade(middle, symbol=symbol)

    def _order(self) -> None:
        fields = {
            "symbol": self.random.choice(self.symbols),
            "side": self.random.choice(("buy", "sell")),
            "qty": str(self.random.randint(1, 400)),
            "type": self.random.choice(("market", "limit")),
        }
        if fields["type"] == "limit":
            fields["limit_price"] = str(self.random.randint(90, 110))
        self.floor.submit(order_request(**fields))

    def _cancel(self) -> None:
        self.floor.exchange.cancel(self._some_order())

    def _replace(self) -> None:
        qty = str(self.random.randint(1, 500))
        self.floor.exchange.replace(self._some_order(), OrderChange.from_body({"qty": qty}))

    def _flatten(self) -> None:
        self.floor.exchange.close_all(cancel_orders=True)

    def _wait(self) -> None:
        self.floor.wait(self.random.choice((0.002, 1.0)))

    def _some_order(self) -> str:
        orders = self.floor.exchange.orders(OrderQuery(limit=500))
        return self.random.choice(orders).id if orders else "nobody"


@pytest.mark.parametrize("seed", range(8))
def test_running_totals_are_what_is_computed_from_scratch(seed):
    walk = Walk(seed)
    for _ in range(250):
        walk.step()
    assert len(walk.floor.exchange.activities()) > 30, "expected a story with trades"
    assert walk.refused < 200, "expected most wishes to be granted"


def test_a_price_that_is_set_without_a_message_counts_outside_regular_hours():
    floor = Floor()
    floor.hold(10)
    floor.until(CLOSE_NS + 60 * NANOS_PER_SECOND)
    floor.market._trades["AAPL"].append(SimTrade("AAPL", 90.0, 1, floor.exchange.now_ns, "V", 2))
    floor.wait(1)
    assert floor.exchange.account().long_market_value == 900
    floor.exchange.check()


def test_a_wrong_total_is_found():
    floor = Floor()
    floor.hold(10)
    order = floor.submit(buy("MSFT", qty="10", type="limit", limit_price="90"))
    floor.exchange.account()
    order.qty = D(11)
    with pytest.raises(AssertionError, match="reserved: expected"):
        floor.exchange.check()
    order.qty = D(10)
    floor.exchange.check()
    floor.market._trades["AAPL"].append(SimTrade("AAPL", 90.0, 1, floor.exchange.now_ns, "V", 2))
    with pytest.raises(AssertionError, match="marked values: expected"):
        floor.exchange.check()


@pytest.mark.parametrize(("qty", "reserved"), [("10", 900), ("200", 18_000)])
def test_while_an_order_is_being_replaced_the_larger_of_both_is_reserved(qty, reserved):
    floor = Floor()
    order = floor.submit(buy(qty="100", type="limit", limit_price="90"))
    floor.wait()
    floor.exchange.replace(order.id, OrderChange.from_body({"qty": qty}))
    assert order.status == "pending_replace"
    assert floor.exchange.account().buying_power == 400_000 - max(9_000, reserved)
    floor.wait()
    assert floor.exchange.account().buying_power == 400_000 - reserved


def test_before_the_open_a_market_buy_is_checked_at_the_middle_of_the_quote():
    floor = Floor(start_ns=OPEN_NS - 3600 * NANOS_PER_SECOND, quoted=False)
    floor.quote(99.00, 101.00)
    assert refusal_of(floor.submit, buy(qty="4000")).extra["cost_basis"] == "410000"


def test_reservations_are_gone_with_their_orders():
    floor = Floor()
    floor.submit(buy(qty="10", type="limit", limit_price="90"))
    floor.submit(buy("MSFT", notional="500", qty=None))
    floor.submit(sell("SPY", qty="10", type="limit", limit_price="120"))
    assert floor.exchange.account().buying_power < 400_000
    floor.wait()
    floor.exchange.cancel_all()
    floor.wait()
    assert floor.exchange.account().buying_power == 400_000
    assert floor.exchange.account().intraday_adjustments == ZERO
