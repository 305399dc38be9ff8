"""The order gateway: durable before the wire, looked at once more, sent once, and what came of it told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from quant_trading_system.adapters.alpaca.limits import Lane as RequestLane
from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.app.gateway import ATTEMPT_SECONDS_MAX, QUEUE_MAX, OrderGateway
from quant_trading_system.app.inbox import Inbox
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.errors import InDoubt, Refused, Unavailable
from quant_trading_system.core.events import (
    AnyEvent,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
)
from quant_trading_system.persistence.errors import IntentNotStored, StaleEpoch
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import LoopClock
from tests.unit.app.fakes import Checks, Journal, ScriptedIntents, ScriptedOrderClient, approved, drain, shown


class Wire:
    """A gateway between an inbox and a broker that does what a test says."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.client = ScriptedOrderClient(self.journal)
        self.intents = ScriptedIntents(self.journal)
        self.checks = Checks()
        self.inbox = Inbox()
        self.first_bytes_s: list[float] = []
        self.epoch = 7
        self.gateway = OrderGateway(
            client=self.client,  # type: ignore[arg-type]
            intents=self.intents,  # type: ignore[arg-type]
            checks=self.checks,
            inbox=self.inbox,
            clock=LoopClock(),
            epoch=lambda: self.epoch,
            on_first_byte=self.first_bytes_s.append,
        )

    def run(self, script: Callable[[], Awaitable[None]]) -> list[AnyEvent]:
        """Run the gateway under a script on virtual time; return what the engine was told."""

        async def main() -> None:
            running = asyncio.create_task(self.gateway.run())
            await script()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        run_virtual(main())
        return drain(self.inbox)

    def send(self, *numbers: int, seconds: float = 30.0) -> list[AnyEvent]:
        async def script() -> None:
            for number in numbers or (1,):
                self.gateway.submit(approved(number))
            await asyncio.sleep(seconds)

        return self.run(script)


@pytest.mark.requirement("R093")
@pytest.mark.invariant("I1")
def test_the_intent_is_committed_with_its_exact_bytes_before_the_first_of_them_leaves():
    wire = Wire()
    events = wire.send()
    assert wire.journal.lines == ["committed", "bytes"]
    assert wire.intents.stored == {"acct-inst-mom-1": (payload(approved().intent), 7)}
    assert wire.client.bytes_sent == [payload(approved().intent)]
    assert [type(event) for event in events] == [OrderSending, OrderAnswered]
    assert wire.gateway.is_idle


@pytest.mark.invariant("I1")
@pytest.mark.invariant("I25")
@pytest.mark.parametrize(
    "error", [IntentNotStored("the database is gone"), StaleEpoch(7)], ids=["not stored", "stale epoch"]
)
def test_an_intent_that_is_not_durable_or_not_ours_to_write_sends_nothing(error: Exception):
    wire = Wire()
    wire.intents.error = error
    (event,) = wire.send()
    assert isinstance(event, OrderDropped)
    assert str(error) in event.reason
    assert wire.client.bytes_sent == []


@pytest.mark.control("P1")
@pytest.mark.fault("E9")
@pytest.mark.invariant("I9")
def test_a_kill_between_approval_and_write_keeps_every_byte_back():
    wire = Wire()

    async def script() -> None:
        wire.gateway.submit(approved())
        await asyncio.sleep(0.025)  # committed, and the connection is being made
        assert wire.journal.lines == ["committed"]
        wire.checks.before_write = "kill latch is not clear in every store"
        await asyncio.sleep(10)

    (event,) = wire.run(script)
    assert isinstance(event, OrderDropped)
    assert event.reason == "kill latch is not clear in every store"
    assert wire.client.bytes_sent == []
    assert wire.journal.lines == ["committed"]  # and it is not tried again
    assert wire.first_bytes_s == []


@pytest.mark.fault("H5")
@pytest.mark.parametrize("stopped_at_s", [0.005, 0.025, 0.5], ids=["at its commit", "connecting", "before a retry"])
def test_an_order_whose_sending_is_cancelled_before_a_byte_left_is_told_to_be_dropped(stopped_at_s: float):
    wire = Wire()
    wire.client.connect_failures_left = 1 if stopped_at_s == 0.5 else 0
    (event,) = wire.send(seconds=stopped_at_s)
    assert isinstance(event, OrderDropped)
    assert "before a byte" in event.reason
    assert wire.client.bytes_sent == []


@pytest.mark.requirement("R098")
@pytest.mark.fault("A1")
@pytest.mark.invariant("I3")
def test_an_order_of_which_no_byte_left_is_tried_again_after_1_2_and_4_seconds_with_identical_bytes():
    wire = Wire()
    wire.client.connect_failures_left = 3
    events = wire.send()
    assert wire.journal.lines == ["committed", "no connection", "no connection", "no connection", "bytes"]
    gaps = [later - sooner for sooner, later in zip(wire.journal.at_s[1:], wire.journal.at_s[2:], strict=False)]
    assert [round(gap) for gap in gaps] == [1, 2, 4]
    assert wire.checks.asked_before_retry == 3
    assert wire.client.bytes_sent == [wire.intents.stored["acct-inst-mom-1"][0]]
    assert [type(event) for event in events] == [OrderSending, OrderAnswered]


@pytest.mark.requirement("R098")
@pytest.mark.fault("A1")
def test_after_four_attempts_without_a_byte_the_order_is_dropped_and_said():
    wire = Wire()
    wire.client.connect_failures_left = 99
    (event,) = wire.send()
    assert isinstance(event, OrderDropped)
    assert event.reason == "no connection in 4 attempts"
    assert wire.journal.lines.count("no connection") == 4


@pytest.mark.requirement("R098")
@pytest.mark.invariant("I6")
def test_every_control_is_asked_again_before_a_retry_and_may_refuse_it():
    wire = Wire()
    wire.client.connect_failures_left = 1
    wire.checks.before_retry = "P15 market_data: quote is 9.000 s old"
    (event,) = wire.send()
    assert isinstance(event, OrderDropped)
    assert "P15" in event.reason
    assert wire.client.bytes_sent == []


@pytest.mark.requirement("R098")
@pytest.mark.fault("A2")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize(
    "error",
    [
        InDoubt("answer 504, code None: "),
        InDoubt("answer 429, code None: slow down"),
        InDoubt("truncated JSON"),
        Unavailable("connection reset after the request was written"),
    ],
    ids=["504", "429", "truncated", "reset"],
)
def test_an_answer_that_is_no_clear_answer_is_doubt_and_never_sent_again(error: Exception):
    wire = Wire()
    wire.client.script = [error]
    sending, doubt = wire.send()
    assert isinstance(sending, OrderSending)
    assert isinstance(doubt, OrderInDoubt)
    assert doubt.reason == str(error)
    assert len(wire.client.bytes_sent) == 1


@pytest.mark.requirement("R097")
@pytest.mark.fault("A9")
def test_a_definite_refusal_is_told_with_the_brokers_words_and_not_tried_again():
    wire = Wire()
    wire.client.script = [Refused(http_status=403, code=40310000, message="insufficient buying power")]
    _, refused = wire.send()
    assert isinstance(refused, OrderRefused)
    assert (refused.http_status, refused.code, refused.message) == (403, 40310000, "insufficient buying power")
    assert len(wire.client.bytes_sent) == 1


@pytest.mark.invariant("I4")
def test_a_duplicate_id_is_doubt_since_the_order_found_may_be_ours():
    wire = Wire()
    wire.client.script = [Refused(http_status=422, code=40010001, message="client_order_id must be unique")]
    _, doubt = wire.send()
    assert isinstance(doubt, OrderInDoubt)


@pytest.mark.fault("H7")
@pytest.mark.invariant("I4")
def test_a_stop_while_the_answer_is_awaited_leaves_doubt_and_one_before_the_bytes_leaves_none():
    wire = Wire()
    wire.client.answer_seconds = 60.0
    sending, doubt = wire.send(seconds=5.0)
    assert isinstance(sending, OrderSending)
    assert isinstance(doubt, OrderInDoubt)
    early = Wire()
    (dropped,) = early.send(seconds=0.025)
    assert isinstance(dropped, OrderDropped)
    assert early.client.bytes_sent == []


@pytest.mark.invariant("I2")
def test_orders_are_sent_four_at_a_time_each_once():
    wire = Wire()
    wire.client.script = [shown(number) for number in range(1, 10)]
    events = wire.send(*range(1, 10))
    sent = [msgspec.json.decode(body)["client_order_id"] for body in wire.client.bytes_sent]
    assert sent == [f"acct-inst-mom-{number}" for number in range(1, 10)]
    assert sum(isinstance(event, OrderAnswered) for event in events) == 9
    assert (
        len({round(at, 3) for at, line in zip(wire.journal.at_s, wire.journal.lines, strict=True) if line == "bytes"})
        == 3
    )


@pytest.mark.fault("H2")
@pytest.mark.invariant("I26")
def test_an_order_that_is_late_takes_no_life_back_that_the_gateway_was_granted():
    """While the process stood still a promise passed; the supervisor made it last longer, another order goes on."""
    wire = Wire()
    shown_s: list[float] = []

    def show(for_s: float | None) -> None:
        if for_s is not None:
            shown_s.append(for_s)

    wire.gateway._pulse = show

    async def stands_still() -> BrokerOrder:
        await asyncio.sleep(ATTEMPT_SECONDS_MAX)
        wire.gateway.submit(approved(2))
        await asyncio.sleep(5.0)
        return shown(1)

    async def script() -> None:
        wire.client.script = [stands_still, shown(2)]
        wire.gateway.submit(approved(1))
        await asyncio.sleep(60.0)

    events = wire.run(script)
    assert sum(isinstance(event, OrderAnswered) for event in events) == 2
    assert min(shown_s) >= 0


@pytest.mark.invariant("I28")
def test_a_full_queue_drops_the_order_and_says_so():
    wire = Wire()

    async def script() -> None:
        for number in range(QUEUE_MAX + 1):
            wire.gateway.submit(approved(number))

    (event,) = wire.run(script)
    assert isinstance(event, OrderDropped)
    assert event.client_order_id == f"acct-inst-mom-{QUEUE_MAX}"


def test_commits_and_the_time_to_the_first_byte_are_measured():
    wire = Wire()
    assert wire.gateway.commit_p99_s is None
    wire.client.script = [shown(number) for number in range(100)]
    wire.send(*range(100))
    assert wire.gateway.commit_p99_s == pytest.approx(0.02)
    assert len(wire.first_bytes_s) == 100
    assert min(wire.first_bytes_s) == pytest.approx(0.03)


def test_orders_that_reduce_exposure_use_the_lane_that_is_kept_free_for_them():
    wire = Wire()

    async def script() -> None:
        wire.gateway.submit(approved(1, reduces_exposure=True))
        await asyncio.sleep(1)
        wire.gateway.submit(approved(2))
        await asyncio.sleep(1)

    wire.run(script)
    assert wire.client.lanes == [RequestLane.CLOSE, RequestLane.ORDER]


@pytest.mark.invariant("I9")
@pytest.mark.fault("E9")
@pytest.mark.parametrize("step", range(12))
def test_at_whatever_step_the_kill_comes_no_byte_leaves_after_it(step: int):
    wire = Wire()
    killed_at_s: list[float] = []

    async def script() -> None:
        for number in range(1, 6):
            wire.gateway.submit(approved(number))
        await asyncio.sleep(step * 0.01 + 0.001)
        wire.checks.before_write = "killed"
        killed_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(20)

    wire.client.script = [shown(number) for number in range(1, 6)]
    wire.run(script)
    late = [
        at
        for at, line in zip(wire.journal.at_s, wire.journal.lines, strict=True)
        if line == "bytes" and at > killed_at_s[0]
    ]
    assert late == []


def test_what_the_broker_answered_is_told_as_it_was():
    wire = Wire()
    order: BrokerOrder = shown(1, status="accepted")
    wire.client.script = [order]
    _, answered = wire.send()
    assert isinstance(answered, OrderAnswered)
    assert answered.order == order
