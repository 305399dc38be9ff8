"""Faults of the daemon's stores: database, Redis, disk. Rows F4, F5, F7, F8, F11."""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.events import LatchSeen
from quant_trading_system.core.types import Latch, Store
from tests.simulation.backup import restore_database
from tests.simulation.faults.stage import Player, Stage
from tests.simulation.stores import Kind, Trouble

EVER_S = 1e9


def commit_lost(stage: Stage) -> None:
    kind = Kind.CUT_AFTER if stage.number_of("done") else Kind.CUT_BEFORE
    outcome = "commit.ambiguous_done" if stage.number_of("done") else "commit.ambiguous_undone"
    _trouble(stage, Trouble(kind, where="commit", probability=stage.number_of("probability")), outcome)


def statement_fails(stage: Stage) -> None:
    how, probability = stage.word("how"), stage.number_of("probability")
    if how == "pool":
        _trouble(stage, Trouble(Kind.ERROR, where="connect", probability=probability, error="too_many_connections"))
    else:
        _trouble(stage, Trouble(Kind.ERROR, probability=probability, error=how))


def database_slow(stage: Stage) -> None:
    delay_s = stage.number_of("delay_s")
    _slow(stage, stage.world.database.slowness_s, delay_s)


def _trouble(stage: Stage, trouble: Trouble, outcome: str = "") -> None:
    database = stage.world.database
    database.add_trouble(trouble)

    def undo() -> None:
        for _ in range(trouble.met):
            stage.reach()
            if outcome:
                stage.world.reach(outcome)
        if trouble in database.troubles:
            database.troubles.remove(trouble)

    stage.at_end(undo)


def database_down(stage: Stage) -> None:
    stage.world.database.go_down()
    stage.reach()
    stage.at_end(stage.world.database.come_up)


def redis_down(stage: Stage) -> None:
    redis = stage.world.redis
    redis.is_up = False
    stage.reach()
    stage.at_end(lambda: setattr(redis, "is_up", True))


def redis_slow(stage: Stage) -> None:
    _slow(stage, stage.world.redis.slowness_s, stage.number_of("delay_s"))


def _slow(stage: Stage, slowness_s: list[float], delay_s: float) -> None:
    """Two may overlap; each takes its own away."""
    slowness_s.append(delay_s)
    stage.reach()
    stage.at_end(lambda: slowness_s.remove(delay_s))


def redis_flushed(stage: Stage) -> None:
    if stage.word("when", "now") == "now":
        stage.world.redis.flush()
        stage.reach()
    else:
        # The reading ends while the intent is stored: right behind that the bytes leave without a turn for the engine.
        stage.at_end(stage.world.at_failpoint("gateway.before_intent_commit", lambda: _miss_mirror(stage)))


def _miss_mirror(stage: Stage) -> None:
    """The mirror is gone, and a reading that finds it so ends before the order under way is written."""
    process = stage.world.process
    if process is None or process.engine is None:
        return
    stage.world.redis.flush()
    stage.reach()
    told = LatchSeen(store=Store.REDIS, latch=Latch.MISSING, reason="flushed", **stamps(process.clock))
    process.parts.inbox.put(told, Lane.OPERATOR)


def database_restored(stage: Stage) -> None:
    """The process dies, as do all that it left behind, and a backup takes the place of their database."""
    world = stage.world
    if world.put_away is None and world.crash(stage.number_of("down_s")):
        stage.reach()
        world.end_former()
        restore_database(world, stage.number_of("age_s"), has_mark=bool(stage.number_of("mark")))


def redis_restored(stage: Stage) -> None:
    redis = stage.world.redis
    if stage.word("how") == "types":
        redis.spoil()
    else:
        redis.restore()
    stage.reach()


def disk_full(stage: Stage) -> None:
    disk = stage.world.disk
    disk.free_bytes = 0
    stage.reach()
    stage.at_end(lambda: setattr(disk, "free_bytes", None))


def swizzle(stage: Stage) -> None:
    """Links stop one by one, and heal in another order."""
    world = stage.world
    links: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: world.network.block(stage.number), lambda: world.network.unblock(stage.number)),
        (lambda: world.streams.block(stage.number), lambda: world.streams.unblock(stage.number)),
        (lambda: world.feed.block(stage.number), lambda: world.feed.unblock(stage.number)),
        (world.database.go_down, world.database.come_up),
        (lambda: setattr(world.redis, "is_up", False), lambda: setattr(world.redis, "is_up", True)),
    ]
    stopping = list(range(len(links)))
    stage.chance.shuffle(stopping)
    healing = list(stopping)
    stage.chance.shuffle(healing)
    step_s = stage.fault.for_s / (2 * len(links))
    for place, link in enumerate(stopping):
        stage.later(place * step_s, links[link][0])
    for place, link in enumerate(healing):
        stage.later((len(links) + place) * step_s * 0.99, links[link][1])
    stage.at_end(lambda: [link[1]() for link in links])
    stage.reach()


PLAYERS: dict[str, Player] = {
    each.__name__: each
    for each in (
        commit_lost, statement_fails, database_slow, database_down, redis_down, redis_slow, redis_flushed,
        redis_restored, disk_full, swizzle, database_restored,
    )
}  # fmt: skip
