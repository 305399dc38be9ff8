"""Small helpers for tests that talk to a running exchange over its sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from quant_trading_system.simulator.server.settings import Profile
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.openapi_support import check_answer

ANSWER_SECONDS_MAX = 5.0

Json = Any


@asynccontextmanager
async def client_of(exchange: RunningExchange) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the exchange's keys, whose every answer is judged by Alpaca's schemas."""
    judges = [judging(exchange)]
    async with aiohttp.ClientSession(exchange.url, headers=exchange.headers, trace_configs=judges) as session:
        yield session


def judging(exchange: RunningExchange) -> aiohttp.TraceConfig:
    """Judge whole answers as they are read: today's, of a healthy exchange. Faults and old profiles deviate."""
    trace = aiohttp.TraceConfig()

    async def keep_status(_session: object, context: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        context.status = ended.response.status

    async def judge(_session: object, context: Any, read: aiohttp.TraceResponseChunkReceivedParams) -> None:
        is_healthy = exchange.venue.plan.is_empty and exchange.venue.settings.profile is Profile.CURRENT
        if is_healthy:
            check_answer(read.method, read.url.raw_path, context.status, read.chunk)

    trace.on_request_end.append(keep_status)
    trace.on_response_chunk_received.append(judge)
    return trace


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[RunningExchange, aiohttp.ClientSession]]:
    """A running exchange and a session with its keys."""
    async with running_exchange(**options) as exchange, client_of(exchange) as session:
        yield exchange, session


async def call(session: aiohttp.ClientSession, method: str, path: str, body: Json = None) -> tuple[int, Json]:
    """Send one request; answer with the status and the decoded body (None where there is none)."""
    async with session.request(method, path, json=body) as response:
        content = await response.read()
        return response.status, json.loads(content) if content else None


async def submit(session: aiohttp.ClientSession, **fields: object) -> tuple[int, Json]:
    """Submit an order: a market buy of one share for the day where nothing else is said."""
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day", **fields}
    return await call(session, "POST", "/v2/orders", {key: value for key, value in body.items() if value is not None})


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Json:
    """The next frame, decoded: JSON in text or binary frames, else msgpack."""
    message = await socket.receive(timeout=ANSWER_SECONDS_MAX)
    if message.type is aiohttp.WSMsgType.TEXT:
        return json.loads(message.data)
    assert message.type is aiohttp.WSMsgType.BINARY, f"expected a frame, found {message}"
    try:
        return json.loads(message.data)
    except ValueError:
        return msgspec.msgpack.decode(message.data)


async def is_closed(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether the next thing that comes is the end."""
    message = await socket.receive(timeout=ANSWER_SECONDS_MAX)
    return message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@asynccontextmanager
async def trade_updates(
    session: aiohttp.ClientSession, exchange: RunningExchange
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A trade_updates connection that is logged in and listens."""
    async with session.ws_connect("/stream") as socket:
        credentials = exchange.venue.settings.credentials
        await socket.send_json({"action": "auth", "key": credentials.key_id, "secret": credentials.secret_key})
        assert (await receive(socket))["data"]["status"] == "authorized"
        await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        assert await receive(socket) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        yield socket


@asynccontextmanager
async def market_data(
    session: aiohttp.ClientSession, path: str = "/v2/iex", *, msgpack: bool = False, login: bool = True
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A market-data connection; logged in by its headers (the session's) unless told otherwise."""
    headers = {"Content-Type": "application/msgpack" if msgpack else "application/json"}
    connect: Callable[..., Any] = session.ws_connect
    if not login:
        url = str(session._base_url) if session._base_url else ""
        async with aiohttp.ClientSession(url) as stranger, stranger.ws_connect(path, headers=headers) as socket:
            assert await receive(socket) == [{"T": "success", "msg": "connected"}]
            yield socket
        return
    async with connect(path, headers=headers) as socket:
        assert await receive(socket) == [{"T": "success", "msg": "connected"}]
        assert await receive(socket) == [{"T": "success", "msg": "authenticated"}]
        yield socket


async def eventually(is_true: Callable[[], bool]) -> None:
    """Wait until something holds, at most five seconds."""
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while not is_true():
            await asyncio.sleep(0.01)
