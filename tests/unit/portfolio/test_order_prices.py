"""Limits of marketable limit orders: they reach over the far side, stay in the collar, and are legal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.money import is_legal_tick, tick_size
from quant_trading_system.core.types import Side
from quant_trading_system.portfolio.pricing import quote_order, reference_price
from tests.unit.portfolio.wishes import price


def limit(side: Side, **fields) -> Decimal:
    quoted = quote_order(price(**fields), side)
    assert quoted is not None
    return quoted.limit


def test_a_limit_reaches_two_basis_points_over_the_far_side():
    assert limit(Side.BUY, bid=199.99, ask=200.01) == Decimal("200.05")
    assert limit(Side.SELL, bid=199.99, ask=200.01) == Decimal("199.96")


def test_a_limit_reaches_at_least_one_tick():
    assert limit(Side.BUY, bid=9.99, ask=10.0) == Decimal("10.01")
    assert limit(Side.SELL, bid=9.99, ask=10.0) == Decimal("9.98")


def test_below_a_dollar_ticks_are_a_hundredth_of_a_cent():
    assert limit(Side.BUY, bid=0.4999, ask=0.5) == Decimal("0.5001")
    assert limit(Side.SELL, bid=0.4999, ask=0.5) == Decimal("0.4998")


def test_a_wide_spread_does_not_carry_the_limit_out_of_the_collar():
    assert limit(Side.BUY, bid=99.0, ask=101.0) == Decimal("100.5")
    assert limit(Side.SELL, bid=99.0, ask=101.0) == Decimal("99.5")


@pytest.mark.parametrize(
    ("fields", "reference"),
    [
        ({}, "100"),
        ({"bid": None}, "100.5"),
        ({"bid": 100.2}, "100.5"),
        ({"bid": None, "last_trade": None}, "99"),
    ],
)
def test_the_reference_is_the_mid_else_the_last_print_else_the_last_close(fields, reference):
    assert reference_price(price(**{"last_trade": 100.5, **fields})) == Decimal(reference)


def test_without_a_quote_the_limit_is_the_reference_and_not_live():
    quoted = quote_order(price(bid=None, ask=None, last_trade=165.985), Side.BUY)
    assert quoted is not None
    assert (quoted.reference, quoted.limit, quoted.is_live) == (Decimal("165.985"), Decimal("165.98"), False)


@pytest.mark.fault("D3")
def test_without_any_price_there_is_no_order_price():
    assert quote_order(price(bid=None, ask=None, last_trade=None, last_close=None), Side.BUY) is None


@given(
    bid=st.decimals("0.0002", 3_000, places=4),
    spread=st.decimals(0, 10, places=4),
    side=st.sampled_from(Side),
)
def test_every_limit_is_a_legal_tick_inside_the_collar(bid, spread, side):
    quoted = quote_order(price(bid=float(bid), ask=float(bid + spread)), side)
    if quoted is None:
        return
    assert is_legal_tick(quoted.limit)
    mid = quoted.reference
    collar = max(mid * Decimal("0.005"), 5 * tick_size(mid)) + Decimal("0.0000005")
    beyond = quoted.limit - mid if side is Side.BUY else mid - quoted.limit
    # Rounding is in our favour, so it never takes a limit out of the collar.
    assert beyond <= collar
