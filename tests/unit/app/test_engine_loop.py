"""The loop that feeds the engine: control lanes first and wholly, market data in slices, everything on the tape."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from quant_trading_system.app.engine_loop import MARKET_SLICE, EngineLoop
from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.core.effects import Effect, RequestReconciliation
from quant_trading_system.core.events import AnyEvent, TimerFired, TradeSeen
from quant_trading_system.core.types import MonoNanos, Nanos, Symbol
from tests.support.virtual_loop import run_virtual

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def print_of(number: int) -> TradeSeen:
    return TradeSeen(symbol=Symbol("A"), venue_at=AT, price=float(number), size=1.0)


def timer(name: str) -> TimerFired:
    return TimerFired(name=name, venue_ns=Nanos(0), seen_ns=Nanos(0), mono_ns=MonoNanos(0))


class ListeningEngine:
    """Answers every timer with an effect, and puts an order update in the inbox in the middle of a burst."""

    def __init__(self, inbox: Inbox, *, interrupts_at: int = -1) -> None:
        self.handled: list[AnyEvent] = []
        self.error: Exception | None = None
        self._inbox = inbox
        self._interrupts_at = interrupts_at

    def handle(self, event: AnyEvent) -> Sequence[Effect]:
        if self.error is not None:
            raise self.error
        self.handled.append(event)
        if len(self.handled) == self._interrupts_at:
            self._inbox.put(timer("order update"), Lane.ORDERS)
        return [RequestReconciliation(reason=event.name)] if isinstance(event, TimerFired) else []


class Rig:
    def __init__(self, *, interrupts_at: int = -1) -> None:
        self.inbox = Inbox()
        self.engine = ListeningEngine(self.inbox, interrupts_at=interrupts_at)
        self.tape: list[AnyEvent] = []
        self.performed: list[Effect] = []
        self.rounds = 0
        self.loop = EngineLoop(
            engine=self.engine,  # type: ignore[arg-type]
            inbox=self.inbox,
            tape=self,
            perform=self.performed.extend,
            on_progress=self.count,
        )

    def append(self, event: AnyEvent) -> None:
        self.tape.append(event)

    def count(self) -> None:
        self.rounds += 1

    def run(self) -> None:
        async def main() -> None:
            running = asyncio.create_task(self.loop.run())
            await asyncio.sleep(1)
            running.cancel()

        run_virtual(main())


@pytest.mark.requirement("R104")
@pytest.mark.fault("D4")
def test_an_order_update_waits_for_no_more_than_one_slice_of_a_burst_of_market_data():
    rig = Rig(interrupts_at=10)
    rig.inbox.put_market([print_of(number) for number in range(1, 2_001)])
    rig.run()
    place = next(index for index, event in enumerate(rig.engine.handled) if isinstance(event, TimerFired))
    assert place <= MARKET_SLICE
    assert len(rig.engine.handled) == 2_001


@pytest.mark.requirement("R104")
def test_what_waits_in_the_control_lanes_is_handled_wholly_before_any_market_data():
    rig = Rig()
    rig.inbox.put_market([print_of(1)])
    for number in range(500):
        rig.inbox.put(timer(str(number)), Lane.ORDERS)
    rig.run()
    assert isinstance(rig.engine.handled[500], TradeSeen)
    assert [effect.reason for effect in rig.performed if isinstance(effect, RequestReconciliation)] == [
        str(number) for number in range(500)
    ]


@pytest.mark.invariant("I29")
def test_every_event_is_on_the_tape_in_the_order_the_engine_was_told():
    rig = Rig(interrupts_at=300)
    rig.inbox.put_market([print_of(number) for number in range(1, 700)])
    rig.run()
    assert rig.tape == rig.engine.handled
    assert len(rig.tape) == 700


@pytest.mark.invariant("I29")
def test_an_event_is_on_the_tape_before_the_engine_sees_it():
    rig = Rig()
    rig.engine.error = ZeroDivisionError("a bug of ours")
    rig.inbox.put(timer("last words"), Lane.ORDERS)
    with pytest.raises(ZeroDivisionError):
        run_virtual(rig.loop.run())
    assert rig.tape == [timer("last words")]


def test_the_sign_of_life_is_given_each_round_and_not_while_nothing_happens():
    rig = Rig()
    rig.inbox.put_market([print_of(number) for number in range(MARKET_SLICE * 3)])
    rig.run()
    assert rig.rounds == 3
