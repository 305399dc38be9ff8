"""The feed taken by aiohttp and msgspec alone: the floor under every client that is built on them.

`python -m benchmarks.receivers PORT MESSAGES` prints one JSON object: CPU per message from the first frame to the last.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime

import aiohttp
import msgspec
import uvloop


class Quote(msgspec.Struct, gc=False, frozen=True, tag_field="T", tag="q", rename={"symbol": "S", "at": "t"}):
    symbol: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    at: datetime


class Trade(msgspec.Struct, gc=False, frozen=True, tag_field="T", tag="t", rename={"symbol": "S", "at": "t"}):
    symbol: str
    p: float
    s: float
    at: datetime


async def receive(port: int, messages: int) -> float:
    decoder = msgspec.msgpack.Decoder(list[Quote | Trade])
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/v2/iex") as socket:
        await socket.receive()
        await socket.send_bytes(msgspec.msgpack.encode({"action": "auth", "key": "PKSIM", "secret": "sim"}))
        await socket.receive()
        await socket.send_bytes(msgspec.msgpack.encode({"action": "subscribe", "trades": ["*"], "quotes": ["*"]}))
        await socket.receive()
        seen = len(decoder.decode((await socket.receive()).data))
        first, started_s = seen, time.process_time()
        while seen < messages:
            seen += len(decoder.decode((await socket.receive()).data))
        return (time.process_time() - started_s) / (messages - first)


if __name__ == "__main__":
    us = uvloop.run(receive(int(sys.argv[1]), int(sys.argv[2]))) * 1e6
    sys.stdout.write(json.dumps({"us_per_message": us}) + "\n")
