"""Start-up's violating orders: the real gate refuses each, and a gate with a hole is caught, by the hole's name."""

from __future__ import annotations

import pytest

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.engine.self_test import calm_intent, calm_view, controls_that_pass, violations
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.risk.rules import ALL_RULES
from quant_trading_system.risk.rules.base import Rule

LIMITS = RiskLimits()


class Neutered:
    """A rule that kept its name and lost its teeth."""

    def __init__(self, rule: Rule) -> None:
        self.control = rule.control
        self.name = rule.name

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        del intent, context
        return ControlResult(control=self.control, name=self.name, passed=True, measured="fine", limit="")


@pytest.mark.requirement("R027")
def test_every_control_of_the_real_gate_refuses_its_violation():
    tried, passed = controls_that_pass(RiskGate(LIMITS), LIMITS)
    assert (tried, passed) == (len(ALL_RULES), [])
    assert set(violations(LIMITS)) == {rule.name for rule in ALL_RULES}


@pytest.mark.requirement("R027")
@pytest.mark.fault("E6")
@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.name)
def test_a_control_that_lets_its_violation_pass_is_named(rule: Rule):
    rules = [Neutered(each) if each is rule else each for each in ALL_RULES]
    _, passed = controls_that_pass(RiskGate(LIMITS, rules), LIMITS)
    assert passed == [rule.name]


@pytest.mark.requirement("R027")
def test_a_control_nobody_knows_how_to_violate_counts_as_one_that_passes():
    class New(Neutered):
        def __init__(self) -> None:
            super().__init__(ALL_RULES[0])
            self.name = "brand_new"

    _, passed = controls_that_pass(RiskGate(LIMITS, [*ALL_RULES, New()]), LIMITS)
    assert passed == ["brand_new"]


def test_the_calm_order_passes_so_that_a_refusal_is_the_violations_doing():
    decision = RiskGate(LIMITS).review(calm_intent(), calm_view())
    assert decision.refusals == ()
    assert decision.approved is not None
