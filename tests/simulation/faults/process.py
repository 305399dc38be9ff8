"""Faults of the daemon's own process: power cuts, kills, clocks, suspension, dying tasks, a second one. E, F, H, K."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.kill_latch import KILL_FILE
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.events import OperatorAsked
from quant_trading_system.core.values import OrderIntent
from quant_trading_system.engine.engine import Engine
from quant_trading_system.persistence.latch_file import FILE_NAME
from quant_trading_system.risk.context import MissingInput, RiskContext
from quant_trading_system.risk.rules.base import Rule
from tests.simulation.daemon import STATE_DIR
from tests.simulation.faults.stage import Player, Stage, is_post
from tests.simulation.http import Fate
from tests.simulation.venue import Request

if TYPE_CHECKING:
    from tests.simulation.world import World

OPERATOR_TRIES = 20
OPERATOR_PAUSE_S = 10.0
RESUME_PAUSE_S = 4.0
READY_LOOK_S = 0.01
AFTER_COMMIT = "gateway.after_intent_commit"
GATEWAY = "order-gateway"
HIDING = ("read_empty", "read_partial", "read_stale", "order_mute", "duplicate_unshown")
"""While one of these lasts the broker may list no order of ours."""


def ask(stage: Stage, command: str, *, reason: str = "planned", **arguments: str) -> bool:
    """A person commands the daemon. Returns whether there was one to command."""
    return command_daemon(stage.world, command, reason=reason, number=stage.number, **arguments)


def look_for_lost_orders(world: World) -> None:
    """A person looks at the broker for orders that the daemon takes to be there, and says so where there are none.

    Shares that nobody could explain made them suspect, and only a person can take that back.
    """
    orders = () if world.engine is None else tuple(world.engine._desk.orders.live())
    for order in orders:
        if (
            order.is_unknown
            and order.exists_at_broker
            and order.client_order_id not in world.exchange._index._by_client_id
        ):
            command_daemon(world, "unlock", reason="the broker has none", number=-1, symbol=order.symbol)


def command_daemon(world: World, command: str, *, reason: str, number: int, **arguments: str) -> bool:
    """Put a person's command into the daemon's inbox, where it is ready to take one."""
    process = world.process
    if process is None or process.engine is None or not process.parts.is_ready:
        return False
    process.parts.inbox.put(
        OperatorAsked(
            command=command,
            operator="planner",
            reason=reason,
            request_id=f"{command}-{number}-{world.loop.handled}",
            arguments=arguments,
            **stamps(process.clock),
        ),
        Lane.OPERATOR,
    )
    return True


def _reset_later(stage: Stage, delay_s: float) -> None:
    """A person resets the kill switch, and tries again while it is refused."""
    if not delay_s:
        return

    def again(left: int) -> None:
        engine = stage.world.engine
        if engine is not None and not engine._desk.kill.blocks and left < OPERATOR_TRIES:
            stage.world.reach("kill.reset")
            return
        ask(stage, "reset")
        if left:
            stage.later(OPERATOR_PAUSE_S, lambda: again(left - 1))

    stage.later(delay_s, lambda: again(OPERATOR_TRIES))


# E. limits, guards, kill


def decisions_at_once(stage: Stage) -> None:
    world = stage.world
    world.everybody_decides = True
    stage.reach()
    stage.at_end(lambda: setattr(world, "everybody_decides", False))


def kill(stage: Stage) -> None:
    by = stage.word("by")
    done: list[None] = []

    def engage() -> None:
        if not done and ask(stage, "kill"):
            done.append(None)
            stage.reach()

    if by == "operator":
        _until_done(stage, engage, done)
    elif by == "file":
        stage.world.disk.write_outside(f"{STATE_DIR}/{KILL_FILE}", b"")
        stage.reach()
    elif by == "between_check_and_write":
        _at_next_post(stage, engage)
    else:
        stage.at_end(stage.world.at_failpoint(AFTER_COMMIT, engage))
    _reset_later(stage, stage.number_of("reset_after_s"))


def _until_done(stage: Stage, act: Callable[[], None], done: list[None]) -> None:
    def again(left: int) -> None:
        act()
        if not done and left and not stage.is_over:
            stage.later(1.0, lambda: again(left - 1))

    again(60)


def _at_next_post(stage: Stage, act: Callable[[], None]) -> None:
    rules = stage.world.network.rules

    def rule(request: Request, _fate: Fate) -> None:
        if is_post(request):
            rules.pop(stage.number, None)
            act()

    rules[stage.number] = rule
    stage.at_end(lambda: rules.pop(stage.number, None))


def operator(stage: Stage) -> None:
    """A person pauses, and resumes at the end; or cancels everything."""
    command = stage.word("command")
    if not ask(
        stage,
        command.partition("-")[0] if command.startswith("pause") else command,
        cancel="true" if command == "pause-cancel" else "false",
    ):
        return
    stage.reach()
    if command != "cancel-all":
        stage.at_end(lambda: _resume(stage))


def _resume(stage: Stage) -> None:
    """To the end: a life that died before its word was stored is followed by one that is paused."""
    engine = stage.world.engine
    if engine is not None and any(cause.cause == "paused" for cause in engine._desk.guards.causes()):
        ask(stage, "resume")
    stage.later(RESUME_PAUSE_S, lambda: _resume(stage))


def kill_then_crash(stage: Stage) -> None:
    world, down_s = stage.world, stage.number_of("down_s")
    if not ask(stage, "kill"):
        return
    stage.reach()

    def die() -> None:
        world.redis.flush()
        world.database.go_down()
        stage.later(down_s * 0.9, world.database.come_up)
        world.crash(down_s)

    stage.later(stage.chance.uniform(0.0, 0.05), die)
    _reset_later(stage, stage.number_of("reset_after_s"))


def control_fails(stage: Stage) -> None:
    """One control of the living gate fails, and of the gates of later lives until the end."""
    how, part = stage.word("how"), stage.number_of("rule")
    spoilt: list[tuple[Engine, tuple[Rule, ...]]] = []

    def spoil(engine: Engine) -> None:
        gate = engine._desk.gate
        rules = gate._rules
        place = min(len(rules) - 1, int(part * len(rules)))
        spoilt.append((engine, rules))
        gate._rules = (*rules[:place], _Failing(rules[place], how, stage), *rules[place + 1 :])

    def undo() -> None:
        stage.world.engine_rules.pop(stage.number, None)
        for engine, rules in spoilt:
            engine._desk.gate._rules = rules

    if stage.world.engine is not None:
        spoil(stage.world.engine)
    stage.world.engine_rules[stage.number] = spoil
    stage.at_end(undo)


class _Failing:
    """A control that raises, answers nonsense, or lacks its input."""

    def __init__(self, rule: Rule, how: str, stage: Stage) -> None:
        self.control, self.name = rule.control, rule.name
        self._how = how
        self._stage = stage

    def check(self, intent: OrderIntent, context: RiskContext) -> Any:
        del intent, context
        self._stage.reach()
        if self._how == "missing":
            raise MissingInput("the plan takes it away")
        if self._how == "nonsense":
            return 1 / 0 if self._stage.chance.random() < 0.5 else float("nan").as_integer_ratio()
        raise RuntimeError("the plan lets it fail")


# F. death


def crash(stage: Stage) -> None:
    if stage.world.crash(stage.number_of("down_s")):
        stage.reach()


def crash_at_failpoint(stage: Stage) -> None:
    name = stage.word("point")

    def die() -> None:
        stage.reach()
        stage.world.reach(f"crash.{name}")
        stage.world.crash_now(stage.number_of("down_s"))

    stage.at_end(stage.world.at_failpoint(name, die, hit=int(stage.number_of("hit", 1.0))))


def crash_in_recovery(stage: Stage) -> None:
    depth, after_s = int(stage.number_of("depth")), stage.number_of("after_s")
    world = stage.world

    def again(left: int) -> None:
        if world.crash(0.5):
            stage.reach()
            world.reach("crash.in_recovery")
        if left:
            stage.later(0.5 + after_s, lambda: again(left - 1))

    again(depth)


def database_emptied(stage: Stage) -> None:
    """The daemon comes back to an empty database beside its old state directory; the real one returns later."""
    world, down_s = stage.world, stage.number_of("down_s")
    if not world.crash(1.0):
        return
    stage.reach()
    stage.later(down_s, world.put_database_away())


def latch_torn(stage: Stage) -> None:
    """The power goes while the latch file is written."""
    world = stage.world

    def die() -> None:
        stage.reach()
        world.crash(stage.number_of("down_s"))
        if world.disk.read(f"{STATE_DIR}/{FILE_NAME}") is not None:
            world.disk.tear(f"{STATE_DIR}/{FILE_NAME}", stage.number_of("keep"))
        world.loop.vanish()

    if ask(stage, "kill"):
        stage.at_end(world.at_failpoint("latch_file.before_rename", die))
        _reset_later(stage, 60.0)


def sigterm(stage: Stage) -> None:
    world = stage.world
    if world.process is not None:
        world.restart_pause_s = stage.number_of("down_s")
        world.process.daemon.request_stop("SIGTERM")
        stage.reach()


# H. clock and runtime


def wall_jump(stage: Stage) -> None:
    world, jump_ns = stage.world, int(stage.number_of("jump_s") * 1e9)

    def shift(by_ns: int) -> None:
        world.wall_offset_ns += by_ns

    shift(jump_ns)
    stage.reach()
    stage.at_end(lambda: shift(-jump_ns))


def suspend(stage: Stage) -> None:
    world = stage.world

    def freeze() -> None:
        process = world.process
        if process is not None and not world.loop.is_frozen(process.life):
            world.loop.freeze(process.life)
            stage.reach()
            stage.at_end(lambda: world.loop.thaw(process.life))

    stage.at_moment(freeze)


def task_dies(stage: Stage) -> None:
    process, how = stage.world.process, stage.word("how")
    if process is None or not process.parts.is_ready:
        return
    tasks = [each for each in process.parts.supervisor.tasks.values() if each.task is not None and not each.task.done()]
    chosen = tasks[min(len(tasks) - 1, int(stage.number_of("task") * len(tasks)))]
    task = chosen.task
    assert task is not None, "chosen so"
    stage.reach()
    stage.world.trace(f"task {chosen.name} {how}")
    if how == "cancelled":
        task.cancel()
        return
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Future) and not isinstance(waiter, asyncio.Task) and not waiter.done():
        stage.world.loop.forget(waiter)
        waiter.set_exception(RuntimeError("the plan lets it fail") if how == "raises" else StopAsyncIteration())
    else:
        task.cancel()


def cancelled_at_await(stage: Stage) -> None:
    """The order path's task is cancelled at one of its awaits while it sends."""
    world, chance = stage.world, Random(stage.number_of("hit"))
    waits_until_s = min(world.elapsed_s + 300.0, world.plan.chaos_s)

    def look() -> None:
        process = world.process
        if process is not None and process.engine is not None and process.parts.is_ready:
            gateway = process.parts.supervisor.tasks.get(GATEWAY)
            if process.parts.gateway.in_flight and gateway is not None and gateway.task is not None:
                stage.reach()
                gateway.task.cancel()
                return
        if world.elapsed_s < waits_until_s and not stage.is_over:
            stage.later(chance.uniform(0.001, 0.02) if world.is_order_young() else 0.25, look)

    look()


# K. a second daemon


def second_daemon(stage: Stage) -> None:
    """Beside the database that trades, or with one of its own: then the orders at the broker under our prefix tell it
    that somebody trades the account. Where there are none yet, or the broker lists none, it is a first start, and
    nobody can tell."""
    world = stage.world
    started = [fault for fault in world.plan.faults if fault.at_s <= stage.fault.ends_s]
    is_hidden = any(fault.kind in HIDING and fault.ends_s > stage.fault.at_s for fault in started)
    has_own = bool(stage.number_of("own"))
    if has_own and not any(id_.startswith("qts-") for id_ in world.exchange._index._by_client_id):
        return
    other = world.start_other(has_own_database=has_own)
    stage.reach()

    def end() -> None:
        if has_own and not is_hidden and other.engine is not None and other.parts.is_ready:
            world.violation("F5: a daemon of another database trades with the account")
        world.stop_other(other)

    def look() -> None:
        """Who could not tell is ended before it trades: of two books of one account no rule holds."""
        if other.engine is not None and other.parts.is_ready:
            end()
        elif not stage.is_over:
            stage.later(READY_LOOK_S, look)

    stage.at_end(end)
    if has_own and is_hidden:
        look()


def _borrow_other(stage: Stage, for_s: float) -> None:
    other = stage.world.start_other()
    stage.later(for_s, lambda: stage.world.stop_other(other))


def lease_lost(stage: Stage) -> None:
    world = stage.world
    if world.process is None:
        return
    for session in list(world.database.advisory.values()):
        if session.incarnation == world.process.life.number:
            stage.reach()
            if stage.word("how") == "unnoticed":
                session.vanish()
            else:
                session.fall("connection was cut")
            if stage.word("how") != "connection":
                _borrow_other(stage, 30.0)


def takeover(stage: Stage) -> None:
    """The process stands still beyond its lease beside a standby. Where that took over, the first, when it goes on,
    must not send a byte; where it could not (no database), the first leads on."""
    world = stage.world

    def freeze() -> None:
        former = world.process
        if former is not None and not world.loop.is_frozen(former.life):
            world.loop.freeze(former.life)
            world.start_standby()
            stage.reach()
            stage.later(stage.number_of("frozen_s"), lambda: world.loop.thaw(former.life))

    stage.at_moment(freeze)


PLAYERS: dict[str, Player] = {
    each.__name__: each
    for each in (
        decisions_at_once, kill, operator, kill_then_crash, control_fails, crash, crash_at_failpoint, crash_in_recovery,
        database_emptied, latch_torn, sigterm, wall_jump, suspend, task_dies, cancelled_at_await, second_daemon,
        lease_lost, takeover,
    )
}  # fmt: skip
