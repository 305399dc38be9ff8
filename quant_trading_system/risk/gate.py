"""The gate: every rule is asked about every intent, and only a full set of yeses makes an `Approved`.

Risk fails closed. A rule that lacks its input or raises has not said yes.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from quant_trading_system.core.values import Approved, ControlResult, OrderIntent
from quant_trading_system.core.views import LimitView, RiskView
from quant_trading_system.risk.context import MissingInput, RiskContext, build_context
from quant_trading_system.risk.limits import RiskLimits, version
from quant_trading_system.risk.rules import ALL_RULES
from quant_trading_system.risk.rules.base import Rule
from quant_trading_system.risk.usage import measure_usage


class Decision(Struct, frozen=True, kw_only=True):
    """What the gate said of one intent, with the answer of every rule in its fixed order."""

    approved: Approved | None
    controls: tuple[ControlResult, ...]
    reduces_exposure: bool

    @property
    def refusals(self) -> tuple[ControlResult, ...]:
        return tuple(result for result in self.controls if not result.passed)


class RiskGate:
    """Judges intents by one set of limits. Rules cannot be switched off by a setting (R084)."""

    def __init__(self, limits: RiskLimits, rules: Sequence[Rule] | None = None) -> None:
        self._limits = limits
        self._rules = tuple(ALL_RULES if rules is None else rules)
        self.limits_version = version(limits)
        assert self._rules, "a gate without rules would approve everything"

    def review(self, intent: OrderIntent, view: RiskView) -> Decision:
        """Put the intent to every rule, so that the record names all reasons and no rule depends on another."""
        context = build_context(intent, view, self._limits)
        controls = tuple(_ask(rule, intent, context) for rule in self._rules)
        approved = None
        if all(result.passed for result in controls):
            approved = Approved(
                intent=intent,
                limits_version=self.limits_version,
                reduces_exposure=context.reduces_exposure,
                approved_mono_ns=view.mono_ns,
            )
        return Decision(approved=approved, controls=controls, reduces_exposure=context.reduces_exposure)

    def usage(self, view: RiskView) -> tuple[LimitView, ...]:
        """How much of each limit is used now, where that can be said without an order."""
        return measure_usage(view, self._limits)


def _ask(rule: Rule, intent: OrderIntent, context: RiskContext) -> ControlResult:
    try:
        return rule.check(intent, context)
    except MissingInput as missing:
        return _refuse(rule, measured="unknown", reason=str(missing))
    except Exception as error:  # border: a rule that cannot answer has not said yes, whatever went wrong in it
        return _refuse(rule, measured=repr(error), reason=f"the rule failed: {error!r}")


def _refuse(rule: Rule, *, measured: str, reason: str) -> ControlResult:
    return ControlResult(
        control=rule.control, name=rule.name, passed=False, measured=measured, limit="an answer", reason=reason
    )
