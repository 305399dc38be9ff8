"""alpaca-py 0.44, unmodified, gets from the exchange what it gets from Alpaca. It blocks: its calls run in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)
from alpaca.trading.stream import TradingStream

from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.exchange_support import eventually

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # alpaca-py imports websockets.legacy
]

KEYS = ("PKSIM", "sim")


async def ask(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Make a blocking call in a thread: the exchange runs in this one."""
    return await asyncio.to_thread(call, *arguments, **named)


@asynccontextmanager
async def trading() -> AsyncIterator[tuple[RunningExchange, TradingClient]]:
    async with running_exchange() as exchange:
        yield exchange, TradingClient(*KEYS, url_override=exchange.url)


def market(symbol: str = "AAPL", *, qty: float = 1, side: OrderSide = OrderSide.BUY) -> MarketOrderRequest:
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=TimeInForce.DAY)


def limit(price: float, *, qty: float = 1, client_order_id: str | None = None) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL",
        qty=qty,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.GTC,
        limit_price=price,
        client_order_id=client_order_id,
    )


async def test_a_market_order_is_placed_filled_and_seen_in_positions_and_account():
    async with trading() as (exchange, client):
        placed = await ask(client.submit_order, market(qty=5))
        await exchange.step(60)
        order = await ask(client.get_order_by_id, placed.id)
        assert order.status is OrderStatus.FILLED
        positions = await ask(client.get_all_positions)
        assert [(position.symbol, position.qty) for position in positions] == [("AAPL", "5")]
        position = await ask(client.get_open_position, "AAPL")
        account = await ask(client.get_account)
        assert Decimal(account.cash) + Decimal(position.cost_basis) == 100_000
        assert not account.trading_blocked


async def test_resting_orders_are_listed_replaced_and_cancelled():
    async with trading() as (exchange, client):
        first = await ask(client.submit_order, limit(1.25, client_order_id="first"))
        await ask(client.submit_order, limit(2, qty=2))
        await exchange.step(1)
        listed = await ask(client.get_orders, GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=["AAPL"]))
        assert {order.limit_price for order in listed} == {"1.25", "2"}
        assert (await ask(client.get_order_by_client_id, "first")).id == first.id
        new = await ask(client.replace_order_by_id, first.id, ReplaceOrderRequest(qty=3, limit_price=1.5))
        await exchange.step(1)
        assert (new.replaces, new.qty) == (first.id, "3")
        assert (await ask(client.get_order_by_id, first.id)).status is OrderStatus.REPLACED
        await ask(client.cancel_order_by_id, new.id)
        await exchange.step(1)
        assert (await ask(client.get_order_by_id, new.id)).status is OrderStatus.CANCELED
        cancelled = await ask(client.cancel_orders)
        assert [answer.status for answer in cancelled] == [200]
        await exchange.step(1)
        assert await ask(client.get_orders) == []


async def test_stop_orders_rest_and_market_orders_by_amount_fill():
    async with trading() as (exchange, client):
        for request in (
            StopOrderRequest(symbol="SPY", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, stop_price=9_000),
            StopLimitOrderRequest(
                symbol="SPY",
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                stop_price=9_000,
                limit_price=9_001,
            ),
        ):
            assert (await ask(client.submit_order, request)).symbol == "SPY"
        amount = MarketOrderRequest(symbol="MSFT", notional=500, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        placed = await ask(client.submit_order, amount)
        await exchange.step(60)
        order = await ask(client.get_order_by_id, placed.id)
        assert (order.status, order.notional) == (OrderStatus.FILLED, "500")
        resting = await ask(client.get_orders, GetOrdersRequest(symbols=["SPY"]))
        assert {order.status for order in resting} == {OrderStatus.NEW}


async def test_positions_are_closed_in_part_one_and_all():
    async with trading() as (exchange, client):
        for symbol in ("AAPL", "MSFT"):
            await ask(client.submit_order, market(symbol, qty=4))
        await exchange.step(60)
        part = await ask(client.close_position, "AAPL", ClosePositionRequest(percentage="25"))
        assert (part.qty, part.side) == ("1", OrderSide.SELL)
        await exchange.step(60)
        closed = await ask(client.close_all_positions, cancel_orders=True)
        assert {(answer.symbol, answer.status) for answer in closed} == {("AAPL", 200), ("MSFT", 200)}
        await exchange.step(60)
        assert await ask(client.get_all_positions) == []


async def test_refusals_arrive_as_api_errors_with_their_codes():
    async with trading() as (_, client):
        with pytest.raises(APIError) as caught:
            await ask(client.submit_order, market(qty=1_000_000))
        assert (caught.value.status_code, caught.value.code) == (403, 40310000)
        await ask(client.submit_order, limit(1, client_order_id="twice"))
        with pytest.raises(APIError, match="client_order_id must be unique"):
            await ask(client.submit_order, limit(1, client_order_id="twice"))
        with pytest.raises(APIError, match="position does not exist"):
            await ask(client.get_open_position, "AAPL")


async def test_account_clock_calendar_and_assets_parse():
    async with trading() as (_, client):
        assert not (await ask(client.get_account_configurations)).no_shorting
        clock = await ask(client.get_clock)
        assert clock.is_open
        assert clock.next_close.isoformat() == "2024-06-03T16:00:00-04:00"
        days = await ask(client.get_calendar, GetCalendarRequest(start=date(2024, 7, 3), end=date(2024, 7, 5)))
        assert [(day.date, day.close.hour) for day in days] == [(date(2024, 7, 3), 13), (date(2024, 7, 5), 16)]
        assets = await ask(client.get_all_assets, GetAssetsRequest())
        assert {asset.symbol for asset in assets} == {"AAPL", "MSFT", "SPY"}
        assert (await ask(client.get_asset, "SPY")).tradable


async def test_history_and_latest_values_parse():
    async with running_exchange() as exchange:
        await exchange.step(300)
        client = StockHistoricalDataClient(*KEYS, url_override=exchange.url)
        start = datetime(2024, 6, 3, 13, 30, tzinfo=UTC)
        both = ["AAPL", "SPY"]
        bars = await ask(
            client.get_stock_bars, StockBarsRequest(symbol_or_symbols=both, timeframe=TimeFrame.Minute, start=start)
        )
        assert len(bars["AAPL"]) >= 5
        assert bars["AAPL"][0].timestamp == start
        trades = await ask(client.get_stock_trades, StockTradesRequest(symbol_or_symbols=both, start=start))
        quotes = await ask(client.get_stock_quotes, StockQuotesRequest(symbol_or_symbols=both, start=start))
        assert all(trade.timestamp >= start for trade in trades["SPY"])
        assert all(0 < quote.bid_price < quote.ask_price for quote in quotes["SPY"])
        latest_trade = await ask(client.get_stock_latest_trade, StockLatestTradeRequest(symbol_or_symbols="AAPL"))
        assert latest_trade["AAPL"] == trades["AAPL"][-1]
        latest_quote = await ask(client.get_stock_latest_quote, StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
        assert latest_quote["AAPL"] == quotes["AAPL"][-1]
        latest_bar = await ask(client.get_stock_latest_bar, StockLatestBarRequest(symbol_or_symbols="AAPL"))
        assert latest_bar["AAPL"] in bars["AAPL"]
        snapshots = await ask(client.get_stock_snapshot, StockSnapshotRequest(symbol_or_symbols=both))
        assert snapshots["SPY"].latest_trade == trades["SPY"][-1]


async def test_the_data_stream_receives_trades_quotes_and_bars_in_msgpack():
    async with running_exchange() as exchange:
        stream = StockDataStream(*KEYS, url_override=f"{exchange.ws_url}/v2/iex")
        seen: dict[str, list[Any]] = {"trade": [], "quote": [], "bar": []}
        stream.subscribe_trades(collect(seen["trade"]), "AAPL", "SPY")
        stream.subscribe_quotes(collect(seen["quote"]), "AAPL")
        stream.subscribe_bars(collect(seen["bar"]), "*")
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions > 0)
            await exchange.step(125)
            await eventually(lambda: all(seen.values()))
    assert {trade.symbol for trade in seen["trade"]} == {"AAPL", "SPY"}
    assert {quote.symbol for quote in seen["quote"]} == {"AAPL"}
    assert seen["bar"][0].timestamp.second == 0


async def test_the_trading_stream_receives_the_life_of_an_order():
    async with trading() as (exchange, client):
        stream = TradingStream(*KEYS, url_override=f"{exchange.ws_url}/stream")
        updates: list[Any] = []
        stream.subscribe_trade_updates(collect(updates))
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.trade_stream.listeners == 1)
            placed = await ask(client.submit_order, market(qty=1))
            await exchange.step(60)
            await eventually(lambda: bool(updates) and updates[-1].event == "fill")
    assert [update.event for update in updates] == ["pending_new", "new", "fill"]
    assert all(update.order.id == placed.id for update in updates)
    assert (updates[-1].qty, updates[-1].position_qty) == (1.0, 1.0)
    assert updates[-1].execution_id != updates[-2].execution_id


def collect(into: list[Any]) -> Callable[[Any], Any]:
    async def handler(message: Any) -> None:
        into.append(message)

    return handler


@asynccontextmanager
async def running_thread(stream: Any) -> AsyncIterator[None]:
    """Run one of alpaca-py's streams in a thread with a loop of its own, as its users do."""
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        await asyncio.to_thread(stream.stop)
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive(), "expected alpaca-py's stream to stop within 10 s"
