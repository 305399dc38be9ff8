"""A venue that speaks at a given rate: market data on one socket, an order update on the other every 50 ms.

`python -m benchmarks.busy_feeder MESSAGES_PER_SECOND` prints its port and serves until its standard input closes. Every
order update carries the monotonic time at which it was sent as its event id: both processes read the same clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from benchmarks.feeder import header
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.server.event_wire import order_event_json
from tests.support.floor import OPEN, Floor

SYMBOLS = tuple(f"S{number:03}" for number in range(100))
SLICE_SECONDS = 0.005
MESSAGES_PER_FRAME = 10
ORDER_UPDATE_SECONDS = 0.05


class Venue:
    """Both sockets of one client."""

    def __init__(self, per_second: int) -> None:
        self._per_slice = round(per_second * SLICE_SECONDS)
        self._started_ns = time.monotonic_ns()
        self._number = 0

    async def market(self, request: web.Request) -> web.WebSocketResponse:
        socket = await opened(request)
        await socket.send_bytes(msgspec.msgpack.encode([{"T": "success", "msg": "connected"}]))
        async for received in socket:
            if received.type is not WSMsgType.BINARY:
                break
            asked = msgspec.msgpack.decode(received.data)
            if asked["action"] == "auth":
                await socket.send_bytes(msgspec.msgpack.encode([{"T": "success", "msg": "authenticated"}]))
            elif asked["action"] == "subscribe":
                channels = {name: asked[name] for name in ("trades", "quotes", "bars", "statuses")}
                await socket.send_bytes(msgspec.msgpack.encode([{"T": "subscription", **channels}]))
                assert request.transport is not None
                await on_grid(SLICE_SECONDS, self._market_slice(request.transport))
        return socket

    async def trade_updates(self, request: web.Request) -> web.WebSocketResponse:
        socket = await opened(request)
        async for received in socket:
            if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            asked = msgspec.json.decode(received.data)
            if asked["action"] == "listen":
                await say(socket, "listening", {"streams": ["trade_updates"]})
                await on_grid(ORDER_UPDATE_SECONDS, self._order_update(socket))
            else:
                await say(socket, "authorization", {"status": "authorized", "action": "authenticate"})
        return socket

    def _market_slice(self, transport: asyncio.Transport) -> Callable[[], Any]:
        async def write() -> None:
            if transport.is_closing():
                raise ConnectionResetError
            venue_ns = OPEN + time.monotonic_ns() - self._started_ns
            stamp = to_datetime(venue_ns)
            frames = bytearray()
            for _ in range(self._per_slice // MESSAGES_PER_FRAME):
                frame = msgspec.msgpack.encode([self._message(stamp) for _ in range(MESSAGES_PER_FRAME)])
                frames += header(len(frame)) + frame
            transport.write(bytes(frames))

        return write

    def _message(self, stamp: object) -> dict[str, object]:
        self._number += 1
        number, symbol = self._number, SYMBOLS[self._number % len(SYMBOLS)]
        cents = 10_000 + number // 1_000 % 50
        if number // len(SYMBOLS) % 4 == 0:
            return {"T": "t", "S": symbol, "p": cents / 100, "s": 100, "t": stamp, "i": number, "x": "V", "c": ["@"]}
        return {"T": "q", "S": symbol, "bp": cents / 100, "bs": 3, "ap": (cents + 1) / 100, "as": 5, "t": stamp}

    def _order_update(self, socket: web.WebSocketResponse) -> Callable[[], Any]:
        update = an_update()

        async def write() -> None:
            await say(socket, "trade_updates", {**update, "event_id": str(time.monotonic_ns())})

        return write


def an_update() -> dict[str, object]:
    """The acknowledgement of a stranger's resting order, as the exchange words it."""
    floor = Floor()
    floor.advance(1)
    wish = {"symbol": "AAPL", "side": "buy", "qty": "1", "type": "limit", "limit_price": "50", "time_in_force": "day"}
    floor.exchange.external_order(OrderRequest.from_body(wish))
    now_ns = Nanos(floor.now_ns + NANOS_PER_SECOND)
    floor.exchange.advance(now_ns)
    events = floor.exchange.take_order_events()
    return order_event_json(events[-1], published_ns=now_ns)


async def on_grid(period_s: float, action: Callable[[], Any]) -> None:
    """Run `action` every period until the client is gone."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        due_s += period_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        try:
            await action()
        except ConnectionError:
            return


async def opened(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    return socket


async def say(socket: web.WebSocketResponse, stream: str, data: dict[str, Any]) -> None:
    await socket.send_bytes(msgspec.json.encode({"stream": stream, "data": data}))


async def serve(per_second: int) -> None:
    venue = Venue(per_second)
    app = web.Application()
    app.router.add_get("/stream", venue.trade_updates)
    app.router.add_get("/v2/iex", venue.market)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
