"""The gate and orders with legs, and stops: legs go with entries alone, stops may come at any hour and only reduce."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quant_trading_system.core.types import OrderClass, OrderType, Side, TimeInForce
from quant_trading_system.core.values import OrderIntent
from quant_trading_system.risk.limits import RiskLimits
from tests.unit.risk.builders import (
    IBM,
    NOON_NS,
    exposure,
    holding,
    intent,
    money,
    price,
    recent,
    refused_by,
    review,
    selling,
    session,
    view,
)

MINUTE_NS = 60_000_000_000


def entry(**changes: object) -> OrderIntent:
    """Buy 10 at 100.10 with a stop at 98."""
    fields: dict[str, object] = {"order_class": OrderClass.OTO, "stop_loss_price": Decimal("98.00")}
    return intent(**(fields | changes))


def stop(quantity: int = 50, **changes: object) -> OrderIntent:
    fields: dict[str, object] = {
        "order_type": OrderType.STOP,
        "limit_price": None,
        "stop_price": Decimal("98.00"),
        "time_in_force": TimeInForce.GTC,
    }
    return selling(quantity, **(fields | changes))


@pytest.mark.control("P8")
@pytest.mark.control("P9")
def test_an_entry_may_bring_a_stop_or_both_legs():
    assert refused_by(review(entry(), view())) == set()
    both = entry(order_class=OrderClass.BRACKET, take_profit_price=Decimal("103.00"))
    assert refused_by(review(both, view())) == set()


@pytest.mark.control("P8")
@pytest.mark.parametrize(
    "changes",
    [
        {"stop_loss_price": None},
        {"stop_loss_price": Decimal("100.10")},
        {"stop_loss_price": Decimal("101.00")},
        {"order_class": OrderClass.BRACKET},
        {"order_class": OrderClass.OCO},
        {"order_class": OrderClass.SIMPLE},
        {"order_class": OrderClass.BRACKET, "take_profit_price": Decimal("100.00")},
    ],
    ids=str,
)
def test_legs_that_do_not_belong_to_the_class_or_lie_on_the_wrong_side_are_refused(changes: dict[str, object]):
    assert "P8 order_type" in refused_by(review(entry(**changes), view()))


@pytest.mark.control("P8")
def test_an_order_that_reduces_brings_no_legs():
    exit_ = selling(50, order_class=OrderClass.OTO, stop_loss_price=Decimal("102.00"))
    assert refused_by(review(exit_, view(exposure=holding()))) == {"P8 order_type"}


@pytest.mark.control("P9")
@pytest.mark.parametrize("time_in_force", [each for each in TimeInForce if each is not TimeInForce.DAY])
def test_an_order_with_legs_is_for_the_day(time_in_force: TimeInForce):
    assert "P9 time_in_force" in refused_by(review(entry(time_in_force=time_in_force), view()))


@pytest.mark.control("P16")
def test_legs_lie_on_ticks():
    assert refused_by(review(entry(stop_loss_price=Decimal("98.005")), view())) == {"P16 increments"}


@pytest.mark.control("P5")
@pytest.mark.control("P15")
@pytest.mark.control("P34")
@pytest.mark.parametrize(
    "trouble",
    [
        {"session": session(is_open_by_calendar=False, is_open_by_broker=False)},
        {"session": session(window_end_ns=NOON_NS)},
        {"price": None},
        {"price": price(bid=None, ask=None)},
        {"price": price(quote_age_s=3_600.0, feed_age_s=3_600.0)},
    ],
    ids=lambda trouble: str(trouble)[:40],
)
def test_a_protective_stop_may_be_placed_at_any_hour_and_without_a_quote(trouble: dict[str, object]):
    decision = review(stop(), view(**({"exposure": holding()} | trouble)))
    assert refused_by(decision) == set()
    assert decision.reduces_exposure


@pytest.mark.invariant("I11")
@pytest.mark.fault("E3")
def test_a_stop_for_more_than_is_held_or_beside_another_sale_is_no_protection():
    closed = session(is_open_by_calendar=False, is_open_by_broker=False)
    for quantity, sells in ((51, 0), (50, 1)):
        decision = review(stop(quantity), view(exposure=holding(open_sell=Decimal(sells)), session=closed))
        assert {"P7 long_only", "P8 order_type", "P9 time_in_force", "P5 session"} <= refused_by(decision)


@pytest.mark.control("P18")
def test_a_stop_does_not_stand_beside_a_purchase():
    assert refused_by(review(stop(), view(exposure=holding(), live_opposite_orders=1))) == {"P18 self_cross"}


@pytest.mark.control("P28")
def test_a_stop_counts_in_the_turnover_when_it_executed():
    rich = money(last_equity_usd=Decimal(100_000))
    limits = RiskLimits(turnover_fraction_max=Decimal("0.05"))
    waiting = recent(side=Side.SELL, quantity=Decimal(4_500), is_final=False, is_protection=True)
    assert refused_by(review(intent(), view(recent=(waiting,), money=rich), limits)) == set()
    done = recent(side=Side.SELL, quantity=Decimal(4_500), is_final=True, is_protection=True, executed_ns=NOON_NS)
    picture = view(recent=(done,), money=rich, exposure=exposure(position=Decimal(1)))
    assert refused_by(review(intent(), picture, limits)) == {"P28 turnover"}


@pytest.mark.control("P44")
def test_the_cooldown_of_a_symbol_runs_from_the_execution_of_its_stop_not_from_its_sending():
    sold = recent(
        24 * 3_600 - 60,
        symbol=IBM,
        side=Side.SELL,
        quantity=Decimal(10),
        is_final=True,
        is_protection=True,
        executed_ns=NOON_NS - 14 * MINUTE_NS,
    )
    assert refused_by(review(intent(), view(recent=(sold,)))) == {"P44 exit_cooldown"}
