"""Doubts are asked about until there is evidence; cancels last until the broker's word; other people's orders count."""

# mypy: disable-error-code="comparison-overlap"
# An order changes its status under calls that mypy does not follow, and a Decimal equals an int.

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import AskOrder, CancelOrder
from quant_trading_system.core.events import OrderUpdated
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Severity, StrategyId
from quant_trading_system.orders.status import Status
from tests.unit.orders.builders import BROKER_ID, IBM, Desk, asks, cancels, codes, foreign, saved

# doubts


@pytest.mark.fault("A2")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I5")
def test_a_lost_answer_is_unknown_counts_and_is_asked_about():
    desk = Desk()
    order = desk.sent()
    assert asks(desk.lose_answer()) == 1
    assert order.status is Status.UNKNOWN
    assert desk.orders.open_quantities(IBM) == (100, 0, True)
    desk.look_up(status="new")
    assert order.status is Status.WORKING
    assert desk.orders.open_quantities(IBM) == (100, 0, False)


@pytest.mark.fault("A2")
def test_an_order_found_filled_waits_for_its_executions():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    outcome = desk.look_up(status="filled", filled_quantity=Decimal(100))
    assert order.status is Status.FILLED
    assert not order.is_final
    assert outcome.reconcile is not None


@pytest.mark.fault("A6")
@pytest.mark.invariant("I4")
def test_silence_is_asked_about_for_ever_and_never_ends_an_order():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    outcomes = desk.wait(3_600)
    assert order.status is Status.UNKNOWN
    assert codes(*outcomes) == ["order_unknown"]
    assert 200 <= asks(*outcomes) <= 260


@pytest.mark.fault("A6")
def test_questions_follow_their_schedule():
    desk = Desk()
    desk.sent()
    desk.lose_answer()
    seen = []
    for second in range(1, 60):
        if asks(*desk.wait(1)):
            seen.append(second)
    assert seen == [1, 3, 8, 18, 33, 48]


def test_the_operator_hears_of_an_unknown_order_within_30_seconds():
    desk = Desk()
    desk.sent()
    desk.lose_answer()
    assert codes(*desk.wait(29)) == []
    (alert,) = [alert for outcome in desk.wait(1) for alert in outcome.alerts]
    assert alert[0] is Severity.CRITICAL


@pytest.mark.fault("A3")
@pytest.mark.fault("A4")
@pytest.mark.invariant("I4")
def test_absence_needs_quarantine_passes_and_an_answer():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    for _ in range(4):
        desk.look_up(found=False)
        desk.wait(14)
        desk.clean_pass()
        assert order.status is Status.UNKNOWN
    desk.wait(5)
    desk.clean_pass()
    assert order.status is Status.UNKNOWN, "the last answer is from within the quarantine"
    desk.look_up(found=False)
    (outcome,) = desk.clean_pass()
    assert order.status is Status.DROPPED
    assert outcome.changed
    assert "absent" in order.reason
    assert order.open_quantity == 0


@pytest.mark.invariant("I4")
def test_one_pass_is_not_enough_to_believe_in_absence():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    desk.wait(61)
    desk.look_up(found=False)
    desk.clean_pass()
    assert order.status is Status.UNKNOWN
    desk.clean_pass(order.client_order_id)
    desk.clean_pass()
    assert order.status is Status.UNKNOWN, "it was seen in between"
    desk.clean_pass()
    assert order.status is Status.DROPPED


def test_a_pass_that_began_before_the_doubt_proves_nothing():
    desk = Desk()
    order = desk.sent()
    desk.seconds = 5
    desk.lose_answer()
    desk.wait(70)
    desk.look_up(found=False)
    desk.clean_pass(started=1)
    desk.clean_pass(started=2)
    assert order.status is Status.UNKNOWN


def test_a_failed_question_proves_nothing():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    for _ in range(10):
        desk.wait(15)
        desk.fail_lookup()
        desk.clean_pass()
    assert order.status is Status.UNKNOWN


def test_an_order_that_a_pass_shows_is_not_absent():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    for _ in range(10):
        desk.wait(15)
        desk.look_up(found=False)
        desk.clean_pass(order.client_order_id)
    assert order.status is Status.UNKNOWN


def test_an_order_the_broker_named_is_never_absent():
    desk = Desk()
    order = desk.working()
    outcome = desk.look_up(found=False)
    assert codes(outcome) == ["order_not_shown"]
    desk.wait(200)
    assert asks(*desk.clean_pass(), *desk.clean_pass()) == 1
    assert order.status is Status.WORKING


@pytest.mark.fault("A4")
@pytest.mark.invariant("I5")
def test_an_order_that_arrives_after_its_absence_was_proven_counts_again():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    desk.wait(61)
    desk.look_up(found=False)
    desk.clean_pass()
    desk.clean_pass()
    assert order.status is Status.DROPPED
    outcome = desk.update("new")
    assert order.status is Status.WORKING
    assert "order_came_back" in codes(outcome)
    assert desk.orders.open_quantities(IBM) == (100, 0, False)


@pytest.mark.requirement("R106")
def test_an_order_without_acknowledgement_is_unknown_after_ten_seconds():
    desk = Desk()
    order = desk.sent()
    assert desk.wait(9) == []
    outcomes = desk.wait(1)
    assert order.status is Status.UNKNOWN
    assert codes(*outcomes) == ["order_late"]
    assert asks(*outcomes) == 1


@pytest.mark.requirement("R106")
def test_an_order_that_the_gateway_forgot_is_unknown_too_and_may_still_be_dropped():
    desk = Desk()
    order = desk.open()
    desk.wait(45)
    assert order.status is Status.UNKNOWN
    desk.drop()
    assert order.status is Status.DROPPED


def test_dropped_after_sending_is_not_believed():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    outcome = desk.drop()
    assert order.status is Status.UNKNOWN
    assert codes(outcome) == ["dropped_after_sending"]


@pytest.mark.fault("F1")
@pytest.mark.parametrize("status", ["READY", "SENDING", "UNKNOWN", "WHAT_IS_THIS"])
def test_after_a_restart_an_order_of_unclear_fate_is_asked_about_before_anything_else(status):
    desk = Desk(next_sequence=8)
    effects = desk.orders.restore([saved(status=status)], mono_ns=desk.stamps["mono_ns"])
    assert [type(effect) for effect in effects] == [AskOrder]
    assert desk.orders.open_quantities(IBM) == (100, 0, True)
    desk.order = next(desk.orders.live())
    desk.look_up(status="partially_filled", filled_quantity=Decimal(40))
    assert desk.order.status is Status.PARTIAL


@pytest.mark.fault("F6")
def test_after_a_restart_fills_that_were_known_are_not_counted_again():
    desk = Desk(next_sequence=8)
    order = saved(
        status="PARTIAL", broker_order_id=BROKER_ID, filled_quantity=Decimal(40), filled_value_usd=Decimal(2_000)
    )
    known = [(BROKER_ID, Decimal(40))]
    assert desk.orders.restore([order], mono_ns=desk.stamps["mono_ns"], known_executions=known) == []
    desk.order = next(desk.orders.live())
    assert desk.order.open_quantity == 60
    desk.fill(40, 40)
    assert desk.order.filled_quantity == 40
    desk.seconds = 1
    desk.fill(60, 100)
    assert desk.order.is_final
    assert desk.order.filled_value_usd == 5_000


@pytest.mark.fault("F6")
@pytest.mark.invariant("I5")
def test_after_a_restart_what_only_a_status_showed_as_filled_still_counts_as_open():
    desk = Desk(next_sequence=8)
    order = saved(
        status="FILLED", broker_order_id=BROKER_ID, filled_quantity=Decimal(100), filled_value_usd=Decimal(2_000)
    )
    known = [(BROKER_ID, Decimal(40))]
    desk.orders.restore([order], mono_ns=desk.stamps["mono_ns"], known_executions=known)
    assert desk.orders.open_quantities(IBM) == (60, 0, True)
    desk.order = next(desk.orders.live())
    desk.fill(60, 100)
    assert desk.order.is_final
    assert desk.order.filled_value_usd == 5_000


# cancels


def test_a_cancel_is_asked_once_and_ends_by_the_brokers_word():
    desk = Desk()
    order = desk.working()
    effect = desk.cancel()
    assert isinstance(effect, CancelOrder)
    assert effect.broker_order_id == BROKER_ID
    assert order.status is Status.CANCELING
    assert desk.cancel() is None
    desk.cancel_answer()
    assert order.open_quantity == 100, "taken is not cancelled"
    desk.seconds = 1
    desk.update("canceled", status="canceled")
    assert order.status is Status.CANCELED
    assert order.is_final
    assert desk.cancel() is None


def test_an_order_not_named_yet_is_cancelled_as_soon_as_it_is():
    desk = Desk()
    order = desk.sent()
    assert desk.cancel() is None
    assert cancels(desk.answer()) == 1
    assert order.status is Status.CANCELING


@pytest.mark.fault("B1")
def test_a_refused_cancel_is_asked_about_not_taken_for_absence():
    desk = Desk()
    order = desk.working()
    desk.cancel()
    outcome = desk.cancel_answer(accepted=False, message='order is already in "filled" state')
    assert asks(outcome) == 1
    assert order.open_quantity == 100
    desk.seconds = 1
    desk.look_up(status="filled", filled_quantity=Decimal(100))
    assert order.status is Status.FILLED


def test_a_cancel_in_doubt_is_asked_about_and_repeated():
    desk = Desk()
    order = desk.working()
    desk.cancel()
    assert asks(desk.lose_cancel()) == 1
    desk.look_up(status="new")
    assert order.status is Status.CANCELING
    assert cancels(*desk.wait(14)) == 0
    assert cancels(*desk.wait(1)) == 1


@pytest.mark.fault("B4")
def test_a_cancel_that_stays_pending_counts_as_live_and_is_said_twice():
    desk = Desk()
    order = desk.working()
    desk.cancel()
    desk.update("pending_cancel", status="pending_cancel")
    outcomes = desk.wait(3_600)
    assert order.open_quantity == 100
    assert codes(*outcomes) == ["cancel_late", "cancel_late"]
    assert cancels(*outcomes) == 0
    assert asks(*outcomes) > 100


def test_a_cancel_that_the_venue_refuses_leaves_the_order_working():
    desk = Desk()
    order = desk.working()
    desk.cancel()
    desk.seconds = 1
    desk.update("order_cancel_rejected", status="new")
    assert order.status is Status.WORKING


# other people's orders


@pytest.mark.fault("C11")
@pytest.mark.invariant("I5")
def test_somebody_elses_order_counts_and_belongs_to_nobody_here():
    desk = Desk()
    desk.open()
    outcome = desk.orders.apply(_frame(desk, foreign()))
    assert outcome.order is not None
    assert outcome.order.is_external
    assert outcome.order.allocations == ()
    assert codes(outcome) == ["external_order"]
    assert desk.orders.open_quantities(IBM) == (105, 0, False)
    again = desk.orders.apply(_frame(desk, foreign()))
    assert codes(again) == []
    assert desk.orders.adopt(foreign(), **desk.stamps) is outcome.order


@pytest.mark.fault("B1")
@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [("filled", 5, Status.FILLED), ("canceled", 0, Status.CANCELED), ("new", 0, Status.WORKING)],
)
def test_an_order_first_seen_by_a_refused_cancel_is_what_the_status_beside_it_says(
    status: str, filled: int, expected: Status
):
    desk = Desk()
    shown = foreign(status=status, filled_quantity=Decimal(filled))
    event = structs.replace(_frame(desk, shown), word="order_cancel_rejected")
    desk.orders.apply(event)
    outcome = desk.orders.observe(shown, **desk.stamps, source="pass")
    assert outcome.order is not None
    assert outcome.order.status is expected


@pytest.mark.fault("K1")
def test_an_order_of_another_database_of_ours_is_critical():
    desk = Desk()
    outcome = desk.orders.apply(_frame(desk, foreign("qts-other001-abcd-momentum-1")))
    assert codes(outcome) == ["foreign_instance"]


def test_an_order_of_ours_that_is_not_in_our_books_is_critical():
    desk = Desk()
    outcome = desk.orders.apply(_frame(desk, foreign("qts-test0001-abcd-momentum-1")))
    assert codes(outcome) == ["forgotten_order"]


@pytest.mark.fault("F13")
@pytest.mark.invariant("I3")
@pytest.mark.parametrize(
    ("shown", "is_passed_over"),
    [
        ("qts-test0001-abcd-momentum-a", True),
        ("qts-other001-abcd-momentum-a", False),
        ("qts-test0001-abcd-momentum-zzzzzzzzzzzz", False),  # nobody counts so far
        ("made-by-hand", False),
    ],
)
def test_a_number_that_the_broker_shows_as_used_is_given_to_no_other_order(shown: str, is_passed_over: bool):
    desk = Desk()
    assert desk.orders.pass_over(ClientOrderId(shown)) is is_passed_over
    assert not desk.orders.pass_over(ClientOrderId(shown)), "said once"
    assert desk.orders.new_client_order_id(StrategyId("momentum")).endswith("-b" if is_passed_over else "-1")


@pytest.mark.fault("B5")
def test_an_order_replaced_by_hand_stays_with_its_strategy():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    outcome = desk.update("replaced", status="replaced", replaced_by=BrokerOrderId("broker-9"))
    assert order.status is Status.REPLACED
    assert outcome.reconcile is not None
    leaf = desk.orders.adopt(foreign(replaces=BROKER_ID), **desk.stamps)
    assert leaf.strategy == order.strategy
    assert leaf.allocations == order.allocations


@pytest.mark.fault("B5")
def test_a_replacement_that_was_refused_stands_for_no_later_one():
    desk = Desk()
    order = desk.working()
    desk.orders.adopt(foreign(replaces=BROKER_ID, status="rejected", quantity=order.quantity), **desk.stamps)
    desk.seconds = 1
    desk.update("order_replace_rejected", status="new")
    assert (order.status, order.open_quantity) == (Status.WORKING, order.quantity)
    desk.seconds = 2
    desk.update("replaced", status="replaced", replaced_by=BrokerOrderId("broker-10"))
    assert order.open_quantity == order.quantity
    desk.orders.adopt(
        foreign("by-hand-too", broker_order_id=BrokerOrderId("broker-10"), replaces=BROKER_ID), **desk.stamps
    )
    assert order.open_quantity == 0


@pytest.mark.fault("B5")
def test_an_order_that_had_filled_in_part_counts_whole_until_it_is_known_what_took_its_place():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.fill(4, 4)
    assert order.open_quantity == order.quantity - 4
    desk.seconds = 2
    desk.update("replaced", status="replaced", filled_quantity=Decimal(4), replaced_by=BrokerOrderId("broker-9"))
    assert order.open_quantity == order.quantity


@pytest.mark.fault("B2")
def test_a_word_that_was_refused_once_counts_when_a_late_fill_made_it_possible():
    desk = Desk()
    order = desk.working()
    desk.seconds = 1
    desk.update("rejected", status="rejected")
    desk.seconds = 4
    canceled = desk.shown(status="canceled", filled_quantity=Decimal(4))
    desk.orders.observe(canceled, **desk.stamps, source="pass")
    assert order.status is Status.REJECTED
    desk.seconds = 3
    desk.fill(4, 4)
    assert order.status is Status.PARTIAL
    desk.seconds = 4
    desk.update("canceled", status="canceled", filled_quantity=Decimal(4))
    assert order.status is Status.CANCELED


def _frame(desk: Desk, shown: BrokerOrder) -> OrderUpdated:
    return OrderUpdated(word="new", event_id=None, order=shown, **desk.event_stamps)
