"""A broker that goes on answering with the picture of before: what we know better is not undone (fault C8)."""

from __future__ import annotations

import pytest
from msgspec import structs

from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.records import ReconciliationRecord
from quant_trading_system.core.types import Direction, Nanos
from tests.support.floor import Floor, scripted_floor

PERIOD_S = 15


def show_again(floor: Floor, old: BrokerSnapshot) -> None:
    """From now on every pass reads the old picture, with the stamps of a new one."""
    floor.filter_snapshot = lambda new: structs.replace(
        old,
        started_mono_ns=new.started_mono_ns,
        since_ns=Nanos(old.venue_ns - 1),
        venue_ns=new.venue_ns,
        seen_ns=new.seen_ns,
        mono_ns=new.mono_ns,
    )


def last_pass(floor: Floor) -> ReconciliationRecord:
    return [record for record in floor.records if isinstance(record, ReconciliationRecord)][-1]


@pytest.mark.requirement("R119")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
@pytest.mark.invariant("I17")
def test_a_picture_from_before_a_fill_is_discarded_however_often_it_is_shown_and_trading_pauses():
    floor = scripted_floor()
    old = floor.snapshot()
    floor.decide(Direction.LONG)
    floor.advance(1)
    held = floor.books()
    assert held
    show_again(floor, old)
    floor.advance(4 * PERIOD_S)
    assert floor.books() == held
    assert floor.engine.view().locks == {}
    assert last_pass(floor).result == "discarded"
    assert "older than what is known of" in last_pass(floor).reason
    assert floor.causes == {"reconciliation_age"}

    floor.filter_snapshot = lambda snapshot: snapshot
    floor.advance(PERIOD_S)
    assert floor.books() == held
    assert last_pass(floor).result == "clean"
    floor.must_agree()


@pytest.mark.fault("C8")
def test_a_picture_in_which_an_order_is_less_filled_than_we_know_is_discarded():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    held = floor.books()
    (order,) = floor.snapshot().closed_orders
    less = structs.replace(order, filled_quantity=order.filled_quantity - 1, status="partially_filled")
    floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, open_orders=(less,), closed_orders=())
    floor.reconcile()
    assert last_pass(floor).result == "discarded"
    assert floor.books() == held


@pytest.mark.fault("C8")
@pytest.mark.fault("C12")
def test_an_order_that_no_pass_and_no_answer_shows_blocks_reconciliation_for_a_bounded_time():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    held = floor.books()
    floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, closed_orders=())
    floor.answers_lookups = False
    floor.advance(3 * PERIOD_S)
    assert last_pass(floor).result == "discarded"
    floor.advance(4 * PERIOD_S)
    assert last_pass(floor).result == "clean"
    assert floor.books() == held  # its executions are listed
