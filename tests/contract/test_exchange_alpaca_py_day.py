"""A strategy written with alpaca-py alone trades a recorded day, and its account is what the exchange's books say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.trading.enums import OrderStatus, QueryOrderStatus
from alpaca.trading.requests import GetOrdersRequest

from tests.contract.alpaca_py_strategy import Momentum
from tests.contract.alpaca_py_support import desk

DATA = Path(__file__).parents[3] / "shared" / "market_data"
SYMBOLS = ["AIG", "BAC", "IBM"]
LOOKS = 79  # every five minutes from the bell to the close
STEP_SECONDS = 300


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded days are not beside this repository")
def test_a_strategy_trades_a_recorded_day_and_ends_flat_with_the_cash_of_the_books():
    with desk(data=DATA, symbols=SYMBOLS, start="2013-10-07T09:30") as at:
        strategy = Momentum(at.trading, at.stocks, SYMBOLS)
        for _ in range(LOOKS):
            at.exchange.step(STEP_SECONDS)
            strategy.look()
        assert not at.trading.get_clock().is_open
        orders = at.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, limit=500))
        account, positions = at.trading.get_account(), at.trading.get_all_positions()
        books: Any = at.exchange.ledger()
    filled = [order for order in orders if order.status is OrderStatus.FILLED]
    assert len(filled) > 20
    assert {order.symbol for order in filled} == set(SYMBOLS)
    assert positions == books["positions"] == []
    assert account.cash == account.equity == books["cash"] != "100000"
    sides = {"buy": -1, "sell": 1}
    flows = [
        Decimal(row["qty"]) * Decimal(row["price"]) * sides[row["side"]] - Decimal(row["fee"])
        for row in books["executions"]
    ]
    assert Decimal(account.cash) == 100_000 + sum(flows)
    by_id = {row["id"]: row for row in books["orders"]}
    assert {str(order.id): order.filled_avg_price for order in orders} == {
        order_id: row["filled_avg_price"] for order_id, row in by_id.items()
    }
