"""A daemon that waits to follow another one. Decides what a standby shows, and what it may do meanwhile: nothing.

It reads the database and talks to nobody else. While a living leader holds the lease, the standby's copy of the kill
latch follows the row in the database, so that a directory that never led has one when it takes over; a latch that was
engaged here, by a person or by a touched file, is left alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from quant_trading_system.app.port import ReadyCheck
from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.instance import check_instance, read_token, write_token
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.lease import TTL_S
from quant_trading_system.persistence.lease_sessions import Holder

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

LOOK_PERIOD_S = 1.0
TASKS_STOP_SECONDS_MAX = 1.0
MIRROR = "standby"
"""The operator that a latch bears which was copied from the leader's; only such a one is cleared with the leader's."""


async def stand_by(parts: Parts) -> int:
    """Wait until the leader is gone, then take the lease. Returns its epoch.

    Raises:
        SafetyRefusal: this database is not this directory's, or of another mode.
    """
    standby = _Standby(parts)
    await check_instance(parts.database, mode=parts.mode.value, state_folder=parts.state_dir)
    parts.supervisor.start("standby", standby.watch, owner="standby", is_critical=True)
    try:
        epoch = await parts.lease.wait_and_acquire(standby.on_look)
    finally:
        await parts.supervisor.stop("standby", timeout_s=TASKS_STOP_SECONDS_MAX)
    standby.end()
    return epoch


class _Standby:
    """Shows that this daemon waits, and for whom."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._text = ""
        self._leader: Holder | None = None
        self._problem = ""
        self._looked = asyncio.Event()

    def on_look(self, holder: Holder | None, problem: str) -> None:
        """Told at every look at the lease."""
        self._leader, self._problem = holder, problem
        self._looked.set()

    async def watch(self) -> None:
        """Keep this directory ready to lead, then say that this daemon waits; again and again until cancelled."""
        while True:
            await self._looked.wait()
            self._looked.clear()
            leader = self._leader
            if leader is not None and leader.age_s < TTL_S:
                try:
                    await self._follow()
                except StoreUnavailable as error:
                    self._problem = error.detail
            self._say(_words(leader, self._problem))
            await asyncio.sleep(LOOK_PERIOD_S)

    def end(self) -> None:
        """The lease is ours: from here on it is a start like any other."""
        parts = self._parts
        followed = "nobody" if self._leader is None else f"pid {self._leader.pid} on {self._leader.host}"
        parts.port.read_checks = lambda: (ReadyCheck("started", False, "taking over"),)
        if self._text:
            parts.edge.say(f"the lease is free: takes over from {followed}")
            parts.log.warning("standby_takes_over", followed=followed, epoch=parts.lease.epoch)
        if parts.metrics is not None:
            parts.metrics.set_standby(False)

    def _say(self, text: str) -> None:
        if text == self._text:
            return
        first = not self._text
        self._text = text
        parts = self._parts
        step = next(each for each in parts.report.steps if each.state in ("starting", "standby"))
        step.state, step.detail = "standby", text
        if parts.report.limit is not None:
            parts.report.limit.reschedule(None)  # a standby waits for as long as the leader lives
        parts.port.read_checks = lambda: (ReadyCheck("standby", False, text),)
        if parts.metrics is not None:
            parts.metrics.set_standby(True)
        # systemd has a service that is up and waits: READY now, or TimeoutStartSec would end it.
        parts.notifier.ready(f"standby: {text}")
        parts.edge.say(f"STANDBY: {text}" if first else f"standby: {text}")
        parts.log.info("standby", reason=text)

    async def _follow(self) -> None:
        """Have the token and the copy of the latch that a directory needs to lead, as the living leader has them."""
        parts = self._parts
        found = await check_instance(parts.database, mode=parts.mode.value, state_folder=parts.state_dir)
        row, reason = await KillStore(parts.database).read()
        if found is None or row is Latch.MISSING:
            return
        latch, _ = parts.latch_file.read()
        content = parts.latch_file.read_content()
        now_ns = parts.clock.wall_ns()
        if row is Latch.ENGAGED and latch is not Latch.ENGAGED:
            parts.latch_file.engage(MIRROR, reason, at_ns=now_ns)
        elif row is Latch.CLEAR and latch is Latch.ENGAGED and content is not None and content.operator == MIRROR:
            parts.latch_file.clear(MIRROR, reason, at_ns=now_ns)
        elif row is Latch.CLEAR and latch is Latch.MISSING and read_token(parts.state_dir) is None:
            parts.latch_file.initialise("a standby joined under a living leader", at_ns=now_ns)
        write_token(parts.state_dir, found.token)


def _words(leader: Holder | None, problem: str) -> str:
    if problem:
        return f"the database does not answer: {problem}"
    if leader is None:
        return "another daemon is taking the lease"
    return f"waits for pid {leader.pid} on {leader.host}, which leads since {leader.since}"
