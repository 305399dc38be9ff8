"""Decides nothing: names what the daemon reaches the outside with, so that a simulation puts its own in their place.

Everything between these ports is the same code in every mode and under simulation.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from quant_trading_system.adapters.alpaca.http import AlpacaHttp
from quant_trading_system.adapters.alpaca.streaming import Socket, StreamSettings, open_socket
from quant_trading_system.app.kill_latch import READ_PERIOD_S, WATCH_PERIOD_S
from quant_trading_system.app.stop_limit import end_within
from quant_trading_system.engine.build import build_engine
from quant_trading_system.engine.engine import Engine
from quant_trading_system.persistence import schema
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.instance import new_token
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.redis_state import PROBE_PERIOD_S, RedisState
from quant_trading_system.persistence.tape import TapeWriter
from quant_trading_system.persistence.writer import IDLE_PROBE_PERIOD_S, PERIOD_S


def say(text: str) -> None:
    """Tell the person at the terminal."""
    click.echo(text, err=True)


def settle_memory() -> None:
    """What the start built lives as long as the process; the collector need not look at it again."""
    gc.collect()
    gc.freeze()


def free_bytes(folder: Path) -> int:
    """What the disk of a folder still holds."""
    return shutil.disk_usage(folder).free


async def bring_to_head(dsn: str) -> str:
    """Bring the database's schema to what this code needs and name it."""
    await schema.upgrade(dsn)
    return schema.head()


async def has_schema(dsn: str) -> bool:
    """Whether a schema was made in this database already; one of a later version is refused.

    Raises:
        OperatorError: this version does not know the schema (exit 4).
    """
    found = await schema.current(dsn)
    schema.refuse_unknown(found)
    return found is not None


def open_tape(folder: Path) -> TapeWriter:
    """A tape in its folder, which is made now: one that cannot be kept is found before anything trades."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return TapeWriter(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Seconds between two rounds of the work beside the engine."""

    health_s: float = 1.0
    live_state_s: float = 1.0
    tape_s: float = 0.5
    latch_s: float = WATCH_PERIOD_S
    latch_read_s: float = READ_PERIOD_S
    writer_probe_s: float = IDLE_PROBE_PERIOD_S
    writer_gather_s: float = PERIOD_S
    redis_probe_s: float = PROBE_PERIOD_S
    clock_s: float = 15.0
    clock_venue_s: float = 60.0
    """In `sim`, of venue time: the exchange skips the night, and that is to be noticed."""
    lag_s: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The real outside. `holder`, `pid` and `writer_name` name this process in the database; None: its own."""

    make_http: Callable[..., AlpacaHttp] = AlpacaHttp
    open_socket: Callable[..., AbstractAsyncContextManager[Socket]] = open_socket
    has_schema: Callable[[str], Awaitable[bool]] = has_schema
    bring_to_head: Callable[[str], Awaitable[str]] = bring_to_head
    open_database: Callable[[str], Database] = Database
    make_latch_file: Callable[[Path], LatchFile] = LatchFile
    make_token: Callable[[], str] = new_token
    make_redis: Callable[..., RedisState] = RedisState
    make_engine: Callable[..., Engine] = build_engine
    open_tape: Callable[[Path], Any] = open_tape
    holder: str | None = None
    pid: int | None = None
    writer_name: str | None = None
    say: Callable[[str], None] = say
    settle_memory: Callable[[], None] = settle_memory
    end_within: Callable[..., None] = end_within
    free_bytes: Callable[[Path], int] = free_bytes
    periods: Periods = field(default_factory=Periods)
    stream_settings: StreamSettings = field(default_factory=StreamSettings)
