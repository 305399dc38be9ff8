"""The open WebSockets of one stream. Decides that a client's writer lives exactly as long as its conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, Protocol, TypeVar

from aiohttp import web

from quant_trading_system.simulator.server.outbox import Outbox

HEARTBEAT_SECONDS = 30.0


class Client(Protocol):
    """One connection: how it came, and the queue in front of it."""

    @property
    def request(self) -> web.Request: ...

    @property
    def outbox(self) -> Outbox: ...


AnyClient = TypeVar("AnyClient", bound=Client)


class Clients(Generic[AnyClient]):
    """Everyone connected. Iterating is safe while clients come and go."""

    def __init__(self) -> None:
        self._all: set[AnyClient] = set()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[AnyClient]:
        return iter(tuple(self._all))

    async def serve(self, client: AnyClient, talk: Callable[[AnyClient, asyncio.Task[None]], Awaitable[None]]) -> None:
        """Run the conversation with its writer beside it. `talk` is given the writer, to wait for its last words."""
        self._all.add(client)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(client.outbox.run(), name="stream writer")
                try:
                    await talk(client, writer)
                finally:
                    writer.cancel()
        finally:
            self._all.discard(client)

    def close_all(self) -> None:
        """Say goodbye to everyone: the exchange stops."""
        for client in self:
            client.outbox.close_after(code=1001)

    def cut_all(self) -> None:
        """End every connection without a word."""
        for client in self:
            client.outbox.cut(client.request)


async def open_socket(request: web.Request, *, message_bytes_max: int) -> web.WebSocketResponse:
    """Accept a WebSocket. Deflate is offered by clients and costs more than the loopback bytes it would save."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=message_bytes_max, compress=False)
    await socket.prepare(request)
    return socket
