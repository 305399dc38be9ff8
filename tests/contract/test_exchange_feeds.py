"""Every market-data feed that Alpaca has: what it carries, who may have it, and in which form it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
import websockets

from quant_trading_system.simulator.events import (
    MarketEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimImbalance,
    SimLuld,
    SimStatus,
    SimTrade,
)
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import eventually, is_closed, market_data, receive, served

pytestmark = pytest.mark.asyncio

STOCK_FEEDS = ("/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v1beta1/boats", "/v1beta1/overnight")
WITH_CRYPTO = ("AAPL", "BTC/USD", "ETH/USD")
CRYPTO_FEEDS = ("/v1beta3/crypto/us", "/v1beta3/crypto/us-1", "/v1beta3/crypto/eu-1")


async def subscribe(socket: aiohttp.ClientWebSocketResponse, **channels: list[str]) -> dict[str, Any]:
    """Subscribe, and answer the acknowledgement."""
    await socket.send_json({"action": "subscribe", **channels})
    (state,) = await receive(socket)
    assert state["T"] == "subscription", f"expected an acknowledgement, found {state}"
    answer: dict[str, Any] = state
    return answer


async def messages(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += await receive(socket)
    return found


def say(exchange: RunningExchange, *events: MarketEvent) -> None:
    """Let the market say something now."""
    exchange.venue.data_stream.publish(events)


def one_of_each(exchange: RunningExchange, symbol: str = "AAPL") -> Sequence[MarketEvent]:
    now_ns = exchange.exchange.now_ns
    return (
        SimTrade(symbol, 100.0, 10.0, now_ns, "V", 1),
        SimCorrection(symbol, "V", 1, 100.0, 10.0, ("@",), 1, 99.0, 10.0, ("@",), now_ns),
        SimCancelError(symbol, 1, "V", 99.0, 10.0, "E", now_ns),
        SimBar(symbol, 1.0, 2.0, 0.5, 1.5, 900.0, now_ns, 3, 1.25, "b"),
        SimBar(symbol, 1.0, 2.0, 0.5, 1.5, 900.0, now_ns, 3, 1.25, "u"),
        SimBar(symbol, 1.0, 2.0, 0.5, 1.5, 900.0, now_ns, 3, 1.25, "d"),
        SimStatus(symbol, "H", "Trading Halt", "T12", "Additional Information Requested", now_ns),
        SimLuld(symbol, 105.0, 95.0, "B", now_ns),
        SimImbalance(symbol, 100.0, now_ns),
    )


@pytest.mark.parametrize("path", STOCK_FEEDS)
async def test_every_stock_feed_is_acknowledged_as_documented(path):
    async with served() as (_exchange, session), market_data(session, path) as socket:
        state = await subscribe(socket, trades=["AAPL"], quotes=["AMD", "CLDR"], bars=["*"])
        assert state == {
            "T": "subscription",
            "trades": ["AAPL"],
            "quotes": ["AMD", "CLDR"],
            "bars": ["*"],
            "updatedBars": [],
            "dailyBars": [],
            "statuses": [],
            "lulds": [],
            "corrections": ["AAPL"],
            "cancelErrors": ["AAPL"],
        }


@pytest.mark.parametrize(
    ("channel", "kinds"),
    [
        ("trades", ["t", "c", "x"]),
        ("bars", ["b"]),
        ("updatedBars", ["u"]),
        ("dailyBars", ["d"]),
        ("statuses", ["s"]),
        ("lulds", ["l"]),
        ("imbalances", ["i"]),
    ],
)
async def test_each_channel_brings_its_kinds_and_trades_bring_their_corrections(channel, kinds):
    async with served() as (exchange, session), market_data(session) as socket:
        assert (await subscribe(socket, **{channel: ["AAPL"]}))[channel] == ["AAPL"]
        say(exchange, *one_of_each(exchange, "MSFT"), *one_of_each(exchange))
        (frame,) = [await receive(socket)]
        assert [(message["T"], message["S"]) for message in frame] == [(kind, "AAPL") for kind in kinds]


async def test_what_one_minute_brings_comes_in_one_frame():
    async with served() as (exchange, session), market_data(session) as socket:
        await subscribe(socket, bars=["*"])
        await exchange.step(60)
        frame = await receive(socket)
        assert [message["S"] for message in frame if message["T"] == "b"] == ["AAPL", "MSFT", "SPY"]


async def test_subscribing_twice_is_harmless_and_a_star_is_taken_back_as_it_was_given():
    async with served() as (exchange, session), market_data(session) as socket:
        await subscribe(socket, trades=["AAPL"])
        state = await subscribe(socket, trades=["AAPL", "*"])
        assert state["trades"] == ["*", "AAPL"]
        await socket.send_json({"action": "unsubscribe", "trades": ["*"]})
        assert (await receive(socket))[0]["trades"] == ["AAPL"]
        now_ns = exchange.exchange.now_ns
        say(exchange, SimTrade("MSFT", 1.0, 1.0, now_ns, "V", 1), SimTrade("AAPL", 1.0, 1.0, now_ns, "V", 1))
        assert [message["S"] for message in await receive(socket)] == ["AAPL"]


async def test_commands_in_flight_are_answered_in_their_order():
    async with served() as (_exchange, session), market_data(session) as socket:
        names = ["AAPL", "MSFT", "SPY"]
        for name in names:
            await socket.send_json({"action": "subscribe", "quotes": [name]})
        await socket.send_json({"action": "dance"})
        states = [(await receive(socket))[0] for _ in range(4)]
        assert [state.get("quotes") for state in states] == [["AAPL"], ["AAPL", "MSFT"], names, None]
        assert states[3]["code"] == 400


async def test_a_delayed_subscription_begins_with_what_happened_a_quarter_of_an_hour_ago():
    async with served() as (exchange, session), market_data(session, "/v2/delayed_sip") as socket:
        await exchange.step(1_800)
        began_ns = exchange.exchange.now_ns
        await subscribe(socket, trades=["AAPL"], bars=["AAPL"])
        await exchange.step(900)
        told = await drain(socket)
        history = list(exchange.venue.market.trades("AAPL", began_ns - 900 * 10**9 + 1, began_ns))
        assert history, "expected trades in a quarter of an hour"
        assert [message["i"] for message in told if message["T"] == "t"] == [trade.trade_id for trade in history]
        assert len([message for message in told if message["T"] == "b"]) == 15


async def test_a_delayed_client_knows_nothing_of_the_last_quarter_of_an_hour():
    async with served() as (exchange, session), market_data(session, "/v2/delayed_sip") as socket:
        await subscribe(socket, trades=["AAPL"], statuses=["AAPL"])
        trade = SimTrade("AAPL", 1.0, 1.0, exchange.exchange.now_ns, "V", 77)
        status = SimStatus("AAPL", "H", "Trading Halt", "T12", "", exchange.exchange.now_ns)
        say(exchange, trade, status)
        await exchange.step(899)
        seen = await drain(socket)
        assert not [message for message in seen if message.get("i") == 77 or message["T"] == "s"]
        await exchange.step(2)
        seen = await drain(socket)
        assert {message["T"] for message in seen if message.get("i") == 77 or message["T"] == "s"} == {"t", "s"}


async def drain(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """What has come so far: everything before the answer to a command."""
    await socket.send_json({"action": "dance"})
    found: list[dict[str, Any]] = []
    while not (found and found[-1]["T"] == "error"):
        found += await receive(socket)
    return found[:-1]


@pytest.mark.parametrize("path", ["/v1beta1/boats", "/v1beta1/overnight", "/v1beta1/news"])
async def test_quiet_feeds_are_there_and_say_nothing_of_the_day(path):
    async with served() as (exchange, session), market_data(session, path) as socket:
        await subscribe(socket, **({"news": ["*"]} if path.endswith("news") else {"trades": ["*"], "bars": ["*"]}))
        await exchange.step(125)
        assert await drain(socket) == []


# --- crypto


@pytest.mark.parametrize("path", CRYPTO_FEEDS)
async def test_crypto_is_played_while_somebody_listens_and_has_a_form_of_its_own(path):
    async with served(symbols=WITH_CRYPTO) as (exchange, session):
        async with market_data(session, path) as socket:
            state = await subscribe(socket, trades=["BTC/USD"], quotes=["BTC/USD"], bars=["*"])
            assert list(state) == ["T", "trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"]
            await exchange.step(125)
            seen = {message["T"]: message for message in await drain(socket)}
        assert list(seen["t"]) == ["T", "S", "p", "s", "t", "i", "tks"]
        assert list(seen["q"]) == ["T", "S", "bp", "bs", "ap", "as", "t"]
        assert list(seen["b"]) == ["T", "S", "o", "h", "l", "c", "v", "t", "n", "vw"]
        assert seen["t"]["tks"] in ("B", "S")


async def test_a_subscription_to_order_books_begins_with_the_whole_book():
    async with served(symbols=WITH_CRYPTO) as (exchange, session), market_data(session, CRYPTO_FEEDS[0]) as socket:
        await subscribe(socket, orderbooks=["BTC/USD"])
        (book,) = await receive(socket)
        assert (book["T"], book["S"], book["r"]) == ("o", "BTC/USD", True)
        assert book["b"][0]["p"] < book["a"][0]["p"]
        await exchange.step(60)
        changes = await drain(socket)
        assert changes
        assert {message["S"] for message in changes} == {"BTC/USD"}


async def test_stocks_and_crypto_are_not_mixed():
    async with (
        served(symbols=WITH_CRYPTO) as (exchange, session),
        market_data(session) as stocks,
        market_data(session, CRYPTO_FEEDS[0]) as crypto,
    ):
        await subscribe(stocks, trades=["*"])
        await subscribe(crypto, trades=["*"])
        await exchange.step(60)
        assert {message["S"] for message in await drain(stocks)} == {"AAPL"}
        assert {message["S"] for message in await drain(crypto)} == {"BTC/USD", "ETH/USD"}
        await crypto.send_json({"action": "subscribe", "trades": ["BTCUSD"]})
        assert (await receive(crypto))[0]["code"] == 400
        await crypto.send_json({"action": "subscribe", "statuses": ["BTC/USD"]})
        assert (await receive(crypto))[0]["code"] == 410


# --- news and options


async def test_news_that_the_exchange_is_told_to_tell_reach_who_asked_for_their_symbols():
    async with served() as (_exchange, session), market_data(session, "/v1beta1/news") as socket:
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        assert await receive(socket) == [{"T": "error", "code": 410, "msg": "invalid subscribe action for this feed"}]
        await subscribe(socket, news=["AAPL"])
        for symbols in (["MSFT"], ["SPY", "AAPL"]):
            body = {"headline": "Something happened", "symbols": symbols}
            async with session.post("/simulator/v1/news", json=body) as answer:
                assert answer.status == 200
        (message,) = await drain(socket)
        first, *_, last = message
        assert (first, last) == ("T", "source")
        assert set(message) >= {"id", "headline", "summary", "author", "created_at", "updated_at", "url", "content"}
        assert message["symbols"] == ["SPY", "AAPL"]
        async with session.post("/simulator/v1/news", json={"symbols": []}) as answer:
            assert answer.status == 422


@pytest.mark.parametrize("path", ["/v1beta1/indicative", "/v1beta1/opra"])
@pytest.mark.parametrize(("encoding", "code"), [("application/json", 412), ("application/msgpack", 409)])
async def test_option_feeds_are_refused_as_to_an_account_without_them(path, encoding, code):
    headers = {"Content-Type": encoding}
    async with served() as (_exchange, session), session.ws_connect(path, headers=headers) as socket:
        assert (await receive(socket))[0]["msg"] == "connected"
        assert (await receive(socket))[0]["code"] == code
        assert await is_closed(socket)


# --- connections


async def test_a_line_that_broke_without_a_goodbye_keeps_its_place_until_it_is_reaped():
    server = ServerSettings(requests_per_minute=0, stream_reap_seconds=0.3)
    async with served(server=server) as (exchange, session):
        async with market_data(session) as socket:
            response = socket._response
            assert response.connection is not None
            assert response.connection.transport is not None
            response.connection.transport.abort()
            await eventually(lambda: exchange.venue.data_stream.connections == 0)
        async with session.ws_connect("/v2/iex") as second:
            await receive(second)
            assert (await receive(second))[0]["code"] == 406
        await asyncio.sleep(0.35)
        async with market_data(session):
            pass
        async with market_data(session):  # the one before said goodbye
            pass


async def test_permessage_deflate_is_spoken_where_it_is_offered():
    async with served() as (exchange, _session):
        headers = {**exchange.headers, "Content-Type": "application/msgpack"}
        async with websockets.connect(f"{exchange.ws_url}/v2/iex", additional_headers=headers) as socket:
            names = [extension.name for extension in socket.protocol.extensions]
            assert names == ["permessage-deflate"]

            async def first_of_frame() -> dict[str, Any]:
                frame: list[dict[str, Any]] = msgspec.msgpack.decode(await socket.recv(decode=False))
                return frame[0]

            assert [(await first_of_frame())["msg"] for _ in range(2)] == ["connected", "authenticated"]
            await socket.send(msgspec.msgpack.encode({"action": "subscribe", "quotes": ["*"]}))
            assert (await first_of_frame())["quotes"] == ["*"]
            await exchange.step(60)
            assert (await first_of_frame())["T"] == "q"


@pytest.mark.parametrize("payload", ["[" * 100_000, '{"action":"subscribe","trades":[1]}', "7", '{"action":["auth"]}'])
async def test_nonsense_is_invalid_syntax_and_breaks_nothing(payload):
    async with served() as (_exchange, session), market_data(session) as socket:
        await socket.send_str(payload)
        assert (await receive(socket))[0]["code"] == 400
        await subscribe(socket, bars=["AAPL"])
