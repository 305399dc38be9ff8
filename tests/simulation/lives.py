"""The lives of the daemon in one world. Decides what its machine does when a process starts, ends, loses its power."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.errors import ExitCode
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.engine.engine import Engine
from tests.simulation.daemon import Process
from tests.simulation.loop import LIFE, DetLoop, Life, in_life
from tests.simulation.stores import DatabaseModel

if TYPE_CHECKING:
    from contextvars import Context

    from tests.simulation.feed import Feed
    from tests.simulation.stores import DiskModel
    from tests.simulation.streams import TradeStreams

OTHER_NUMBERS = 1_000
"""Other daemons than the one under test are numbered from here on."""
LEADS = "lease.after_take"
"""The failpoint at which a process has just begun to lead."""


class _Waiting:
    """Somebody waits for a failpoint to be passed."""

    __slots__ = ("act", "left")

    def __init__(self, act: Callable[[], None], left: int) -> None:
        self.act = act
        self.left = left


class Lives:
    """The part of a world that starts and ends processes."""

    loop: DetLoop
    context: Context
    database: DatabaseModel
    disk: DiskModel
    feed: Feed
    streams: TradeStreams
    checkers: Any
    restart_pause_s: float
    trace: Callable[[str], None]
    reach: Callable[[str], None]
    _hash: Any
    _encode: Callable[[object], bytes]
    _keeps_trace: bool

    def __init__(self) -> None:
        self.process: Process | None = None
        self.engine: Engine | None = None
        self.exit_text = ""
        self.incarnation = 0
        self.crashes = 0
        self.is_over = False
        self.others: list[Process] = []
        self.engine_rules: dict[int, Callable[[Engine], None]] = {}
        """Done to every new engine while a fault lasts."""
        self._waiting: dict[str, list[_Waiting]] = {}
        self._born = 0
        self._standbys: list[Process] = []
        """Waiting to lead. One that does is the daemon from then on."""
        self._former: list[Process] = []

    @property
    def is_database_up(self) -> bool:
        """Whether the daemon's database takes connections."""
        return self.database.is_up

    # starting

    def start_daemon(self) -> None:
        """The machine's supervisor starts the daemon, unless one runs."""
        if self.process is not None or self.is_over:
            return
        self.process = Process(self, self._new_life())  # type: ignore[arg-type]
        self.incarnation = self._born
        self.trace("daemon starts")
        self.checkers.on_start()
        self.loop.start_life(self.process.life, self.process.run())

    def _new_life(self) -> Life:
        self._born += 1
        return Life(self._born)

    def start_standby(self) -> None:
        """Somebody starts a standby beside the daemon, with its database and on its directory."""
        standby = Process(self, self._new_life(), is_standby=True)  # type: ignore[arg-type]
        self.trace(f"standby {standby.life.number} starts")
        self._standbys.append(standby)
        self.loop.start_life(standby.life, standby.run())

    def start_other(self, *, has_own_database: bool = False) -> Process:
        """Somebody starts another daemon with the same account on another machine, and the same database or its own."""
        number = OTHER_NUMBERS + len(self.others)
        database = DatabaseModel(Random(number)) if has_own_database else self.database
        life = Life(number)
        other = Process(self, life, state_dir=f"/other-{number}", database=database)  # type: ignore[arg-type]
        self.others.append(other)
        self.loop.start_life(other.life, other.run())
        return other

    def stop_other(self, other: Process) -> None:
        """End another daemon at once, or a standby that waits."""
        if other.exit_code is None and not other.life.is_dead:
            self.loop.crash(other.life)
            self.feed.disconnect(other.life)
            self.database.drop_sessions(other.life.number)

    def _succeed(self, leader: Process) -> None:
        """A standby leads, or a start beside which one had led: it is the daemon now, whatever the others believe."""
        (self._standbys if leader in self._standbys else self._former).remove(leader)
        if self.process is not None:
            self._former.append(self.process)
        self.process, self.engine = leader, None
        self.incarnation = leader.life.number
        self.trace("takes over")
        self.reach("takeover")
        self.checkers.on_crash()
        self.checkers.on_start()

    def watch_engine(self, process: Process, engine: Engine) -> None:
        """Keep a hash of what an engine is told and does; the checkers look after every step of the one that counts."""
        handle = engine.handle
        digest, encode, loop = self._hash.update, self._encode, self.loop

        def traced(event: AnyEvent) -> Sequence[Effect]:
            effects = handle(event)
            digest(encode((loop._now_s, type(event).__name__, event, effects)))
            if self._keeps_trace:
                self.trace(f"{type(event).__name__} {event} -> {effects}")
            if self.engine is engine:
                self.checkers.on_step(event, effects)
            return effects

        engine.handle = traced  # type: ignore[method-assign]
        for rule in list(self.engine_rules.values()):
            rule(engine)
        if process is self.process:
            self.engine = engine

    # ending

    def on_exit(self, process: Process, code: int) -> None:
        """A daemon ended by itself: its supervisor starts another."""
        self.trace(f"daemon {process.life.number} exits with {code}")
        self.reach(f"exit.{code}")
        self.database.drop_sessions(process.life.number)
        if process in self._standbys:
            self._standbys.remove(process)
        if process in self.others and code == ExitCode.SAFETY:
            self.reach("second_daemon.refused")
        if process is self.process:
            self.exit_text = process.exit_text
            in_life(None).run(self._after_exit, code)

    def _after_exit(self, code: int) -> None:
        self.process, self.engine = None, None
        if hasattr(self.checkers, "on_exit"):
            self.checkers.on_exit(code)
        self.checkers.on_crash()
        self.restart(self.restart_pause_s)

    def crash(self, down_s: float) -> bool:
        """Cut the power of the daemon's machine. Returns whether a daemon was running."""
        if self.process is None:
            return False
        in_life(None).run(self._crash, self.process, down_s)
        return True

    def crash_now(self, down_s: float) -> None:
        """Cut the power in the middle of a step of the daemon: that step never ends."""
        if self.crash(down_s):
            self.loop.vanish()

    def _crash(self, process: Process, down_s: float) -> None:
        self.trace("CRASH")
        self.crashes += 1
        self.process, self.engine = None, None
        self.loop.crash(process.life)
        self.feed.disconnect(process.life)
        self.streams.cut_of(process.life)
        self.database.drop_sessions(process.life.number)
        self.disk.crash()
        self.checkers.on_crash()
        self.restart(down_s)

    def restart(self, pause_s: float) -> None:
        """Start the daemon after a pause."""
        self.loop.call_later(pause_s, self.start_daemon, context=self.context)

    def heal_lives(self) -> None:
        """The healing phase begins: one daemon, which runs."""
        self._waiting.clear()
        for other in (*self.others, *self._standbys):
            self.stop_other(other)
        self._standbys.clear()
        for process in (*self._former, *([self.process] if self.process else [])):
            self.loop.thaw(process.life)
        self.restart_pause_s = min(self.restart_pause_s, 2.0)
        self.restart(0.5)

    def end_lives(self) -> None:
        """The seed is over: nothing of any process runs on."""
        for process in (*self.others, *self._standbys, *self._former, *([self.process] if self.process else [])):
            if not process.life.is_dead:
                self.loop.crash(process.life)

    def end_former(self) -> None:
        """Somebody who works at the database ends every daemon that still hangs on to it."""
        for process in (*self.others, *self._standbys, *self._former):
            self.stop_other(process)
        self._standbys.clear()

    # failpoints

    def at_failpoint(self, name: str, act: Callable[[], None], *, hit: int = 1) -> Callable[[], None]:
        """Do something when the daemon passes a failpoint for the `hit`-th time from now. Returns how to forget it."""
        waiting = _Waiting(act, hit)
        self._waiting.setdefault(name, []).append(waiting)

        def forget() -> None:
            listed = self._waiting.get(name, [])
            if waiting in listed:
                listed.remove(waiting)

        return forget

    def on_failpoint(self, name: str) -> None:
        """Some process passes a failpoint."""
        if name == LEADS and (self._standbys or self._former):
            for process in (*self._standbys, *self._former):
                if process.life is LIFE.get():
                    in_life(None).run(self._succeed, process)
        if name not in self._waiting or self.process is None or LIFE.get() is not self.process.life:
            return
        for waiting in list(self._waiting[name]):
            waiting.left -= 1
            if waiting.left <= 0:
                self._waiting[name].remove(waiting)
                waiting.act()
