"""Limits stay below their compiled ceilings, agree with one another, and have a version."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.types import InstrumentClass
from quant_trading_system.risk.limits import CLASS_CEILINGS, RANGES, ClassLimits, RiskLimits, problems, version


def test_the_defaults_have_no_problem():
    assert problems(RiskLimits()) == []


def test_every_number_has_a_floor_and_a_ceiling():
    numbers = {name for name in RiskLimits.__struct_fields__ if name not in {"classes", "is_short_allowed"}}
    assert set(RANGES) == numbers


@pytest.mark.requirement("R084")
@pytest.mark.fault("E6")
@pytest.mark.invariant("I20")
@pytest.mark.parametrize("name", sorted(RANGES))
def test_nothing_can_be_set_beyond_its_ceiling_or_below_its_floor(name):
    low, high = RANGES[name]
    current = getattr(RiskLimits(), name)
    kind = Decimal if current is None else type(current)
    above = structs.replace(RiskLimits(), **{name: kind(high * 2)})
    assert any(text.startswith(f"{name}: ") and "ceiling" in text for text in problems(above))
    if low > 0:
        below = structs.replace(RiskLimits(), **{name: kind(0)})
        assert any(text.startswith(f"{name}: ") and "floor" in text for text in problems(below))


@pytest.mark.parametrize("broken", [Decimal("NaN"), Decimal("Infinity")])
def test_a_limit_is_a_number(broken):
    assert problems(RiskLimits(drawdown_hard_fraction=broken))


def test_soft_limits_lie_below_hard_ones():
    found = problems(RiskLimits(daily_loss_soft_fraction=Decimal("0.02")))
    assert found == ["daily_loss_soft_fraction: 0.02 must be below daily_loss_hard_fraction (0.02)"]


def test_all_problems_are_named_at_once():
    limits = RiskLimits(positions_max=0, orders_per_minute_max=101, open_orders_symbol_max=10, open_orders_total_max=5)
    assert len(problems(limits)) == 3


@pytest.mark.parametrize("instrument_class", InstrumentClass)
def test_classes_have_ceilings_too(instrument_class):
    too_much = structs.replace(CLASS_CEILINGS[instrument_class], position_fraction=Decimal("1.01"))
    limits = RiskLimits(classes=dict(RiskLimits().classes) | {instrument_class: too_much})
    assert problems(limits) == [
        f"classes.{instrument_class}.position_fraction: 1.01 is above its ceiling "
        f"{CLASS_CEILINGS[instrument_class].position_fraction.normalize():f}"
    ]


def test_a_missing_class_is_a_problem():
    assert problems(RiskLimits(classes={}))[0] == "classes.stock: missing"


def test_equal_content_has_an_equal_version_and_any_change_another():
    assert version(RiskLimits()) == version(RiskLimits(buying_power_fraction=Decimal("0.950")))
    changed = ClassLimits(
        order_value_fraction=Decimal("0.04"), order_value_usd=Decimal(15_000), position_fraction=Decimal("0.10")
    )
    versions = {
        version(RiskLimits()),
        version(RiskLimits(is_short_allowed=True)),
        version(RiskLimits(quiet_seconds=301.0)),
        version(RiskLimits(classes=dict(RiskLimits().classes) | {InstrumentClass.STOCK: changed})),
    }
    assert len(versions) == 4
