"""Periodic work beside the engine: timers, health of the process, the live picture in Redis, the service manager."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from quant_trading_system.adapters.alpaca.http import Base
from quant_trading_system.adapters.alpaca.limits import BreakerState
from quant_trading_system.app.inbox import LANE_NAMES, Lane
from quant_trading_system.app.port import ReadyCheck
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.events import HealthSeen, OperatorAsked, TimerFired
from quant_trading_system.core.types import NANOS_PER_SECOND, Latch, TradingState
from quant_trading_system.core.views import EngineView
from quant_trading_system.engine.timers import RECONCILE, SECOND
from quant_trading_system.observability.loop_lag import LoopLag

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

RECONCILE_PERIOD_S = 15
STATUS_PERIOD_S = 5.0
DISK_PERIOD_TICKS = 30


class Watch:
    """Runs what has to happen every second, and tells systemd that the engine loop goes round."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        metrics = parts.metrics
        assert metrics is not None, "metrics come before the loops"
        self._periods = parts.edge.periods
        self._lag = LoopLag(parts.clock.mono_ns, on_sample=metrics.set_loop_lag, period_s=self._periods.lag_s)
        self._watchdog_s = 0.0
        self._status_s = 0.0
        self._kills = 0
        self._dropped = 0
        parts.port.read_checks = self.ready_checks

    def on_progress(self) -> None:
        """Called by the engine loop each time round: the one sign of life that counts."""
        parts = self._parts
        parts.health.heartbeat("engine")
        parts.supervisor.beat("engine")
        interval_s = parts.notifier.watchdog_interval_s
        now_s = parts.clock.mono_ns() / NANOS_PER_SECOND
        if interval_s is not None and now_s - self._watchdog_s >= interval_s / 2:
            self._watchdog_s = now_s
            parts.notifier.watchdog()

    def on_touched(self, reason: str) -> None:
        """The KILL file appeared: the same command a person would give."""
        parts = self._parts
        self._kills += 1
        parts.inbox.put(
            OperatorAsked(
                command="kill",
                operator="kill-file",
                reason=reason,
                request_id=f"touched-{self._kills}",
                **stamps(parts.clock),
            ),
            Lane.OPERATOR,
        )

    async def run_timers(self) -> None:
        """One `second` event a second and one `reconcile` every 15, on a fixed grid; late slots are skipped."""
        parts = self._parts
        loop = asyncio.get_running_loop()
        start_s, slot, asked = loop.time(), 0, 0
        while True:
            slot = max(slot + 1, int(loop.time() - start_s) + 1)
            await asyncio.sleep(start_s + slot - loop.time())
            parts.supervisor.beat("timers")
            parts.supervisor.check_beats()  # as `health` does: each of the two watches over the other
            parts.inbox.put(TimerFired(name=SECOND, **stamps(parts.clock)), Lane.TIMERS)
            if slot // RECONCILE_PERIOD_S > asked:  # also where its own slot passed during a stall
                asked = slot // RECONCILE_PERIOD_S
                parts.inbox.put(TimerFired(name=RECONCILE, **stamps(parts.clock)), Lane.TIMERS)

    async def run_tape(self) -> None:
        """Write what the tape buffered, off the loop, until cancelled. A full disk costs the tape, never an order."""
        parts = self._parts
        while True:
            parts.supervisor.beat("tape", self._periods.tape_s)
            await asyncio.sleep(self._periods.tape_s)
            try:
                await asyncio.to_thread(parts.tape.flush)
            except OSError as error:
                parts.log.error("tape_not_written", reason=str(error), dropped=parts.tape.dropped)
                parts.note_component_error("tape")

    async def run_health(self) -> None:
        """Measure the process and tell the engine; loop lag runs beside it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lag.run(), name="loop-lag")
            tick = 0
            while True:
                self._parts.supervisor.beat("health", self._periods.health_s)
                await asyncio.sleep(self._periods.health_s)
                disk = self._parts.edge.free_bytes(self._parts.state_dir) if tick % DISK_PERIOD_TICKS == 0 else None
                tick += 1
                self._measure(disk)

    def _measure(self, disk_free_bytes: int | None) -> None:
        parts = self._parts
        parts.supervisor.check_beats()
        dropped = parts.inbox.dropped[Lane.MARKET]
        parts.inbox.put(
            HealthSeen(
                loop_lag_s=self._lag.take_worst_s(),
                clock_skew_s=parts.http.skew_s,
                disk_free_bytes=disk_free_bytes,
                commit_p99_s=parts.gateway.commit_p99_s,
                dropped_messages=dropped - self._dropped,
                is_broker_breaker_open=parts.http.breakers[Base.TRADING].state is BreakerState.OPEN,
                **stamps(parts.clock),
            ),
            Lane.TIMERS,
        )
        self._dropped = dropped
        metrics = parts.metrics
        if metrics is None:
            return
        metrics.set_loop_progress(parts.clock.wall_ns())
        metrics.set_budget(parts.http.budget.remaining)
        metrics.set_tasks(len(parts.supervisor.tasks) + parts.performers.tasks)
        for lane in Lane:
            metrics.set_inbox(LANE_NAMES[lane], parts.inbox.depth(lane))

    async def run_live_state(self) -> None:
        """Publish the engine's picture to Redis each second. Whether Redis takes it is `redis-watch`'s to tell."""
        parts = self._parts
        while True:
            parts.supervisor.beat("live-state", self._periods.live_state_s)
            await asyncio.sleep(self._periods.live_state_s)
            view = parts.engine.view()
            snapshot = msgspec.json.encode(view)
            await parts.redis.write_snapshot(snapshot)
            await parts.redis.publish("snapshot", snapshot)
            await parts.redis.heartbeat(parts.clock.wall_ns())
            self._say_status(view)

    def _say_status(self, view: EngineView) -> None:
        now_s = self._parts.clock.mono_ns() / NANOS_PER_SECOND
        if self._parts.is_ready and now_s - self._status_s >= STATUS_PERIOD_S:
            self._status_s = now_s
            self._parts.notifier.status(self._parts.status_line())
            self._parts.log.debug("heartbeat", state=view.state.value, events=view.events_handled)

    def ready_checks(self) -> Sequence[ReadyCheck]:
        """What /readyz asks: reconciled, streams up, data fresh in session, stores writable, not halted."""
        parts = self._parts
        view = parts.engine.view()
        limits = view.session
        is_open = bool(limits.is_open_by_calendar and limits.is_open_by_broker)
        age_s = view.stream_last_message_age_s.get("market_data")
        silence_s = parts.settings.data.silence_seconds_max
        causes = ", ".join(f"{cause.cause}: {cause.detail}" for cause in view.causes)
        return (
            ReadyCheck("started", parts.is_ready, "" if parts.is_ready else "starting or stopping"),
            ReadyCheck(
                "reconciled",
                view.reconciliation_age_s is not None and view.reconciliation_age_s <= RECONCILE_PERIOD_S * 3,
                f"last good pass {view.reconciliation_age_s} s ago",
            ),
            ReadyCheck("streams", all(view.streams_up.values()), str(view.streams_up)),
            ReadyCheck(
                "data_fresh",
                not is_open or (age_s is not None and age_s <= silence_s),
                f"last message {age_s} s ago" if is_open else "the market is closed",
            ),
            ReadyCheck("stores", parts.engine.are_stores_up, ""),
            ReadyCheck(
                "kill_latch", all(latch == Latch.CLEAR.value for latch in view.latches.values()), str(view.latches)
            ),
            ReadyCheck("not_halted", view.state is not TradingState.HALTED, causes),
        )

    async def close(self) -> None:
        """A last picture on the way down, so that nobody takes an old one for the present."""
        parts = self._parts
        if not await parts.redis.write_snapshot(msgspec.json.encode(parts.engine.view())):
            parts.log.info("last_snapshot_not_written", reason=parts.redis.last_error)
