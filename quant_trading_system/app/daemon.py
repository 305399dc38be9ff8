"""The daemon's life: the eight steps, trading until told to stop, the ordered shutdown. Decides the exit code."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence

from quant_trading_system.adapters.alpaca.failures import BrokerAuthError
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.edge import Edge
from quant_trading_system.app.healing import DONE
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.options import TradeOptions
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.startup import StartupReport, Step, StepReport, serve
from quant_trading_system.app.steps.broker import broker
from quant_trading_system.app.steps.configuration import configuration
from quant_trading_system.app.steps.database import database
from quant_trading_system.app.steps.market_data import market_data
from quant_trading_system.app.steps.observability import observability
from quant_trading_system.app.steps.redis import redis
from quant_trading_system.app.steps.risk import risk
from quant_trading_system.app.steps.strategies import strategies
from quant_trading_system.app.stop_limit import STOP_SECONDS_MAX, STOP_WITH_SERVERS_SECONDS_MAX, where
from quant_trading_system.app.supervisor import Supervisor, TaskEnded
from quant_trading_system.app.waiting import wait_until
from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal, TemporaryFailure
from quant_trading_system.core.events import Started, Stopping, TimerFired
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import NANOS_PER_SECOND, HealingAction
from quant_trading_system.engine.timers import SECOND

ORDERS_SETTLE_SECONDS_MAX = 4.0  # of the 10 s that an ordered stop may take
TASKS_STOP_SECONDS_MAX = 2.0
LAST_PASS_SECONDS_MAX = 1.0
STEP_SECONDS_MAX = 160.0  # systemd waits so long for the next step

StepEntry = tuple[str, float, Callable[..., object]]
STEPS: tuple[StepEntry, ...] = (
    ("configuration and secrets", 10.0, configuration),
    ("observability", 10.0, observability),
    ("database", 90.0, database),
    ("Redis", 30.0, redis),
    ("broker", 95.0, broker),
    ("risk", 15.0, risk),
    ("models and strategies", 60.0, strategies),
    ("market data", 155.0, market_data),
)


def run(options: TradeOptions) -> int:
    """Run the daemon to its end and return its exit code.

    Raises:
        OperatorError: it did not start, or had to stop; the error carries the exit code.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_to_its_end(Daemon(options)))


async def _to_its_end(daemon: Daemon) -> int:
    """Once all is done nobody listens to signals: a second SIGTERM must not turn the exit code into -15."""
    try:
        return await daemon.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)  # else the loop's end sets the default
            signal.signal(number, signal.SIG_IGN)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Daemon:
    """One run: from the first step to the exit code.

    A simulation gives its own `steps`, `edge` and `clock`, and the jitter's seeded `rng`.
    """

    def __init__(
        self,
        options: TradeOptions,
        *,
        steps: Sequence[StepEntry] = STEPS,
        edge: Edge | None = None,
        clock: SystemClock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._steps = steps
        self._report = StartupReport()
        self._stopping = asyncio.Event()
        self._stop_reason = ""
        self._failure: OperatorError | None = None
        self._serving: asyncio.Task[None] | None = None
        self._is_ready = False
        self._interrupts = 0
        self._parts = Parts(
            options=options,
            clock=clock or SystemClock(follows_venue=True),
            inbox=Inbox(on_drop=self._on_drop),
            report=self._report,
            request_stop=self.request_stop,
            fail=self.fail,
            on_task_ended=self._on_task_ended,
            edge=edge or Edge(),
        )
        if rng is not None:
            self._parts.rng = rng

    async def run(self) -> int:
        """Start, trade, stop."""
        started_s = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                self._parts.supervisor = Supervisor(
                    group,
                    on_failure=self._on_task_ended,
                    permit=self._permit_restart,
                    on_restart=self._on_restart,
                    now_s=self._mono_s,
                )
                self._parts.group = group
                self._install_signals()
                self._serving = group.create_task(self._serve(started_s), name="serve")
        except BaseExceptionGroup as group_error:
            raise _first_of(group_error) from group_error  # the group itself says nothing to a person
        if self._failure is not None:
            raise self._failure
        return ExitCode.OK

    def request_stop(self, reason: str) -> None:
        """Stop in order; the first reason counts. During the start the steps reached so far are left again."""
        if self._stopping.is_set():
            return
        self._stop_reason = reason
        self._stopping.set()
        seconds = self._stop_seconds_max()
        self._parts.stop_by_ns = self._parts.clock.mono_ns() + int(seconds * NANOS_PER_SECOND)
        self._parts.edge.end_within(
            seconds,
            exit_code=lambda: ExitCode.TEMPORARY if self._failure is None else self._failure.exit_code,
            describe=self._describe_stop,
        )
        if not self._is_ready and self._serving is not None:
            self._serving.cancel()

    def fail(self, error: OperatorError) -> None:
        """Stop in order, then end with the error's exit code."""
        self._failure = self._failure or error
        self.request_stop(error.message)

    def _stop_seconds_max(self) -> float:
        loaded = getattr(self._parts, "loaded", None)
        if loaded is None or None not in (loaded.settings.database.url, loaded.settings.redis.url):
            return STOP_SECONDS_MAX
        return STOP_WITH_SERVERS_SECONDS_MAX

    def _describe_stop(self) -> str:
        """What a stop that does not end waits for."""
        tasks = [each.name for each in list(self._parts.supervisor.tasks.values()) if not each.has_ended]
        place = "" if self._serving is None else where(self._serving)
        return f"it stands in {place or 'its end'}; tasks that still run: {', '.join(tasks) or 'none'}"

    def _mono_s(self) -> float:
        return self._parts.clock.mono_ns() / NANOS_PER_SECOND

    async def _serve(self, started_s: float) -> None:
        steps = [
            Step(number=number, name=name, timeout_s=timeout_s, enter=lambda enter=enter: enter(self._parts))  # type: ignore[misc]
            for number, (name, timeout_s, enter) in enumerate(self._steps, start=1)
        ]
        try:
            await serve(
                steps,
                report=self._report,
                on_step=self._say_step,
                serve_until_stopped=lambda: self._trade(started_s),
            )
        except OperatorError as error:
            self._failure = self._failure or error
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            self._parts.edge.say(f"stopped during the start: {self._stop_reason}")
        finally:
            self._parts.notifier.stopping()
            await self._parts.supervisor.stop(timeout_s=TASKS_STOP_SECONDS_MAX)

    async def _trade(self, started_s: float) -> None:
        parts = self._parts
        self._is_ready = True
        parts.edge.settle_memory()
        parts.inbox.put(Started(**stamps(parts.clock)), Lane.OPERATOR)
        # Orders wait for what a second measures, the day's loss for one; the timer's next may be a whole second away.
        parts.inbox.put(TimerFired(name=SECOND, **stamps(parts.clock)), Lane.TIMERS)
        parts.is_ready = True
        parts.notifier.ready(parts.status_line())
        self._parts.edge.say(f"READY in {time.monotonic() - started_s:.1f} s · {parts.banner()}")
        self._parts.edge.say(f"dashboard http://{parts.http_address}/ · Ctrl-C stops in order")
        parts.log.info("ready", duration_s=round(time.monotonic() - started_s, 3), http=parts.http_address)
        if parts.settings.trade.duration_seconds is not None:
            asyncio.get_running_loop().call_later(
                parts.settings.trade.duration_seconds, self.request_stop, "the asked duration is over"
            )
        await self._stopping.wait()
        parts.is_ready = False
        self._parts.edge.say(f"stopping: {self._stop_reason}")
        await self._wind_down()

    async def _wind_down(self) -> None:
        """Close the gate, cancel entries, wait until the fate of every order is known, write the report."""
        parts = self._parts
        parts.notifier.stopping()
        failpoint("stop.asked")
        parts.inbox.put(Stopping(reason=self._stop_reason, **stamps(parts.clock)), Lane.OPERATOR)
        await wait_until(
            lambda: (
                parts.inbox.is_control_empty
                and parts.gateway.is_idle
                and parts.engine.live_orders == 0
                and parts.engine.are_stops_in_place
            ),
            timeout_s=ORDERS_SETTLE_SECONDS_MAX,
        )
        failpoint("stop.orders_settled")
        passes = parts.reconciler.passes
        parts.reconciler.request()
        await wait_until(lambda: parts.reconciler.passes > passes, timeout_s=LAST_PASS_SECONDS_MAX)
        await wait_until(lambda: parts.inbox.is_control_empty, timeout_s=LAST_PASS_SECONDS_MAX)
        failpoint("stop.last_pass_read")
        view = parts.engine.view()
        if view.open_orders:
            self._parts.edge.say(
                f"{len(view.open_orders)} orders are still open at the broker: see `orders` after the next start"
            )
        if view.unknown_orders:
            self._parts.edge.say(
                f"{view.unknown_orders} orders have an unknown fate; the next start asks the broker first"
            )
        failpoint("stop.before_report")
        parts.write_report(view, self._stop_reason)
        parts.log.info("stopping", reason=self._stop_reason, open_orders=len(view.open_orders))

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # a closed terminal is no reason to stop trading

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(ExitCode.INTERRUPTED)  # a second Ctrl-C: at once; embedded servers die with us
        self.request_stop("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    def _on_task_ended(self, ended: TaskEnded) -> None:
        cause = ended.cause
        self._parts.note_component_error(ended.name)
        if isinstance(cause, SafetyRefusal) and ended.name == "lease" and self._parts.settings.trade.is_standby:
            self.fail(TemporaryFailure(cause.message, fix="a restart stands by"))
        elif isinstance(cause, OperatorError):
            self.fail(cause)
        elif isinstance(cause, BrokerAuthError):
            self.fail(
                OperatorError(
                    str(cause), fix="check the keys and their plan, then start again", exit_code=ExitCode.BROKER
                )
            )
        else:
            self.fail(TemporaryFailure(str(ended), fix="see the log; a restart recovers from the database"))

    async def _permit_restart(self, name: str, cause: BaseException | None) -> bool:
        """Every restart is counted; the one too many waits, HALTED, for a person's reset."""
        self._parts.note_component_error(name)
        why = "it returned" if cause is None else repr(cause)
        await self._parts.healer.wait_allowed(HealingAction.TASK_RESTART, name, why)
        return True

    def _on_restart(self, name: str, cause: BaseException | None) -> None:
        why = "it returned" if cause is None else repr(cause)
        self._parts.healer.ended(HealingAction.TASK_RESTART, name, DONE, why)
        self._parts.log.warning("task_restarted", task=name, cause=why)

    def _on_drop(self, lane: Lane, count: int) -> None:
        self._parts.note_dropped(lane, count)

    def _say_step(self, entry: StepReport) -> None:
        self._parts.edge.say(
            f"[{entry.number}/{len(self._steps)}] {entry.name:<26} {entry.seconds:6.2f} s  {entry.detail}"
        )
        self._parts.notifier.status(f"starting: {entry.name} ready")
        self._parts.notifier.extend_timeout(STEP_SECONDS_MAX)


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
