"""The feed taken by the daemon's own stream client, to typed and stamped events, or on through the engine.

`python -m benchmarks.own_feed events|engine PORT MESSAGES` prints one JSON object: CPU per message from the first frame
to the last.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable

import uvloop

from benchmarks.feeder import START, SYMBOLS
from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.data_stream import DataStream
from quant_trading_system.adapters.alpaca.hosts import exchange_endpoints
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.events import MarketEvent
from quant_trading_system.core.types import Symbol

Take = Callable[[list[MarketEvent]], None]


def through_engine() -> Take:
    """Market state, bars, freshness and two strategies; what they order is performed on a floor without prices."""
    from tests.support.floor import Floor

    floor = Floor(symbols=SYMBOLS, start_ns=to_nanos(START))
    floor.mono_ns = SystemClock().mono_ns()
    floor.start()
    handle, perform = floor.engine.handle, floor._perform

    def take(events: list[MarketEvent]) -> None:
        for event in events:
            for effect in handle(event):
                perform(effect)

    return take


class Counting:
    """Hands events on, counts them, and takes the time of the first and of the last."""

    def __init__(self, messages: int, take: Take) -> None:
        self._messages = messages
        self._take = take
        self._seen = 0
        self._first = 0
        self._started_s = 0.0
        self.seconds_per_message: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(self, events: list[MarketEvent]) -> None:
        self._take(events)
        self._seen += len(events)
        if not self._first:
            self._first, self._started_s = self._seen, time.process_time()
        elif self._seen >= self._messages and not self.seconds_per_message.done():
            spent_s = time.process_time() - self._started_s
            self.seconds_per_message.set_result(spent_s / (self._seen - self._first))


async def receive(take: Take, port: int, messages: int) -> float:
    counting = Counting(messages, take)
    stream = DataStream(
        exchange_endpoints(f"http://127.0.0.1:{port}"),
        Credentials("PKSIM", "sim"),
        SystemClock(),
        emit=lambda _event: None,
        on_batch=counting.take,
        symbols=[Symbol(name) for name in SYMBOLS],
        is_open=lambda: True,
        rng=random.Random(0),
    )
    running = asyncio.create_task(stream.run())
    try:
        return await counting.seconds_per_message
    finally:
        running.cancel()


if __name__ == "__main__":
    onwards = through_engine() if sys.argv[1] == "engine" else lambda _events: None
    us = uvloop.run(receive(onwards, int(sys.argv[2]), int(sys.argv[3]))) * 1e6
    sys.stdout.write(json.dumps({"us_per_message": us}) + "\n")
