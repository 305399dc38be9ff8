"""Orders for coins: round the clock, no borrowing, their own decimals and texts (reference 2.15)."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.order_index import OrderQuery
from tests.unit.simulator_core.desk_script import CLOSE_NS, Floor, order_request

PAIR = "BTC/USD"


def coins(side: str = "buy", symbol: str = PAIR, **fields: object):
    return order_request(**{"symbol": symbol, "side": side, "qty": "0.5", "time_in_force": "gtc", **fields})


@pytest.fixture
def floor():
    floor = Floor(symbols=("AAPL", PAIR))
    floor.quote(49_995.0, 50_005.0, symbol=PAIR, bid_size=100, ask_size=100)
    floor.trade(50_000.0, symbol=PAIR)
    return floor


def test_coins_trade_at_night_and_are_gtc(floor):
    floor.until(CLOSE_NS + 4 * 3_600 * NANOS_PER_SECOND)
    floor.quote(49_995.0, 50_005.0, symbol=PAIR, bid_size=100, ask_size=100)
    order = floor.submit(coins())
    assert (order.status, order.asset_class, order.symbol) == ("pending_new", "crypto", PAIR)
    floor.wait()
    assert floor.told(order) == ["pending_new", "new", "fill"]


def test_the_fee_of_a_purchase_is_kept_of_the_coins(floor):
    order = floor.submit(coins(qty="1"))
    floor.wait()
    assert order.filled_qty == 1
    assert floor.exchange.position("BTCUSD").qty == D("0.9975")


@pytest.mark.parametrize("name", ["BTC/USD", "BTCUSD"])
def test_both_forms_of_a_pair_are_understood(floor, name):
    order = floor.submit(coins(symbol=name))
    assert order.symbol == PAIR
    assert floor.exchange.orders(OrderQuery(symbols=(name,))) == [order]
    floor.wait()
    assert floor.exchange.position(name).qty > 0


def test_a_pair_is_closed_until_cancelled_to_its_last_decimal(floor):
    floor.submit(coins(qty="1"))
    floor.wait()
    order = floor.exchange.close_position("BTCUSD", percentage=D(50))
    assert (order.qty, order.time_in_force, order.side) == (D("0.49875"), "gtc", "sell")
    floor.wait()
    floor.exchange.close_position("BTCUSD")
    floor.wait()
    assert floor.exchange.positions() == []


def test_coins_are_cut_to_nine_decimals(floor):
    assert floor.submit(coins(qty="0.1234567899")).qty == D("0.123456789")


def test_what_is_not_held_is_not_sold(floor):
    refusal = floor.refused(coins("sell"))
    assert refusal.body() == {
        "available": "0",
        "balance": "0",
        "code": 40310000,
        "message": "insufficient balance for BTC (requested: 0.5, available: 0)",
        "symbol": "USD",
    }
    floor.submit(coins(qty="0.4"))
    floor.wait()
    refusal = floor.refused(coins("sell"))
    assert refusal.message == "insufficient balance for BTC (requested: 0.5, available: 0.399)"


def test_coins_are_bought_with_cash_alone(floor):
    cash = floor.cash()
    refusal = floor.refused(coins(qty="3"))
    assert (refusal.http_status, refusal.code) == (403, 40310000)
    assert refusal.message.startswith("insufficient balance for USD (requested: ")
    assert refusal.message.endswith(f", available: {plain(cash)})")


@pytest.mark.parametrize("fields", [{"qty": "0.00019"}, {"qty": None, "notional": "9.99"}])
def test_an_order_for_coins_costs_at_least_ten_dollars(floor, fields):
    refusal = floor.refused(coins(**fields, type="limit", limit_price="50000"))
    assert refusal.http_status == 403
    assert refusal.message in (
        "cost basis must be >= minimal amount of order 10",
        f"order qty must be >= minimal qty of order {floor.exchange.asset(PAIR).min_order_size}",
    )


def test_the_wash_trade_check_knows_coins(floor):
    floor.submit(coins(qty="1"))
    floor.wait()
    sale = floor.submit(coins("sell", type="limit", limit_price="60000"))
    refusal = floor.refused(coins(qty="0.1"))
    assert refusal.extra["existing_order_id"] == sale.id


def test_a_price_of_coins_is_as_fine_as_the_asset_says(floor):
    asset = floor.exchange.asset(PAIR)
    assert asset.price_increment is not None
    price = D(45_000) + asset.price_increment
    assert floor.submit(coins(type="limit", limit_price=str(price))).limit_price == price
    refusal = floor.refused(coins(type="limit", limit_price=f"{price + asset.price_increment / 10:f}"))
    assert "sub-penny increment" in refusal.message


def test_lists_are_filtered_by_asset_class(floor):
    pair = floor.submit(coins())
    shares = floor.submit(order_request(symbol="AAPL", side="buy", qty="1"))
    for wanted, found in ((("crypto",), {pair.id}), (("us_equity",), {shares.id}), ((), {pair.id, shares.id})):
        listed = floor.exchange.orders(OrderQuery(asset_classes=wanted))
        assert {order.id for order in listed} == found
