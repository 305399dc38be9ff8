"""The open WebSockets of one stream. Decides that a client's writer lives exactly as long as its conversation, and how
many of an account's connections there may be."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from aiohttp import WSMsgType, web

from quant_trading_system.simulator.server.outbox import Limits, Outbox

HEARTBEAT_SECONDS = 30.0


class Connection(ABC):
    """One WebSocket: how it came, and the queue in front of it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, limits: Limits) -> None:
        self.request = request
        self.socket = socket
        self.outbox = Outbox(socket, limits, transport=request.transport)
        self.opened_s = time.monotonic()
        self.is_authorized = False
        self.is_ignored = False  # a fault: nothing it says is answered any more
        self.is_starved = False  # a fault: nothing is told to it any more
        self.said_goodbye = False

    @property
    def hears(self) -> bool:
        """Whether it is told what happens."""
        return self.is_authorized and not self.outbox.is_closing

    async def next_payload(self) -> str | bytes | None:
        """The next message, however many frames it came in; None at the end."""
        message = await self.socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            payload: str | bytes = message.data
            return payload
        self.said_goodbye = message.type is WSMsgType.CLOSE
        return None

    @abstractmethod
    def fail(self, code: int) -> None:
        """Tell of a fault of the server's and end the connection."""


AnyConnection = TypeVar("AnyConnection", bound=Connection)


class Clients(Generic[AnyConnection]):
    """Everyone connected. Iterating is safe while clients come and go."""

    def __init__(self) -> None:
        self._all: dict[AnyConnection, None] = {}  # in the order of arrival

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[AnyConnection]:
        return iter(tuple(self._all))

    async def serve(
        self, client: AnyConnection, talk: Callable[[AnyConnection, asyncio.Task[None]], Awaitable[None]]
    ) -> None:
        """Run the conversation with its writer beside it. `talk` is given the writer, to wait for its last words."""
        self._all[client] = None
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(client.outbox.run(), name="stream writer")
                try:
                    await talk(client, writer)
                finally:
                    writer.cancel()
        finally:
            self._all.pop(client, None)

    def close_all(self, *, code: int = 1001) -> None:
        """Say goodbye to everyone; 1001 where the exchange stops."""
        for client in self:
            client.outbox.close_after(code=code)

    def cut_all(self) -> None:
        """End every connection without a word."""
        for client in self:
            client.outbox.cut()


class Reaper:
    """Remembers lines that broke without a goodbye: Alpaca counts them as connected for a while (reference 7.1).

    Args:
        seconds: how long; about 90 at Alpaca. 0 forgets them at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until_s: list[tuple[float, str]] = []

    def left(self, client: Connection, path: str) -> None:
        if self._seconds and not client.said_goodbye:
            self._until_s.append((time.monotonic() + self._seconds, path))

    def count(self, path: str) -> int:
        """Lines of a path that are gone and not yet noticed to be."""
        now_s = time.monotonic()
        self._until_s = [(until_s, of) for until_s, of in self._until_s if until_s > now_s]
        return sum(of == path for _, of in self._until_s)


async def open_socket(request: web.Request, *, message_bytes_max: int, may_deflate: bool) -> web.WebSocketResponse:
    """Accept a WebSocket, with permessage-deflate where the client offers it and it is allowed."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=message_bytes_max, compress=may_deflate)
    await socket.prepare(request)
    return socket
