"""The one loop that drains the inbox into the engine and hands its effects on. Decides how much is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from quant_trading_system.app.inbox import Inbox
from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.engine.engine import Engine

MARKET_SLICE = 256  # about 2 ms of work; then order events and other tasks get their turn


class Tape(Protocol):
    def append(self, event: AnyEvent) -> None: ...


class EngineLoop:
    """Control lanes first and wholly; market data in slices, so that an order update never waits behind a burst."""

    def __init__(
        self,
        *,
        engine: Engine,
        inbox: Inbox,
        tape: Tape,
        perform: Callable[[Sequence[Effect]], None],
        on_progress: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._tape = tape
        self._perform = perform
        self._on_progress = on_progress

    async def run(self) -> None:
        """Handle events until cancelled. An exception is a bug of ours and ends the daemon."""
        inbox = self._inbox
        while True:
            await inbox.wait()
            self.drain_control()
            self._drain_market()
            self._on_progress()
            if not inbox.is_empty:  # else the wait above gives the others their turn
                await asyncio.sleep(0)

    def drain_control(self) -> None:
        """Handle everything that waits above market data."""
        while (event := self._inbox.take_control()) is not None:
            self._handle(event)

    def _drain_market(self) -> None:
        handle, append = self._engine.handle, self._tape.append
        for event in self._inbox.take_market(MARKET_SLICE):
            append(event)
            effects = handle(event)
            if effects:
                self._perform(effects)

    def _handle(self, event: AnyEvent) -> None:
        self._tape.append(event)
        effects = self._engine.handle(event)
        if effects:
            failpoint("engine_loop.before_effects")
            self._perform(effects)
