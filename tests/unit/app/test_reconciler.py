"""One reading of the broker is one consistent picture, or it is said to prove nothing."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from quant_trading_system.app.inbox import Inbox
from quant_trading_system.app.reconciler import ATTEMPTS_MAX, OVERLAP_NS, PASS_SECONDS_MAX, Reconciler
from quant_trading_system.core.errors import Unavailable
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, SnapshotFailed
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import START_NS, LoopClock
from tests.unit.app.fakes import ScriptedRead, drain, shown


class Office:
    """A reconciler over a broker that a test moves."""

    def __init__(self) -> None:
        self.read = ScriptedRead()
        self.inbox = Inbox()
        self.oldest_live_ns: Nanos | None = None
        self.good_pass_ns: Nanos | None = None
        self.reconciler = Reconciler(
            read=self.read,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=LoopClock(),
            since_ns=Nanos(START_NS),
            oldest_live_ns=lambda: self.oldest_live_ns,
            reaches_back_ns=lambda: self.good_pass_ns,
        )

    def read_once(self) -> AnyEvent:
        run_virtual(self.reconciler.read_once())
        (event,) = drain(self.inbox)
        return event


@pytest.mark.requirement("R115")
def test_a_pass_reads_orders_and_executions_then_holdings_then_orders_and_executions_again():
    office = Office()
    office.read.orders = [shown(1)]
    snapshot = office.read_once()
    assert isinstance(snapshot, BrokerSnapshot)
    assert snapshot.open_orders == (shown(1),)
    asked = office.read.asked
    assert asked[:2] == ["open_orders", "executions"]
    assert sorted(asked[2:6]) == ["account", "activities", "closed_orders", "positions"]
    assert asked[6:] == ["open_orders", "executions"]
    assert snapshot.started_mono_ns == 0
    assert snapshot.mono_ns == 4 * 10_000_000  # what does not wait for another is read at once


@pytest.mark.fault("C9")
@pytest.mark.invariant("I16")
def test_a_pass_under_which_an_order_moved_is_read_again_and_the_quiet_one_is_told():
    office = Office()
    office.read.orders = [shown(1)]
    moves = iter(["partially_filled"])

    def move() -> None:
        for status in moves:
            office.read.orders = [structs.replace(shown(1), status=status)]

    office.read.on_positions = move
    snapshot = office.read_once()
    assert isinstance(snapshot, BrokerSnapshot)
    assert [order.status for order in snapshot.open_orders] == ["partially_filled"]
    assert office.read.asked.count("positions") == 2
    assert office.reconciler.passes == 1


@pytest.mark.fault("C9")
@pytest.mark.invariant("I16")
@pytest.mark.invariant("I28")
def test_orders_that_never_stand_still_end_the_attempts_and_prove_nothing():
    office = Office()
    count = iter(range(1, 100))
    office.read.on_positions = lambda: setattr(office.read, "orders", [shown(next(count), id=f"b{next(count)}")])
    failed = office.read_once()
    assert isinstance(failed, SnapshotFailed)
    assert failed.discarded
    assert office.read.asked.count("positions") == ATTEMPTS_MAX
    assert office.reconciler.passes == 0


@pytest.mark.requirement("R132")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
def test_a_page_that_fails_fails_the_pass_with_its_reason():
    office = Office()
    office.read.error = Unavailable("GET /v2/positions: 500")
    failed = office.read_once()
    assert isinstance(failed, SnapshotFailed)
    assert not failed.discarded
    assert failed.reason == "GET /v2/positions: 500"


@pytest.mark.fault("G1")
def test_a_broker_that_does_not_answer_ends_the_pass_after_ten_seconds():
    office = Office()
    office.read.read_seconds = 3_600.0
    failed = office.read_once()
    assert isinstance(failed, SnapshotFailed)
    assert "10 s" in failed.reason
    assert failed.mono_ns == PASS_SECONDS_MAX * NANOS_PER_SECOND


@pytest.mark.fault("C10")
def test_passes_never_overlap_and_requests_meanwhile_share_one_more():
    office = Office()
    office.read.read_seconds = 1.0

    async def main() -> None:
        running = asyncio.create_task(office.reconciler.run())
        for _ in range(20):
            office.reconciler.request()
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)
        running.cancel()

    run_virtual(main())
    events = drain(office.inbox)
    assert len(events) == 2
    first, second = events
    assert isinstance(first, BrokerSnapshot)
    assert isinstance(second, BrokerSnapshot)
    assert second.started_mono_ns >= first.mono_ns


@pytest.mark.requirement("R115")
def test_what_is_asked_for_reaches_back_to_the_start_then_to_the_last_good_pass_and_to_the_oldest_live_order():
    office = Office()
    office.read_once()
    assert set(office.read.after_ns) == {START_NS - OVERLAP_NS}
    office.read.after_ns.clear()
    office.good_pass_ns = Nanos(START_NS + 60 * NANOS_PER_SECOND)
    office.read_once()
    assert set(office.read.after_ns) == {office.good_pass_ns - OVERLAP_NS}
    office.read.after_ns.clear()
    office.oldest_live_ns = Nanos(START_NS - 3_600 * NANOS_PER_SECOND)
    office.read_once()
    assert set(office.read.after_ns) == {office.oldest_live_ns - OVERLAP_NS}
