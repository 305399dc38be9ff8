"""The exchange's WebSockets speak as Alpaca's do: logins, acknowledgements, errors, frames, faults."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.outbox import Limits
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.testing import running_exchange
from tests.contract.exchange_support import (
    call,
    eventually,
    is_closed,
    market_data,
    receive,
    served,
    submit,
    trade_updates,
)

pytestmark = pytest.mark.asyncio


# --- trade_updates


@pytest.mark.parametrize(
    ("login", "has_notice"),
    [
        ({"action": "auth", "key": "PKSIM", "secret": "sim"}, False),
        ({"action": "authenticate", "data": {"key_id": "PKSIM", "secret_key": "sim"}}, True),
        ({"action": "authenticate", "data": {"oauth_token": "sim"}}, True),
    ],
)
async def test_every_login_form_is_answered_in_a_binary_frame_and_the_old_one_with_a_notice(login, has_notice):
    async with served() as (_exchange, session), session.ws_connect("/stream") as socket:
        await socket.send_json(login)
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.BINARY
        answer = message.json()
        assert answer["stream"] == "authorization"
        assert answer["data"]["action"] == "authenticate"
        assert answer["data"]["status"] == "authorized"
        assert ("message" in answer["data"]) is has_notice


async def test_a_wrong_login_and_listening_without_one_are_unauthorized():
    async with served() as (_exchange, session), session.ws_connect("/stream") as socket:
        await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        assert (await receive(socket))["data"] == {"action": "listen", "status": "unauthorized"}
        await socket.send_json({"action": "auth", "key": "PKSIM", "secret": "no"})
        assert (await receive(socket))["data"]["status"] == "unauthorized"


async def test_a_listen_list_replaces_the_one_before_and_leaves_out_unknown_names():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        await socket.send_json({"action": "listen", "data": {"streams": ["account_updates"]}})
        assert await receive(socket) == {"stream": "listening", "data": {"streams": []}}
        await submit(session)
        await exchange.step(5)
        await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        assert (await receive(socket))["stream"] == "listening"


async def test_a_market_buy_is_told_as_pending_new_new_and_fill():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        _, order = await submit(session, client_order_id="w1")
        await exchange.step(30)
        frames = [await receive(socket)]
        while frames[-1]["data"]["event"] != "fill":
            frames.append(await receive(socket))
    events = [frame["data"] for frame in frames]
    assert [event["event"] for event in events if event["event"] != "partial_fill"] == ["pending_new", "new", "fill"]
    assert "execution_id" not in events[0]
    assert all("execution_id" in event for event in events[1:])
    assert all(event["order"]["id"] == order["id"] for event in events)
    assert list(events[-1])[:5] == ["at", "event_id", "event", "timestamp", "order"]
    assert len(events[0]["event_id"]) == 26
    assert [event["event_id"] for event in events] == sorted({event["event_id"] for event in events})
    assert events[-1]["position_qty"] == "1"


# --- market data


async def test_a_login_by_message_is_judged_and_a_wrong_one_closes():
    async with served() as (_exchange, session):
        async with market_data(session, login=False) as socket:
            await socket.send_json({"action": "subscribe", "trades": ["AAPL"]})
            assert await receive(socket) == [{"T": "error", "code": 401, "msg": "not authenticated"}]
            await socket.send_str("{broken")
            assert await receive(socket) == [{"T": "error", "code": 400, "msg": "invalid syntax"}]
            await socket.send_json({"action": "auth", "key": "PKSIM", "secret": "sim"})
            assert await receive(socket) == [{"T": "success", "msg": "authenticated"}]
            await socket.send_json({"action": "auth", "key": "PKSIM", "secret": "sim"})
            assert await receive(socket) == [{"T": "error", "code": 403, "msg": "already authenticated"}]
        async with market_data(session, login=False) as socket:
            await socket.send_json({"action": "auth", "key": "PKSIM", "secret": "no"})
            assert await receive(socket) == [{"T": "error", "code": 402, "msg": "auth failed"}]
            assert await is_closed(socket)


async def test_a_client_that_does_not_log_in_is_told_so_and_closed():
    server = ServerSettings(login_seconds_max=0.1)
    async with served(server=server) as (_exchange, session), market_data(session, login=False) as socket:
        assert await receive(socket) == [{"T": "error", "code": 404, "msg": "auth timeout"}]
        assert await is_closed(socket)


async def test_a_second_connection_of_one_feed_is_refused_until_the_first_has_ended():
    async with served() as (exchange, session):
        async with market_data(session) as first:
            async with market_data(session, "/v2/sip"):
                pass
            async with session.ws_connect("/v2/iex") as second:
                assert await receive(second) == [{"T": "success", "msg": "connected"}]
                assert await receive(second) == [{"T": "error", "code": 406, "msg": "connection limit exceeded"}]
                assert await is_closed(second)
            await first.send_json({"action": "subscribe", "bars": ["*"]})
            assert (await receive(first))[0]["bars"] == ["*"]
        await eventually(lambda: exchange.venue.data_stream.connections == 0)
        async with market_data(session):
            pass


async def test_every_change_of_a_subscription_is_acknowledged_with_its_whole_state():
    async with served() as (_exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "trades": ["SPY", "AAPL"], "quotes": ["MSFT"]})
        assert await receive(socket) == [
            {
                "T": "subscription",
                "trades": ["AAPL", "SPY"],
                "quotes": ["MSFT"],
                "bars": [],
                "updatedBars": [],
                "dailyBars": [],
                "statuses": [],
                "lulds": [],
                "corrections": ["AAPL", "SPY"],
                "cancelErrors": ["AAPL", "SPY"],
            }
        ]
        await socket.send_json({"action": "unsubscribe", "trades": ["SPY"], "quotes": []})
        state = (await receive(socket))[0]
        assert (state["trades"], state["quotes"], state["corrections"]) == (["AAPL"], ["MSFT"], ["AAPL"])


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"action": "subscribe"}, 400),
        ({"action": "subscribe", "trades": []}, 400),
        ({"action": "subscribe", "trades": "AAPL"}, 400),
        ({"action": "subscribe", "trades": ["aapl"]}, 400),
        ({"action": "subscribe", "news": ["AAPL"]}, 410),
        ({"action": "dance"}, 400),
        ([], 400),
    ],
)
async def test_a_command_that_makes_no_sense_has_its_code_and_keeps_the_connection(command, code):
    async with served() as (_exchange, session), market_data(session) as socket:
        await socket.send_json(command)
        assert (await receive(socket))[0]["code"] == code
        await socket.send_json({"action": "subscribe", "bars": ["AAPL"]})
        assert (await receive(socket))[0]["bars"] == ["AAPL"]


async def test_more_symbols_than_the_plan_allows_leave_the_subscription_as_it_was():
    server = ServerSettings(stream_symbols_max=2)
    async with served(server=server) as (_exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL"]})
        await receive(socket)
        await socket.send_json({"action": "subscribe", "trades": ["SPY"]})
        assert (await receive(socket))[0]["code"] == 405
        await socket.send_json({"action": "unsubscribe", "trades": ["SPY"]})
        assert (await receive(socket))[0]["trades"] == ["AAPL"]


@pytest.mark.parametrize("msgpack", [False, True])
async def test_trades_quotes_and_bars_of_the_asked_symbols_alone_arrive_in_both_encodings(msgpack):
    async with served() as (exchange, session), market_data(session, msgpack=msgpack) as socket:
        await socket.send_json({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL"], "bars": ["AAPL"]})
        await receive(socket)
        await exchange.step(125)
        seen: dict[str, dict[str, object]] = {}
        while set(seen) != {"t", "q", "b"}:
            frame = await receive(socket)
            assert len(frame) <= 200
            for message in frame:
                assert message["S"] == "AAPL"
                seen[message["T"]] = message
    assert list(seen["t"]) == ["T", "S", "i", "x", "p", "s", "c", "t", "z"]
    assert list(seen["q"]) == ["T", "S", "bx", "bp", "bs", "ax", "ap", "as", "c", "t", "z"]
    assert list(seen["b"]) == ["T", "S", "o", "h", "l", "c", "v", "t", "n", "vw"]
    stamps = [message["t"] for message in seen.values()]
    assert all(isinstance(stamp, datetime if msgpack else str) for stamp in stamps)


async def test_the_practice_feed_trades_around_the_clock():
    async with served() as (exchange, session), market_data(session, "/v2/test") as socket:
        await socket.send_json({"action": "subscribe", "trades": ["FAKEPACA"], "bars": ["FAKEPACA"]})
        assert await receive(socket) == [
            {"T": "subscription", "trades": ["FAKEPACA"], "quotes": [], "bars": ["FAKEPACA"]}
        ]
        await exchange.step(61)
        kinds: set[str] = set()
        while kinds != {"t", "b"}:
            kinds |= {message["T"] for message in await receive(socket)}


async def test_a_client_that_does_not_read_is_told_407_and_closed():
    server = ServerSettings(stream_limits=Limits(frames_max=3, bytes_max=1_000_000), requests_per_minute=0)
    async with served(server=server) as (exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "quotes": ["*"], "trades": ["*"]})
        await receive(socket)
        for _ in range(3):
            exchange.venue.clock.step(3_600, time.monotonic_ns())
            exchange.venue.catch_up(wall_seconds_max=20)
            exchange.venue.publish()
        frames: list[Any] = []
        while not (frames and frames[-1][0].get("code") == 407):
            frames.append(await receive(socket))
        assert await is_closed(socket)


async def test_a_subscribe_in_fragments_with_an_empty_last_one_is_understood():
    async with running_exchange() as exchange:
        reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port)
        writer.write(
            b"GET /v2/iex HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"APCA-API-KEY-ID: PKSIM\r\nAPCA-API-SECRET-KEY: sim\r\n\r\n"
        )
        text = b'{"action":"subscribe","bars":["SPY"]}'
        writer.write(_fragment(text, opcode=1, is_final=False) + _fragment(b"", opcode=0, is_final=True))
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"cancelErrors")
        assert b'"bars":["SPY"]' in answer
        writer.close()


def _fragment(payload: bytes, *, opcode: int, is_final: bool) -> bytes:
    """A masked client frame; the mask of zeros leaves the payload as it is."""
    return bytes([(0x80 if is_final else 0) | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


# --- faults


@pytest.mark.parametrize("path", ["/stream", "/v2/iex"])
async def test_a_refused_handshake_is_a_429_and_heals(path):
    async with served() as (exchange, session):
        exchange.set_faults({"kind": "refuse_connect", "where": "stream:*", "count": 1})
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(path)
        assert caught.value.status == 429
        async with session.ws_connect(path):
            pass


async def test_a_cut_stream_ends_without_a_farewell():
    async with served() as (exchange, session):
        async with trade_updates(session, exchange) as trades, market_data(session) as data:
            exchange.set_faults({"kind": "disconnect_stream", "where": "stream:trade_updates", "count": 1})
            assert await is_closed(trades)
            await data.send_json({"action": "subscribe", "bars": ["AAPL"]})
            assert (await receive(data))[0]["bars"] == ["AAPL"]
        async with trade_updates(session, exchange):
            pass


async def test_a_mute_data_stream_stays_open_and_speaks_again_when_healed():
    async with served() as (exchange, session), market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        await receive(socket)
        exchange.set_faults({"kind": "mute_stream", "where": "stream:market_data"})
        await exchange.step(60)
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)
        exchange.set_faults()
        await exchange.step(60)
        assert (await receive(socket))[0]["T"] == "q"


async def test_a_lost_and_a_doubled_trade_update_come_as_the_plan_says():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        exchange.set_faults(
            {"kind": "drop_frame", "where": "stream:trade_updates", "at": 1},
            {"kind": "duplicate_frame", "where": "stream:trade_updates", "at": 2},
        )
        await submit(session, type="limit", limit_price="1.00")
        await exchange.step(5)
        first, second = await receive(socket), await receive(socket)
        assert first["data"]["event"] == "new"
        assert first == second
        status, _ = await call(session, "DELETE", "/v2/orders")
        assert status == 207
