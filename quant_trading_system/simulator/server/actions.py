"""Which corporate actions the exchange knows at a moment: its market's and those that were announced to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.server.venue import Venue

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2100, 12, 31)


def actions_between(
    venue: Venue, symbols: Sequence[str] | None, first_day: date, last_day: date
) -> Sequence[CorporateAction]:
    """Actions whose ex-date or process date lies in an inclusive range, as far as they are declared."""
    return venue.market.corporate_actions(symbols, first_day, last_day)


def actions_until(venue: Venue, today: date) -> Sequence[CorporateAction]:
    """Actions of all symbols that have taken effect by a date."""
    return [action for action in actions_between(venue, None, FIRST_DAY, today) if action.ex_date <= today]
