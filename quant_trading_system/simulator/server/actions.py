"""Which corporate actions are known at a moment. Decides nothing: the market says what is declared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.market.source import MarketSource

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2100, 12, 31)


class Register(Protocol):
    """Whoever knows corporate actions: a market its own, the exchange also those that were announced to it."""

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]: ...


def actions_between(
    register: Register, symbols: Sequence[str] | None, first_day: date, last_day: date
) -> Sequence[CorporateAction]:
    """Actions whose ex-date or process date lies in an inclusive range, as far as they are declared."""
    return register.corporate_actions(symbols, first_day, last_day)


def actions_until(market: MarketSource, today: date) -> Sequence[CorporateAction]:
    """The market's own actions that have taken effect by a date: the announced ones move no prices."""
    return [action for action in actions_between(market, None, FIRST_DAY, today) if action.ex_date <= today]
