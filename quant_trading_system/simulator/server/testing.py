"""An exchange for tests: in this process, on a free port, with a clock that stands until it is told to move.

async with running_exchange(symbols=("AAPL",)) as exchange:
    client = TradingClient("PKSIM", "sim", url_override=exchange.url)
    await exchange.step(60)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.server.faults import parse_plan
from quant_trading_system.simulator.server.listener import Listener, listening
from quant_trading_system.simulator.server.service import ServiceSettings, opened_venue
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.stamps import parse_instant
from quant_trading_system.simulator.server.venue import Venue
from quant_trading_system.simulator.server.world import WorldWish

STANDING = 1e-9
"""A speed at which a test's hour is four venue microseconds."""
STEP_WALL_SECONDS_MAX = 30.0
TEST_START = "2024-06-03T09:31"  # a Monday, one minute after the bell
TEST_SYMBOLS = ("AAPL", "MSFT", "SPY")


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """A listening exchange and what moves it."""

    listener: Listener
    venue: Venue

    @property
    def url(self) -> str:
        return self.listener.url

    @property
    def ws_url(self) -> str:
        return self.listener.ws_url

    @property
    def exchange(self) -> Exchange:
        return self.venue.exchange

    @property
    def headers(self) -> dict[str, str]:
        credentials = self.venue.settings.credentials
        return {"APCA-API-KEY-ID": credentials.key_id, "APCA-API-SECRET-KEY": credentials.secret_key}

    async def step(self, seconds: float) -> None:
        """Move venue time on, and return when everything until then was played and handed to the streams."""
        self.venue.clock.step(seconds, time.monotonic_ns())
        await self._play()

    async def jump_to(self, venue_time: str) -> None:
        """Move venue time on to an instant; New York without an offset."""
        self.venue.clock.jump_to(parse_instant(venue_time, zone=NEW_YORK), time.monotonic_ns())
        await self._play()

    def set_speed(self, speed: float) -> None:
        self.venue.clock.set_speed(speed, time.monotonic_ns())

    def set_faults(self, *rules: dict[str, object], seed: int = 0) -> None:
        """Replace the fault plan; no rules heal."""
        parsed, parsed_seed = parse_plan({"faults": list(rules), "seed": seed})
        self.venue.plan.replace(parsed, seed=parsed_seed)

    async def _play(self) -> None:
        is_done = await self.venue.play_out(wall_seconds_max=STEP_WALL_SECONDS_MAX)
        assert is_done, f"expected to play the step within {STEP_WALL_SECONDS_MAX} s"


@asynccontextmanager
async def running_exchange(
    *,
    data: Path | None = None,
    symbols: Sequence[str] | None = None,
    start: str | None = None,
    seed: int = 1,
    cash: str = "100000",
    speed: float = STANDING,
    all_hours: bool = False,
    server: ServerSettings | None = None,
    tuning: Mapping[str, str] | None = None,
    state_dir: Path | None = None,
    port: int = 0,
) -> AsyncIterator[RunningExchange]:
    """Run an exchange until the block ends.

    Args:
        data: play these recorded days; without them a market is generated.
        start: venue time at the beginning, New York without an offset.
        speed: venue seconds per second; by default the clock stands and `step` moves it.
        all_hours: play nights and weekends too, where the clock runs by itself.
        server: who may ask and how often; by default the usual keys and no limit of requests.
        tuning: parameters of account, fills and latency, as `--set` has them.
        state_dir: books that outlive the block.
    """
    settings = ServiceSettings(
        host="127.0.0.1",
        port=port,
        speed=speed,
        skips_closed_hours=not all_hours,
        state_dir=state_dir,
        wish=_wish(data, symbols, start, seed, cash),
        server=server or ServerSettings(requests_per_minute=0),
        tuning=tuning or {},
    )
    async with opened_venue(settings) as venue, listening(venue, host=settings.host, port=port) as listener:
        yield RunningExchange(listener, venue)


def _wish(data: Path | None, symbols: Sequence[str] | None, start: str | None, seed: int, cash: str) -> WorldWish:
    """The world of a test: recorded as a whole, or a small generated one."""
    is_recorded = data is not None
    begin = start or (None if is_recorded else TEST_START)
    names = symbols or (None if is_recorded else TEST_SYMBOLS)
    return WorldWish(
        data=str(data.resolve()) if data is not None else None,
        start_ns=parse_instant(begin, zone=NEW_YORK) if begin else None,
        seed=seed,
        cash=cash,
        symbols=tuple(sorted(names)) if names else None,
    )
