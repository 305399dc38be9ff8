"""Both streams against servers that greet, refuse, fall silent and lie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from quant_trading_system.adapters.alpaca.data_stream import DataStream
from quant_trading_system.adapters.alpaca.failures import BrokerAuthError
from quant_trading_system.adapters.alpaca.hosts import Endpoints, exchange_endpoints
from quant_trading_system.adapters.alpaca.streaming import StreamSettings
from quant_trading_system.adapters.alpaca.trade_stream import TradeStream
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.events import OrderUpdated, StreamDown, StreamUp, TradeSeen
from quant_trading_system.core.types import Symbol
from tests.contract.alpaca_adapter_servers import (
    KEYS,
    SocketScript,
    Witness,
    always,
    answer,
    raw_server,
    running,
    seeded,
    socket_server,
)
from tests.unit.adapters.builders import order_fields

pytestmark = pytest.mark.asyncio

QUICK = StreamSettings(
    connect_s=1.0, login_s=0.3, acknowledge_s=0.3, close_s=0.2, backoff_first_s=0.01, backoff_max_s=0.02,
    connection_limit_wait_s=0.5, too_many_requests_wait_s=0.4, silence_s=0.3, silence_grace_s=0.3, stable_s=60.0,
    encoding="json",
)  # fmt: skip
SYMBOLS = (Symbol("BAC"), Symbol("IBM"))
CONNECTED = [{"T": "success", "msg": "connected"}]
AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]
TRADE = {"T": "t", "S": "IBM", "p": 186.5, "s": 100, "c": ["@"], "t": "2026-11-20T14:30:00Z"}


def data_stream(endpoints: Endpoints, seen: Witness, *, is_open: bool = True, **changes: Any) -> DataStream:
    return DataStream(
        endpoints, KEYS, SystemClock(), seen, seen.extend, msgspec.structs.replace(QUICK, **changes),
        symbols=SYMBOLS, is_open=lambda: is_open, rng=seeded(), on_problem=seen.problems.append,
    )  # fmt: skip


def trade_stream(endpoints: Endpoints, seen: Witness, **changes: Any) -> TradeStream:
    settings = msgspec.structs.replace(QUICK, **changes)
    return TradeStream(endpoints, KEYS, SystemClock(), seen, settings, rng=seeded(), on_problem=seen.problems.append)


async def hear(socket: web.WebSocketResponse) -> Any:
    message = await socket.receive(timeout=3)
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        raise ConnectionResetError("the client is gone")
    return msgspec.json.decode(message.data)


class Feed:
    """A feed that behaves, but for what a test replaces."""

    def __init__(self, *, subscribed: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: asked) -> None:
        self.commands: list[Any] = []
        self.subscribed = subscribed
        self.after_subscription: Callable[[web.WebSocketResponse], Awaitable[None]] = self.follow
        self.channels: dict[str, set[str]] = {name: set() for name in ("trades", "quotes", "bars", "statuses")}

    async def __call__(self, socket: web.WebSocketResponse, _number: int) -> None:
        self.channels = {name: set() for name in self.channels}
        await socket.send_json(CONNECTED)
        self.commands.append(await hear(socket))
        await socket.send_json(AUTHENTICATED)
        await self.obey(socket, await hear(socket))
        await self.after_subscription(socket)

    async def follow(self, socket: web.WebSocketResponse) -> None:
        await socket.send_json([TRADE])
        while True:
            await self.obey(socket, await hear(socket))

    async def obey(self, socket: web.WebSocketResponse, command: Any) -> None:
        self.commands.append(command)
        for name, held in self.channels.items():
            if command["action"] == "subscribe":
                held.update(command.get(name, ()))
            else:
                held.difference_update(command.get(name, ()))
        full = {name: sorted(held) for name, held in self.channels.items()}
        await socket.send_json([{"T": "subscription", **self.subscribed(full)}])


def refusing(code: int, text: str = "no") -> SocketScript:
    async def script(socket: web.WebSocketResponse, _number: int) -> None:
        await socket.send_json(CONNECTED)
        await hear(socket)
        await socket.send_json([{"T": "error", "code": code, "msg": text}])
        await socket.receive(timeout=3)

    return script


# market data


async def test_the_feed_is_up_when_its_acknowledgement_equals_what_was_asked():
    seen, feed = Witness(), Feed()
    async with socket_server("/v2/iex", feed) as endpoints, running(data_stream(endpoints, seen)):
        (trade,) = await seen.wait_for(TradeSeen)
        (up,) = await seen.wait_for(StreamUp)
    assert (up.symbols, up.stream) == (("BAC", "IBM"), "market_data")
    assert (trade.symbol, trade.price) == ("IBM", 186.5)
    assert trade.seen_ns > 0
    assert feed.commands[0] == {"action": "auth", "key": "PKSIM", "secret": "sim"}


@pytest.mark.fault("D2")
@pytest.mark.invariant("I22")
@pytest.mark.parametrize(
    "shortened",
    [
        lambda asked: {**asked, "trades": ["IBM"]},
        lambda asked: {**asked, "quotes": []},
        lambda asked: {**asked, "bars": ["BAC", "IBM", "SPY"]},
        lambda asked: {name: asked[name] for name in ("trades", "quotes", "bars")},
    ],
)
async def test_a_subscription_that_is_not_acknowledged_whole_never_comes_up(shortened: Any):
    seen = Witness()
    async with socket_server("/v2/iex", Feed(subscribed=shortened)) as endpoints, running(data_stream(endpoints, seen)):
        (down, *_) = await seen.wait_for(StreamDown, 2)
    assert "not acknowledged whole" in down.reason
    assert not [event for event in seen.events if isinstance(event, StreamUp)]


@pytest.mark.fault("D2")
async def test_no_acknowledgement_at_all_never_comes_up():
    async def mute(socket: web.WebSocketResponse, _number: int) -> None:
        await socket.send_json(CONNECTED)
        await hear(socket)
        await socket.send_json(AUTHENTICATED)
        await socket.receive(timeout=3)
        await socket.receive(timeout=3)

    seen = Witness()
    async with socket_server("/v2/iex", mute) as endpoints, running(data_stream(endpoints, seen)):
        await seen.wait_for(StreamDown, 2)
    assert not [event for event in seen.events if isinstance(event, StreamUp)]


@pytest.mark.parametrize("greeting", [None, CONNECTED])
async def test_a_login_that_is_not_answered_ends_in_time(greeting: Any):
    async def mute(socket: web.WebSocketResponse, _number: int) -> None:
        if greeting:
            await socket.send_json(greeting)
        await socket.receive(timeout=3)
        await socket.receive(timeout=3)

    seen = Witness()
    async with socket_server("/v2/iex", mute) as endpoints, running(data_stream(endpoints, seen)):
        (down,) = await seen.wait_for(StreamDown)
    assert "within 0.3 s" in down.reason


@pytest.mark.parametrize(("code", "why"), [(402, "keys"), (409, "plan"), (411, "scope")])
async def test_refused_keys_end_the_stream_for_good(code: int, why: str):
    seen = Witness()
    async with socket_server("/v2/iex", refusing(code)) as endpoints:
        with pytest.raises(BrokerAuthError, match=rf"feed error {code}: no \({why}\)"):
            await data_stream(endpoints, seen).run()
    assert [type(event) for event in seen.events] == [StreamDown]


@pytest.mark.fault("D2")
@pytest.mark.fault("G2")
async def test_after_a_connection_limit_it_stays_away_long_enough():
    seen = Witness()
    async with socket_server("/v2/iex", refusing(406)) as endpoints, running(data_stream(endpoints, seen)):
        first, second = await seen.wait_for(StreamDown, 2)
    assert "406" in first.reason
    assert (second.mono_ns - first.mono_ns) / 1e9 >= QUICK.connection_limit_wait_s
    assert StreamSettings().connection_limit_wait_s >= 90


@pytest.mark.fault("G2")
async def test_a_handshake_told_to_slow_down_slows_down_and_there_is_one_connection_at_a_time():
    async with raw_server(always(answer("429 Too Many Requests", b"", "Connection: close"))) as server:
        seen = Witness()
        async with running(data_stream(exchange_endpoints(server.url), seen)):
            first, second = await seen.wait_for(StreamDown, 2)
    assert (second.mono_ns - first.mono_ns) / 1e9 >= QUICK.too_many_requests_wait_s
    assert server.connections == 2


@pytest.mark.fault("D1")
@pytest.mark.invariant("I22")
async def test_a_silent_feed_is_asked_once_more_and_then_left():
    feed, seen = Feed(), Witness()

    async def fall_silent(socket: web.WebSocketResponse) -> None:
        await socket.send_json([TRADE])
        while True:  # acknowledges, answers pings, sends no data
            await feed.obey(socket, await hear(socket))

    feed.after_subscription = fall_silent
    async with socket_server("/v2/iex", feed) as endpoints, running(data_stream(endpoints, seen)):
        (up,) = await seen.wait_for(StreamUp)
        (down,) = await seen.wait_for(StreamDown)
        await seen.wait_for(StreamUp, 2)
    assert "while the market is open" in down.reason
    assert (down.mono_ns - up.mono_ns) / 1e9 <= QUICK.silence_s + 5.0
    assert [command["action"] for command in feed.commands[:4]] == ["auth", "subscribe", "subscribe", "auth"]


async def test_silence_while_the_market_is_closed_means_nothing():
    feed, seen = Feed(), Witness()
    async with socket_server("/v2/iex", feed) as endpoints, running(data_stream(endpoints, seen, is_open=False)):
        await seen.wait_for(StreamUp)
        await asyncio.sleep(1.5)
    assert not [event for event in seen.events if isinstance(event, StreamDown)]
    assert len(feed.commands) == 2


async def test_symbols_change_on_the_running_connection():
    feed, seen = Feed(), Witness()
    async with socket_server("/v2/iex", feed) as endpoints:
        stream = data_stream(endpoints, seen, is_open=False)
        async with running(stream):
            await seen.wait_for(StreamUp)
            stream.subscribe([Symbol("IBM"), Symbol("AIG")])
            async with asyncio.timeout(3):
                while feed.channels["trades"] != {"IBM", "AIG"}:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
    assert [(c["action"], c["trades"]) for c in feed.commands[2:]] == [("subscribe", ["AIG"]), ("unsubscribe", ["BAC"])]
    assert not [event for event in seen.events if isinstance(event, StreamDown)]


@pytest.mark.requirement("R103")
async def test_a_cut_connection_is_made_anew_and_both_are_said():
    feed, seen = Feed(), Witness()

    async def hang_up(socket: web.WebSocketResponse) -> None:
        await socket.close(code=1001, message=b"going away")

    feed.after_subscription = hang_up
    async with socket_server("/v2/iex", feed) as endpoints, running(data_stream(endpoints, seen)):
        await seen.wait_for(StreamDown, 2)
    kinds = [type(event) for event in seen.events[:3]]
    assert kinds in ([StreamUp, StreamDown, StreamUp], [StreamDown, StreamUp, StreamDown])


@pytest.mark.fault("G4")
@pytest.mark.parametrize("make", [data_stream, trade_stream])
async def test_a_stream_that_is_redirected_takes_the_keys_nowhere(make: Any):
    async with raw_server(always(answer("204 No Content"))) as stranger:
        moved = answer("302 Found", b"", f"Location: {stranger.url}/stream")
        async with raw_server(always(moved)) as server:
            seen = Witness()
            async with running(make(exchange_endpoints(server.url), seen)):
                (down,) = await seen.wait_for(StreamDown)
        assert "HTTP 302" in down.reason
        assert stranger.connections == 0


# trade updates


class Broker:
    """A trade_updates server that behaves, but for what a test replaces."""

    def __init__(self, *, knows: tuple[str, ...] = ("auth", "authenticate"), ignores: tuple[str, ...] = ()) -> None:
        self.knows = knows
        self.ignores = ignores
        self.commands: list[Any] = []
        self.streams = ["trade_updates"]
        self.frames: list[bytes | str] = []

    async def __call__(self, socket: web.WebSocketResponse, _number: int) -> None:
        self.commands.append(login := await hear(socket))
        if login["action"] in self.ignores:
            await socket.receive(timeout=3)
            return
        status = "authorized" if login["action"] in self.knows else "unauthorized"
        data = {"action": "authenticate", "status": status, "message": "m"}
        await socket.send_bytes(msgspec.json.encode({"stream": "authorization", "data": data}))
        if status == "unauthorized":
            await socket.close()
            return
        self.commands.append(await hear(socket))
        await socket.send_bytes(msgspec.json.encode({"stream": "listening", "data": {"streams": self.streams}}))
        for frame in self.frames:
            await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        await socket.receive(timeout=3)


def update(event: str, *, execution_id: str = "e-1", **fields: Any) -> bytes:
    data = {"event": event, "event_id": "01J", "execution_id": execution_id, "order": order_fields(filled_qty="10")}
    return msgspec.json.encode({"stream": "trade_updates", "data": {**data, **fields}})


@pytest.mark.requirement("R102")
@pytest.mark.requirement("R233")
@pytest.mark.fault("C3")
async def test_updates_are_passed_on_as_they_come_binary_or_text_and_repeated_ones_too():
    broker, seen = Broker(), Witness()
    fill = update("fill", price="190", qty="10")
    broker.frames = [update("new"), fill, fill.decode(), update("an_event_of_2027")]
    async with socket_server("/stream", broker) as endpoints, running(trade_stream(endpoints, seen)):
        updates = await seen.wait_for(OrderUpdated, 4)
    assert [(u.word, u.execution is not None) for u in updates] == [
        ("new", False), ("fill", True), ("fill", True), ("an_event_of_2027", False),
    ]  # fmt: skip
    assert updates[1].execution == updates[2].execution
    assert isinstance(seen.events[0], StreamUp)
    assert broker.commands == [
        {"action": "auth", "key": "PKSIM", "secret": "sim"},
        {"action": "listen", "data": {"streams": ["trade_updates"]}},
    ]


@pytest.mark.parametrize("old_server", [Broker(knows=("authenticate",)), Broker(ignores=("auth",))])
async def test_an_old_server_is_logged_in_to_by_the_old_form(old_server: Broker):
    seen = Witness()
    async with socket_server("/stream", old_server) as endpoints, running(trade_stream(endpoints, seen)):
        await seen.wait_for(StreamUp)
    assert old_server.commands[1] == {"action": "authenticate", "data": {"key_id": "PKSIM", "secret_key": "sim"}}


async def test_keys_refused_in_both_forms_end_the_stream_for_good():
    broker, seen = Broker(knows=()), Witness()
    async with socket_server("/stream", broker) as endpoints:
        with pytest.raises(BrokerAuthError, match="unauthorized: m"):
            await trade_stream(endpoints, seen).run()
    assert [command["action"] for command in broker.commands] == ["auth", "authenticate"]


async def test_listening_to_nothing_is_not_being_up():
    broker, seen = Broker(), Witness()
    broker.streams = []
    async with socket_server("/stream", broker) as endpoints, running(trade_stream(endpoints, seen)):
        (down,) = await seen.wait_for(StreamDown)
    assert down.reason == "asked to listen to trade_updates, the broker acknowledged []"
    assert not [event for event in seen.events if isinstance(event, StreamUp)]


async def test_a_login_that_is_never_answered_ends_in_time():
    seen = Witness()
    mute = Broker(ignores=("auth", "authenticate"))
    async with socket_server("/stream", mute) as endpoints, running(trade_stream(endpoints, seen)):
        (down,) = await seen.wait_for(StreamDown)
    assert down.reason == "no 'authorization' frame within 0.3 s"


@pytest.mark.requirement("R105")
@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe", b"{", b"[]", update("fill"), b'{"stream":"trade_updates","data":{"event":"new"}}',
        update("fill", price="x", qty="1"),
    ],
)  # fmt: skip
async def test_a_frame_that_cannot_be_read_is_a_gap_and_the_next_one_is_read(bad: bytes):
    broker, seen = Broker(), Witness()
    broker.frames = [bad, update("new")]
    async with socket_server("/stream", broker) as endpoints:
        stream = trade_stream(endpoints, seen)
        async with running(stream):
            await seen.wait_for(OrderUpdated)
    kinds = [type(event) for event in seen.events[:4]]
    assert kinds == [StreamUp, StreamDown, StreamUp, OrderUpdated]
    assert (stream.bad_messages, len(seen.problems)) == (1, 1)


async def test_an_error_frame_ends_the_connection_with_its_words():
    broker, seen = Broker(), Witness()
    broker.frames = [b'{"action":"error","data":{"error_message":"internal server error"}}']
    async with socket_server("/stream", broker) as endpoints, running(trade_stream(endpoints, seen)):
        (down,) = await seen.wait_for(StreamDown)
    assert down.reason == "stream error: internal server error"


async def test_a_starved_connection_can_be_made_anew_on_demand():
    broker, seen = Broker(), Witness()
    async with socket_server("/stream", broker) as endpoints:
        stream = trade_stream(endpoints, seen)
        async with running(stream):
            await seen.wait_for(StreamUp)
            stream.cycle()
            await seen.wait_for(StreamUp, 2)
    assert [type(event) for event in seen.events] == [StreamUp, StreamDown, StreamUp]


async def test_a_stop_is_quick():
    broker, seen = Broker(), Witness()
    async with socket_server("/stream", broker) as endpoints:
        loop = asyncio.get_running_loop()
        async with running(trade_stream(endpoints, seen)):
            await seen.wait_for(StreamUp)
            asked_s = loop.time()
        assert loop.time() - asked_s < QUICK.close_s + 0.5
