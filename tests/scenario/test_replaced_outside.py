"""The owner replaces an order of ours in the broker's app: what takes its place stays with its strategies."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations

import pytest

from quant_trading_system.core.events import OrderUpdated
from quant_trading_system.core.types import Direction, Nanos
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from tests.support.floor import MOMENTUM, SYMBOL, Floor, scripted_floor

FRACTION = Decimal("0.02")
LINKS = 3


def resting_floor() -> Floor:
    floor = scripted_floor()
    floor.buy_resting()
    return floor


def replace_outside(floor: Floor, order: SimOrder, price: str) -> SimOrder:
    """The broker's app replaces an order; a moment later the new one works."""
    new = floor.exchange.replace(order.id, OrderChange(limit_price=Decimal(price)))
    floor.pass_ms(300)
    return new


def chain(floor: Floor, links: int = LINKS) -> SimOrder:
    leaf = floor.exchange.order_by_client_id(floor.sent[0].intent.client_order_id)
    for number in range(links):
        leaf = replace_outside(floor, leaf, f"99.{50 + number}")
    return leaf


@pytest.mark.fault("B5")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I5")
def test_the_leaf_of_a_chain_of_three_belongs_to_the_strategy_and_counts_alone():
    floor = resting_floor()
    leaf = chain(floor)
    (shown,) = floor.live
    assert (shown.broker_order_id, shown.strategy, shown.quantity) == (leaf.id, MOMENTUM, Decimal(47))
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(101)
    assert floor.alerted("external_order") == []
    assert len(floor.alerted("order_replaced_outside")) == LINKS
    floor.advance(20, price=99.0)
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


@pytest.mark.fault("B5")
def test_fills_of_ancestors_are_counted_once():
    floor = resting_floor()
    first = floor.exchange.order_by_client_id(floor.sent[0].intent.client_order_id)
    floor.exchange.fill_out_of_the_blue(first.id, qty=Decimal(10))
    floor.pass_ms(50)
    new = floor.exchange.replace(first.id, OrderChange(qty=Decimal(37), limit_price=Decimal("99.5")))
    floor.pass_ms(300)
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(101)
    floor.exchange.fill_out_of_the_blue(new.id, qty=Decimal(7))
    floor.advance(20, price=99.0)
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


@pytest.mark.fault("B5")
@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
def test_a_chain_is_followed_whatever_order_its_events_come_in():
    floor = resting_floor()
    held: list[OrderUpdated] = []

    def hold(update: OrderUpdated) -> Sequence[OrderUpdated]:
        held.append(update)
        return ()

    floor.filter_update = hold
    floor.reconciles = False
    leaf = chain(floor, links=2)
    floor.exchange.fill_out_of_the_blue(leaf.id, qty=Decimal(7))
    floor.pass_ms(50)
    told = [update for update in held if update.word in ("replaced", "new", "partial_fill")]
    assert len(told) == 5
    for order in permutations(told):
        again = rebuilt(floor)
        for update in order:
            again.tell(update)
        assert [(view.broker_order_id, view.strategy) for view in again.live] == [(leaf.id, MOMENTUM)], order
        assert again.books() == {"momentum": Decimal(7)}, order


def rebuilt(floor: Floor) -> Floor:
    """Another engine over the same exchange that heard nothing of what was held back."""
    heir = floor.crash()
    heir.reconciles = False
    heir.answers_lookups = False
    heir.filter_update = lambda _update: ()
    heir.start()
    return heir


@pytest.mark.fault("B5")
@pytest.mark.fault("C1")
def test_a_chain_that_only_reconciliation_sees_is_followed():
    floor = resting_floor()
    floor.filter_update = lambda _update: ()
    leaf = chain(floor)
    floor.advance(15)
    (shown,) = floor.live
    assert (shown.broker_order_id, shown.strategy) == (leaf.id, MOMENTUM)
    floor.filter_update = lambda update: [update]
    floor.advance(20, price=99.0)
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


@pytest.mark.fault("B5")
@pytest.mark.fault("F6")
@pytest.mark.parametrize("links_before", range(LINKS + 1))
def test_a_chain_is_followed_across_a_restart(links_before: int):
    floor = resting_floor()
    chain(floor, links=links_before)
    before = floor.live[-1].broker_order_id
    assert before is not None
    heir = floor.crash()
    leaf = floor.exchange.order(before)
    for number in range(LINKS - links_before):
        leaf = floor.exchange.replace(leaf.id, OrderChange(limit_price=Decimal(f"99.{70 + number}")))
        floor.exchange.advance(Nanos(floor.exchange.now_ns + 1_000_000_000))
    floor.exchange.take_order_events()
    heir.start()
    heir.advance(2, price=101.0)
    assert [(view.broker_order_id, view.strategy) for view in heir.live] == [(leaf.id, MOMENTUM)]
    heir.advance(20, price=99.0)
    assert heir.books() == {"momentum": Decimal(47)}
    heir.must_agree()


@pytest.mark.fault("B5")
@pytest.mark.invariant("I5")
def test_while_nobody_shows_what_took_its_place_the_order_counts_for_it():
    floor = resting_floor()
    floor.filter_update = lambda update: [update] if update.word == "replaced" else ()
    floor.reconciles = False
    chain(floor, links=1)
    (shown,) = floor.live
    assert shown.status == "REPLACED"
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(101)
    floor.advance(61, price=101.0)
    assert floor.alerted("replacement_unknown")
    floor.reconciles = True
    floor.reconcile()
    rows = {row.client_order_id: row for row in floor.order_rows}
    assert rows[floor.sent[0].intent.client_order_id].is_final


@pytest.mark.fault("B5")
def test_a_stop_that_the_owner_moves_is_kept_where_it_was_moved():
    floor = scripted_floor(protective_stops={MOMENTUM: FRACTION})
    floor.decide(Direction.LONG)
    floor.advance(2)
    leg = next(order for order in floor.exchange.orders() if order.type == "stop")
    floor.exchange.cancel(leg.id)  # the broker lets nobody move the leg of an entry
    floor.advance(2)
    ours = next(order for order in floor.exchange.orders() if order.type == "stop" and order.is_open)
    floor.exchange.replace(ours.id, OrderChange(stop_price=Decimal("95")))
    floor.advance(30)
    stops = [order for order in floor.exchange.orders() if order.type == "stop" and order.is_open]
    assert [stop.stop_price for stop in stops] == [Decimal("95")]
    assert floor.engine.are_stops_in_place
    floor.advance(5, price=97.0)
    assert floor.books() == {"momentum": Decimal(47)}
    floor.advance(5, price=94.5)
    assert floor.positions() == {} == floor.broker_positions()
    floor.must_agree()


@pytest.mark.fault("C11")
def test_what_replaced_somebody_elses_order_stays_somebody_elses():
    floor = scripted_floor()
    body = {"symbol": SYMBOL, "qty": "5", "side": "buy", "type": "limit", "limit_price": "90", "time_in_force": "day"}
    theirs = floor.exchange.external_order(OrderRequest.from_body(body))
    floor.pass_ms(100)
    replace_outside(floor, theirs, "91")
    floor.advance(1)
    assert [view.strategy for view in floor.live] == ["external"]
