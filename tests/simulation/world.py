"""One simulated world: the exchange, the ways to it, the stores, the daemon's lives. Decides when each begins.

Time runs from the market's start (`elapsed_s`); venue time and true wall time advance with it. The daemon's wall clock
may jump, its monotonic clock never does.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.failpoints import install
from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, MonoNanos, Nanos
from quant_trading_system.core.values import Signal
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.rulebook import TODAY, Rulebook
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.simulation.backup import Losses
from tests.simulation.faults import PLAYERS, Stage
from tests.simulation.faults.process import look_for_lost_orders
from tests.simulation.feed import STEP_AWAY, SYMBOLS, Feed, PathMarket
from tests.simulation.http import Journey, Network, Tap
from tests.simulation.lives import Lives
from tests.simulation.loop import DetLoop, Timer, in_life
from tests.simulation.plan import Plan
from tests.simulation.stores import DatabaseModel, DiskModel, RedisModel
from tests.simulation.streams import TradeStreams
from tests.simulation.venue import Answer, Request, SimVenue

if TYPE_CHECKING:
    from collections.abc import Coroutine

OPEN_NS = to_nanos(datetime(2026, 1, 6, 14, 30, tzinfo=UTC))  # a Tuesday, 09:30 in New York
MONO_START_NS = 10_000 * NANOS_PER_SECOND
DAY_NS = 86_400 * NANOS_PER_SECOND
YEAR_NS = 365 * DAY_NS
PRELUDE_S = 40.0
"""How long a daemon that knows an earlier day traded on it, in its own seconds."""
STOP_S = 12.0
PERSON_S = 25.0
"""So long after the last fault somebody has read the alerts."""
REDIS_DELAY_S_MIN = 0.002
CASH_USD = Decimal(100_000)
TRACE_LINES_MAX = 200_000


def _rulebook(*, frees_client_ids: bool) -> Rulebook:
    return replace(TODAY, frees_client_ids=frees_client_ids)


def _never_again(now_ns: Nanos) -> Nanos:
    """The exchange's equity of each minute is for its own dashboard: a night holds a thousand."""
    return Nanos(now_ns + YEAR_NS)


class NoCheckers:
    """Nobody judges."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments: None


class World(Lives):
    """Everything of one seed."""

    def __init__(self, plan: Plan, *, keeps_trace: bool = False, ends_s: float | None = None) -> None:
        self.plan = plan
        switches = plan.switches
        self.speed = switches.get("venue_speed", 1.0)
        """Venue seconds in one of the daemon's: bars, sessions and windows run in those, all else in these."""
        self.ends_s = plan.run_s if ends_s is None else ends_s
        self._nanos_per_nano = int(self.speed)
        assert self._nanos_per_nano == self.speed >= 1, "a whole number keeps venue time exact"
        self.loop = DetLoop(Random(f"{plan.seed}:loop") if switches.get("ready_choice", 1.0) else None)
        self.context = in_life(None)
        self.symbols = SYMBOLS[: int(switches.get("symbols", 2.0))]
        self._market_start_ns = Nanos(OPEN_NS + int(switches.get("start_minute", 45.0)) * NANOS_PER_MINUTE)
        self._prelude_s = 0.0 if switches.get("first_life", 1.0) else PRELUDE_S
        self.start_ns = Nanos(self._market_start_ns - (DAY_NS if self._prelude_s else 0))
        self.wall_offset_ns = 0
        self._venue_offset_ns = 0
        self._market_chance = self._random("market")
        self.market = PathMarket(
            self.symbols,
            start_ns=self.start_ns,
            chance=self._market_chance,
            volatility=switches.get("volatility", 0.0005),
        )
        self.exchange = Exchange(
            settings=ExchangeSettings(
                start_ns=self.start_ns,
                seed=plan.seed,
                cash=CASH_USD,
                partial_fill_probability=switches.get("partial_fill_probability", 0.1),
                rulebook=_rulebook(frees_client_ids=bool(switches.get("dedup_open_only"))),
            ),
            market=self.market,
            journal=None,
        )
        self.exchange._office.sample = _never_again  # type: ignore[method-assign]  # nobody reads the curve
        self.venue = SimVenue(self.exchange, self.venue_ns, self.speed)
        self.network = Network(self, self._random("network"))
        self.streams = TradeStreams(self)
        self.feed = Feed(self)
        self.database = DatabaseModel(self._random("database"))
        self.redis = RedisModel(self._random("redis"))
        self.disk = DiskModel(self._random("disk"))
        self._slow_stores_down(switches)
        self.restart_pause_s = switches.get("restart_pause_s", 2.0)
        super().__init__()
        self.checkers: Any = NoCheckers()
        self.tap: list[Tap] = []
        self.reached: dict[str, int] = {}
        self.violations: list[str] = []
        self.trace_lines: list[str] = []
        self.everybody_decides = False
        self.signal_rules: dict[int, Callable[[Signal], Signal]] = {}
        self._keeps_trace = keeps_trace
        self._hash = hashlib.blake2b(digest_size=16)
        self._encode = msgspec.msgpack.Encoder(decimal_format="string", enc_hook=repr).encode
        self._pump_timer: Timer | None = None
        self._pump_due_ns = 0
        self._posted_s = -1e9
        self._stages: list[Stage] = []
        self.put_away: tuple[int, Any] | None = None
        """The database that is not there at present, and since when: bytes sent before may arrive later."""
        self.losses = Losses()
        """What a restored database does not know any more."""

    def _slow_stores_down(self, switches: Mapping[str, float]) -> None:
        """Give the stores their usual latency: a commit's, and Redis' where it is worth a timer."""
        commit_s = switches.get("database_latency_ms", 1.0) / 1_000.0
        self.database.delays_s["commit"] = (commit_s / 2, commit_s * 2)
        redis_s = switches.get("redis_latency_ms", 0.0) / 1_000.0
        self.redis.delay_s = redis_s if redis_s >= REDIS_DELAY_S_MIN else 0.0

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.plan.seed}:{purpose}")

    # time

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since the market's start, by the daemon's monotonic clock; below 0 on the day before."""
        return self.loop._now_s - self._prelude_s

    def venue_ns(self) -> Nanos:
        return Nanos(self.start_ns + self._venue_offset_ns + self.loop.now_ns * self._nanos_per_nano)

    def true_wall_ns(self) -> int:
        return self.start_ns + self.loop.now_ns

    def wall_ns(self) -> int:
        """What the daemon's machine believes."""
        return self.start_ns + self.loop.now_ns + self.wall_offset_ns

    def mono_ns_now(self) -> int:
        return MONO_START_NS + self.loop.now_ns

    @property
    def mono_ns(self) -> MonoNanos:
        return MonoNanos(MONO_START_NS + self.loop.now_ns)

    def mono_ns_of(self, server_s: float) -> int:
        """A moment by the database's clock, which is the loop's, in monotonic time."""
        return MONO_START_NS + int(server_s * NANOS_PER_SECOND)

    @property
    def is_database_up(self) -> bool:
        return self.database.is_up

    # what others read and tell

    def reach(self, name: str) -> None:
        """Something a campaign wants to have seen happened."""
        self.reached[name] = self.reached.get(name, 0) + 1

    def violation(self, text: str) -> None:
        """An invariant was broken."""
        self.violations.append(text)
        self.trace(f"VIOLATION {text}")

    def trace(self, text: str) -> None:
        if self._keeps_trace and len(self.trace_lines) < TRACE_LINES_MAX:
            self.trace_lines.append(f"{self.loop._now_s:10.3f} [{self.incarnation}] {text}")

    def committed(self, table: str) -> Mapping[Any, Mapping[str, Any]]:
        """The durable rows of a table, by key; live, no copy."""
        return self.database.tables.rows[table]

    @property
    def enlarged(self) -> Mapping[str, int]:
        """Orders of which the broker took more shares than were asked for."""
        return self.venue.enlarged

    @property
    def revived(self) -> Mapping[str, int]:
        """Orders of which the broker took its final word back, and when, in venue time."""
        return self.venue.revived

    @property
    def told_absent(self) -> Mapping[str, int]:
        """Orders that the broker said it has not."""
        return self.network.told_absent

    def file(self, name: str) -> bytes | None:
        """A file of the daemon's machine."""
        return self.disk.read(name)

    def intent(self, client_order_id: str, sent_mono_ns: int) -> Mapping[str, Any] | None:
        """The committed row of an intent; of bytes that left before the database became another, the row in that."""
        row: Mapping[str, Any] | None = self.committed("intents").get((client_order_id,))
        if row is None and self.put_away is not None and sent_mono_ns <= self.put_away[0]:
            row = self.put_away[1].rows["intents"].get((client_order_id,))
        if row is None and sent_mono_ns <= self.losses.at_ns:
            row = self.losses.intents.get((client_order_id,))
        return row

    def put_database_away(self) -> Callable[[], None]:
        """An empty database takes its place. Returns how it comes back."""
        kept = self.database.tables
        self.put_away = (self.mono_ns_now(), kept)
        self.database.empty()

        def bring_back() -> None:
            self.database.cut()
            self.database.put_in_place(kept)
            self.put_away = None
            self.restart(1.0)

        return bring_back

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    # the exchange

    @property
    def turn(self) -> int:
        """How many turns the loop has made."""
        return self.loop.handled

    def serve(self, journey: Journey) -> Answer:
        """A request reached the broker."""
        self.pump()  # what happened until now is told, whoever looked first
        request = journey.request
        tap = Tap(
            venue_ns=self.venue_ns(),
            mono_ns=self.mono_ns,
            incarnation=journey.life.number,
            method=request.method,
            path=request.path,
            body=request.body,
            status=None,
            sent_mono_ns=journey.sent_mono_ns,
            sent_turn=journey.sent_turn,
            params=request.params,
        )
        self.tap.append(tap)
        self._hash.update(f"{self.loop._now_s!r} {request.method} {request.path} ".encode() + request.body)
        self.checkers.on_request(tap)
        answer = self.venue.serve(request)
        self.checkers.on_reply(tap._replace(status=answer.status))
        if request.method != "GET":
            self.trace(f"{request.method} {request.path} {request.body.decode()} -> {answer.status}")
            self._after_change(request, answer)
        return answer

    def is_order_young(self) -> bool:
        """Whether an order came lately, so that a fault that waits for one has to look closely."""
        return self.loop._now_s - self._posted_s < 2.0

    def _after_change(self, request: Request, answer: Answer) -> None:
        if request.method == "POST" and answer.status == 200:
            self._posted_s = self.loop._now_s
            resting = self.plan.switches.get("resting_probability", 0.0)
            if resting and self._market_chance.random() < resting:
                wish = msgspec.json.decode(request.body)
                away = STEP_AWAY if wish["side"] == "buy" else -STEP_AWAY
                self.market.move(wish["symbol"], self.market.prices[wish["symbol"]] * (1 + away), self.venue_ns() + 1)
        self.pump()

    def pump(self) -> None:
        """Let the exchange reach the present, tell the streams, and come back when something is due there."""
        exchange = self.exchange
        now_ns = self.venue_ns()
        exchange.advance(now_ns)
        events = exchange.take_order_events()
        if events:
            self.streams.publish(events, now_ns)
        said = exchange.take_market_events()
        if said:
            self.feed.tell(said)
        due_ns = exchange._schedule.next_due_ns
        if due_ns != self._pump_due_ns:
            self._pump_due_ns = due_ns
            if self._pump_timer is not None:
                self._pump_timer.cancel()
            delay_s = max(0.0, (due_ns - self.venue_ns()) / NANOS_PER_SECOND / self.speed) + 1e-6
            self._pump_timer = (
                self.loop.call_later(delay_s, self._pump_due, context=self.context) if delay_s < 7_200.0 else None
            )

    def jump_to(self, venue_ns: int, *, before: Callable[[], None]) -> None:
        """The venue's clock leaps, as that of an exchange that skips the night."""
        self._venue_offset_ns += max(0, venue_ns - self.venue_ns())
        before()
        while self.exchange.now_ns < self.venue_ns():
            self.exchange.advance(self.venue_ns())
        self.pump()

    def _pump_due(self) -> None:
        self._pump_due_ns = 0
        self.pump()

    def _tick(self, gap_s: float) -> None:
        """The market moves."""
        now_ns, seconds = self.venue_ns(), gap_s * self.speed
        for symbol in self.symbols:
            self.market.step(symbol, now_ns, seconds=seconds, size=500.0)
        self.pump()
        self.loop.call_later(gap_s, self._tick, gap_s, context=self.context)

    # a run

    def _play(self) -> None:
        """Plan every fault, and their end."""
        for number, fault in enumerate(self.plan.faults):
            stage = Stage(self, number, fault)
            self._stages.append(stage)
            self.loop.call_later(fault.at_s, self._begin, stage, context=self.context)
            if fault.for_s:
                self.loop.call_later(fault.at_s + fault.for_s, self._end, stage, context=self.context)
        self.loop.call_later(self.ends_s - self.plan.heal_s, self._heal, context=self.context)

    def _begin(self, stage: Stage) -> None:
        self.trace(f"FAULT {stage.fault.kind} for {stage.fault.for_s} s {stage.fault.parameters}")
        PLAYERS[stage.fault.kind](stage)

    def _end(self, stage: Stage) -> None:
        self.trace(f"END {stage.fault.kind}")
        stage.end()

    def _heal(self) -> None:
        """From now on nothing is wrong."""
        self.trace("HEAL")
        for stage in self._stages:
            stage.end()
        for store in (self.database, self.redis, self.disk):
            store.heal()
        self.wall_offset_ns = 0
        for rules in (self.network.rules, self.streams.rules, self.streams.refusals, self.streams.mute):
            assert not rules, "every fault takes back what it did"
        self.heal_lives()
        self.loop.call_later(PERSON_S, look_for_lost_orders, self, context=self.context)

    async def _live_a_day_before(self) -> None:
        """A daemon traded yesterday and was stopped in order; its books, its orders and its stores are still there."""
        await asyncio.sleep(self._prelude_s - STOP_S)
        usual_s, self.restart_pause_s = self.restart_pause_s, STOP_S + 0.5
        if self.process is not None:
            self.process.daemon.request_stop("the day is over")
        await asyncio.sleep(STOP_S)
        self.restart_pause_s = usual_s
        self.jump_to(self._market_start_ns, before=lambda: None)

    async def live(self) -> None:
        """From the market's start to the end of the healing phase."""
        gap_s = self.plan.switches.get("quote_gap_s", 1.0)
        self.loop.call_later(0.0, self._tick, gap_s, context=self.context)
        self.loop.call_later(0.5, self.start_daemon, context=self.context)
        if self._prelude_s:
            await self._live_a_day_before()
        self._play()
        await asyncio.sleep(self.ends_s)
        self.is_over = True
        self.checkers.at_end()
        for text in self.database.unknown:
            self.violation(f"the model of the database knows no statement {text}")

    def run(self) -> None:
        """Play the whole seed."""
        main: Coroutine[Any, Any, None] = self.live()
        install(self.on_failpoint)
        try:
            self.loop.run_until_complete(self.loop.create_task(main, context=self.context))
        except Exception as error:  # border: the campaign goes on with the next seed
            self.violation(f"exception: {type(error).__name__}: {error}")
            if self._keeps_trace:
                self.trace_lines.extend(traceback.format_exc().splitlines())
        finally:
            install(None)
            self.end_lives()
            self.loop.dispose()
