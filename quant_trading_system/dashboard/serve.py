"""Listens for HTTP. Decides how long a client may take, how many there may be, and how the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.dashboard.guard import HEADERS
from quant_trading_system.dashboard.problems import Problem

HEAD_SECONDS_MAX = 10.0  # for the first request's head; a slower client is a slow-loris (S14)
IDLE_SECONDS_MAX = 10.0  # between two requests, and for a later head
CONNECTIONS_MAX = 100
STOP_SECONDS_MAX = 1.0  # for an answer under way; it is asked for twice


class BoundedHandler(RequestHandler):
    """One connection: closed when no request comes in time, refused when there are too many."""

    __slots__ = ("_deadline", "_server")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS_MAX,
            lingering_time=2.0,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=4_096,
            max_field_size=4_096,
            max_headers=64,
        )
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        closing = cast(asyncio.Transport, transport)  # uvloop's transports are of another family with the same methods
        if len(self._server.connections) > CONNECTIONS_MAX:
            closing.abort()
            return
        self._deadline = self._loop.call_later(HEAD_SECONDS_MAX, closing.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note_request()
        super().connection_lost(exc)

    def note_request(self) -> None:
        """A whole head arrived, or the connection is gone: the deadline is met."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP gets our form of error and headers too, and learns nothing of the server."""
        response = Problem(400 if status < 500 else 500, "this is not a request the server understands").response()
        response.headers.update(HEADERS)
        response.force_close()
        return response


@asynccontextmanager
async def serving(app: web.Application, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` until the context is left; yields the port (the one the system chose, where 0 was asked).

    Raises:
        OperatorError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=STOP_SECONDS_MAX)
    await runner.setup()
    server = runner.server
    assert server is not None, "a runner that is set up has a server"
    loop = asyncio.get_running_loop()
    listener: asyncio.Server | None = None
    try:
        try:
            listener = await loop.create_server(lambda: BoundedHandler(server, loop), host, port, backlog=128)
        except OSError as error:
            raise OperatorError(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                fix="stop what listens there, or give another address with --http HOST:PORT",
                exit_code=ExitCode.CONFIGURATION,
            ) from error
        yield listener.sockets[0].getsockname()[1]
    finally:
        if listener is not None:
            listener.close()
        server.pre_shutdown()
        await app.shutdown()  # ends the event streams
        await server.shutdown(STOP_SECONDS_MAX)
        await runner.cleanup()
