"""Effects become calls, and every call's outcome becomes an event: an answer, or the doubt that there was none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from quant_trading_system.app.kill_latch import KillLatch
from quant_trading_system.app.performers import CALLS_MAX, STOP_SECONDS_MAX, Performers
from quant_trading_system.app.reconciler import Reconciler
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import (
    Answer,
    AskOrder,
    CancelEverything,
    CancelOrder,
    ClearLatch,
    Effect,
    EngageLatch,
    Remember,
    RequestReconciliation,
    SendOrder,
)
from quant_trading_system.core.errors import InDoubt, Unavailable
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    CancelAnswered,
    CancelInDoubt,
    LatchSeen,
    LookupAnswered,
    LookupFailed,
    OrderAnswered,
)
from quant_trading_system.core.records import EquityRecord, Record
from quant_trading_system.core.types import NANOS_PER_SECOND, BrokerOrderId, ClientOrderId, Latch, Nanos, Store
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import START_NS, LoopClock
from tests.unit.app.fakes import (
    Journal,
    JournaledLatchFile,
    ScriptedCancels,
    ScriptedLatchStore,
    ScriptedRead,
    approved,
    drain,
    shown,
)
from tests.unit.app.test_gateway import Wire

OURS = ClientOrderId("acct-inst-mom-1")
CANCEL = CancelOrder(client_order_id=OURS, broker_order_id=BrokerOrderId("b1"), reason="test")


class Shell:
    """Performers over scripted edges."""

    def __init__(self, folder: Path) -> None:
        self.wire = Wire()
        self.inbox = self.wire.inbox
        self.read = ScriptedRead()
        self.cancel = ScriptedCancels(self.read)
        self.remembered: list[Record] = []
        self.answers: list[Answer] = []
        self.failures: list[BaseException] = []
        self.refusals: dict[bool, str] = {}
        self.stops: frozenset[BrokerOrderId] = frozenset()
        journal = Journal()
        clock = LoopClock()
        self.latch = KillLatch(
            file=JournaledLatchFile(folder / "kill.latch", journal),
            touched=folder / "KILL",
            rows=ScriptedLatchStore(Store.DATABASE, journal),  # type: ignore[arg-type]
            redis=ScriptedLatchStore(Store.REDIS, journal),  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=clock,
        )
        self.reconciler = Reconciler(
            read=self.read,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=clock,
            since_ns=Nanos(START_NS),
            oldest_live_ns=lambda: None,
        )
        self.clock = clock
        self.performers: Performers
        self.stop: Callable[[], Awaitable[None]] | None = None
        self.stopped_in_s = 0.0
        self.left_by_stop = 0

    def perform(
        self, *effects: Effect, seconds: float = 60.0, before_end: Callable[[], None] = lambda: None
    ) -> list[AnyEvent]:
        """Perform effects, let time pass, and return what the engine would be told."""

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                self.performers = Performers(
                    group=group,
                    inbox=self.inbox,
                    clock=self.clock,
                    gateway=self.wire.gateway,
                    read=self.read,  # type: ignore[arg-type]
                    cancel=self.cancel,  # type: ignore[arg-type]
                    reconciler=self.reconciler,
                    latch=self.latch,
                    remember=self.remembered.append,
                    answer=self.answers.append,
                    standing_stops=lambda: self.stops,
                    on_failure=self.failures.append,
                    refusal_to_cancel=lambda is_urgent: self.refusals.get(is_urgent),
                )
                running = [group.create_task(self.wire.gateway.run()), group.create_task(self.reconciler.run())]
                self.performers.perform(effects)
                await asyncio.sleep(seconds)
                before_end()
                for task in running:
                    task.cancel()
                began_ns = self.clock.mono_ns()
                await (self.stop or self.performers.stop)()
                self.stopped_in_s = (self.clock.mono_ns() - began_ns) / NANOS_PER_SECOND
                await asyncio.sleep(0.001)
                self.left_by_stop = self.performers.tasks

        run_virtual(main())
        return drain(self.inbox)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_an_approved_order_goes_to_the_gateway(shell: Shell):
    events = shell.perform(SendOrder(approved=approved()))
    assert isinstance(events[-1], OrderAnswered)


@pytest.mark.parametrize("refuses", [False, True])
def test_a_cancel_is_answered_by_whether_the_broker_took_it(shell: Shell, refuses: bool):
    shell.cancel.refuses = refuses
    (event,) = shell.perform(CANCEL)
    assert isinstance(event, CancelAnswered)
    assert (event.accepted, event.http_status) == ((False, 422) if refuses else (True, 204))
    assert shell.cancel.cancelled == ["b1"]


@pytest.mark.fault("B1")
@pytest.mark.parametrize("error", [InDoubt("504"), Unavailable("no connection")])
def test_a_cancel_without_an_answer_is_in_doubt(shell: Shell, error: Exception):
    shell.cancel.error = error
    (event,) = shell.perform(CANCEL)
    assert isinstance(event, CancelInDoubt)
    assert event.client_order_id == OURS


@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
def test_no_cancel_leaves_a_daemon_that_another_one_followed(shell: Shell):
    shell.refusals = {False: "another daemon took the lease", True: "another daemon took the lease"}
    shell.read.orders.append(shown())
    events = shell.perform(CANCEL, CancelEverything(reason="kill"))
    assert [type(event) for event in events if not isinstance(event, BrokerSnapshot)] == [CancelInDoubt]
    assert shell.cancel.cancelled == []
    assert shell.cancel.cancel_alls == 0


@pytest.mark.fault("E11")
def test_a_kill_cancels_everything_while_a_cut_connection_leaves_the_lease_in_question(shell: Shell):
    shell.refusals = {False: "the single-writer lease is not held"}
    shell.perform(CANCEL, CancelEverything(reason="kill"))
    assert shell.cancel.cancelled == []
    assert shell.cancel.cancel_alls == 1


@pytest.mark.requirement("R049")
def test_a_kill_spares_stops_and_cancels_all_others_one_by_one(shell: Shell):
    shell.read.orders = [shown(1), shown(2, id="b2"), shown(3, id="stop")]
    shell.stops = frozenset({BrokerOrderId("stop")})
    shell.perform(CancelEverything(reason="kill"), seconds=0.3)
    assert shell.cancel.cancel_alls == 0
    assert "stop" not in shell.cancel.cancelled
    assert set(shell.cancel.cancelled) == {order.broker_order_id for order in shell.read.orders} - {"stop"}


@pytest.mark.requirement("R049")
def test_a_kill_cancels_stops_too_where_that_is_wished(shell: Shell):
    shell.read.orders = [shown(1), shown(3, id="stop")]
    shell.stops = frozenset({BrokerOrderId("stop")})
    shell.perform(CancelEverything(reason="kill", spares_stops=False))
    assert shell.cancel.cancel_alls == 1
    assert shell.read.orders == []


@pytest.mark.fault("A2")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize("order", [shown(1), None], ids=["found", "none"])
def test_a_question_about_an_order_is_answered_by_what_the_broker_has(shell: Shell, order: BrokerOrder | None):
    if order is not None:
        shell.read.by_client_id[OURS] = order
    (event,) = shell.perform(AskOrder(client_order_id=OURS, reason="test"))
    assert isinstance(event, LookupAnswered)
    assert event.order == order


@pytest.mark.fault("A6")
@pytest.mark.invariant("I4")
def test_a_question_without_an_answer_is_not_the_answer_none(shell: Shell):
    shell.read.error = Unavailable("500")
    (event,) = shell.perform(AskOrder(client_order_id=OURS, reason="test"))
    assert isinstance(event, LookupFailed)


def test_a_pass_that_is_asked_for_is_read(shell: Shell):
    (event,) = shell.perform(RequestReconciliation(reason="test"))
    assert isinstance(event, BrokerSnapshot)


@pytest.mark.requirement("R049")
@pytest.mark.fault("E10")
@pytest.mark.invariant("I9")
@pytest.mark.parametrize("works_at", [1, 4, 9])
def test_everything_is_cancelled_again_and_again_until_the_broker_shows_nothing_open(shell: Shell, works_at: int):
    shell.read.orders = [shown(1), shown(2, id="b2")]
    shell.cancel.error = Unavailable("503")
    shell.cancel.works_at = works_at
    events = shell.perform(CancelEverything(reason="kill"), seconds=120.0)
    assert shell.cancel.cancel_alls == works_at
    assert shell.read.orders == []
    assert isinstance(events[-1], BrokerSnapshot)  # and it is looked at what is left


@pytest.mark.fault("E10")
def test_a_stop_does_not_wait_for_a_broker_that_never_cancels_everything(shell: Shell):
    shell.read.orders = [shown(1)]
    shell.cancel.error = Unavailable("503")
    shell.cancel.works_at = 1_000_000
    shell.perform(CancelEverything(reason="kill"), seconds=120.0)
    assert shell.cancel.cancel_alls > 9
    assert 0.0 < shell.stopped_in_s <= 2 * STOP_SECONDS_MAX
    assert shell.left_by_stop == 0


@pytest.mark.fault("E10")
def test_a_stop_that_is_cancelled_leaves_nothing_running(shell: Shell):
    shell.read.orders = [shown(1)]
    shell.cancel.error = Unavailable("503")
    shell.cancel.works_at = 1_000_000

    async def cancelled_stop() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS_MAX / 2):
                await shell.performers.stop()

    shell.stop = cancelled_stop
    shell.perform(CancelEverything(reason="kill"), seconds=120.0)
    assert shell.left_by_stop == 0


def test_two_commands_to_cancel_everything_run_once(shell: Shell):
    shell.perform(CancelEverything(reason="kill"), CancelEverything(reason="kill"))
    assert shell.cancel.cancel_alls == 1


@pytest.mark.requirement("R044")
@pytest.mark.parametrize(("effect", "latch"), [(EngageLatch, Latch.ENGAGED), (ClearLatch, Latch.CLEAR)])
def test_the_latch_is_written_and_each_store_is_told_of(
    shell: Shell, effect: type[EngageLatch | ClearLatch], latch: Latch
):
    events = shell.perform(effect(operator="alice", reason="test"))
    told = {event.store: event.latch for event in events if isinstance(event, LatchSeen)}
    assert told == dict.fromkeys(Store, latch)


def test_records_and_answers_are_handed_on(shell: Shell):
    record = EquityRecord(
        venue_ns=Nanos(1),
        seen_ns=Nanos(1),
        equity_usd=Decimal(1),
        cash_usd=Decimal(1),
        day_pnl_usd=Decimal(0),
        drawdown_ratio=Decimal(0),
        gross_exposure_usd=Decimal(0),
    )
    answer = Answer(request_id="r1", accepted=True, text="done")
    shell.perform(Remember(record=record), answer)
    assert shell.remembered == [record]
    assert shell.answers == [answer]


@pytest.mark.requirement("R196")
@pytest.mark.invariant("I26")
def test_a_bug_in_a_call_is_not_swallowed(shell: Shell):
    shell.cancel.error = ZeroDivisionError("a bug of ours")
    shell.perform(CANCEL)
    (failure,) = shell.failures
    assert "perform-cancel" in str(failure)


@pytest.mark.invariant("I28")
def test_calls_that_are_done_are_forgotten(shell: Shell):
    counts: list[int] = []
    shell.perform(*[CANCEL] * 50, before_end=lambda: counts.append(shell.performers.tasks))
    assert counts == [0]


@pytest.mark.invariant("I8")
def test_what_is_asked_again_while_it_is_under_way_is_asked_once(shell: Shell):
    shell.perform(*[CANCEL] * 50, *[AskOrder(client_order_id=OURS, reason="test")] * 50)
    assert shell.cancel.cancelled == ["b1"]
    assert shell.read.asked == ["order_by_client_id"]


@pytest.mark.invariant("I28")
def test_more_cancels_than_can_be_under_way_are_in_doubt_and_leave_room_for_a_kill(shell: Shell):
    cancels = [
        CancelOrder(client_order_id=ClientOrderId(f"o{number}"), broker_order_id=BrokerOrderId(f"b{number}"), reason="")
        for number in range(CALLS_MAX + 3)
    ]
    kill = CancelEverything(reason="kill")
    events = shell.perform(*cancels, kill, EngageLatch(operator="alice", reason="test"))
    doubts = [event.client_order_id for event in events if isinstance(event, CancelInDoubt)]
    assert doubts == [cancel.client_order_id for cancel in cancels[CALLS_MAX:]]
    assert len(shell.cancel.cancelled) == CALLS_MAX
    assert shell.cancel.cancel_alls == 1
    assert shell.failures == []
