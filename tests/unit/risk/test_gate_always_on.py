"""No setting switches a control off: at either end of every limit's range each control refuses its violation."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.types import Latch, Store, TradingState
from quant_trading_system.engine.self_test import controls_that_pass, violations
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.limits import CLASS_CEILINGS, RANGES, RiskLimits, problems
from quant_trading_system.risk.rules import ALL_RULES
from tests.unit.risk.builders import holding, intent, review, selling, view

ENDS = [(name, end) for name in sorted(RANGES) for end in (0, 1)]


def limits_at(name: str, end: int) -> RiskLimits:
    """The defaults, with one limit at the floor (0) or the ceiling (1) of its range."""
    value = RANGES[name][end]
    current = getattr(RiskLimits(), name)
    kind = Decimal if current is None else type(current)
    return structs.replace(RiskLimits(), **{name: kind(value)})


@pytest.mark.requirement("R084")
@pytest.mark.parametrize(("name", "end"), ENDS)
def test_at_the_ends_of_every_range_each_control_still_refuses_its_violation(name, end):
    limits = limits_at(name, end)
    assert controls_that_pass(RiskGate(limits), limits) == (len(ALL_RULES), [])


@pytest.mark.requirement("R084")
def test_with_everything_as_loose_as_it_may_be_each_control_still_refuses_its_violation():
    ceilings = {name: getattr(limits_at(name, 1), name) for name in RANGES if not name.endswith("_min")}
    floors = {name: getattr(limits_at(name, 0), name) for name in RANGES if name.endswith(("_min", "_minutes"))}
    softs = {name: ceilings[name] * Decimal("0.99") for name in ceilings if name.endswith("_soft_fraction")}
    optional = dict.fromkeys(("daily_loss_hard_usd", "equity_floor_usd", "position_size_usd_max"))
    loose = RiskLimits(
        classes=dict(CLASS_CEILINGS),
        **{**ceilings, **floors, **softs, **optional},
    )
    assert problems(loose) == []
    assert controls_that_pass(RiskGate(loose), loose) == (len(ALL_RULES), [])


@pytest.mark.requirement("R084")
def test_a_gate_asks_every_rule_there_is_and_has_no_limit_that_means_off():
    asked = [(result.control, result.name) for result in review(intent(), view()).controls]
    assert asked == [(rule.control, rule.name) for rule in ALL_RULES]
    assert set(violations(RiskLimits())) == {rule.name for rule in ALL_RULES}
    switches = [name for name in RiskLimits.__struct_fields__ if isinstance(getattr(RiskLimits(), name), bool)]
    assert switches == ["is_short_allowed"]


@pytest.mark.requirement("R045")
@pytest.mark.control("P1")
def test_the_kill_latch_is_asked_first_and_the_trading_state_next_whatever_else_is_wrong():
    engaged = view(latches=dict.fromkeys(Store, Latch.ENGAGED), state=TradingState.HALTED, price=None, instrument=None)
    decision = review(intent(), engaged)
    assert [result.name for result in decision.refusals][:2] == ["kill_latch", "trading_state"]
    assert decision.approved is None
    closing = structs.replace(engaged, exposure=holding())
    assert [result.name for result in review(selling(), closing).controls][:2] == ["kill_latch", "trading_state"]
