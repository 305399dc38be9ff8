"""One listener with its pump: it serves requests, and plays the market on a grid of wall time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiohttp import web

from quant_trading_system.simulator.server.app import make_app
from quant_trading_system.simulator.server.venue import Venue

PUMP_PERIOD_SECONDS = 0.015
STOP_SECONDS_MAX = 1.0  # for answers under way when the exchange stops; the daemon gives it three
BACKLOG = 128


class PortTaken(Exception):
    """The address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a running exchange is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self._netloc}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self._netloc}"

    @property
    def _netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def pump(venue: Venue) -> None:
    """Tick for ever. What happens between two ticks is published at the second, or by the request that caused it."""
    while True:
        venue.tick()
        await venue.late.deliver_due()
        await asyncio.sleep(PUMP_PERIOD_SECONDS)


@asynccontextmanager
async def listening(venue: Venue, *, host: str, port: int) -> AsyncIterator[Listener]:
    """Serve a venue until the block ends; port 0 takes a free one.

    Raises:
        PortTaken: the address is in use, or not ours.
    """
    sock = _bind(host, port)
    # Handlers are cancelled with their client: nobody waits for a delayed answer that nobody reads.
    runner = web.AppRunner(make_app(venue), access_log=None, shutdown_timeout=STOP_SECONDS_MAX)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, backlog=BACKLOG).start()
        async with _pumped(venue):
            yield Listener(host, sock.getsockname()[1])
    finally:
        venue.trade_stream.close_all()
        venue.data_stream.close_all()
        venue.event_streams.close_all()
        await runner.cleanup()
        with suppress(OSError):
            sock.close()


@asynccontextmanager
async def _pumped(venue: Venue) -> AsyncIterator[None]:
    """Run the pump beside the block; what ends either ends both, and is raised as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(pump(venue), name="market pump")
            yield
            pumping.cancel()
    except BaseExceptionGroup as raised:
        if len(raised.exceptions) == 1:
            raise raised.exceptions[0] from None
        raise


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(f"--listen {host}:{port}: {error.strerror or error}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise PortTaken(f"--listen {host}:{port}: {error.strerror or error}") from None
    return sock
