"""Step 5: the account verified, `trade_updates` listening, orders, positions and fills recovered and reconciled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

from quant_trading_system.adapters.alpaca.answers import Asset
from quant_trading_system.adapters.alpaca.cancel import CancelClient
from quant_trading_system.adapters.alpaca.orders import OrderClient
from quant_trading_system.adapters.alpaca.trade_stream import TradeStream
from quant_trading_system.app.engine_loop import EngineLoop
from quant_trading_system.app.gateway import OrderGateway
from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.patience import ask_patiently
from quant_trading_system.app.performers import Performers
from quant_trading_system.app.reconciler import Reconciler
from quant_trading_system.app.restart_report import RestartTally, shown_lines
from quant_trading_system.app.settings import to_limits, to_strategies
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.steps.broker_access import open_broker
from quant_trading_system.app.supervisor import BEAT_SECONDS_MAX, RESTARTABLE
from quant_trading_system.app.survey import refuse_forgotten, survey_account
from quant_trading_system.app.timed_strategy import TimedStrategy
from quant_trading_system.app.venue import VenueWatch
from quant_trading_system.app.waiting import wait_until
from quant_trading_system.app.watch import Watch
from quant_trading_system.core.broker import BrokerAccount
from quant_trading_system.core.effects import CycleStream
from quant_trading_system.core.errors import SafetyRefusal, TemporaryFailure
from quant_trading_system.core.events import LeaseSeen, Restored
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.records import AuditRecord
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.types import NANOS_PER_SECOND, ClientOrderId, Mode, Nanos, Symbol
from quant_trading_system.engine.config import EngineConfig
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.recovery import load_restored
from quant_trading_system.risk.healing import HealingLimits

SYMBOLS_OF_EXCHANGE_MAX = 200
RECONCILED_SECONDS_MAX = 45.0  # a login that is never answered takes ten of them
TASKS_STOP_SECONDS_MAX = 2.0
CORRECTED_HOURS = 96  # of venue time, after a restart: a venue may have taken back what was executed before a weekend
LOOK_BACK_HOURS = 24  # of venue time, at a first start: whose orders are these?


@asynccontextmanager
async def broker(parts: Parts) -> AsyncIterator[str]:
    """Connect to the broker, build the engine, recover, and reconcile before anything may trade."""
    async with AsyncExitStack() as stack:
        account = await open_broker(parts, stack)
        restored = await load_restored(parts.database, stamps=stamps(parts.clock))
        failpoint("recovery.after_load")
        restored, let_be = await survey_account(parts, restored)
        failpoint("recovery.after_survey")
        await parts.progress.begin(restored.guards)
        parts.restart = RestartTally(
            previous=parts.lease.previous,
            restored=restored,
            why_restored=parts.instance.restored,
            wall_ns=parts.clock.wall_ns(),
        )
        symbols = await _symbols(parts)
        _build(parts, account, symbols, restored, stack)
        _start_loops(parts, stack)
        _tell_first(parts, restored)
        failpoint("first_pass.before")
        await _wait_reconciled(parts)
        failpoint("first_pass.after")
        _refuse_foreign(parts, let_be)
        await refuse_forgotten(parts)
        _tell_restart(parts, restored)
        parts.supervisor.start("high-water", parts.progress.run, owner="stores", **RESTARTABLE)
        stack.callback(parts.progress.write)
        masked = account.account_number[:2] + "…" + account.account_number[-3:]
        failpoint("step.broker.entered")
        yield f"account {masked} · {account.status} · equity ${account.equity_usd:,.2f} · reconciled"
    failpoint("step.broker.left")


async def _symbols(parts: Parts) -> tuple[Symbol, ...]:
    """What strategies may trade: the setting; in sim, where it is unset, whatever the exchange lists."""
    universe = parts.settings.universe
    if universe.symbols is not None:
        chosen = [Symbol(symbol) for symbol in universe.symbols]
    elif parts.mode is Mode.SIM:
        assets: list[Asset] = await ask_patiently(parts.read.assets)
        chosen = sorted(asset.symbol for asset in assets if asset.tradable)[:SYMBOLS_OF_EXCHANGE_MAX]
    else:
        chosen = [Symbol("AAPL"), Symbol("MSFT"), Symbol("GOOGL")]  # R219
    return tuple(symbol for symbol in chosen if symbol not in universe.restricted)


def _build(
    parts: Parts, account: BrokerAccount, symbols: tuple[Symbol, ...], restored: Restored, stack: AsyncExitStack
) -> None:
    settings, metrics = parts.settings, parts.metrics
    assert metrics is not None, "metrics come before the engine"
    tape_folder = parts.state_dir / "tape"
    parts.tape = parts.edge.open_tape(tape_folder)
    stack.callback(_close_tape, parts)
    parts.engine = parts.edge.make_engine(
        EngineConfig(
            mode=parts.mode,
            account=account.account_number,
            instance=parts.instance.token,
            former_instances=parts.instance.former,
            symbols=symbols,
            reference_symbol=Symbol(settings.universe.reference_symbol),
            strategies=to_strategies(settings),
            limits=to_limits(settings),
            capital_usd=settings.portfolio.capital_usd,
            is_dry_run=settings.trade.is_dry_run,
            drift_band_fraction=Decimal(settings.portfolio.drift_band_fraction),
            signal_seconds_max=settings.orders.signal_seconds_max,
            kill_cancels_stops=settings.orders.kill_cancels_stops,
            entry_order_seconds_max=settings.orders.entry_seconds_max,
            feed_silence_seconds_max=settings.data.silence_seconds_max,
            healing=HealingLimits(**settings.healing_actions_per_day_max.model_dump()),
        ),
        next_sequence=restored.next_sequence,
        observe=lambda strategy: TimedStrategy(strategy, metrics.on_strategy_evaluation, parts.record_log.write_signal),
    )
    parts.gateway = OrderGateway(
        client=OrderClient(parts.http),
        intents=IntentStore(parts.database),
        checks=parts.engine,
        inbox=parts.inbox,
        clock=parts.clock,
        epoch=lambda: parts.lease.epoch,
        on_first_byte=metrics.on_tick_to_order,
        pulse=parts.supervisor.pulse("order-gateway"),
    )
    parts.reconciler = Reconciler(
        read=parts.read,
        inbox=parts.inbox,
        clock=parts.clock,
        since_ns=_look_back(restored.last_stop_ns, parts.clock.venue_ns()),
        oldest_live_ns=lambda: parts.engine.oldest_live_ns,
        pulse=parts.supervisor.pulse("reconciler"),
        reaches_back_ns=lambda: parts.engine.reaches_back_ns,
    )
    parts.performers = Performers(
        group=parts.group,
        inbox=parts.inbox,
        clock=parts.clock,
        gateway=parts.gateway,
        read=parts.read,
        cancel=CancelClient(parts.http),
        reconciler=parts.reconciler,
        latch=parts.latch,
        remember=parts.remember,
        answer=parts.port.answer,
        standing_stops=lambda: parts.engine.standing_stops(),
        on_failure=parts.on_task_ended,
        cycle_stream=lambda effect: _cycle_stream(parts, effect),
        allow_healing=parts.healer.on_answer,
        refusal_to_cancel=lambda is_urgent: parts.lease.refusal_to_cancel(is_urgent=is_urgent),
    )
    stack.push_async_callback(parts.performers.stop)
    parts.port.read_view = parts.engine.view


def _cycle_stream(parts: Parts, effect: CycleStream) -> None:
    parts.log.warning("stream_cycled", stream=effect.stream.value, reason=effect.reason)
    parts.trade_stream.cycle()


def _look_back(last_stop_ns: Nanos | None, now_ns: Nanos) -> Nanos:
    """Since when the first pass must list what happened."""
    if last_stop_ns is None:
        return Nanos(now_ns - LOOK_BACK_HOURS * 3_600 * NANOS_PER_SECOND)
    return Nanos(min(last_stop_ns, now_ns - CORRECTED_HOURS * 3_600 * NANOS_PER_SECOND))


def _close_tape(parts: Parts) -> None:
    try:
        parts.tape.close()
    except OSError as error:
        parts.log.error("tape_not_written", reason=str(error), dropped=parts.tape.dropped)


def _start_loops(parts: Parts, stack: AsyncExitStack) -> None:
    start = parts.supervisor.start
    watch = Watch(parts)
    loop = EngineLoop(
        engine=parts.engine,
        inbox=parts.inbox,
        tape=parts.tape,
        perform=parts.performers.perform,
        on_progress=watch.on_progress,
    )
    parts.trade_stream = TradeStream(
        parts.endpoints,
        parts.credentials,
        parts.clock,
        lambda event: parts.inbox.put(event, Lane.ORDERS),
        rng=parts.rng,
        open_socket=parts.edge.open_socket,
        settings=parts.edge.stream_settings,
        on_problem=lambda reason: parts.log.warning("trade_updates_unreadable", reason=reason),
    )
    start("engine", loop.run, owner="engine", beat_seconds_max=BEAT_SECONDS_MAX)
    parts.is_engine_running = True
    start("order-gateway", parts.gateway.run, owner="orders", beat_seconds_max=BEAT_SECONDS_MAX)
    start("reconciler", parts.reconciler.run, owner="orders", beat_seconds_max=BEAT_SECONDS_MAX)
    start("trade-updates", parts.trade_stream.run, owner="orders")
    start(
        "kill-latch",
        lambda: parts.latch.watch(on_touched=watch.on_touched, on_tick=lambda: parts.supervisor.beat("kill-latch")),
        owner="safety",
        beat_seconds_max=BEAT_SECONDS_MAX,
    )
    start("tape", watch.run_tape, owner="stores", **RESTARTABLE)
    start("timers", watch.run_timers, owner="engine", beat_seconds_max=BEAT_SECONDS_MAX)
    start("health", watch.run_health, owner="engine", beat_seconds_max=BEAT_SECONDS_MAX)
    start("live-state", watch.run_live_state, owner="stores", **RESTARTABLE)
    start("venue-clock", VenueWatch(parts).run, owner="broker", **RESTARTABLE)
    stack.push_async_callback(watch.close)
    stack.push_async_callback(
        parts.supervisor.stop, "engine", "orders", "safety", "broker", timeout_s=TASKS_STOP_SECONDS_MAX
    )


def _tell_first(parts: Parts, restored: Restored) -> None:
    """The engine's first events: what the database knew, who holds the lease; then a first pass is asked for."""
    parts.inbox.put(restored, Lane.OPERATOR)
    parts.inbox.put(
        LeaseSeen(
            held=parts.lease.is_held,
            epoch=parts.lease.epoch,
            deadline_mono_ns=parts.lease.deadline_mono_ns,
            **stamps(parts.clock),
        ),
        Lane.OPERATOR,
    )
    parts.reconciler.request()


async def _wait_reconciled(parts: Parts) -> None:
    """Until a pass agreed with our books, or its differences were dealt with, and both sides are known.

    Raises:
        TemporaryFailure: not within `RECONCILED_SECONDS_MAX`.
    """
    engine = parts.engine
    if not await wait_until(
        lambda: engine.is_reconciled and engine.is_trade_stream_up, timeout_s=RECONCILED_SECONDS_MAX
    ):
        raise TemporaryFailure(
            f"not reconciled with the broker within {RECONCILED_SECONDS_MAX:.0f} s: {engine.reconciliation_state}",
            fix="see the log; a start after the broker is back recovers",
        )


def _refuse_foreign(parts: Parts, let_be: frozenset[ClientOrderId]) -> None:
    """Another database of this program traded while this one recovered: two books of one account cannot both be right.

    Raises:
        SafetyRefusal: naming one of its orders.
    """
    foreign = [each for each in parts.engine.foreign_orders if each not in let_be]
    if foreign:
        raise SafetyRefusal(
            f"another database of this program trades on this account now: it made {foreign[0]}; "
            f"this one is {parts.instance.token}",
            fix="stop the other daemon, or start this one with its database",
        )


def _tell_restart(parts: Parts, restored: Restored) -> None:
    """What happened while we were down: on the terminal, in the log, in the audit trail, on disk, in the API."""
    tally = parts.restart
    assert tally is not None, "it listens since the engine was built"
    report = tally.conclude(parts.engine.view(), venue_ns=parts.clock.venue_ns(), calendar=SessionCalendar())
    for line in shown_lines(report.lines):
        parts.edge.say(f"      {line}")
    parts.log.info("restart", lines=list(report.lines), down_s=report.down_seconds, first=restored.is_first_start)
    now = stamps(parts.clock)
    parts.remember(
        AuditRecord(
            venue_ns=now["venue_ns"],
            seen_ns=now["seen_ns"],
            actor="recovery",
            action="restart",
            reason=report.lines[0],
            outcome="restored" if report.restored else "first start" if report.is_first_start else "recovered",
            details={str(number): line for number, line in enumerate(report.lines)},
        )
    )
    parts.keep_restart()
