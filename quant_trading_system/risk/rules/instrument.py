"""Control P6: the instrument may be traded, and is liquid and dear enough."""

from __future__ import annotations

from quant_trading_system.core.types import InstrumentClass, Mode
from quant_trading_system.core.values import ControlResult, Instrument, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.risk.rules.base import answer


class InstrumentAllowed:
    """New exposure: known, tradable, active, not halted, not a mere reference, price and average volume high enough.

    An order that reduces exposure needs only that the venue would take it: not halted, not known to be untradable.
    """

    control = "P6"
    name = "instrument"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        view, instrument = context.view, context.view.instrument
        problems = []
        if view.price is not None and view.price.is_halted:
            problems.append("trading is halted")
        if instrument is None:
            problems += [] if context.reduces_exposure else ["not on the list of instruments"]
        elif not instrument.tradable:
            problems.append("not tradable")
        if instrument is not None and not context.reduces_exposure:
            problems += _entry_problems(instrument, context)
        return answer(
            self,
            passed=not problems,
            measured="; ".join(problems) or "tradable",
            limit=f"tradable, active, from {context.limits.price_usd_min} USD, liquid",
            reason=f"{intent.symbol}: {'; '.join(problems)}",
        )


def _entry_problems(instrument: Instrument, context: RiskContext) -> list[str]:
    problems = []
    if not instrument.active:
        problems.append("not active")
    if instrument.reference_only:
        problems.append("a reference symbol only")
    if instrument.instrument_class is InstrumentClass.CRYPTO:
        return problems
    price_min = context.limits.price_usd_min
    price = context.value_price
    if price is not None and price < price_min:
        problems.append(f"price {price} USD is below {price_min} USD")
    return problems + _volume_problems(instrument, context.limits, is_sim=context.view.mode is Mode.SIM)


def _volume_problems(instrument: Instrument, limits: RiskLimits, *, is_sim: bool) -> list[str]:
    problems = []
    averages = (
        ("shares", instrument.average_volume_shares, limits.average_volume_shares_min),
        ("USD", instrument.average_volume_usd, limits.average_volume_usd_min),
    )
    for unit, average, least in averages:
        if average is None:
            problems += [] if is_sim else [f"20-day average volume in {unit} is unknown"]
        elif not average >= least:
            problems.append(f"20-day average volume {average:.0f} {unit} is below {least:.0f}")
    return problems
