"""alpaca-py's streams, unmodified: every kind of message reaches its handler, every method does what it says.

Its streams run in threads with loops of their own, as their users run them. They look for a stop only between messages,
or every five seconds: tests let something happen, so that a stop is seen at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.models import Bar, Orderbook, Quote, Trade, TradeCancel, TradeCorrection, TradingStatus
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import TradeUpdate
from alpaca.trading.requests import MarketOrderRequest
from alpaca.trading.stream import TradingStream

from quant_trading_system.simulator.server.threaded import ThreadedExchange
from tests.contract.alpaca_py_support import Desk, desk, public_methods

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # alpaca-py imports websockets.legacy
    pytest.mark.xdist_group("alpaca-py streams"),
]

PATIENCE_SECONDS = 20.0
STEPS_MAX = 400

STOCK_CHANNELS: dict[str, tuple[str, type[Any]]] = {
    "trades": ("AAPL", Trade),
    "quotes": ("AAPL", Quote),
    "bars": ("*", Bar),
    "updated_bars": ("*", Bar),
    "daily_bars": ("SPY", Bar),
    "trading_statuses": ("AAPL", TradingStatus),
}
STOCK_REGISTERED: dict[str, type[Any]] = {"trade_corrections": TradeCorrection, "trade_cancels": TradeCancel}
COIN_CHANNELS: dict[str, tuple[str, type[Any]]] = {
    "trades": ("BTC/USD", Trade),
    "quotes": ("BTC/USD", Quote),
    "bars": ("*", Bar),
    "updated_bars": ("*", Bar),
    "daily_bars": ("ETH/USD", Bar),
    "orderbooks": ("BTC/USD", Orderbook),
}
RARE: tuple[dict[str, object], ...] = tuple(
    {"kind": kind, "where": "stream:market_data", "probability": 0.2}
    for kind in ("update_bar", "correct_trade", "cancel_trade")
)
"""What a quiet market says once in a day or two, asked for: updated bars, corrections, cancels."""
COMMON = {"run", "stop", "stop_ws", "close"}


class Heard(defaultdict[str, list[Any]]):
    """What the handlers of one stream were called with."""

    def __init__(self) -> None:
        super().__init__(list)

    def handler(self, channel: str) -> Callable[[Any], Any]:
        async def hear(message: Any) -> None:
            self[channel].append(message)

        return hear


@contextmanager
def running(stream: Any, exchange: ThreadedExchange) -> Iterator[None]:
    """Run a stream until the block ends; what happens at the exchange afterwards shows it that it is to stop."""
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    wait_until(lambda: stream._running)
    try:
        yield
    finally:
        stream.stop()
        ended(thread, exchange)


def ended(thread: threading.Thread, exchange: ThreadedExchange) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while thread.is_alive() and time.monotonic() < until:
        exchange.step(1)
        thread.join(0.05)
    assert not thread.is_alive(), f"expected alpaca-py's stream to stop within {PATIENCE_SECONDS} s"


def wait_until(is_true: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < until, f"expected it within {PATIENCE_SECONDS} s"
        time.sleep(0.01)


def play_until(exchange: ThreadedExchange, is_true: Callable[[], object], *, seconds: float = 60) -> None:
    """Let the market go on until something was heard."""
    for _ in range(STEPS_MAX):
        exchange.step(seconds)
        time.sleep(0.01)
        if is_true():
            return
    raise AssertionError(f"expected it within {STEPS_MAX} steps of {seconds} s")


def test_no_method_of_a_stream_is_forgotten():
    stocks = {f"{verb}_{channel}" for verb in ("subscribe", "unsubscribe") for channel in STOCK_CHANNELS}
    assert set(public_methods(StockDataStream)) == COMMON | stocks | {f"register_{name}" for name in STOCK_REGISTERED}
    coins = {f"{verb}_{channel}" for verb in ("subscribe", "unsubscribe") for channel in COIN_CHANNELS}
    assert set(public_methods(CryptoDataStream)) == COMMON | coins
    assert set(public_methods(TradingStream)) == COMMON | {"subscribe_trade_updates"}


# --- market data


def stock_stream(at: Desk) -> StockDataStream:
    return StockDataStream(at.exchange.key_id, at.exchange.secret_key, url_override=f"{at.exchange.ws_url}/v2/iex")


def coin_stream(at: Desk) -> CryptoDataStream:
    path = "/v1beta3/crypto/us"
    return CryptoDataStream(at.exchange.key_id, at.exchange.secret_key, url_override=at.exchange.ws_url + path)


def subscribe(stream: Any, heard: Heard, channels: dict[str, tuple[str, type[Any]]]) -> None:
    for channel, (symbol, _) in channels.items():
        getattr(stream, f"subscribe_{channel}")(heard.handler(channel), symbol)


def test_every_kind_of_stock_message_reaches_its_handler():
    with desk() as at:
        stream, heard = stock_stream(at), Heard()
        subscribe(stream, heard, STOCK_CHANNELS)
        for name in STOCK_REGISTERED:
            getattr(stream, f"register_{name}")(heard.handler(name))
        with running(stream, at.exchange):
            at.exchange.step(90)
            halt(at, "halt")
            at.exchange.step(1)
            halt(at, "resume")
            at.exchange.set_faults(*RARE)
            wanted = {**{channel: kind for channel, (_, kind) in STOCK_CHANNELS.items()}, **STOCK_REGISTERED}
            play_until(at.exchange, lambda: wanted.keys() <= heard.keys())
    for channel, kind in wanted.items():
        assert {type(message) for message in heard[channel]} == {kind}, channel
    assert {trade.symbol for trade in heard["trades"]} == {"AAPL"}
    assert all(0 < quote.bid_price < quote.ask_price for quote in heard["quotes"])
    assert {bar.symbol for bar in heard["bars"]} == {"AAPL", "MSFT", "SPY"}
    assert {bar.timestamp.second for bar in heard["bars"]} == {0}
    assert {bar.symbol for bar in heard["daily_bars"]} == {"SPY"}
    assert [status.status_code for status in heard["trading_statuses"][:2]] == ["H", "T"]


def halt(at: Desk, kind: str) -> None:
    answer = at.trading._session.post(f"{at.exchange.url}/simulator/v1/status", json={"symbol": "AAPL", "status": kind})
    assert answer.status_code == 200, answer.text


def test_every_kind_of_crypto_message_reaches_its_handler():
    with desk() as at:
        stream, heard = coin_stream(at), Heard()
        subscribe(stream, heard, COIN_CHANNELS)
        at.exchange.set_faults(RARE[0])
        with running(stream, at.exchange):
            play_until(at.exchange, lambda: COIN_CHANNELS.keys() <= heard.keys())
    for channel, (_, kind) in COIN_CHANNELS.items():
        assert {type(message) for message in heard[channel]} == {kind}, channel
    assert {trade.symbol for trade in heard["trades"]} == {"BTC/USD"}
    assert {"BTC/USD", "ETH/USD"} <= {bar.symbol for bar in heard["bars"]}
    first = heard["orderbooks"][0]
    assert first.reset
    assert min(ask.price for ask in first.asks) > max(bid.price for bid in first.bids)


@pytest.mark.parametrize(
    ("make", "channels"), [(stock_stream, STOCK_CHANNELS), (coin_stream, COIN_CHANNELS)], ids=["stocks", "crypto"]
)
def test_a_subscription_is_made_and_ended_while_the_stream_runs(make: Any, channels: dict[str, tuple[str, type[Any]]]):
    with desk() as at:
        stream, heard = make(at), Heard()
        stream.subscribe_quotes(heard.handler("quotes"), channels["quotes"][0])
        with running(stream, at.exchange):
            subscribe(stream, heard, channels)
            play_until(at.exchange, lambda: {"trades", "quotes", "bars"} <= heard.keys())
            for channel, (symbol, _) in channels.items():
                getattr(stream, f"unsubscribe_{channel}")(symbol)
            stream.subscribe_bars(heard.handler("other"), "MSFT" if channels is STOCK_CHANNELS else "SOL/USD")
            play_until(at.exchange, lambda: heard["other"])
            counted = {channel: len(heard[channel]) for channel in channels}
            so_far = len(heard["other"])
            play_until(at.exchange, lambda: len(heard["other"]) > so_far + 2)
            assert {channel: len(heard[channel]) for channel in channels} == counted


def test_a_connection_that_is_closed_comes_back_with_its_subscriptions():
    with desk() as at:
        stream, heard = stock_stream(at), Heard()
        stream.subscribe_trades(heard.handler("trades"), "AAPL")
        with running(stream, at.exchange):
            play_until(at.exchange, lambda: heard["trades"])
            in_its_loop(stream, stream.close())
            so_far = len(heard["trades"])
            play_until(at.exchange, lambda: len(heard["trades"]) > so_far, seconds=1)
        assert {trade.symbol for trade in heard["trades"]} == {"AAPL"}


def test_a_stream_stops_when_its_own_loop_is_told_so():
    with desk() as at:
        stream, heard = stock_stream(at), Heard()
        stream.subscribe_trades(heard.handler("trades"), "AAPL")
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        wait_until(lambda: stream._running)
        in_its_loop(stream, stream.stop_ws())
        ended(thread, at.exchange)
        assert not stream._should_run


def in_its_loop(stream: Any, work: Any) -> None:
    asyncio.run_coroutine_threadsafe(work, stream._loop).result(PATIENCE_SECONDS)


# --- trade updates


def buy(at: Desk) -> Any:
    wanted = MarketOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    return at.trading.submit_order(wanted)


@contextmanager
def listening(at: Desk) -> Iterator[tuple[TradingStream, list[Any]]]:
    """A trading stream that listens; orders keep it awake when it is to stop."""
    stream = TradingStream(at.exchange.key_id, at.exchange.secret_key, url_override=f"{at.exchange.ws_url}/stream")
    heard = Heard()
    stream.subscribe_trade_updates(heard.handler("updates"))
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    wait_until(lambda: stream._running)
    try:
        yield stream, heard["updates"]
    finally:
        stream.stop()
        buy(at)
        ended(thread, at.exchange)


def test_trade_updates_tell_the_life_of_an_order():
    with desk() as at, listening(at) as (_, updates):
        order = buy(at)
        play_until(at.exchange, lambda: updates and updates[-1].event == "fill", seconds=1)
    mine = [update for update in updates if update.order.id == order.id]
    assert {type(update) for update in mine} == {TradeUpdate}
    assert [update.event for update in mine if update.event != "partial_fill"] == ["pending_new", "new", "fill"]
    assert (mine[-1].position_qty, mine[-1].order.filled_qty) == (1.0, "1")


def test_a_trading_stream_that_is_closed_comes_back_and_listens():
    with desk() as at, listening(at) as (stream, updates):
        in_its_loop(stream, stream.close())
        wait_until(lambda: stream._running)
        order = buy(at)
        play_until(at.exchange, lambda: updates and updates[-1].event == "fill", seconds=1)
        assert updates[-1].order.id == order.id


def test_a_trading_stream_stops_when_its_own_loop_is_told_so():
    with desk() as at, listening(at) as (stream, _):
        in_its_loop(stream, stream.stop_ws())
        assert not stream._should_run
