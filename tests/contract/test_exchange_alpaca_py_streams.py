"""alpaca-py 0.44's streams, unmodified: a handler for every kind of subscription gets what it gets from Alpaca."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from alpaca.data.live import CryptoDataStream, NewsDataStream, OptionDataStream, StockDataStream
from alpaca.data.models import Bar, News, Orderbook, Quote, Trade, TradeCancel, TradeCorrection, TradingStatus
from alpaca.trading.models import TradeUpdate
from alpaca.trading.stream import TradingStream

from quant_trading_system.simulator.events import SimBar, SimCancelError, SimCorrection, SimStatus
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.exchange_support import client_of, eventually, submit
from tests.contract.test_exchange_alpaca_py import KEYS, collect, running_thread

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # alpaca-py imports websockets.legacy
]


class Seen:
    """What handlers got, by the name of their subscription."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[Any]] = {}

    def handler(self, kind: str) -> Any:
        return collect(self.by_kind.setdefault(kind, []))

    @property
    def has_everything(self) -> bool:
        return all(self.by_kind.values())


def say_rare_things(exchange: RunningExchange, symbol: str) -> None:
    """What a quiet market may not say for hours."""
    now_ns = exchange.exchange.now_ns
    exchange.venue.data_stream.publish(
        [
            SimBar(symbol, 1.0, 2.0, 0.5, 1.5, 900.0, now_ns, 3, 1.25, "u"),
            SimBar(symbol, 1.0, 2.0, 0.5, 1.5, 900.0, now_ns, 3, 1.25, "d"),
            SimStatus(symbol, "H", "Trading Halt", "T12", "Additional Information Requested", now_ns),
            SimCorrection(symbol, "V", 1, 100.0, 10.0, ("@",), 1, 99.0, 10.0, ("@", "I"), now_ns),
            SimCancelError(symbol, 1, "V", 99.0, 10.0, "C", now_ns),
        ]
    )


async def test_every_subscription_of_the_stock_stream_has_its_handler_called():
    async with running_exchange() as exchange:
        stream = StockDataStream(*KEYS, url_override=f"{exchange.ws_url}/v2/sip")
        seen = Seen()
        stream.subscribe_trades(seen.handler("trade"), "AAPL")
        stream.subscribe_quotes(seen.handler("quote"), "AAPL")
        stream.subscribe_bars(seen.handler("bar"), "*")
        stream.subscribe_updated_bars(seen.handler("updated bar"), "AAPL")
        stream.subscribe_daily_bars(seen.handler("daily bar"), "AAPL")
        stream.subscribe_trading_statuses(seen.handler("status"), "*")
        stream.register_trade_corrections(seen.handler("correction"))
        stream.register_trade_cancels(seen.handler("cancel"))
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions == 6)
            await exchange.step(125)
            say_rare_things(exchange, "AAPL")
            await eventually(lambda: seen.has_everything)
    types = {kind: type(found[0]) for kind, found in seen.by_kind.items()}
    assert types == {
        "trade": Trade,
        "quote": Quote,
        "bar": Bar,
        "updated bar": Bar,
        "daily bar": Bar,
        "status": TradingStatus,
        "correction": TradeCorrection,
        "cancel": TradeCancel,
    }
    assert seen.by_kind["correction"][0].corrected_conditions == ["@", "I"]
    assert seen.by_kind["cancel"][0].action == "C"


async def test_every_subscription_of_the_crypto_stream_has_its_handler_called():
    async with running_exchange(symbols=("AAPL", "BTC/USD", "ETH/USD")) as exchange:
        stream = CryptoDataStream(*KEYS, url_override=f"{exchange.ws_url}/v1beta3/crypto/us")
        seen = Seen()
        stream.subscribe_trades(seen.handler("trade"), "BTC/USD")
        stream.subscribe_quotes(seen.handler("quote"), "BTC/USD")
        stream.subscribe_bars(seen.handler("bar"), "*")
        stream.subscribe_updated_bars(seen.handler("updated bar"), "BTC/USD")
        stream.subscribe_daily_bars(seen.handler("daily bar"), "BTC/USD")
        stream.subscribe_orderbooks(seen.handler("orderbook"), "BTC/USD")
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions == 6)
            await exchange.step(125)
            say_rare_things(exchange, "BTC/USD")
            await eventually(lambda: seen.has_everything)
    types = {kind: type(found[0]) for kind, found in seen.by_kind.items()}
    assert types == {
        "trade": Trade,
        "quote": Quote,
        "bar": Bar,
        "updated bar": Bar,
        "daily bar": Bar,
        "orderbook": Orderbook,
    }
    books = seen.by_kind["orderbook"]
    assert books[0].reset
    assert books[0].bids[0].price < books[0].asks[0].price


async def test_the_news_stream_hears_what_is_told():
    async with running_exchange() as exchange, client_of(exchange) as session:
        stream = NewsDataStream(*KEYS, url_override=f"{exchange.ws_url}/v1beta1/news")
        seen = Seen()
        stream.subscribe_news(seen.handler("news"), "AAPL")
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions == 1)
            body = {"headline": "Something happened", "symbols": ["AAPL", "SPY"], "url": "https://example.com/1"}
            async with session.post("/simulator/v1/news", json=body) as answer:
                assert answer.status == 200
            await eventually(lambda: seen.has_everything)
    (news,) = seen.by_kind["news"]
    assert isinstance(news, News)
    assert (news.headline, news.symbols) == ("Something happened", ["AAPL", "SPY"])


async def test_the_practice_stream_is_heard_through_the_stock_stream():
    async with running_exchange() as exchange:
        stream = StockDataStream(*KEYS, url_override=f"{exchange.ws_url}/v2/test")
        seen = Seen()
        stream.subscribe_trades(seen.handler("trade"), "FAKEPACA")
        stream.subscribe_quotes(seen.handler("quote"), "FAKEPACA")
        stream.subscribe_bars(seen.handler("bar"), "FAKEPACA")
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions == 3)
            await exchange.step(61)
            await eventually(lambda: seen.has_everything)
    assert {message.symbol for found in seen.by_kind.values() for message in found} == {"FAKEPACA"}


async def test_the_option_stream_ends_as_without_the_subscription():
    async with running_exchange() as exchange:
        stream = OptionDataStream(*KEYS, url_override=f"{exchange.ws_url}/v1beta1/indicative")
        stream.subscribe_trades(collect([]), "AAPL240621C00200000")
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive(), "expected alpaca-py to give up a feed that it may not have"


async def test_a_subscription_of_thousands_of_symbols_comes_in_fragments_and_is_held_whole():
    async with running_exchange() as exchange:
        stream = StockDataStream(*KEYS, url_override=f"{exchange.ws_url}/v2/sip")
        symbols = [
            f"S{first}{second}{third}"
            for first in "ABCDEFGHIJKLMNOP"
            for second in "ABCDEFGHIJKLMNOPQRST"
            for third in "ABCDEFGHIJKLMNOPQRSTUVWX"
        ]
        stream.subscribe_quotes(collect([]), *symbols)
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.data_stream.subscriptions > 0)
            assert exchange.venue.data_stream.subscriptions == len(symbols)


async def test_the_trading_stream_hears_every_sort_of_event_as_a_model():
    async with running_exchange() as exchange, client_of(exchange) as session:
        stream = TradingStream(*KEYS, url_override=f"{exchange.ws_url}/stream")
        seen = Seen()
        stream.subscribe_trade_updates(seen.handler("update"))
        async with running_thread(stream):
            await eventually(lambda: exchange.venue.trade_stream.listeners == 1)
            await submit(session, symbol="SPY")
            _, resting = await submit(session, type="limit", limit_price="1")
            await exchange.step(5)
            async with session.patch(f"/v2/orders/{resting['id']}", json={"qty": "2"}) as answer:
                replaced_by = (await answer.json())["id"]
            await exchange.step(5)
            async with session.delete(f"/v2/orders/{replaced_by}") as answer:
                assert answer.status == 204
            await exchange.step(5)
            updates = seen.by_kind["update"]
            await eventually(lambda: bool(updates) and updates[-1].event == "canceled")
    assert all(isinstance(update, TradeUpdate) for update in updates)
    names = {update.event for update in updates}
    assert names >= {"pending_new", "new", "fill", "replaced", "canceled"}
