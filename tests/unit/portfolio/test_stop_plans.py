"""Which stop guards what strategies hold: one, for the net, never more than there is, at the nearest price."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.money import is_legal_tick
from quant_trading_system.core.types import Side, StrategyId
from quant_trading_system.portfolio.stops import Holding, leg_price, plan_stop

A, B = StrategyId("a"), StrategyId("b")


def holding(quantity: str, price: str = "100", fraction: str = "0.02", *, strategy: StrategyId = A) -> Holding:
    return Holding(
        strategy=strategy, quantity=Decimal(quantity), average_price=Decimal(price), fraction=Decimal(fraction)
    )


def test_a_long_position_is_guarded_by_a_sale_below_what_it_cost():
    plan = plan_stop([holding("47", "100.01")], position=Decimal(47))
    assert plan is not None
    assert (plan.side, plan.quantity, plan.stop_price) == (Side.SELL, Decimal(47), Decimal("98.01"))
    assert [(each.strategy, each.quantity) for each in plan.allocations] == [(A, Decimal(-47))]


def test_a_short_position_is_guarded_by_a_purchase_above():
    plan = plan_stop([holding("-10")], position=Decimal(-10))
    assert plan is not None
    assert (plan.side, plan.stop_price, plan.allocations[0].quantity) == (Side.BUY, Decimal(102), Decimal(10))


@pytest.mark.control("P34")
def test_of_several_prices_the_nearest_to_the_market_counts():
    plan = plan_stop([holding("10"), holding("5", "90", "0.01", strategy=B)], position=Decimal(15))
    assert plan is not None
    assert (plan.quantity, plan.stop_price, plan.strategy) == (Decimal(15), Decimal(98), "net")


@pytest.mark.invariant("I11")
@pytest.mark.parametrize(
    ("held", "position", "guarded"),
    [
        (["50"], "20", "20"),  # somebody else is short of it
        (["50"], "80", "50"),  # somebody else's shares are theirs to guard
        (["50", "-20"], "30", "30"),
        (["50"], "-10", None),
        (["0.5"], "0.5", None),
        (["1.7"], "1.7", "1"),
        ([], "10", None),
    ],
)
def test_it_never_sells_more_than_there_is(held: list[str], position: str, guarded: str | None):
    holdings = [holding(quantity, strategy=StrategyId(str(n))) for n, quantity in enumerate(held)]
    plan = plan_stop(holdings, position=Decimal(position))
    assert (None if plan is None else plan.quantity) == (None if guarded is None else Decimal(guarded))


quantities = st.integers(-200, 200).map(Decimal)
prices = st.decimals("1", "900", places=4)
fractions = st.decimals("0.001", "0.5", places=3)


@pytest.mark.invariant("I11")
@pytest.mark.invariant("I32")
@given(st.lists(st.tuples(quantities, prices, fractions), min_size=1, max_size=4), quantities)
def test_a_plan_only_reduces_sums_up_and_lies_on_a_tick(rows: list[tuple[Decimal, Decimal, Decimal]], others: Decimal):
    holdings = [
        Holding(strategy=StrategyId(str(n)), quantity=quantity, average_price=price, fraction=fraction)
        for n, (quantity, price, fraction) in enumerate(rows)
        if quantity
    ]
    net = sum((each.quantity for each in holdings), Decimal(0))
    position = net + others
    plan = plan_stop(holdings, position=position)
    if plan is None:
        assert net * position <= 0
        return
    assert sum(each.quantity for each in plan.allocations) == plan.quantity * plan.side.sign
    assert plan.quantity <= min(abs(net), abs(position))
    assert plan.side is (Side.SELL if position > 0 else Side.BUY)
    assert is_legal_tick(plan.stop_price)
    for each in plan.allocations:
        book = next(own for own in holdings if own.strategy == each.strategy)
        assert each.quantity * book.quantity < 0
        assert abs(each.quantity) <= abs(book.quantity)


def test_a_stop_a_little_off_is_left_alone_and_one_that_is_not_is_not():
    plan = plan_stop([holding("10")], position=Decimal(10))
    assert plan is not None
    assert plan.is_met_by(side=Side.SELL, quantity=Decimal(10), stop_price=Decimal("98.40"))
    assert not plan.is_met_by(side=Side.SELL, quantity=Decimal(10), stop_price=Decimal("99"))
    assert not plan.is_met_by(side=Side.SELL, quantity=Decimal(9), stop_price=Decimal("98"))
    assert not plan.is_met_by(side=Side.BUY, quantity=Decimal(10), stop_price=Decimal("98"))
    assert not plan.is_met_by(side=Side.SELL, quantity=Decimal(10), stop_price=None)
    assert plan.is_passed_by(Decimal("98"))
    assert not plan.is_passed_by(Decimal("98.01"))


def test_a_leg_lies_a_cent_behind_the_limit_or_there_is_none():
    two = [Decimal("0.02")]
    assert leg_price(Decimal(100), two, entry=Side.BUY, limit=Decimal("100.05")) == Decimal(98)
    assert leg_price(Decimal(100), two, entry=Side.SELL, limit=Decimal("99.95")) == Decimal(102)
    assert leg_price(Decimal(100), two, entry=Side.BUY, limit=Decimal("98.00")) is None
    assert leg_price(Decimal("0.01"), [Decimal("0.5")], entry=Side.BUY, limit=Decimal("0.01")) is None
