"""One life of the daemon: its real `Daemon` and steps, with simulated bytes, stores and clocks around them.

Decides what the simulated process is made of; everything between its ports is the package's own.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from quant_trading_system.adapters.alpaca import read
from quant_trading_system.adapters.alpaca.streaming import StreamSettings
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.daemon import Daemon, StepEntry
from quant_trading_system.app.edge import Edge, Periods
from quant_trading_system.app.options import TradeOptions
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.settings import load
from quant_trading_system.app.settings.load import Loaded
from quant_trading_system.app.steps.broker import broker
from quant_trading_system.app.steps.database import database
from quant_trading_system.app.steps.redis import redis
from quant_trading_system.app.steps.risk import risk
from quant_trading_system.app.steps.strategies import strategies
from quant_trading_system.app.waiting import wait_until
from quant_trading_system.core.errors import ExitCode, OperatorError, TemporaryFailure
from quant_trading_system.core.types import Direction, Mode, StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal
from quant_trading_system.engine.build import build_engine
from quant_trading_system.engine.config import EngineConfig
from quant_trading_system.engine.engine import Engine
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.persistence import schema
from quant_trading_system.persistence.instance import BASE32, TOKEN_CHARACTERS
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.strategy.base import Strategy, make_signal
from tests.simulation.http import http_maker
from tests.simulation.limits import HEALING, LIMITS, RATES
from tests.simulation.loop import Life

if TYPE_CHECKING:
    from tests.simulation.stores import DatabaseModel
    from tests.simulation.world import World

EXCHANGE_URL = "http://127.0.0.1:8090"
STATE_DIR = "/state"
QUIET_END_S = 30.0
"""Strategies keep still at the end, so that what is compared does not move."""
TEMPO = Periods(
    health_s=10.0,
    live_state_s=300.0,
    tape_s=600.0,
    latch_s=5.0,
    latch_read_s=30.0,
    writer_probe_s=10.0,
    writer_gather_s=0.4,
    redis_probe_s=5.0,
    clock_s=30.0,
    clock_venue_s=180.0,
    lag_s=10.0,
)
"""Rounds that decide nothing by their rate are made less often: a seed has 30 minutes and 0.1 s."""
read.ORDERS_PAGE, read.ACTIVITIES_PAGE = 40, 20
"""Short pages, so that the lists of half an hour have several (fault C13)."""
USUAL_ORDERS, USUAL_STREAM = OrderSettings(), StreamSettings()
HEAD = schema.head()
SELF_TEST_EVERY = 32
"""In one of so many seeds the first life puts its violating orders to the gate: they are the same in every seed."""


class Silent:
    """Logs, metrics, alerts, dashboard: whatever they are told, they say nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        setattr(self, name, _nothing)
        return _nothing

    def write_signal(self, *_told: object) -> None:
        """Nobody reads."""


def _nothing(*_arguments: object, **_options: object) -> None:
    return None


class NoTape:
    """Recovery never needs the tape; the world keeps a hash of every event instead."""

    dropped = 0

    def append(self, _event: object) -> None:
        """Not kept."""

    def flush(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


STOP_FRACTION = Decimal("0.003")  # near enough to be touched within half an hour


class SeededStrategy:
    """Says LONG or EXIT by the seed, the symbol and the bar alone: a restart changes no opinion."""

    kind = "seeded"
    indicators: tuple[str, ...] = ()
    bars_needed = 0

    def __init__(self, id: StrategyId, world: World) -> None:
        self.id = id
        self.parameters: Mapping[str, str] = {}
        self._world = world
        self._temperament = world.plan.switches.get("temperament", 0.3)
        self.protective_stop_fraction = STOP_FRACTION if world.plan.switches.get("stops") else None

    def on_stopped_out(self, symbol: Symbol) -> None:
        """It is not asked what it thinks of that: its opinion depends on the bar alone."""
        self._world.reach("stop.executed")

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        del values
        world = self._world
        if world.elapsed_s > world.ends_s - QUIET_END_S:
            return None
        draw = zlib.crc32(f"{world.plan.seed}:{self.id}:{bar.symbol}:{bar.start_ns}".encode()) / 2**32
        if draw >= self._temperament and not world.everybody_decides:
            return None
        wants_in = (draw * 1_000) % 1.0 < (0.25 if holding else 0.8)
        signal = make_signal(
            bar,
            strategy=self.id,
            direction=Direction.LONG if wants_in else Direction.EXIT,
            strength=1.0,
            confidence=0.9,
            reason="drawn",
            inputs={"close": bar.close},
            is_short_allowed=False,
        )
        for spoil in world.signal_rules.values():
            signal = None if signal is None else spoil(signal)
        return signal


@cache
def loaded(
    symbols: tuple[str, ...], strategy_count: int, *, is_standby: bool = False, is_tight: bool = False
) -> Loaded:
    """The settings of a simulated daemon."""
    kinds = ("momentum", "mean_reversion")
    return load(
        Mode.SIM,
        flags={
            "simulation.exchange_url": EXCHANGE_URL,
            "database.url": "postgresql://alphatrade@127.0.0.1/simulated",
            "redis.url": "redis://127.0.0.1:6379/0",
            "universe.symbols": list(symbols),
            "universe.reference_symbol": symbols[0],
            "strategies": [
                {"id": kind, "kind": kind, "weight": 1.0 / strategy_count, "sizing": "fixed_fraction"}
                for kind in kinds[:strategy_count]
            ],
            "data.warm_up_bars": 0,
            "trade.is_standby": is_standby,
            **{f"risk.{name}": value for name, value in (*LIMITS.items(), *RATES[is_tight].items())},
            **{f"healing_actions_per_day_max.{name}": value for name, value in HEALING[is_tight].items()},
        },
        environ={},
        cwd=Path("/nonexistent"),
        must_have_signs=False,
    )


class Process:
    """One process of the daemon in one world, from its start to its exit or its crash."""

    def __init__(
        self,
        world: World,
        life: Life,
        *,
        state_dir: str = STATE_DIR,
        is_standby: bool = False,
        database: DatabaseModel | None = None,
    ) -> None:
        self._world = world
        self._database = world.database if database is None else database
        self.life = life
        number = life.number
        chance = Random(f"{world.plan.seed}:process:{number}")
        self._chance = chance
        self._state_dir = state_dir
        self._is_standby = is_standby
        self.clock = SystemClock(follows_venue=True, wall_now_ns=world.wall_ns, mono_now_ns=world.mono_ns_now)
        self.clock.mono_ns = world.mono_ns_now  # type: ignore[method-assign,assignment]  # asked thousands of times
        self.engine: Engine | None = None
        self.exit_code: int | None = None
        self.exit_text = ""
        """Why it ended by itself."""
        self.daemon = Daemon(
            TradeOptions(mode=Mode.SIM),
            steps=self._steps(),
            edge=self._edge(number),
            clock=self.clock,
            rng=chance,
        )

    @property
    def parts(self) -> Parts:
        return self.daemon._parts

    async def run(self) -> None:
        """Live. Ends with an exit code, or with the power."""
        try:
            code = int(await self.daemon.run())
        except OperatorError as error:
            code = int(error.exit_code)
            self.exit_text = error.message
            self._world.trace(f"exit {code}: {error.message}")
        except Exception as error:  # border: a process that dies of a bug; the campaign counts it as found
            code = int(ExitCode.UNEXPECTED)
            self._world.violation(f"exception: {type(error).__name__}: {error}")
        self.exit_code = code
        self._world.on_exit(self, code)

    def _steps(self) -> Sequence[StepEntry]:
        return (
            ("configuration and secrets", 10.0, self._configuration),
            ("observability", 10.0, self._observability),
            ("database", 90.0, database),
            ("Redis", 30.0, redis),
            ("broker", 60.0, broker),
            ("risk", 15.0, risk),
            ("models and strategies", 60.0, strategies),
            ("market data", 60.0, self._market_data),
        )

    def _edge(self, number: int) -> Edge:
        world = self._world
        return Edge(
            make_http=http_maker(world.network, self.life),
            open_socket=world.streams.opener(),
            has_schema=_has_schema,
            bring_to_head=_at_head,
            open_database=lambda _dsn: self._database.database(number),
            make_latch_file=lambda path: LatchFile(path),
            make_token=lambda: "".join(self._chance.choice(BASE32) for _ in range(TOKEN_CHARACTERS)),
            make_redis=lambda _url, **how: world.redis.state(**how, probe_period_s=TEMPO.redis_probe_s),
            make_engine=self._make_engine,
            open_tape=lambda _folder: NoTape(),
            holder=f"host-{number}",
            pid=number,
            writer_name=f"writer-{number}",
            say=lambda text: world.trace(text),
            settle_memory=lambda: None,
            end_within=lambda _seconds, **_how: None,
            free_bytes=lambda _folder: 50_000_000_000,
            periods=TEMPO,
            stream_settings=replace(USUAL_STREAM, backoff_max_s=USUAL_STREAM.backoff_max_s / world.plan.hurry),
        )

    def _make_engine(
        self, config: EngineConfig, *, next_sequence: int, observe: Callable[[Strategy], Strategy]
    ) -> Engine:
        del observe
        world = self._world
        quiet_seconds = config.limits.quiet_seconds / world.plan.hurry
        engine = build_engine(
            replace(
                config,
                limits=replace(config.limits, quiet_seconds=quiet_seconds),
                entry_order_seconds_max=world.plan.entry_s or config.entry_order_seconds_max,
            ),
            next_sequence=next_sequence,
            observe=lambda strategy: SeededStrategy(strategy.id, world),
            order_settings=replace(
                USUAL_ORDERS,
                quarantine_seconds=USUAL_ORDERS.quarantine_seconds / world.plan.hurry,
                older_passes_max=int(USUAL_ORDERS.older_passes_max / world.plan.hurry),
                older_seconds_max=USUAL_ORDERS.older_seconds_max / world.plan.hurry,
            ),
        )
        if self.life.number > 1 or world.plan.seed % SELF_TEST_EVERY:
            engine.self_test = _tested_in_other_seeds  # type: ignore[method-assign]
        self.engine = engine
        world.watch_engine(self, engine)
        return engine

    @asynccontextmanager
    async def _configuration(self, parts: Parts) -> AsyncIterator[str]:
        world = self._world
        strategies = int(world.plan.switches.get("strategies", 2.0))
        is_tight = bool(world.plan.switches.get("tight"))
        parts.loaded = loaded(world.symbols, strategies, is_standby=self._is_standby, is_tight=is_tight)
        parts.state_dir = world.disk.path(self._state_dir)
        parts.control_token = ""
        yield "simulated"

    @asynccontextmanager
    async def _observability(self, parts: Parts) -> AsyncIterator[str]:
        silent: Any = Silent()
        parts.logs = parts.log = parts.record_log = parts.metrics = silent
        parts.health = parts.port = parts.alerts = parts.hub = silent
        parts.notifier = silent
        silent.watchdog_interval_s = None
        silent.band = ""
        yield "silent"

    @asynccontextmanager
    async def _market_data(self, parts: Parts) -> AsyncIterator[str]:
        feed = self._world.feed
        feed.connect(self.life, parts)
        try:
            if not await wait_until(lambda: parts.engine.is_feed_up, timeout_s=20.0):
                raise TemporaryFailure("market data not subscribed within 20 s")
            yield "subscribed"
        finally:
            feed.disconnect(self.life)


def _tested_in_other_seeds() -> tuple[int, list[str]]:
    return 0, []


async def _has_schema(_dsn: str) -> bool:
    return True


async def _at_head(_dsn: str) -> str:
    return HEAD
