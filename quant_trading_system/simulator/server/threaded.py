"""The exchange in a thread of its own, for bots that block: alpaca-py's REST clients, and tests that are not asyncio's.

with threaded_exchange(symbols=("AAPL",)) as exchange:
    client = TradingClient("PKSIM", "sim", url_override=exchange.url)
    exchange.step(60)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from quant_trading_system.simulator.server.control import clock_json, ledger_json
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.testing import STEP_WALL_SECONDS_MAX, RunningExchange, running_exchange

START_SECONDS_MAX = 30.0  # and as long for its ordered stop
STOP_SECONDS_MAX = 5.0

Answer = TypeVar("Answer")


class ThreadedExchange:
    """What moves an exchange that runs in another thread; every call waits until it is done."""

    def __init__(self, running: RunningExchange, loop: asyncio.AbstractEventLoop) -> None:
        self._running = running
        self._loop = loop

    @property
    def url(self) -> str:
        """For `url_override` of REST clients."""
        return self._running.url

    @property
    def ws_url(self) -> str:
        """For `url_override` of streams, with a path behind it: `/stream`, `/v2/iex`, `/v1beta3/crypto/us`."""
        return self._running.ws_url

    @property
    def key_id(self) -> str:
        return self._running.venue.settings.credentials.key_id

    @property
    def secret_key(self) -> str:
        return self._running.venue.settings.credentials.secret_key

    def step(self, seconds: float) -> None:
        """Move venue time on, and return when everything until then was played."""
        self._wait(self._running.step(seconds))

    def jump_to(self, venue_time: str) -> None:
        """Move venue time on to an instant; New York without an offset."""
        self._wait(self._running.jump_to(venue_time))

    def set_speed(self, speed: float) -> None:
        self._wait(self._in_loop(lambda: self._running.set_speed(speed)))

    def set_faults(self, *rules: dict[str, object], seed: int = 0) -> None:
        """Replace the fault plan; no rules heal."""
        self._wait(self._in_loop(lambda: self._running.set_faults(*rules, seed=seed)))

    def ledger(self) -> Json:
        """The exchange's own books, after a check of every conservation law."""
        return self._wait(self._in_loop(lambda: ledger_json(self._running.venue)))

    def clock(self) -> Json:
        return self._wait(self._in_loop(lambda: clock_json(self._running.venue)))

    @staticmethod
    async def _in_loop(call: Callable[[], Answer]) -> Answer:
        return call()

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STEP_WALL_SECONDS_MAX)


@contextmanager
def threaded_exchange(**options: Any) -> Iterator[ThreadedExchange]:
    """Run an exchange in a thread until the block ends.

    Args:
        options: as `running_exchange`.

    Raises:
        Exception: whatever kept the exchange from starting, or ended it.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="exchange", daemon=True)
    thread.start()

    def wait(work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, loop).result(START_SECONDS_MAX)

    begun = running_exchange(**options)
    try:
        exchange = ThreadedExchange(wait(begun.__aenter__()), loop)
        try:
            yield exchange
        finally:
            wait(begun.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS_MAX)
        loop.close()
