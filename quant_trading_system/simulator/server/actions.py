"""Which corporate actions are behind the prices of a market. Decides that announced ones are not: they move none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.market.source import MarketSource

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2100, 12, 31)

KnownActions = Callable[[Sequence[str] | None, date, date], Sequence[CorporateAction]]
"""The declared actions whose ex-date or process date lies in an inclusive range; None for all symbols."""


def effective_actions(market: MarketSource, first_day: date, today: date) -> Sequence[CorporateAction]:
    """The market's actions of all symbols that have taken effect from a date to another."""
    found = market.corporate_actions(None, first_day, today)
    return [action for action in found if first_day <= action.ex_date <= today]
