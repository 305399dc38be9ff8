"""What can go wrong on the streams, as it was seen at Alpaca's (reference 7.4, 12): every fault, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from quant_trading_system.simulator.events import SimBar, SimTrade
from quant_trading_system.simulator.server.outbox import Limits
from quant_trading_system.simulator.server.settings import ServerSettings, TradeFrames
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import eventually, is_closed, market_data, receive, served, submit, trade_updates

pytestmark = pytest.mark.asyncio

TRADES, DATA = "stream:trade_updates", "stream:market_data"
AUTH = {"action": "auth", "key": "PKSIM", "secret": "sim"}
OLD_AUTH = {"action": "authenticate", "data": {"key_id": "PKSIM", "secret_key": "sim"}}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


@asynccontextmanager
async def listening(*rules: dict[str, object]) -> AsyncIterator[tuple[RunningExchange, aiohttp.ClientSession, Any]]:
    """An exchange with faults that begin once somebody listens."""
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        exchange.set_faults(*rules)
        yield exchange, session, socket


async def events(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    return [(await receive(socket))["data"] for _ in range(count)]


async def is_silent(socket: aiohttp.ClientWebSocketResponse) -> bool:
    try:
        await socket.receive(timeout=0.2)
    except TimeoutError:
        return True
    return False


async def fill_one(exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
    await submit(session, symbol="SPY")
    await exchange.step(30)


# --- logins and manners of trade_updates


async def test_the_old_login_is_answered_with_the_recorded_notice():
    async with served() as (_exchange, session), session.ws_connect("/stream") as socket:
        await socket.send_json(OLD_AUTH)
        assert json.dumps((await receive(socket))["data"]) == json.dumps(
            {
                "action": "authenticate",
                "message": "this authentication format is being deprecated. Please use the format: "
                '{"action": "auth", "key": "x", "secret": "x"}',
                "status": "authorized",
            }
        )


async def test_an_old_login_can_be_refused_and_the_new_one_is_taken():
    async with (
        listening({"kind": "refuse_old_login"}) as (_exchange, session, _),
        session.ws_connect("/stream") as socket,
    ):
        await socket.send_json(OLD_AUTH)
        assert (await receive(socket))["data"]["status"] == "unauthorized"
        await socket.send_json(AUTH)
        assert (await receive(socket))["data"]["status"] == "authorized"


@pytest.mark.parametrize(
    ("frames", "content_type", "kind"),
    [
        (TradeFrames.BINARY, "application/json", aiohttp.WSMsgType.BINARY),
        (TradeFrames.TEXT, "application/json", aiohttp.WSMsgType.TEXT),
        (TradeFrames.BINARY, "application/msgpack", aiohttp.WSMsgType.BINARY),
    ],
)
async def test_frames_are_binary_or_text_json_or_msgpack_as_asked_for(frames, content_type, kind):
    server = ServerSettings(requests_per_minute=0, trade_frames=frames)
    headers = {"Content-Type": content_type}
    async with served(server=server) as (exchange, session), session.ws_connect("/stream", headers=headers) as socket:
        for command in (AUTH, LISTEN):
            await socket.send_json(command)
            await socket.receive(timeout=5)
        await fill_one(exchange, session)
        message = await socket.receive(timeout=5)
        assert message.type is kind
        decode = msgspec.msgpack.decode if "msgpack" in content_type else msgspec.json.decode
        assert decode(message.data)["data"]["event"] == "pending_new"


@pytest.mark.parametrize("payload", ["{broken", "[]", '{"action":"dance"}', "[" * 50_000])
async def test_what_trade_updates_do_not_understand_is_an_error_and_the_end(payload):
    async with served() as (_exchange, session), session.ws_connect("/stream") as socket:
        await socket.send_str(payload)
        assert await receive(socket) == {"action": "error", "data": {"error_message": "internal server error"}}
        assert await is_closed(socket)


async def test_one_connection_is_enforced_where_it_is_wished_and_given_back_with_a_goodbye():
    server = ServerSettings(requests_per_minute=0, trade_connections_max=1, stream_reap_seconds=60)
    async with served(server=server) as (exchange, session):
        async with trade_updates(session, exchange):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect("/stream")
            assert caught.value.status == 429
        await eventually(lambda: len(exchange.venue.trade_stream._clients) == 0)
        async with trade_updates(session, exchange) as socket:
            _abort(socket)
            await eventually(lambda: len(exchange.venue.trade_stream._clients) == 0)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect("/stream")


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    connection = socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()


# --- frames of trade_updates


async def test_acknowledgement_and_fill_come_again_behind_the_last_event_with_the_same_execution_ids():
    async with listening({"kind": "replay_fills", "where": TRADES, "times": 2}) as (exchange, session, socket):
        await fill_one(exchange, session)
        seen = await events(socket, 7)
    assert [event["event"] for event in seen] == ["pending_new", "new", "fill", "new", "fill", "new", "fill"]
    assert [event["execution_id"] for event in seen[3:5]] == [event["execution_id"] for event in seen[1:3]]
    assert seen[3:5] == seen[5:7] == seen[1:3]


@pytest.mark.parametrize("name", ["pending_new", "new", "fill"])
async def test_an_event_is_lost_by_its_name(name):
    rule = {"kind": "drop_frame", "where": TRADES, "event": name}
    async with listening(rule) as (exchange, session, socket):
        await fill_one(exchange, session)
        assert [event["event"] for event in await events(socket, 2)] == [
            event for event in ("pending_new", "new", "fill") if event != name
        ]
        assert await is_silent(socket)
        assert exchange.exchange.ledger()["executions"], "expected the fill in the books"


async def test_a_late_fill_comes_behind_what_happened_after_it():
    rule = {"kind": "delay_frame", "where": TRADES, "event": "fill", "latency_ms": 300}
    async with listening(rule) as (exchange, session, socket):
        await fill_one(exchange, session)
        await submit(session, type="limit", limit_price="1")
        await exchange.step(5)
        seen = await events(socket, 5)
    assert [event["event"] for event in seen] == ["pending_new", "new", "pending_new", "new", "fill"]
    assert seen[4]["event_id"] < seen[2]["event_id"]


async def test_events_of_legs_are_missing_and_those_of_their_parent_are_not():
    async with listening({"kind": "mute_legs", "where": TRADES}) as (exchange, session, socket):
        bracket = {
            "symbol": "SPY",
            "order_class": "bracket",
            "take_profit": {"limit_price": "9999"},
            "stop_loss": {"stop_price": "1"},
        }
        _, order = await submit(session, **bracket)
        await exchange.step(30)
        seen = await events(socket, 3)
        assert {event["order"]["id"] for event in seen} == {order["id"]}
        assert await is_silent(socket)
        exchange.set_faults()
        leg = order["legs"][0]["id"]
        async with session.delete(f"/v2/orders/{leg}") as answer:
            assert answer.status == 204
        await exchange.step(5)
        assert (await events(socket, 1))[0]["order"]["id"] != order["id"]


async def test_strange_contents_come_as_the_plan_says():
    async with listening(
        {"kind": "unknown_event", "where": TRADES, "event": "pending_new"},
        {"kind": "unknown_keys", "where": TRADES, "event": "pending_new"},
        {"kind": "no_timestamp", "where": TRADES, "event": "new"},
        {"kind": "null_execution_id", "where": TRADES, "event": "fill"},
        {"kind": "set_field", "where": TRADES, "at": 3, "field": "order.status", "value": "calculated"},
    ) as (exchange, session, socket):
        await fill_one(exchange, session)
        pending, unknown, new, fill = await events(socket, 4)
    assert {"venue_note", "revision"} <= pending.keys() & pending["order"].keys()
    assert (unknown["event"], unknown["order"]["id"]) == ("order_reviewed", pending["order"]["id"])
    assert "timestamp" not in new
    assert fill["execution_id"] is None
    assert fill["order"]["status"] == "calculated"


async def test_a_burst_brings_several_frames_in_one_segment():
    async with served() as (exchange, session):
        reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port)
        writer.write(
            b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        for command in (AUTH, LISTEN):
            text = json.dumps(command).encode()
            writer.write(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
        async with asyncio.timeout(5):
            await reader.readuntil(b'"listening","data":{"streams":["trade_updates"]}}')
        exchange.set_faults({"kind": "burst", "where": TRADES, "latency_ms": 200})
        await fill_one(exchange, session)
        before = data_segments(writer)
        async with asyncio.timeout(5):
            first = await reader.read(65_536)
        segments = data_segments(writer) - before
        writer.close()
    assert first.count(b'{"stream":"trade_updates"') == 3
    assert segments == 1


def data_segments(writer: asyncio.StreamWriter) -> int:
    """TCP segments with data that have come so far, as Linux counts them."""
    if not hasattr(sockets, "TCP_INFO"):
        pytest.skip("this system does not count segments")
    line: sockets.socket = writer.get_extra_info("socket")
    info = line.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, 160)
    return int.from_bytes(info[152:156], sys.byteorder)  # tcpi_data_segs_in


async def test_a_starved_connection_hears_nothing_and_a_new_one_does():
    rule = {"kind": "starve_stream", "where": TRADES, "after_seconds": 0.3}
    async with listening(rule) as (exchange, session, old):
        await asyncio.sleep(0.4)
        await fill_one(exchange, session)
        assert await is_silent(old)
        async with trade_updates(session, exchange) as new:
            await submit(session, type="limit", limit_price="1")
            assert (await events(new, 1))[0]["event"] == "pending_new"
        assert await is_silent(old)
        exchange.set_faults()
        await exchange.step(1)
        await submit(session, type="limit", limit_price="2")
        await exchange.step(5)
        assert (await events(old, 1))[0]["order"]["limit_price"] in ("1", "2")


async def test_a_login_that_is_never_answered():
    async with served() as (exchange, session):
        exchange.set_faults({"kind": "silent_login", "where": "stream:*"})
        async with session.ws_connect("/stream") as socket:
            await socket.send_json(AUTH)
            await socket.send_json(LISTEN)
            assert await is_silent(socket)
        async with session.ws_connect("/v2/iex") as socket:
            assert (await receive(socket))[0]["msg"] == "connected"
            assert await is_silent(socket)


async def test_a_listen_or_subscribe_that_is_never_answered_or_only_half_kept():
    async with served() as (exchange, session), market_data(session) as data:
        exchange.set_faults({"kind": "silent_subscribe", "where": "stream:*", "count": 1})
        await data.send_json({"action": "subscribe", "trades": ["AAPL"]})
        assert await is_silent(data)
        exchange.set_faults({"kind": "short_subscription", "where": "stream:*"})
        await data.send_json({"action": "subscribe", "trades": ["AAPL", "MSFT", "SPY"]})
        assert (await receive(data))[0]["trades"] == ["AAPL"]
        async with session.ws_connect("/stream") as socket:
            await socket.send_json(AUTH)
            await receive(socket)
            await socket.send_json(LISTEN)
            assert (await receive(socket))["data"]["streams"] == []


@pytest.mark.parametrize(("rule", "code"), [({}, 1000), ({"code": 1012}, 1012)])
@pytest.mark.parametrize("where", [TRADES, DATA])
async def test_a_stream_is_closed_in_form(rule, code, where):
    async with (
        served() as (exchange, session),
        trade_updates(session, exchange) as trades,
        market_data(session) as data,
    ):
        exchange.set_faults({"kind": "close_stream", "where": where, "count": 1, **rule})
        message = await (trades if where == TRADES else data).receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)


async def test_a_connection_is_cut_when_it_is_old_and_again_when_the_next_one_is():
    rule = {"kind": "disconnect_stream", "where": TRADES, "after_seconds": 0.3}
    async with served() as (exchange, session):
        exchange.set_faults(rule)
        for _ in range(2):
            async with trade_updates(session, exchange) as socket:
                began = asyncio.get_running_loop().time()
                assert await is_closed(socket)
                assert asyncio.get_running_loop().time() - began > 0.2


async def test_the_error_of_trade_updates_comes_when_the_plan_says():
    async with listening({"kind": "stream_error", "where": TRADES}) as (_exchange, _session, socket):
        assert await receive(socket) == {"action": "error", "data": {"error_message": "internal server error"}}
        assert await is_closed(socket)


# --- market data


@pytest.mark.parametrize("code", [402, 404, 406, 409, 411])
async def test_a_login_is_answered_with_the_error_of_the_plan(code):
    async with served() as (exchange, session):
        exchange.set_faults({"kind": "stream_error", "where": DATA, "code": code, "count": 1})
        async with session.ws_connect("/v2/iex") as socket:
            assert (await receive(socket))[0]["msg"] == "connected"
            assert (await receive(socket))[0]["code"] == code
            assert await is_closed(socket)
        async with market_data(session):
            pass


@pytest.mark.parametrize("code", [400, 405, 410, 413])
async def test_a_subscription_is_answered_with_the_error_of_the_plan_and_the_connection_stays(code):
    async with served() as (exchange, session), market_data(session) as socket:
        exchange.set_faults({"kind": "stream_error", "where": DATA, "code": code, "count": 1})
        await socket.send_json({"action": "subscribe", "trades": ["AAPL"]})
        assert (await receive(socket))[0]["code"] == code
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        assert (await receive(socket))[0]["trades"] == []


@pytest.mark.parametrize("code", [407, 500])
async def test_a_frame_is_replaced_by_the_error_of_the_plan(code):
    async with served() as (exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "trades": ["AAPL"]})
        await receive(socket)
        exchange.set_faults({"kind": "stream_error", "where": DATA, "code": code, "count": 1})
        _say_trade(exchange)
        assert (await receive(socket))[0]["code"] == code
        assert await is_closed(socket)


def _say_trade(exchange: RunningExchange) -> None:
    exchange.venue.data_stream.publish([SimTrade("AAPL", 100.0, 10.0, exchange.exchange.now_ns, "V", 7)])


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"kind": "correct_trade"}, "tcb"),
        ({"kind": "cancel_trade"}, "txb"),
        ({"kind": "update_bar"}, "tbu"),
        ({"kind": "duplicate_frame", "event": "bars"}, "tbb"),
        ({"kind": "drop_frame", "event": "bars"}, "t"),
        ({"kind": "flood", "copies": 3}, "tttbbb"),
    ],
)
async def test_trades_and_bars_are_corrected_repeated_and_lost_on_demand(rule, told):
    async with served() as (exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "trades": ["*"], "bars": ["*"], "updatedBars": ["*"]})
        await receive(socket)
        exchange.set_faults({"where": DATA, **rule})
        _say_trade(exchange)
        exchange.venue.data_stream.publish([SimBar("AAPL", 1.0, 2.0, 0.5, 1.5, 900.0, 0, 3, 1.25)])
        await socket.send_json({"action": "dance"})
        kinds: list[str] = []
        while "error" not in kinds:
            kinds += [message["T"] for message in await receive(socket)]
    assert "".join(kinds[:-1]) == told


@pytest.mark.parametrize(
    ("how", "is_so"),
    [
        ("crossed", lambda quote: quote["bp"] > quote["ap"]),
        ("locked", lambda quote: quote["bp"] == quote["ap"]),
        ("zero", lambda quote: quote["bp"] == quote["ap"] == 0),
        ("negative", lambda quote: quote["bp"] < 0),
    ],
)
async def test_quotes_are_spoilt_on_demand(how, is_so):
    async with served() as (exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        await receive(socket)
        exchange.set_faults({"kind": "bad_quote", "where": DATA, "how": how, "count": 1})
        await exchange.step(60)
        first, second, *_ = await receive(socket)
        assert is_so(first)
        assert not is_so(second)


# --- clients that do not read


async def test_a_client_whose_line_is_full_is_cut_when_it_does_not_even_read_its_farewell(monkeypatch):
    monkeypatch.setattr("quant_trading_system.simulator.server.outbox.FAREWELL_SECONDS_MAX", 0.3)
    server = ServerSettings(requests_per_minute=0, stream_limits=Limits(frames_max=8, bytes_max=1_000_000))
    async with served(server=server) as (exchange, _session):
        reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port, limit=1_024)
        writer.write(
            b"GET /v2/iex HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"APCA-API-KEY-ID: PKSIM\r\nAPCA-API-SECRET-KEY: sim\r\n\r\n"
        )
        text = b'{"action":"subscribe","trades":["AAPL"]}'
        writer.write(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
        async with asyncio.timeout(5):
            await reader.readuntil(b"cancelErrors")
        trades = [SimTrade("AAPL", 100.0, 10.0, number, "V", number) for number in range(1_000)]
        async with asyncio.timeout(30):
            while exchange.venue.data_stream.connections:
                exchange.venue.data_stream.publish(trades)
                await asyncio.sleep(0)
        writer.close()
        assert exchange.venue.data_stream.connections == 0


# --- the race of events with the answer of the request that caused them


@pytest.mark.parametrize(
    ("rule", "is_event_first"),
    [
        ({"kind": "latency", "where": "POST /v2/orders", "latency_ms": 300}, True),
        ({"kind": "delay_frame", "where": TRADES, "latency_ms": 300}, False),
    ],
)
async def test_an_event_comes_before_or_behind_the_answer_to_the_order(rule, is_event_first):
    async with listening(rule) as (_exchange, session, socket):
        loop = asyncio.get_running_loop()

        async def at(what: Any) -> float:
            await what
            return loop.time()

        answered, told = await asyncio.gather(
            at(submit(session, type="limit", limit_price="1")), at(socket.receive(timeout=5))
        )
    assert (told < answered) is is_event_first
