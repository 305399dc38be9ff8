"""A market-data server that says hello as Alpaca does and then sends prepared frames as fast as they are taken.

`python -m benchmarks.feeder FRAMES PER_FRAME` prints its port and serves until its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import WSMsgType, web

SYMBOLS = ("IBM", "BAC", "AIG", "SPY")
START = datetime(2026, 1, 6, 14, 30, tzinfo=UTC)
SPACING = timedelta(milliseconds=90)  # forty thousand messages are an hour: bars close and strategies are asked
# Many frames a write, past aiohttp's own sender: a sender as slow as its receiver would make the receiver pay for one
# wake-up a frame, and that would be measured instead of the client.
BYTES_PER_WRITE = 64 * 1_024
BUFFER_BYTES_MAX = 1_024 * 1_024


def frames(count: int, per_frame: int) -> list[bytes]:
    """Quotes and trades, three to one, as the recorded day has them."""
    return [
        msgspec.msgpack.encode([message(frame * per_frame + place) for place in range(per_frame)])
        for frame in range(count)
    ]


def message(number: int) -> dict[str, object]:
    symbol = SYMBOLS[number % len(SYMBOLS)]
    stamp = START + number * SPACING
    cents = 10_000 + number % 50
    if number % 4 == 0:
        return {
            "T": "t", "i": number, "S": symbol, "x": "V", "p": cents / 100, "s": 100, "t": stamp, "c": ["@"], "z": "A",
        }  # fmt: skip
    return {
        "T": "q", "S": symbol, "bx": "V", "bp": cents / 100, "bs": 3, "ax": "V", "ap": (cents + 1) / 100, "as": 5,
        "t": stamp, "c": ["R"], "z": "A",
    }  # fmt: skip


async def serve(count: int, per_frame: int) -> None:
    prepared = frames(count, per_frame)

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        await say(socket, {"T": "success", "msg": "connected"})
        async for received in socket:
            if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            asked = decode(received)
            if asked.get("action") == "auth":
                await say(socket, {"T": "success", "msg": "authenticated"})
            elif asked.get("action") == "subscribe":
                channels = {name: asked.get(name) or [] for name in ("trades", "quotes", "bars", "statuses")}
                await say(socket, {"T": "subscription", **channels})
                await asyncio.sleep(0.1)  # the client has left its handshake when the first frame comes
                assert request.transport is not None
                await send(request.transport, prepared)
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


async def send(transport: asyncio.Transport, prepared: list[bytes]) -> None:
    waiting = bytearray()
    for frame in prepared:
        waiting += header(len(frame)) + frame
        if len(waiting) >= BYTES_PER_WRITE:
            transport.write(bytes(waiting))
            waiting.clear()
            while transport.get_write_buffer_size() > BUFFER_BYTES_MAX:  # noqa: ASYNC110 - aiohttp owns the flow control
                await asyncio.sleep(0.001)
    transport.write(bytes(waiting))


def header(length: int) -> bytes:
    """Of a final, unmasked, binary WebSocket frame (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((0x82, length))
    return bytes((0x82, 126)) + length.to_bytes(2, "big")


async def say(socket: web.WebSocketResponse, control: dict[str, object]) -> None:
    await socket.send_bytes(msgspec.msgpack.encode([control]))


def decode(received: object) -> dict[str, object]:
    data = getattr(received, "data", b"")
    if isinstance(data, str):
        asked: dict[str, object] = msgspec.json.decode(data)
    else:
        asked = msgspec.msgpack.decode(data)
    return asked


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
