"""Timers on a fixed grid: no drift, no bunching, and no reconciliation lost to a stall."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from quant_trading_system.app.edge import Edge
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.watch import Watch
from quant_trading_system.core.events import OperatorAsked, TimerFired
from quant_trading_system.core.types import NANOS_PER_SECOND
from tests.support.virtual_loop import VirtualLoop, run_virtual
from tests.unit.adapters.builders import LoopClock
from tests.unit.app.fakes import drain


class Office:
    """A watch over nothing but a clock and an inbox."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.beats: list[str] = []
        self.heartbeats: list[str] = []
        self.watchdogs = 0
        self.parts: Any = SimpleNamespace(
            clock=LoopClock(),
            edge=Edge(),
            inbox=self.inbox,
            port=SimpleNamespace(),
            metrics=SimpleNamespace(set_loop_lag=lambda _seconds: None),
            supervisor=SimpleNamespace(beat=self.beats.append, check_beats=lambda: None),
            health=SimpleNamespace(heartbeat=self.heartbeats.append),
            notifier=SimpleNamespace(watchdog_interval_s=20.0, watchdog=self.feed),
        )
        self.watch = Watch(self.parts)  # type: ignore[arg-type]

    def feed(self) -> None:
        self.watchdogs += 1

    def run_timers(self, seconds: float, *, stall_at_s: float | None = None, stall_s: float = 0.0) -> list[TimerFired]:
        async def main() -> None:
            running = asyncio.create_task(self.watch.run_timers())
            if stall_at_s is not None:
                await asyncio.sleep(stall_at_s)
                loop = asyncio.get_running_loop()
                assert isinstance(loop, VirtualLoop)
                loop._leaping.now_s += stall_s  # everything stood still
                await asyncio.sleep(seconds - stall_at_s - stall_s)
            else:
                await asyncio.sleep(seconds)
            running.cancel()

        run_virtual(main())
        return [event for event in drain(self.inbox) if isinstance(event, TimerFired)]


def at_s(events: list[TimerFired], name: str) -> list[float]:
    return [round(event.mono_ns / NANOS_PER_SECOND, 3) for event in events if event.name == name]


@pytest.mark.requirement("R115")
@pytest.mark.fault("C10")
def test_a_second_is_told_each_second_and_a_reconciliation_every_fifteen_without_drift():
    events = Office().run_timers(3_600.5)
    assert at_s(events, "second") == [float(second) for second in range(1, 3_601)]
    assert at_s(events, "reconcile") == [float(second) for second in range(15, 3_601, 15)]


@pytest.mark.fault("C10")
@pytest.mark.fault("H4")
def test_slots_that_passed_during_a_stall_are_skipped_and_do_not_bunch():
    seconds = at_s(Office().run_timers(60.5, stall_at_s=20.5, stall_s=10.0), "second")
    assert seconds == sorted(set(seconds))
    during = [second for second in seconds if 20 < second < 32]
    assert during == [30.5, 31.0]


@pytest.mark.requirement("R115")
@pytest.mark.fault("C10")
def test_a_reconciliation_whose_slot_passed_during_a_stall_is_asked_for_right_after_it():
    reconciliations = at_s(Office().run_timers(60.5, stall_at_s=28.5, stall_s=4.0), "reconcile")
    assert reconciliations == [15.0, 33.0, 45.0, 60.0]


@pytest.mark.requirement("R043")
def test_a_touched_file_becomes_the_command_a_person_would_give():
    office = Office()

    async def main() -> None:
        office.watch.on_touched("KILL was touched")
        office.watch.on_touched("KILL was touched")

    run_virtual(main())
    first, second = drain(office.inbox)
    assert isinstance(first, OperatorAsked)
    assert isinstance(second, OperatorAsked)
    assert (first.command, first.operator, first.reason) == ("kill", "kill-file", "KILL was touched")
    assert first.request_id != second.request_id
    assert office.inbox.depth(Lane.OPERATOR) == 0


@pytest.mark.invariant("I26")
def test_the_watchdog_is_fed_by_the_engine_loop_at_twice_the_rate_it_asks_for():
    now = {"s": 1_000.0}
    office = Office()
    office.parts.clock = SimpleNamespace(mono_ns=lambda: int(now["s"] * NANOS_PER_SECOND))
    for _ in range(600):
        office.watch.on_progress()
        now["s"] += 0.1
    assert office.watchdogs == 6
    assert len(office.heartbeats) == 600
