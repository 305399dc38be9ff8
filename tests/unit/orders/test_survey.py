"""What orders at the broker say of the database: foreign, known, lost, and how a lost one is taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.events import RestoredBook
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Nanos, Side, StrategyId, Symbol
from quant_trading_system.orders.ids import client_order_id
from quant_trading_system.orders.survey import sequence_of_order, survey, taken_back

MOMENTUM, REVERSION = StrategyId("momentum"), StrategyId("mean_reversion")
IBM = Symbol("IBM")


def an_order(number: int, *, instance: str = "aaaaaaaa", strategy: str = "momentum", **changes: Any) -> BrokerOrder:
    fields: dict[str, Any] = {
        "broker_order_id": BrokerOrderId(f"b{number}"),
        "client_order_id": client_order_id(
            account="A1", instance=instance, strategy=StrategyId(strategy), sequence=number
        ),
        "symbol": IBM,
        "side": Side.BUY,
        "order_type": "limit",
        "time_in_force": "day",
        "quantity": Decimal(10),
        "notional_usd": None,
        "filled_quantity": Decimal(10),
        "filled_average_price": Decimal(100),
        "limit_price": Decimal(101),
        "stop_price": None,
        "status": "filled",
        "submitted_ns": Nanos(number),
        "updated_ns": Nanos(number),
    }
    return BrokerOrder(**{**fields, **changes})


def a_book(strategy: StrategyId, quantity: int) -> RestoredBook:
    return RestoredBook(
        strategy=strategy, symbol=IBM, quantity=Decimal(quantity), cost_usd=Decimal(0), realised_usd=Decimal(0)
    )


@pytest.mark.fault("K1")
def test_orders_are_sorted_by_the_database_that_made_them():
    by_hand = an_order(9, client_order_id=ClientOrderId("by-hand"))
    found = survey(
        [an_order(1), an_order(2, instance="bbbbbbbb"), an_order(3, instance="cccccccc"), by_hand, an_order(1)],
        tokens=["aaaaaaaa", "bbbbbbbb"],
    )
    assert [order.broker_order_id for order in found.foreign] == ["b3"]
    assert [order.broker_order_id for order in found.ours] == ["b1", "b2"]
    assert [order.broker_order_id for order in found.unknown({an_order(1).client_order_id})] == ["b2"]
    assert sequence_of_order(an_order(36)) == 36


@pytest.mark.fault("F13")
def test_a_lost_order_comes_back_as_working_for_the_strategy_in_its_id():
    (order,) = taken_back([an_order(4, side=Side.SELL)], strategies=[REVERSION, MOMENTUM], books=[])
    assert (order.client_order_id, order.broker_order_id) == (an_order(4).client_order_id, "b4")
    assert (order.status, int(order.filled_quantity), int(order.created_ns)) == ("WORKING", 0, 4)
    assert [(each.strategy, int(each.quantity)) for each in order.allocations] == [(MOMENTUM, -10)]


@pytest.mark.fault("F13")
@pytest.mark.parametrize(
    ("side", "quantity", "books", "shares"),
    [
        (Side.BUY, 11, (0, 0), {MOMENTUM: 6, REVERSION: 5}),
        (Side.SELL, 10, (7, 3), {MOMENTUM: -7, REVERSION: -3}),
        (Side.SELL, 10, (0, 10), {REVERSION: -10}),
        (Side.SELL, 4, (2, 8), {REVERSION: -4}),
        (Side.BUY, 6, (-2, 0), {MOMENTUM: 4, REVERSION: 2}),
    ],
)
def test_an_order_that_strategies_shared_closes_what_they_hold_and_is_cut_evenly_beyond(side, quantity, books, shares):
    shared = an_order(5, strategy="net", side=side, quantity=Decimal(quantity))
    (order,) = taken_back(
        [shared], strategies=[MOMENTUM, REVERSION], books=[a_book(MOMENTUM, books[0]), a_book(REVERSION, books[1])]
    )
    assert {each.strategy: int(each.quantity) for each in order.allocations} == shares
    assert sum(each.quantity for each in order.allocations) == quantity * side.sign


def test_lost_orders_are_shared_by_what_earlier_lost_ones_left():
    bought = an_order(1, strategy="mean_reversion")
    sold = an_order(2, strategy="net", side=Side.SELL)
    orders = taken_back([sold, bought], strategies=[MOMENTUM, REVERSION], books=[])
    assert [order.broker_order_id for order in orders] == ["b1", "b2"]
    assert [(each.strategy, int(each.quantity)) for each in orders[1].allocations] == [(REVERSION, -10)]
