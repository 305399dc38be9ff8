"""Sizes are those of the published vectors, and no cap is ever exceeded."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.portfolio.sizing import (
    VALUE_MIN_USD,
    Cap,
    SizingMethod,
    constrain,
    fixed_fractional,
    size,
    volatility_target,
)
from tests.unit.portfolio.wishes import context

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "reference" / "strategy_vectors" / "sizing.json"


def cases():
    document = json.loads(VECTORS.read_text(encoding="utf-8")) if VECTORS.exists() else {"cases": []}
    return [pytest.param(case, document["tolerance"], id=str(index)) for index, case in enumerate(document["cases"])]


def money(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")
@pytest.mark.parametrize(("case", "tolerance"), cases())
def test_raw_sizes_and_hard_limits_are_those_of_the_vectors(case, tolerance):
    equity, price = Decimal(str(case["equity"])), Decimal(str(case["price"]))
    raw = {
        "fixed_fractional": fixed_fractional(equity_usd=equity, price=price, stop=money(case["stop"])),
        "volatility": volatility_target(equity_usd=equity, price=price, volatility=case["realised_vol"]),
    }
    caps = [Cap("max_position_value", Decimal(1_000_000)), Cap("max_position_pct", equity / 10)]
    for method, quantity in raw.items():
        assert float(quantity) == pytest.approx(case["raw"][method], rel=tolerance), method
        final, name = constrain(quantity, price=price, caps=caps)
        expected = case["final"][method]
        assert float(final) == pytest.approx(expected["qty"], rel=tolerance), method
        assert ([name] if name else []) == expected["constraints"], method


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")
@pytest.mark.parametrize(("case", "tolerance"), cases())
def test_the_size_that_trades_is_that_of_the_vectors(case, tolerance):
    equity = Decimal(str(case["equity"]))
    sized = size(
        SizingMethod.VOLATILITY_TARGET,
        context(
            equity_usd=equity,
            capital_usd=equity,
            price=Decimal(str(case["price"])),
            volatility=case["realised_vol"],
            buying_power_usd=equity * 4,
            position_value_max_usd=equity / 10,
            is_fractionable=True,
        ),
    )
    assert float(sized.quantity) == pytest.approx(case["final"]["volatility"]["qty"], rel=tolerance)


@pytest.mark.parametrize("volatility", [None, 0.0, -1.0, 1e-12])
def test_an_unknown_volatility_counts_as_twice_the_target(volatility):
    half = volatility_target(equity_usd=Decimal(1_000), price=Decimal(10), volatility=volatility)
    assert half == Decimal(50)


def test_a_calm_market_is_held_with_twice_the_equity_at_most():
    assert volatility_target(equity_usd=Decimal(1_000), price=Decimal(10), volatility=0.01) == Decimal(200)


def test_what_scaled_a_size_down_is_said():
    sized = size(SizingMethod.VOLATILITY_TARGET, context())
    assert sized.quantity == Decimal(47)
    assert sized.note == "scaled from 25000 to 4750 USD by the position limit"
    assert sized.asked_usd == Decimal(25_000)


def test_a_size_under_all_caps_has_nothing_to_say():
    sized = size(SizingMethod.FIXED_FRACTION, context(position_value_max_usd=Decimal(50_000)))
    assert (sized.quantity, sized.note) == (Decimal(250), "")


@pytest.mark.requirement("R231")
def test_strategies_use_no_more_than_the_capital_they_were_given():
    whole = size(SizingMethod.FIXED_FRACTION, context(position_value_max_usd=Decimal(50_000)))
    part = size(
        SizingMethod.FIXED_FRACTION, context(position_value_max_usd=Decimal(50_000), capital_usd=Decimal(5_000))
    )
    assert (whole.quantity, part.quantity) == (Decimal(250), Decimal(25))


@pytest.mark.requirement("R073")
def test_what_is_bought_stays_within_ninety_five_percent_of_buying_power():
    sized = size(SizingMethod.VOLATILITY_TARGET, context(buying_power_usd=Decimal(1_000)))
    assert sized.quantity == Decimal(9)
    assert "95 % of buying power" in sized.note


def test_a_position_that_is_paid_for_is_not_sold_for_want_of_buying_power():
    sized = size(SizingMethod.VOLATILITY_TARGET, context(buying_power_usd=Decimal(0)), held=Decimal(40))
    assert sized.quantity == Decimal(40)


def test_a_position_below_a_hundred_dollars_is_none():
    sized = size(SizingMethod.VOLATILITY_TARGET, context(position_value_max_usd=Decimal("99.99"), is_fractionable=True))
    assert sized.quantity == 0
    assert "below the smallest position of 100 USD" in sized.note


def test_without_equity_nothing_is_sized():
    assert size(SizingMethod.FIXED_FRACTION, context(equity_usd=Decimal(-5))).quantity == 0


AMOUNTS = st.decimals(0, 2_000_000, places=2)


@given(
    method=st.sampled_from(SizingMethod),
    equity=st.decimals(-1_000, 10_000_000, places=2),
    price=st.decimals("0.01", 5_000, places=2),
    volatility=st.none() | st.floats(0, 5),
    buying_power=AMOUNTS,
    position_max=AMOUNTS,
    is_fractionable=st.booleans(),
)
def test_no_size_exceeds_a_cap(method, equity, price, volatility, buying_power, position_max, is_fractionable):
    sized = size(
        method,
        context(
            equity_usd=equity,
            capital_usd=equity,
            price=price,
            volatility=volatility,
            buying_power_usd=buying_power,
            position_value_max_usd=position_max,
            is_fractionable=is_fractionable,
        ),
    )
    value = sized.quantity * price
    assert value <= min(position_max, Decimal("0.95") * buying_power, Decimal(1_000_000))
    assert sized.quantity == 0 or value >= VALUE_MIN_USD
    assert is_fractionable or sized.quantity % 1 == 0
