"""What a rule is, and how it says yes or no. Decides nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from quant_trading_system.core.money import plain
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext

EXEMPT = "reduces exposure"
DECIMALS_MAX = 4


class Rule(Protocol):
    """One control of controls.md. It answers for every intent; it raises `MissingInput` where it cannot."""

    @property
    def control(self) -> str:
        """Number of the control, such as P13."""
        ...

    @property
    def name(self) -> str:
        """Stable word for records and metrics."""
        ...

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult: ...


def answer(
    rule: Rule,
    *,
    passed: bool,
    measured: str,
    limit: str,
    usage: float | None = None,
    age_s: float | None = None,
    reason: str = "",
) -> ControlResult:
    """A rule's verdict; the reason is kept only where the order is refused."""
    return ControlResult(
        control=rule.control,
        name=rule.name,
        passed=passed,
        measured=measured,
        limit=limit,
        usage=usage,
        age_s=age_s,
        reason="" if passed else reason,
    )


def at_most(rule: Rule, measured: Decimal, limit: Decimal, unit: str) -> ControlResult:
    """Pass where `measured` is at most `limit`, both in `unit`."""
    return answer(
        rule,
        passed=measured <= limit,
        measured=amount(measured, unit),
        limit=amount(limit, unit),
        usage=ratio(measured, limit),
    )


def exempt(rule: Rule, measured: str = "") -> ControlResult:
    """Pass because the order can only reduce exposure."""
    return answer(rule, passed=True, measured=measured or EXEMPT, limit="not for reducing orders")


def amount(value: Decimal, unit: str) -> str:
    if not value.is_finite():
        return f"{value} {unit}".rstrip()
    text = plain(value)
    if len(text) - text.find(".") > DECIMALS_MAX + 1 and "." in text:
        text = plain(value.quantize(Decimal("0.0001")))
    return f"{text} {unit}" if unit else text


def ratio(measured: Decimal, limit: Decimal) -> float | None:
    """How much of a limit is used; None where that has no meaning."""
    if not (measured.is_finite() and limit.is_finite()) or limit <= 0:
        return None
    return float(measured / limit)


def seconds(age_s: float | None) -> str:
    return "never" if age_s is None else f"{age_s:.3f} s"
