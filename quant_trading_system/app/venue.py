"""The venue's clock, and in `sim` the exchange behind it. Decides when the recorded day is over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec

from quant_trading_system.adapters.alpaca.limits import Lane as RequestLane
from quant_trading_system.app.exchange_process import ExchangeProcess
from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.broker import ClockReading
from quant_trading_system.core.errors import Unavailable, VenueError
from quant_trading_system.core.events import ClockSeen
from quant_trading_system.core.types import NANOS_PER_SECOND, Mode

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

SIM_KEYS = ("PKSIM", "sim")
KEEPER_STOP_SECONDS_MAX = 1.0
CLOCK_PERIOD_S_MIN = 0.25
READ_SECONDS_MAX = 30.0  # three tries in ten seconds, the exchange's own clock, and a full request budget
HALF_TRIP_NS_MAX = NANOS_PER_SECOND // 4
"""What took longer was tried again: the answer that came was stamped near the end."""
CONTROL_PATH = "/simulator/v1/clock"


class SimulatorClock(msgspec.Struct, frozen=True):
    """What the exchange says of its own clock, beside Alpaca's paths."""

    speed: float
    finished: bool = False
    market: str = ""


async def start_exchange(parts: Parts, stack: AsyncExitStack) -> str:
    """Start the embedded exchange as a child with its books in the state directory; return its URL."""
    simulation = parts.settings.simulation
    arguments = ["--speed", str(simulation.speed)]
    world = {
        "--data": None if simulation.data is None else simulation.data.absolute(),
        "--start": simulation.start,
        "--seed": simulation.seed,
        "--cash": simulation.cash_usd,
    }
    for flag, value in world.items():
        if value is not None:  # what is not said is the old world's, or the exchange's default of a new one
            arguments += [flag, str(value)]
    process = ExchangeProcess(parts.state_dir / "exchange", arguments, log=parts.state_dir / "exchange.log")
    parts.exchange = process
    url = await process.start()
    stack.push_async_callback(process.stop)
    parts.supervisor.start(
        "embedded-exchange",
        lambda: process.keep_alive(
            on_down=lambda detail: parts.log.warning("exchange_down", detail=detail),
            on_up=lambda: parts.note_healing("exchange_restart", "done"),
        ),
        owner="exchange",
    )
    # Left before the process is stopped, else it would be started anew.
    stack.push_async_callback(parts.supervisor.stop, "exchange", timeout_s=KEEPER_STOP_SECONDS_MAX)
    return url


async def read_simulator_clock(parts: Parts) -> SimulatorClock:
    """Ask the exchange how fast it runs and whether its recording is over.

    Raises:
        Unavailable: it does not say.
    """
    reply = await parts.http.request("GET", CONTROL_PATH, lane=RequestLane.POLL)
    try:
        return msgspec.json.decode(reply.body, type=SimulatorClock)
    except msgspec.DecodeError as error:
        raise Unavailable(f"GET {CONTROL_PATH}: {reply.status}: {error}") from error


async def anchor_clock(parts: Parts) -> ClockReading:
    """Read the broker's clock; venue time runs from it, in `sim` at the exchange's speed."""
    clock = parts.clock
    asked_ns = clock.mono_ns()
    reading = await parts.read.clock()
    answered_ns = clock.mono_ns()
    stamped_ns = answered_ns - min((answered_ns - asked_ns) // 2, HALF_TRIP_NS_MAX)
    if parts.mode is not Mode.SIM:
        clock.anchor(reading.venue_ns, mono_ns=stamped_ns, speed=1.0)
    else:
        simulator = await read_simulator_clock(parts)
        clock.anchor(reading.venue_ns, mono_ns=stamped_ns, speed=simulator.speed)
        parts.port.band = simulator.market.upper()
        if simulator.finished and parts.is_ready:
            parts.request_stop("the last recorded close has passed")
    return reading


class VenueWatch:
    """Tells the engine the broker's clock, again and again; a failed reading is left to age in the engine."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Read until cancelled."""
        parts = self._parts
        while True:
            most_s = parts.edge.periods.clock_s
            period_s = max(CLOCK_PERIOD_S_MIN, min(most_s, parts.edge.periods.clock_venue_s / parts.clock.speed))
            wait_s = period_s if parts.mode is Mode.SIM else most_s
            parts.supervisor.beat("venue-clock", wait_s + READ_SECONDS_MAX)
            await asyncio.sleep(wait_s)
            try:
                reading = await anchor_clock(parts)
            except VenueError as error:
                parts.log.debug("clock_not_read", reason=str(error))
                continue
            parts.inbox.put(ClockSeen(reading=reading, **stamps(parts.clock)), Lane.TIMERS)
