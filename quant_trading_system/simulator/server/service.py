"""The exchange as a program: world from the state directory, listener, one line of talk, ordered stop on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quant_trading_system.simulator.clock import VenueClock
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal, JournalError
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.server.faults import FaultRule
from quant_trading_system.simulator.server.listener import Listener, listening
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.stamps import eastern_text
from quant_trading_system.simulator.server.tuning import tuned
from quant_trading_system.simulator.server.venue import Venue
from quant_trading_system.simulator.server.world import (
    WorldShape,
    WorldWish,
    check_wish,
    locked_state,
    read_world,
    write_atomically,
    write_world,
)
from quant_trading_system.simulator.server.world_making import (
    default_shape,
    judge_data,
    make_exchange_settings,
    make_market,
)

JOURNAL_FILE = "journal"
INFO_FILE = "exchange.json"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """One run of the program."""

    host: str
    port: int
    speed: float
    state_dir: Path | None
    wish: WorldWish
    server: ServerSettings
    skips_closed_hours: bool = True
    faults: tuple[FaultRule, ...] = ()
    faults_seed: int = 0
    tuning: Mapping[str, str] = field(default_factory=dict)


class ExchangeInfo(msgspec.Struct, frozen=True):
    """What is written beside the books once the exchange listens."""

    url: str
    pid: int
    speed: float
    started_at: str


async def serve(settings: ServiceSettings, *, say: Say) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        WorldConflict: the state directory holds another world.
        StateLocked: another exchange uses it.
        PortTaken: the address cannot be listened on.
        DataFileError: the recorded data cannot be played.
        JournalError: the books are damaged.
        TuningError: a parameter that there is not, or a value that it cannot have.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with opened_venue(settings) as venue, listening(venue, host=settings.host, port=settings.port) as listener:
        _announce(settings, venue, listener, say)
        await stopping.wait()
    _forget(settings)


@asynccontextmanager
async def opened_venue(settings: ServiceSettings) -> AsyncIterator[Venue]:
    """The venue of a state directory, locked for this process; without a directory a world that is forgotten."""
    if settings.state_dir is None:
        shape = settings.wish.with_defaults(default_shape(settings.wish))
        yield _make_venue(settings, shape, make_market(shape), None)
        return
    async with locked_state(settings.state_dir):
        held = read_world(settings.state_dir)
        shape = _shape_of(settings.state_dir, settings.wish, held)
        # Before anything is written: a world that cannot be made leaves no trace.
        market = make_market(shape, state_dir=settings.state_dir)
        venue = _make_venue(settings, shape, market, _open_journal(settings.state_dir, has_world=held is not None))
        try:
            write_world(settings.state_dir, shape)  # behind the journal's first record: a world has books
            # A world that goes on may stand in a later day than the one it began with.
            judge_data(shape, market, now_ns=venue.exchange.now_ns, state_dir=settings.state_dir)
            yield venue
        finally:
            venue.exchange.close()


def _open_journal(state_dir: Path, *, has_world: bool) -> Journal:
    """The books of a state directory.

    Raises:
        JournalError: they are damaged, or there is a world and its books are gone.
    """
    journal = Journal(state_dir / JOURNAL_FILE)
    if has_world and journal.is_empty:
        journal.close()
        raise JournalError(
            f"{journal.path}: the books of the world in {state_dir} are gone; restore the file, or use another"
            " --state-dir"
        )
    return journal


def _shape_of(state_dir: Path, wish: WorldWish, held: WorldShape | None) -> WorldShape:
    if held is None:
        return wish.with_defaults(default_shape(wish))
    check_wish(state_dir, wish, held)
    return held


def _make_venue(settings: ServiceSettings, shape: WorldShape, market: MarketSource, journal: Journal | None) -> Venue:
    exchange = Exchange(
        settings=tuned(make_exchange_settings(shape, settings.server.rulebook), settings.tuning),
        market=market,
        journal=journal,
    )
    clock = VenueClock(
        venue_ns=exchange.now_ns,
        mono_ns=time.monotonic_ns(),
        speed=settings.speed,
        session_closing_after=market.session_closing_after,
        skips_closed_hours=settings.skips_closed_hours,
    )
    venue = Venue(exchange, clock, settings.server)
    venue.plan.replace(settings.faults, seed=settings.faults_seed)
    return venue


def _forget(settings: ServiceSettings) -> None:
    if settings.state_dir is not None:
        (settings.state_dir / INFO_FILE).unlink(missing_ok=True)


def _announce(settings: ServiceSettings, venue: Venue, listener: Listener, say: Say) -> None:
    """One line for people, one file for the process that started this one."""
    if settings.state_dir is not None:
        info = ExchangeInfo(listener.url, os.getpid(), venue.clock.speed, eastern_text(time.time_ns()))
        write_atomically(settings.state_dir / INFO_FILE, msgspec.json.encode(info))
    credentials = settings.server.credentials
    kind = "SYNTHETIC" if venue.market.is_synthetic else "RECORDED"
    say(
        f"exchange at {listener.url}  key {credentials.key_id}  secret {credentials.secret_key}  market {kind}"
        f"  venue time {eastern_text(venue.exchange.now_ns, with_fraction=False)}  speed {venue.clock.speed:g}"
    )
