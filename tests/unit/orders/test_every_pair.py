"""Every status against every trigger: what the table says is what is written here by hand, pair by pair.

And through the whole engine: a pair that is refused leads to a reconciliation, and publishes no row of the order and no
fill.
"""

from __future__ import annotations

from itertools import product

import pytest

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import Effect, Remember, RequestReconciliation
from quant_trading_system.core.events import (
    Event,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderSending,
    OrderUpdated,
)
from quant_trading_system.core.records import FillRecord, OrderRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.status import TABLE, IllegalTransition, Status, Trigger, advance
from tests.support.floor import Floor, scripted_floor
from tests.support.floor_wire import broker_order

COLUMNS = "READY SENDING WORKING PARTIAL CANCELING REPLACING UNKNOWN FILLED CANCELED EXPIRED REJECTED REPLACED DROPPED"
EXPECTED = """
SEND             sen sen -   -   -   -   unk -   -   -   -   -   sen
DROP             dro -   -   -   -   -   dro -   -   -   -   -   dro
DOUBT            unk unk unk unk unk unk unk -   -   -   -   -   -
ABSENT           -   -   -   -   -   -   dro -   -   -   -   -   -
LIVE             wor wor wor par can rep wor -   -   -   wor -   wor
PART_FILL        par par par par can rep par FIL CAN EXP par REP par
LAST_FILL        FIL FIL FIL FIL FIL FIL FIL FIL FIL FIL FIL FIL FIL
REJECT           REJ REJ REJ REJ REJ REJ REJ -   -   -   REJ -   REJ
CANCEL_ASKED     -   -   can can can can unk -   -   -   -   -   -
CANCEL_REFUSED   -   -   wor par wor -   unk FIL CAN EXP -   REP -
CANCEL_DONE      CAN CAN CAN CAN CAN CAN CAN -   CAN EXP -   -   CAN
REPLACE_ASKED    -   -   rep rep -   rep -   -   -   -   -   -   -
REPLACE_REFUSED  -   -   wor par can wor -   -   -   -   -   -   -
REPLACE_DONE     REP REP REP REP REP REP REP -   -   -   REP REP REP
EXPIRE           EXP EXP EXP EXP EXP EXP EXP -   CAN EXP -   -   EXP
"""
SHORT = {
    "sen": Status.SENDING, "unk": Status.UNKNOWN, "wor": Status.WORKING, "par": Status.PARTIAL,
    "can": Status.CANCELING, "rep": Status.REPLACING, "FIL": Status.FILLED, "CAN": Status.CANCELED,
    "EXP": Status.EXPIRED, "REJ": Status.REJECTED, "REP": Status.REPLACED, "dro": Status.DROPPED, "-": None,
}  # fmt: skip
STATUSES = [Status[name] for name in COLUMNS.split()]
GRID: dict[tuple[Status, Trigger], Status | None] = {
    (status, Trigger[line.split()[0]]): SHORT[cell]
    for line in EXPECTED.strip().splitlines()
    for status, cell in zip(STATUSES, line.split()[1:], strict=True)
}
PAIRS = list(product(Status, Trigger))


def test_the_grid_names_every_pair():
    assert set(GRID) == set(PAIRS)
    assert len(PAIRS) == 13 * 15


@pytest.mark.parametrize(("status", "trigger"), PAIRS, ids=lambda part: part.name)
def test_a_pair_does_what_is_written_here(status: Status, trigger: Trigger):
    expected = GRID[status, trigger]
    if expected is not None:
        assert advance(status, trigger) is expected
        return
    assert (status, trigger) not in TABLE
    with pytest.raises(IllegalTransition, match=f"{trigger.name} while {status.name}"):
        advance(status, trigger)


# through the engine

BROKER_WORDS = {
    Trigger.LIVE: "new",
    Trigger.PART_FILL: "partially_filled",
    Trigger.LAST_FILL: "filled",
    Trigger.REJECT: "rejected",
    Trigger.CANCEL_ASKED: "pending_cancel",
    Trigger.CANCEL_DONE: "canceled",
    Trigger.REPLACE_ASKED: "pending_replace",
    Trigger.REPLACE_DONE: "replaced",
    Trigger.EXPIRE: "expired",
}
REQUESTS_REFUSED = {Trigger.CANCEL_REFUSED: "order_cancel_rejected", Trigger.REPLACE_REFUSED: "order_replace_rejected"}
LED_BY_LIVE = {Trigger.CANCEL_ASKED, Trigger.REPLACE_ASKED}
"""Where the broker shows a pending request of an order that is not known to live, it lives, and then the request is."""
REFUSED = [pair for pair, expected in GRID.items() if expected is None]
ONLY_FROM_WITHIN = {Trigger.ABSENT}  # concluded by the manager itself, of UNKNOWN orders alone


def pairs_of_the_stream() -> list[tuple[Status, Trigger]]:
    return [
        (status, trigger)
        for status, trigger in REFUSED
        if trigger in BROKER_WORDS or trigger in REQUESTS_REFUSED
        if not (trigger in LED_BY_LIVE and GRID[status, Trigger.LIVE] is not None)
    ]


def traded_floor() -> tuple[Floor, Order, BrokerOrder]:
    """A floor with one order of 47 shares that the broker has named."""
    floor = scripted_floor()
    floor.buy_resting()
    (order,) = floor.engine._desk.orders.all_recent()
    floor.reconciles = False
    return floor, order, broker_order(floor.exchange.order_by_client_id(order.client_order_id))


def put_into(order: Order, status: Status, floor: Floor) -> None:
    """As if its life had led there: the table is what is tested, not the way."""
    order.status = status
    order.status_mono_ns = floor.mono_ns
    if status is Status.REPLACED:
        order.successor = order


def word_event(floor: Floor, shown: BrokerOrder, trigger: Trigger) -> OrderUpdated:
    status = BROKER_WORDS.get(trigger, "new")
    changed = {
        **{name: getattr(shown, name) for name in shown.__struct_fields__},
        "status": status,
        "updated_ns": Nanos(floor.now_ns + 10 * NANOS_PER_SECOND),
    }
    return OrderUpdated(
        word=REQUESTS_REFUSED.get(trigger, status), event_id=None, order=BrokerOrder(**changed), **floor.stamps()
    )


def must_be_refused(effects: list[Effect], order: Order, status: Status) -> None:
    records = [effect.record for effect in effects if isinstance(effect, Remember)]
    assert [effect for effect in effects if isinstance(effect, RequestReconciliation)], "a refusal is reconciled"
    assert not [record for record in records if isinstance(record, OrderRecord | FillRecord)], "and not published"
    assert order.status is status


@pytest.mark.invariant("I4")
@pytest.mark.invariant("I14")
@pytest.mark.parametrize(("status", "trigger"), pairs_of_the_stream(), ids=lambda part: part.name)
def test_a_word_of_the_broker_that_is_refused_is_reconciled_and_not_published(status: Status, trigger: Trigger):
    floor, order, shown = traded_floor()
    put_into(order, status, floor)
    must_be_refused(list(floor.engine.handle(word_event(floor, shown, trigger))), order, status)
    again = floor.engine.handle(word_event(floor, shown, trigger))
    assert not [effect for effect in again if isinstance(effect, RequestReconciliation)], "said once, not for ever"


OWN: dict[Trigger, type[Event]] = {Trigger.SEND: OrderSending, Trigger.DROP: OrderDropped, Trigger.DOUBT: OrderInDoubt}


@pytest.mark.parametrize(
    ("status", "trigger"), [pair for pair in REFUSED if pair[1] in OWN], ids=lambda part: part.name
)
def test_a_word_of_the_gateway_that_is_refused_is_reconciled_and_not_published(status: Status, trigger: Trigger):
    floor, order, _ = traded_floor()
    put_into(order, status, floor)
    if trigger is Trigger.DOUBT:
        order.broker_order_id = None  # of an order that the broker has named a lost answer says nothing (fault A5)
    arguments = {} if trigger is Trigger.SEND else {"reason": "late"}
    event = OWN[trigger](client_order_id=order.client_order_id, **arguments, **floor.stamps())  # type: ignore[call-arg]
    must_be_refused(list(floor.engine.handle(event)), order, status)


@pytest.mark.parametrize("status", [each for each in Status if GRID[each, Trigger.LIVE] is not None])
@pytest.mark.parametrize("trigger", [Trigger.CANCEL_ASKED, Trigger.REPLACE_ASKED])
def test_an_order_that_waits_for_its_cancel_or_replacement_is_there(status: Status, trigger: Trigger):
    floor, order, shown = traded_floor()
    put_into(order, status, floor)
    floor.engine.handle(word_event(floor, shown, trigger))
    expected = {Trigger.CANCEL_ASKED: Status.CANCELING, Trigger.REPLACE_ASKED: Status.REPLACING}[trigger]
    assert order.status is (Status.CANCELING if status is Status.CANCELING else expected)


def test_every_refused_pair_is_tried_through_the_engine():
    tried = {*pairs_of_the_stream(), *(pair for pair in REFUSED if pair[1] in OWN)}
    rest = {pair for pair in REFUSED if pair not in tried}
    assert {trigger for _, trigger in rest} <= ONLY_FROM_WITHIN | LED_BY_LIVE
    assert all(GRID[status, Trigger.LIVE] is not None for status, trigger in rest if trigger in LED_BY_LIVE)


def test_an_answer_that_contradicts_an_end_is_refused_like_a_frame():
    floor, order, shown = traded_floor()
    put_into(order, Status.EXPIRED, floor)
    event = word_event(floor, shown, Trigger.LIVE)
    answered = OrderAnswered(client_order_id=order.client_order_id, order=event.order, **floor.stamps())
    must_be_refused(list(floor.engine.handle(answered)), order, Status.EXPIRED)


def test_an_event_about_an_order_of_nobody_is_reconciled():
    floor = scripted_floor()
    floor.reconciles = False
    _, order, _ = traded_floor()
    event = OrderSending(client_order_id=order.client_order_id, **floor.stamps())
    effects = list(floor.engine.handle(event))
    assert [effect for effect in effects if isinstance(effect, RequestReconciliation)]
    assert floor.books() == {}
