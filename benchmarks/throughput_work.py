"""A minute under load: both stream clients, inbox, tape and engine loop of the daemon. Prints one JSON object.

`python -m benchmarks.throughput_work PORT SECONDS`. The delay of an order update runs from the venue's write to the end
of its `engine.handle`; loop lag is sampled as the daemon samples it, first in an idle loop, then under load.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks.busy_feeder import SYMBOLS
from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.data_stream import DataStream
from quant_trading_system.adapters.alpaca.hosts import exchange_endpoints
from quant_trading_system.adapters.alpaca.trade_stream import TradeStream
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.engine_loop import EngineLoop
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent, OrderUpdated, TimerFired
from quant_trading_system.core.types import MonoNanos, Nanos, Symbol
from quant_trading_system.engine.engine import Engine
from quant_trading_system.observability.loop_lag import LoopLag
from quant_trading_system.persistence.tape import TapeWriter
from tests.support.floor import OPEN, Floor

IDLE_SECONDS = 3.0
TAPE_SECONDS = 0.5
SETTLE_SECONDS = 2.0  # connecting and the first bars are not what is measured


class WatchedEngine(Engine):
    """The engine; it also notes how late each order update was when it had been handled."""

    def watch(self) -> None:
        self.handled = 0
        self.delays_ns: list[int] = []

    def handle(self, event: AnyEvent) -> Sequence[Effect]:
        effects = super().handle(event)
        self.handled += 1
        if isinstance(event, OrderUpdated):
            assert event.event_id is not None
            self.delays_ns.append(time.monotonic_ns() - int(event.event_id))
        return effects


class Load:
    """The daemon's parts between the sockets and the engine, wired as the daemon wires them."""

    def __init__(self, port: int, folder: Path) -> None:
        self.clock = SystemClock()
        self.floor = Floor(symbols=SYMBOLS)
        self.floor.mono_ns = self.clock.mono_ns()
        self.engine = self.floor.engine
        self.engine.__class__ = WatchedEngine  # the same object, with `handle` watched
        assert isinstance(self.engine, WatchedEngine)
        self.engine.watch()
        self.floor.start()
        self.inbox = Inbox()
        self.tape = TapeWriter(folder)
        self._started_ns = self.clock.mono_ns()
        endpoints, keys, rng = (
            exchange_endpoints(f"http://127.0.0.1:{port}"),
            Credentials("PKSIM", "sim"),
            random.Random(0),
        )
        self.market = DataStream(
            endpoints,
            keys,
            self.clock,
            emit=lambda event: self.inbox.put(event, Lane.ORDERS),
            on_batch=self.inbox.put_market,
            symbols=[Symbol(name) for name in SYMBOLS],
            is_open=lambda: True,
            rng=rng,
        )
        self.trades = TradeStream(
            endpoints, keys, self.clock, emit=lambda event: self.inbox.put(event, Lane.ORDERS), rng=rng
        )
        self.loop = EngineLoop(
            engine=self.engine, inbox=self.inbox, tape=self.tape, perform=self._perform, on_progress=lambda: None
        )

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.floor._perform(effect)

    async def run_timers(self) -> None:
        """What the shell tells every second."""
        while True:
            await asyncio.sleep(1.0)
            self.floor.mono_ns = MonoNanos(self.clock.mono_ns())
            self.floor.now_ns = Nanos(OPEN + self.floor.mono_ns - self._started_ns)
            self.floor.keep_lease()
            self.floor.tell_clock()
            self.inbox.put(TimerFired(name="second", **self.floor.stamps()), Lane.TIMERS)

    async def run_tape(self) -> None:
        while True:
            await asyncio.sleep(TAPE_SECONDS)
            await asyncio.to_thread(self.tape.flush)


async def lag_p99_ms(clock: SystemClock, seconds: float) -> float:
    samples: list[float] = []
    sampling = asyncio.create_task(LoopLag(clock.mono_ns, on_sample=samples.append).run())
    await asyncio.sleep(seconds)
    sampling.cancel()
    return sorted(samples)[len(samples) * 99 // 100] * 1_000


async def work(port: int, seconds: float, folder: Path) -> dict[str, float]:
    load = Load(port, folder)
    idle_ms = await lag_p99_ms(load.clock, IDLE_SECONDS)
    gc.collect()
    gc.freeze()
    parts = (load.loop.run, load.market.run, load.trades.run, load.run_timers, load.run_tape)
    tasks = [asyncio.create_task(part()) for part in parts]
    await asyncio.sleep(SETTLE_SECONDS)
    engine = load.engine
    assert isinstance(engine, WatchedEngine)
    engine.watch()
    cpu_s, started_s = time.process_time(), time.monotonic()
    busy_ms = await lag_p99_ms(load.clock, seconds)
    taken_s, cpu_s = time.monotonic() - started_s, time.process_time() - cpu_s
    failed = [task.exception() for task in tasks if task.done()]
    assert not failed, failed
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    load.tape.close()
    return {
        "messages_per_second": engine.handled / taken_s,
        "order_update_ms_max": max(engine.delays_ns) / 1e6,
        "loop_lag_ms_p99": busy_ms,
        "idle_lag_ms_p99": idle_ms,
        "dropped": float(sum(load.inbox.dropped.values())),
        "coalesced": float(load.inbox.coalesced),
        "cpu_share": cpu_s / taken_s,
    }


if __name__ == "__main__":
    with TemporaryDirectory(prefix="qts") as name:
        result = uvloop.run(work(int(sys.argv[1]), float(sys.argv[2]), Path(name)))
    sys.stdout.write(json.dumps(result) + "\n")
