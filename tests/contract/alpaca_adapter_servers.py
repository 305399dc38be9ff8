"""Servers written by hand, byte by byte where it matters, for what no well-behaved exchange would do."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.hosts import Endpoints, exchange_endpoints
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, HttpLimits
from quant_trading_system.adapters.alpaca.limits import RequestBudget
from quant_trading_system.app.clocks import SystemClock

KEYS = Credentials("PKSIM", "sim")
QUICK = HttpLimits(connect_s=0.5, read_silence_s=0.3, total_s=0.6, budget_wait_s=0.5, body_bytes_max=100_000)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class RawServer:
    """Counts connections and keeps every byte it is sent; what it answers is a script."""

    def __init__(self, respond: Callable[[RawServer, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.received = bytearray()
        self.requests = 0
        self.connections = 0
        self.url = ""
        self._respond = respond

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._read_request(reader):
                self.requests += 1
                await self._respond(self, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client hung up: most scripts provoke that
        finally:
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> bool:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            byte = await reader.read(1)
            if not byte:
                return False
            head += byte
            self.received += byte
        length = re.search(rb"(?i)content-length: (\d+)", head)
        self.received += await reader.readexactly(int(length[1]) if length else 0)
        return True


@asynccontextmanager
async def raw_server(respond: Callable[[RawServer, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[RawServer]:
    script = RawServer(respond)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield script
        server.close()


def always(data: bytes) -> Callable[[RawServer, asyncio.StreamWriter], Awaitable[None]]:
    async def respond(_server: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return respond


@asynccontextmanager
async def http_to(url: str, *, limits: HttpLimits = QUICK, **options: Any) -> AsyncIterator[AlpacaHttp]:
    clock = options.pop("clock", SystemClock())
    budget = options.pop("budget", RequestBudget(0, 0, clock=clock))
    keys = options.pop("keys", KEYS)
    async with AlpacaHttp(exchange_endpoints(url), keys, clock=clock, budget=budget, limits=limits, **options) as http:
        yield http


SocketScript = Callable[[web.WebSocketResponse, int], Awaitable[None]]


@asynccontextmanager
async def socket_server(path: str, script: SocketScript) -> AsyncIterator[Endpoints]:
    """Runs `script(socket, number of this connection)` for every WebSocket."""
    connections = 0

    async def handle(request: web.Request) -> web.WebSocketResponse:
        nonlocal connections
        connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await script(socket, connections)
        return socket

    application = web.Application()
    application.router.add_get(path, handle)
    async with TestServer(application) as server:
        yield exchange_endpoints(str(server.make_url("")))


class Witness:
    """Takes what a stream emits, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.problems: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        self._news.set()

    def extend(self, events: list[Any]) -> None:
        for event in events:
            self(event)

    async def wait_for(self, kind: type, count: int = 1, *, timeout_s: float = 5.0) -> list[Any]:
        """The events of a kind, as soon as there are `count`."""
        async with asyncio.timeout(timeout_s):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._news.clear()
                await self._news.wait()
        return found


@asynccontextmanager
async def running(stream: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a stream beside the body; cancel it on the way out."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        yield task
        task.cancel()


def seeded() -> random.Random:
    return random.Random(20261121)
