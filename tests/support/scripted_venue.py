"""A listening exchange whose market says what a test tells it to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.clock import VenueClock
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.server.listener import listening
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.testing import STANDING, RunningExchange
from quant_trading_system.simulator.server.venue import Venue
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.scripted_market import ScriptedMarket


@asynccontextmanager
async def scripted_exchange(
    market: ScriptedMarket, *, now_ns: Nanos, server: ServerSettings | None = None
) -> AsyncIterator[RunningExchange]:
    """Serve the market until the block ends; its clock stands until `step` moves it."""
    exchange = Exchange(settings=ExchangeSettings(start_ns=now_ns), market=market, journal=None)
    clock = VenueClock(
        venue_ns=now_ns,
        mono_ns=time.monotonic_ns(),
        speed=STANDING,
        session_closing_after=market.session_closing_after,
    )
    venue = Venue(exchange, clock, server or ServerSettings(requests_per_minute=0))
    async with listening(venue, host="127.0.0.1", port=0) as listener:
        yield RunningExchange(listener, venue)
