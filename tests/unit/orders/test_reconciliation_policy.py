"""Reconciliation: each kind of difference is found, and repaired by journal entries, never by an order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.broker import BrokerPosition, Execution
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.types import NANOS_PER_SECOND, BrokerOrderId, MonoNanos, Nanos, Severity, Symbol
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.reconcile import (
    Action,
    AdjustPosition,
    AdoptOrder,
    AdoptPosition,
    BookExecution,
    Degrade,
    DifferenceKind,
    LockSymbol,
    ObserveOrder,
    OurBooks,
    RaiseAlert,
    ReconcilePolicy,
    SetCash,
    Wait,
    diff,
)
from tests.unit.orders.builders import BROKER_ID, IBM, START_NS, Desk, foreign, position, snapshot

BAC = Symbol("BAC")


def ours(
    *,
    orders: tuple[Order, ...] = (),
    cash: object = 10_000,
    booked: tuple[tuple[BrokerOrderId, Decimal], ...] = (),
    **positions: int,
) -> OurBooks:
    return OurBooks(
        positions={Symbol(symbol): Decimal(quantity) for symbol, quantity in positions.items()},
        orders=orders,
        cash_usd=None if cash is None else Decimal(str(cash)),
        is_booked=lambda key: key in booked,
    )


def kinds(books: OurBooks, shown: BrokerSnapshot) -> list[DifferenceKind]:
    return [difference.kind for difference in diff(books, shown)]


def seen_at(*passes: tuple[float, OurBooks, BrokerSnapshot]) -> list[list[type]]:
    """What the policy does in each of the passes, by type of action."""
    policy = ReconcilePolicy()
    return [
        [type(action) for action in policy.decide(diff(books, shown), mono_ns=mono(seconds))]
        for seconds, books, shown in passes
    ]


def mono(seconds: float) -> MonoNanos:
    return MonoNanos(round(seconds * NANOS_PER_SECOND))


@pytest.mark.requirement("R117")
def test_equal_books_do_not_differ():
    desk = Desk()
    order = desk.working()
    assert diff(ours(orders=(order,), IBM=100), snapshot(open_orders=(desk.shown(),), positions=(position(100),))) == ()


@pytest.mark.fault("C1")
@pytest.mark.requirement("R119")
def test_a_fill_that_was_not_seen_is_booked_at_once_and_explains_position_and_cash():
    desk = Desk()
    desk.working()
    shown = snapshot(executions=(desk.execution(40, 40),), positions=(position(40),), cash=8_000)
    assert kinds(ours(), shown) == [DifferenceKind.MISSING_FILL]
    ((action,),) = [ReconcilePolicy().decide(diff(ours(), shown), mono_ns=mono(0))]
    assert isinstance(action, BookExecution)
    assert action.execution.quantity == 40


def test_missing_fills_are_booked_in_the_order_in_which_they_happened():
    desk = Desk()
    desk.working()
    desk.seconds = 1
    first = desk.execution(40, 40)
    desk.seconds = 2
    second = desk.execution(60, 100)
    shown = snapshot(executions=(second, first), positions=(position(100),), cash=5_000)
    assert [difference.execution for difference in diff(ours(), shown)] == [first, second]


@pytest.mark.invariant("I13")
def test_a_booked_fill_is_no_difference():
    desk = Desk()
    desk.working()
    shown = snapshot(executions=(desk.execution(40, 40),), positions=(position(40),), cash=8_000)
    assert kinds(ours(cash=8_000, booked=((BROKER_ID, Decimal(40)),), IBM=40), shown) == []


def test_a_booked_fill_that_its_live_order_was_not_told_of_is_told():
    desk = Desk()
    order = desk.working()
    shown = snapshot(
        open_orders=(desk.shown(),), executions=(desk.execution(40, 40),), positions=(position(40),), cash=8_000
    )
    books = ours(orders=(order,), cash=8_000, booked=((BROKER_ID, Decimal(40)),), IBM=40)
    assert kinds(books, shown) == [DifferenceKind.MISSING_FILL]


@pytest.mark.fault("C8")
def test_an_order_whose_status_we_missed_is_observed_and_an_older_picture_is_not():
    desk = Desk()
    order = desk.working()
    newer = desk.shown(status="canceled", updated_ns=Nanos(START_NS + 1))
    older = desk.shown(status="pending_new", updated_ns=Nanos(START_NS - 1))
    assert seen_at((0, ours(orders=(order,)), snapshot(closed_orders=(newer,)))) == [[ObserveOrder]]
    assert kinds(ours(orders=(order,)), snapshot(open_orders=(older,))) == []


def test_an_unknown_order_that_the_broker_shows_is_observed_before_its_fills_are_booked():
    desk = Desk()
    order = desk.sent()
    desk.lose_answer()
    shown = snapshot(
        closed_orders=(desk.shown(status="filled", filled_quantity=Decimal(100)),),
        executions=(desk.execution(100, 100),),
        positions=(position(100),),
        cash=5_000,
    )
    assert seen_at((0, ours(orders=(order,)), shown)) == [[ObserveOrder, BookExecution]]


@pytest.mark.fault("C11")
def test_an_order_of_somebody_else_is_adopted_while_it_is_open():
    assert seen_at((0, ours(), snapshot(open_orders=(foreign(),)))) == [[AdoptOrder, RaiseAlert]]
    assert kinds(ours(), snapshot(closed_orders=(foreign(status="filled"),))) == []


@pytest.mark.fault("C6")
def test_a_position_we_lack_is_adopted_when_it_is_seen_again():
    shown = snapshot(positions=(position(25),))
    assert seen_at((0, ours(), shown), (15, ours(), shown)) == [[Wait], [AdoptPosition, RaiseAlert]]


@pytest.mark.fault("C6")
def test_on_the_first_pass_what_the_account_holds_is_adopted_at_once():
    desk = Desk()
    desk.working()
    shown = snapshot(positions=(position(25),), executions=(desk.execution(10, 10),), cash=3_000)
    actions = ReconcilePolicy().decide(diff(ours(), shown), mono_ns=mono(0), is_first_pass=True)
    adopted = next(action for action in actions if isinstance(action, AdoptPosition))
    assert adopted.quantity == 15, "what the fill explains is not adopted twice"
    assert SetCash not in {type(action) for action in actions}, "the activities that explain it may lag"


@pytest.mark.fault("C7")
@pytest.mark.requirement("R119")
@pytest.mark.parametrize("held", [0, 60, 140])
def test_another_quantity_is_adjusted_after_two_sightings_and_the_symbol_locked(held):
    shown = snapshot(positions=(position(held),) if held else ())
    books = ours(IBM=100)
    assert seen_at((0, books, shown), (15, books, shown)) == [[Wait], [AdjustPosition, LockSymbol, RaiseAlert]]


@pytest.mark.fault("C6")
@pytest.mark.invariant("I15")
def test_a_gap_of_shares_is_the_same_gap_whatever_we_hold_beside_it():
    first = (0, ours(), snapshot(positions=(position(100),)))
    second = (15, ours(IBM=42), snapshot(positions=(position(142),)))
    assert seen_at(first, second) == [[Wait], [AdjustPosition, LockSymbol, RaiseAlert]]


@pytest.mark.fault("C7")
def test_a_position_of_the_other_sign_locks_at_once_and_is_adjusted_after_two_sightings():
    shown = snapshot(positions=(position(-50),))
    books = ours(IBM=100)
    assert kinds(books, shown) == [DifferenceKind.SIGN_FLIP]
    assert seen_at((0, books, shown), (15, books, shown)) == [
        [LockSymbol, Degrade, Wait],
        [AdjustPosition, LockSymbol, Degrade, RaiseAlert],
    ]


@pytest.mark.fault("C9")
def test_two_sightings_lie_a_period_apart_and_are_of_the_same_gap():
    first, other = snapshot(positions=(position(60),)), snapshot(positions=(position(70),))
    books = ours(IBM=100)
    assert seen_at((0, books, first), (5, books, first), (10, books, other), (20, books, other)) == [[Wait]] * 4


def test_a_gap_that_healed_in_between_starts_anew():
    gap, healed = snapshot(positions=(position(60),)), snapshot(positions=(position(100),))
    books = ours(IBM=100)
    assert seen_at((0, books, gap), (15, books, healed), (30, books, gap)) == [[Wait], [], [Wait]]


def test_open_differences_keep_the_books_from_being_clean():
    policy = ReconcilePolicy()
    shown = snapshot(positions=(position(60),))
    policy.decide(diff(ours(IBM=100), shown), mono_ns=mono(0))
    assert policy.has_open_differences
    policy.decide(diff(ours(IBM=60), shown), mono_ns=mono(15))
    assert not policy.has_open_differences


def test_cash_follows_the_broker_after_two_sightings_to_the_half_cent():
    assert kinds(ours(cash="10000.005"), snapshot()) == []
    books = ours(cash="10000.02")
    assert seen_at((0, books, snapshot()), (15, books, snapshot())) == [[Wait], [SetCash, RaiseAlert]]


def test_cash_that_we_do_not_know_does_not_differ():
    assert kinds(ours(cash=None), snapshot()) == []


def test_an_order_that_is_not_shown_any_more_locks_its_symbol():
    desk = Desk()
    order = desk.working()
    books = ours(orders=(order,))
    assert seen_at((0, books, snapshot()), (15, books, snapshot())) == [[Wait], [LockSymbol, RaiseAlert]]


def test_an_order_that_changed_during_the_pass_need_not_be_in_it():
    desk = Desk()
    desk.seconds = 101
    order = desk.working()
    assert kinds(ours(orders=(order,)), snapshot(seconds=100)) == []


def test_an_order_that_has_no_broker_id_yet_is_not_missed():
    desk = Desk()
    assert kinds(ours(orders=(desk.sent(), desk.open())), snapshot()) == []


@pytest.mark.invariant("I16")
@given(
    ours_held=st.dictionaries(st.sampled_from(["IBM", "BAC"]), st.integers(-5, 5)),
    shown_held=st.dictionaries(st.sampled_from([IBM, BAC]), st.integers(-5, 5).filter(bool)),
    fills=st.lists(st.tuples(st.sampled_from([IBM, BAC]), st.integers(1, 5)), max_size=3),
    cash=st.integers(9_000, 11_000),
)
def test_after_the_repairs_the_books_equal_the_brokers(ours_held, shown_held, fills, cash):
    """Plays the actions on plain numbers until nothing differs; at most three passes are needed."""
    held = {Symbol(symbol): Decimal(quantity) for symbol, quantity in ours_held.items() if quantity}
    known: set[tuple[BrokerOrderId, Decimal]] = set()
    money = [Decimal(10_000)]
    shown = snapshot(
        positions=tuple(_held(symbol, quantity) for symbol, quantity in shown_held.items()),
        executions=tuple(_fill(number, symbol, quantity) for number, (symbol, quantity) in enumerate(fills)),
        cash=cash,
    )
    policy = ReconcilePolicy()
    for number in range(4):
        books = OurBooks(positions=dict(held), orders=(), cash_usd=money[0], is_booked=known.__contains__)
        differences = diff(books, shown)
        for action in policy.decide(differences, mono_ns=mono(15 * number)):
            _carry_out(action, held, known, money)
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == {
        each.symbol: each.quantity for each in shown.positions
    }
    assert money == [Decimal(cash)]


def _held(symbol: Symbol, quantity: int) -> BrokerPosition:
    return position(quantity, symbol)


def _fill(number: int, symbol: Symbol, quantity: int) -> Execution:
    desk = Desk()
    desk.sent(symbol=symbol)
    made = desk.execution(quantity, quantity)
    return type(made)(
        execution_id=made.execution_id,
        broker_order_id=BrokerOrderId(f"b{number}"),
        client_order_id=None,
        symbol=symbol,
        side=made.side,
        quantity=made.quantity,
        price=made.price,
        cumulative_quantity=made.cumulative_quantity,
        venue_ns=Nanos(START_NS + number),
    )


def _carry_out(
    action: Action,
    held: dict[Symbol, Decimal],
    known: set[tuple[BrokerOrderId, Decimal]],
    money: list[Decimal],
) -> None:
    match action:
        case BookExecution(execution=fill):
            known.add((fill.broker_order_id, fill.cumulative_quantity))
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.quantity
            money[0] -= fill.quantity * fill.price
        case AdoptPosition(symbol=symbol, quantity=quantity):
            held[symbol] = held.get(symbol, Decimal(0)) + quantity
        case AdjustPosition(symbol=symbol, quantity=quantity):
            held[symbol] = quantity
        case SetCash(cash_usd=cash):
            money[0] = cash
        case LockSymbol() | RaiseAlert() | Wait() | Degrade():
            pass
        case _:
            pytest.fail(f"{action} was not expected")


@pytest.mark.requirement("R118")
def test_a_repaired_drift_is_told_loudly():
    policy = ReconcilePolicy()
    shown = snapshot(positions=(position(60),))
    policy.decide(diff(ours(IBM=100), shown), mono_ns=mono(0))
    alerts = [
        action
        for action in policy.decide(diff(ours(IBM=100), shown), mono_ns=mono(15))
        if isinstance(action, RaiseAlert)
    ]
    assert [(alert.severity, alert.code) for alert in alerts] == [(Severity.CRITICAL, "drift_quantity_gap")]
    assert "ours 100, the broker's 60" in alerts[0].text
