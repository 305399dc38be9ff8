"""Orders: reserved at once, final by evidence alone, filled once whatever arrives when."""

# mypy: disable-error-code="comparison-overlap"
# An order changes its status under calls that mypy does not follow, and a Decimal equals an int.

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.types import BrokerOrderId, Nanos, Side
from quant_trading_system.orders.manager import OrderSettings
from quant_trading_system.orders.status import Status
from tests.unit.orders.builders import BROKER_ID, IBM, START_NS, Desk, asks, booked, codes

# the ordinary life


@pytest.mark.requirement("R087")
@pytest.mark.invariant("I5")
def test_an_approved_order_counts_at_once():
    desk = Desk()
    order = desk.open()
    assert order.status is Status.READY
    assert desk.orders.open_quantities(IBM) == (100, 0, False)
    desk.open(side=Side.SELL, quantity=Decimal(30))
    assert desk.orders.open_quantities(IBM) == (100, 30, False)


@pytest.mark.requirement("R097")
def test_an_order_goes_from_ready_to_filled():
    desk = Desk()
    order = desk.sent()
    assert order.status is Status.SENDING
    assert desk.answer(status="pending_new").changed
    assert order.status is Status.WORKING
    assert order.broker_order_id == BROKER_ID
    desk.seconds = 1
    assert booked(desk.fill(40, 40)) == 40
    assert order.status is Status.PARTIAL
    assert order.open_quantity == 60
    desk.seconds = 2
    assert booked(desk.fill(60, 100, price=52)) == 60
    assert order.status is Status.FILLED
    assert order.is_final
    assert order.filled_average_price == Decimal("51.2")
    assert list(desk.orders.live()) == []
    assert desk.orders.get(order.client_order_id) is order is desk.orders.by_broker_id(BROKER_ID)


def test_an_order_that_never_left_is_dropped_with_its_reason():
    desk = Desk()
    order = desk.open()
    desk.drop()
    assert order.status is Status.DROPPED
    assert order.reason == "no connection"
    assert order.open_quantity == 0


@pytest.mark.fault("A1")
def test_a_retry_of_which_no_byte_left_is_the_same_order():
    desk = Desk()
    order = desk.sent()
    assert desk.sending().alerts == ()
    assert order.status is Status.SENDING


@pytest.mark.fault("A9")
@pytest.mark.requirement("R097")
@pytest.mark.parametrize(("status", "code"), [(403, 40310000), (422, 42210000), (422, 40010001), (401, 40110000)])
def test_a_definite_refusal_is_final_and_keeps_the_brokers_words(status, code):
    desk = Desk()
    order = desk.sent()
    desk.refuse(status, code, "no")
    assert order.status is Status.REJECTED
    assert order.reason == f"{status} {code}: no"


@pytest.mark.fault("A9")
@pytest.mark.fault("A7")
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (418, 41810000, "?"),
        (403, None, "?"),
        (404, 40410000, "?"),
        (422, 40010001, "client_order_id must be unique"),
    ],
)
def test_any_other_refusal_is_a_doubt(status, code, message):
    desk = Desk()
    order = desk.sent()
    outcome = desk.refuse(status, code, message)
    assert order.status is Status.UNKNOWN
    assert codes(outcome) == ["refusal_not_understood"]
    assert asks(outcome) == 1


def test_a_rejection_by_stream_is_final():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.update("rejected", status="rejected")
    assert order.status is Status.REJECTED


def test_an_event_about_an_order_nobody_knows_is_said():
    desk = Desk()
    order = desk.open()
    stranger = Desk(next_sequence=9)
    stranger.order = order
    outcome = stranger.drop()
    assert codes(outcome) == ["unknown_order_event"]
    assert outcome.reconcile


# fills, in any order


@pytest.mark.fault("A8")
@pytest.mark.invariant("I13")
def test_a_fill_may_overtake_the_answer():
    desk = Desk()
    order = desk.sent()
    desk.seconds = 1
    assert booked(desk.fill(100, 100)) == 100
    assert order.status is Status.FILLED
    late = desk.answer(status="pending_new", updated_ns=Nanos(START_NS))
    assert order.status is Status.FILLED
    assert not late.alerts
    assert late.reconcile is None


@pytest.mark.fault("A5")
def test_a_lost_answer_does_not_matter_once_the_stream_told():
    desk = Desk()
    order = desk.sent()
    desk.update("new")
    assert desk.lose_answer().effects == ()
    assert order.status is Status.WORKING


@pytest.mark.fault("A5")
def test_a_refusal_of_an_order_the_stream_showed_is_asked_about():
    desk = Desk()
    order = desk.sent()
    desk.update("new")
    outcome = desk.refuse()
    assert order.status is Status.WORKING
    assert asks(outcome) == 1


@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
def test_replayed_frames_change_nothing():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(40, 40)
    desk.fill(60, 100)
    replays = [desk.fill(40, 40), desk.fill(60, 100), desk.update("new", updated_ns=Nanos(START_NS))]
    assert booked(*replays) == 0
    assert not any(outcome.changed or outcome.alerts or outcome.reconcile for outcome in replays)
    assert order.filled_quantity == 100


FRAMES = ("new", "part", "rest", "part", "new", "rest")


@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
@given(st.permutations(FRAMES))
def test_the_order_of_frames_does_not_matter(frames):
    desk = Desk()
    order = desk.sent()
    outcomes = []
    for frame in frames:
        match frame:
            case "new":
                outcomes.append(desk.update("new", updated_ns=Nanos(START_NS + 1)))
            case "part":
                outcomes.append(desk.fill(40, 40, updated_ns=Nanos(START_NS + 2)))
            case _:
                outcomes.append(desk.fill(60, 100, updated_ns=Nanos(START_NS + 3)))
    assert booked(*outcomes) == 100
    assert order.status is Status.FILLED
    assert order.is_final
    assert all(outcome.lock_symbol is None for outcome in outcomes)


@pytest.mark.fault("C1")
def test_a_missed_frame_is_noticed_by_the_next_one():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    outcome = desk.fill(60, 100)
    assert booked(outcome) == 60
    assert outcome.reconcile is not None
    assert not order.is_final
    assert order.open_quantity == 40
    found = desk.orders.note_execution(desk.execution(40, 40), **desk.stamps)
    assert found.executions == ()
    assert order.is_final


@pytest.mark.fault("C1")
def test_an_execution_moves_the_status_without_any_frame():
    desk = Desk()
    order = desk.working()
    desk.orders.note_execution(desk.execution(40, 40), **desk.stamps)
    assert order.status is Status.PARTIAL
    desk.orders.note_execution(desk.execution(60, 100), **desk.stamps)
    assert order.status is Status.FILLED


@pytest.mark.fault("C3")
def test_a_frame_from_before_changes_no_status():
    desk = Desk()
    order = desk.working()
    desk.seconds = 5
    desk.update("new")
    desk.update("pending_cancel", status="pending_cancel", updated_ns=Nanos(START_NS + 1))
    assert order.status is Status.WORKING


@pytest.mark.fault("C1")
def test_fills_that_only_a_status_shows_keep_counting_until_they_are_explained():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    outcome = desk.update("canceled", status="canceled", filled_quantity=Decimal(30))
    assert outcome.reconcile is not None
    assert order.status is Status.CANCELED
    assert not order.is_final
    assert order.open_quantity == 30
    assert "fills_unexplained" in codes(*desk.wait(61))
    desk.orders.note_execution(desk.execution(30, 30), **desk.stamps)
    assert order.is_final


@pytest.mark.fault("B2")
def test_a_late_fill_of_a_cancelled_order_is_booked():
    desk = Desk()
    order = desk.working()
    desk.seconds = 2
    desk.update("canceled", status="canceled")
    late = desk.fill(40, 40, updated_ns=Nanos(START_NS + 10**9))
    assert booked(late) == 40
    assert order.status is Status.CANCELED
    assert order.filled_quantity == 40
    assert order.is_final


@pytest.mark.fault("B2")
def test_filled_and_cancelled_is_a_contradiction_that_fills_win():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(100, 100)
    desk.seconds = 2
    outcome = desk.update("canceled", status="canceled", filled_quantity=Decimal(100))
    assert order.status is Status.FILLED
    assert "illegal_transition" in codes(outcome)
    assert outcome.reconcile is not None
    assert not outcome.changed


@pytest.mark.fault("C4")
@pytest.mark.invariant("I14")
def test_more_than_was_ordered_locks_the_symbol_and_counts_by_the_word_of_the_activities():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(100, 100)
    outcome = desk.fill(10, 110)
    assert booked(outcome) == 0
    assert outcome.lock_symbol is not None
    assert outcome.reconcile is not None
    assert "overfill" in codes(outcome)
    settled = desk.orders.note_execution(desk.execution(10, 110), **desk.stamps)
    assert order.executed_quantity == 110
    assert "overfill" in codes(settled)


@pytest.mark.fault("C4")
@pytest.mark.invariant("I14")
def test_a_newer_picture_with_fewer_fills_locks_the_symbol():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(40, 40)
    desk.seconds = 5
    outcome = desk.update("new", filled_quantity=Decimal(10))
    assert outcome.lock_symbol is not None
    assert "filled_quantity_fell" in codes(outcome)
    assert order.filled_quantity == 40


@pytest.mark.fault("C4")
@pytest.mark.invariant("I13")
@pytest.mark.parametrize(
    ("quantity", "cumulative"),
    [
        (23, 22),  # more than all that is said to have filled
        (30, 60),  # twenty of them are booked already
        (10, 45),
        (10, 130),  # beyond the order, with a hole before it
    ],
)
def test_a_fill_whose_numbers_cannot_be_is_left_to_the_activities(quantity: int, cumulative: int):
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(40, 40)
    desk.seconds = 5
    outcome = desk.update("partial_fill", desk.execution(quantity, cumulative), filled_quantity=Decimal(40))
    assert booked(outcome) == 0
    assert "execution_contradicts" in codes(outcome)
    assert outcome.lock_symbol is not None
    assert outcome.reconcile is not None
    assert order.executed_quantity == 40
    assert order.open_quantity == 60


@pytest.mark.fault("C4")
@pytest.mark.invariant("I5")
def test_a_picture_with_more_filled_than_ordered_does_not_end_the_order():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    outcome = desk.update("fill", status="filled", filled_quantity=Decimal(150))
    assert order.status is Status.WORKING
    assert order.open_quantity == 100
    assert outcome.lock_symbol is not None
    assert outcome.reconcile is not None


def test_the_word_filled_means_every_share_whatever_number_stands_beside_it():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.update("fill", status="filled", filled_quantity=Decimal(30))
    assert order.status is Status.FILLED
    assert order.open_quantity == 100, "until executions say so"


@pytest.mark.fault("A13")
@pytest.mark.invariant("I5")
def test_the_word_filled_means_every_share_that_the_broker_took():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.update("fill", status="filled", quantity=Decimal(130), filled_quantity=Decimal(129))
    assert order.status is Status.FILLED
    assert order.open_quantity == 130, "until executions say so"


def test_one_identity_with_two_prices_locks_the_symbol():
    desk = Desk()
    desk.working()
    desk.fill(40, 40, price=50)
    outcome = desk.fill(40, 40, price=51)
    assert booked(outcome) == 0
    assert outcome.lock_symbol is not None


@pytest.mark.fault("C12")
@pytest.mark.parametrize("word", ["trade_bust", "trade_correct"])
def test_a_correction_books_nothing_and_asks_for_the_brokers_positions(word):
    desk = Desk()
    desk.working()
    outcome = desk.update(word, desk.execution(40, 40), status="new")
    assert booked(outcome) == 0
    assert outcome.reconcile is not None
    assert outcome.lock_symbol is not None


@pytest.mark.fault("C12")
def test_an_event_of_unknown_name_is_said_and_reconciled():
    desk = Desk()
    order = desk.working()
    outcome = desk.update("levitated", status="new")
    assert "unknown_event" in codes(outcome)
    assert outcome.reconcile is not None
    assert order.status is Status.WORKING


@pytest.mark.fault("A14")
def test_an_unknown_status_is_live_frozen_and_said():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    outcome = desk.update("new", status="daydreaming")
    assert order.status is Status.UNKNOWN
    assert order.open_quantity == 100
    assert outcome.lock_symbol is not None
    assert "unknown_status" in codes(outcome)
    desk.seconds = 2
    desk.update("new", status="new")
    assert order.status is Status.WORKING


@pytest.mark.fault("A13")
@pytest.mark.invariant("I7")
@pytest.mark.parametrize(
    "echo",
    [{"side": Side.SELL}, {"symbol": "BAC"}, {"quantity": Decimal(1000)}, {"limit_price": Decimal(51)}],
    ids=lambda echo: next(iter(echo)),
)
def test_an_echo_that_differs_locks_the_symbol_and_the_larger_quantity_counts(echo):
    desk = Desk()
    order = desk.sent()
    outcome = desk.answer(**echo)
    assert outcome.lock_symbol is not None
    assert "echo_differs" in codes(outcome)
    assert order.open_quantity == echo.get("quantity", 100)


@pytest.mark.invariant("I2")
def test_two_broker_orders_of_one_intent_are_said():
    desk = Desk()
    desk.working()
    outcome = desk.update("new", broker_order_id=BrokerOrderId("broker-2"))
    assert "two_orders_of_one_intent" in codes(outcome)
    assert outcome.lock_symbol is not None


# bookkeeping


@pytest.mark.invariant("I3")
def test_no_sequence_number_is_used_twice():
    desk = Desk(next_sequence=36)
    made = [desk.orders.new_client_order_id(desk.open().strategy) for _ in range(3)]
    assert len(set(made)) == 3
    assert desk.orders.next_sequence == 42


def test_recent_orders_count_whole_while_live_and_by_what_executed_when_final():
    desk = Desk()
    desk.working()
    (live,) = desk.orders.recent(desk.stamps["venue_ns"])
    assert (live.quantity, live.is_final, live.price) == (100, False, 50)
    desk.fill(40, 40)
    desk.seconds = 1
    desk.update("canceled", status="canceled", filled_quantity=Decimal(40))
    (final,) = desk.orders.recent(desk.stamps["venue_ns"])
    assert (final.quantity, final.is_final) == (40, True)
    assert desk.orders.recent(Nanos(START_NS + 86_400 * 10**9)) == ()


def test_only_the_last_final_orders_are_kept():
    desk = Desk(OrderSettings(kept_final_orders=3))
    dropped = []
    for _ in range(5):
        dropped.append(desk.open().client_order_id)
        desk.drop()
    assert [desk.orders.get(each) is not None for each in dropped] == [False, False, True, True, True]
    assert [order.client_order_id for order in desk.orders.all_recent()] == dropped[2:]
    assert [order.client_order_id for order in desk.orders.all_recent(limit=1)] == dropped[4:]


def test_records_and_views_show_the_order():
    desk = Desk()
    order = desk.working()
    desk.fill(40, 40)
    record = order.to_record(venue_ns=Nanos(1), seen_ns=Nanos(2))
    assert (record.status, record.broker_status, record.filled_quantity) == ("PARTIAL", "partially_filled", 40)
    assert record.sent_ns == record.acknowledged_ns == START_NS
    assert order.view().filled_average_price == 50
    assert not order.view().is_final
