"""Dividends and splits of the generated market. Decides their dates and amounts, from seed and symbol alone.

A payer's dividend goes ex on one session of one month in each quarter; the year's sum is a fixed part of the price
with which the world began and grows by a twentieth a year. Splits happen after the world's start alone, so that the
history a bot warms up on has none, and seldom: where a price was dear at the start (or below ten dollars: a reverse
split), in one year of twelve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import cusip_of, profile_of
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.market.draws import key_of

DIVIDEND_GROWTH = Decimal("1.05")  # a year
CENT = Decimal("0.01")
EX_SESSION_FIRST, EX_SESSIONS = 4, 12  # the ex-date is one of these sessions of its month
DECLARED_SESSIONS_BEFORE = 15
PAID_SESSIONS_AFTER = 14
SPLIT_CHANCE = 1 / 12  # of a year, for a symbol that is dear or cheap enough
SPLIT_SESSION_FIRST = 40  # after the world's first day, and into each later year
SPLIT_SESSIONS = 180
DEAR_USD, VERY_DEAR_USD, CHEAP_USD = 150.0, 400.0, 10.0
YEARS_CACHED_MAX = 4_096  # of one symbol each, some kilobytes


class ActionSchedule:
    """What happens to each symbol's shares, for all years of the calendar.

    Args:
        anchor: the world's first day.
    """

    def __init__(self, *, seed: int, anchor: date) -> None:
        self._seed = seed
        self._anchor = anchor
        self._of_year = lru_cache(YEARS_CACHED_MAX)(self._made_of_year)
        self._splits = lru_cache(YEARS_CACHED_MAX)(self._splits_of)

    def between(self, symbol: str, first: date, last: date) -> list[CorporateAction]:
        """A symbol's actions with an ex-date in an inclusive range, by ex-date."""
        years = range(max(first.year, calendar.FIRST_YEAR), min(last.year, calendar.LAST_YEAR) + 1)
        days = (self._of_year(symbol, year) for year in years)
        return [action for by_day in days for day in by_day if first <= day <= last for action in by_day[day]]

    def on(self, symbol: str, day: date) -> Sequence[CorporateAction]:
        """The actions that make a price jump on a day."""
        return self._of_year(symbol, day.year).get(day, ())

    def shares_per_share(self, symbol: str, day: date) -> float:
        """How many shares one of the world's first day has become by a day."""
        ratio = 1.0
        for split in self._splits(symbol):
            if split.ex_date <= day:
                ratio *= float(split.share_ratio)
        return ratio

    def _made_of_year(self, symbol: str, year: int) -> dict[date, tuple[CorporateAction, ...]]:
        """The actions of one year by ex-date, in order."""
        actions = [split for split in self._splits(symbol) if split.ex_date.year == year]
        actions.extend(self._dividends_of(symbol, year))
        by_day: dict[date, tuple[CorporateAction, ...]] = {}
        for action in sorted(actions, key=lambda action: (action.ex_date, action.kind)):
            by_day[action.ex_date] = (*by_day.get(action.ex_date, ()), action)
        return by_day

    def _dividends_of(self, symbol: str, year: int) -> Iterator[CorporateAction]:
        yearly = Decimal(str(round(profile_of(symbol).price_usd * profile_of(symbol).dividend_yield, 4)))
        if yearly / 4 < CENT / 2:
            return
        offset = self._whole(3, "month", symbol)
        place = EX_SESSION_FIRST + self._whole(EX_SESSIONS, "session", symbol)
        grown = yearly / 4 * DIVIDEND_GROWTH ** (year - self._anchor.year)
        for month in range(1 + offset, 13, 3):
            sessions = _sessions_of_month(year, month)
            ex = sessions[min(place, len(sessions) - 1)]
            cash = grown / Decimal(str(self.shares_per_share(symbol, ex.day)))
            yield self._dividend(symbol, ex, max(CENT, cash.quantize(CENT, ROUND_HALF_UP)))

    def _dividend(self, symbol: str, ex: Session, cash: Decimal) -> CorporateAction:
        after = calendar.sessions_after(ex.day, PAID_SESSIONS_AFTER)
        record = calendar.record_date_of(ex.day)
        payable = after[-1].day if after else record
        return CorporateAction(
            id=self._id("cash_dividend", symbol, ex.day),
            kind="cash_dividend",
            symbol=symbol,
            ex_date=ex.day,
            record_date=record,
            payable_date=payable,
            process_date=payable,
            declared_date=_declared(ex),
            cash=cash,
            cusip=cusip_of(symbol),
        )

    def _splits_of(self, symbol: str) -> tuple[CorporateAction, ...]:
        return tuple(self._drawn_splits(symbol))

    def _drawn_splits(self, symbol: str) -> Iterator[CorporateAction]:
        price = profile_of(symbol).price_usd
        if CHEAP_USD <= price < DEAR_USD:
            return
        choices = (10,) if price < CHEAP_USD else (4, 5, 10) if price >= VERY_DEAR_USD else (2, 3)
        for year in range(self._anchor.year, calendar.LAST_YEAR + 1):
            if self._whole(round(1 / SPLIT_CHANCE), "split", symbol, year):
                continue
            first = max(self._anchor, date(year, 1, 1))
            sessions = calendar.sessions_after(first, SPLIT_SESSION_FIRST + SPLIT_SESSIONS)
            place = SPLIT_SESSION_FIRST + self._whole(SPLIT_SESSIONS, "split session", symbol, year)
            if place >= len(sessions) or sessions[place].day.year != year:
                continue
            yield self._split(symbol, sessions[place], choices[self._whole(len(choices), "ratio", symbol, year)])

    def _split(self, symbol: str, ex: Session, ratio: int) -> CorporateAction:
        is_reverse = profile_of(symbol).price_usd < CHEAP_USD
        return CorporateAction(
            id=self._id("split", symbol, ex.day),
            kind="reverse_split" if is_reverse else "forward_split",
            symbol=symbol,
            ex_date=ex.day,
            record_date=calendar.record_date_of(ex.day),
            payable_date=ex.day,
            process_date=ex.day,
            declared_date=_declared(ex),
            old_rate=Decimal(ratio if is_reverse else 1),
            new_rate=Decimal(1 if is_reverse else ratio),
            cusip=cusip_of(symbol),
            new_cusip=cusip_of(f"{symbol} {ex.day}") if is_reverse else "",
        )

    def _whole(self, end: int, *purpose: object) -> int:
        return key_of(self._seed, "actions", *purpose) % end

    def _id(self, *what: object) -> str:
        text = ":".join(str(part) for part in (self._seed, *what))
        return str(UUID(bytes=blake2b(text.encode(), digest_size=16, person=b"action").digest(), version=4))


@lru_cache(64)
def _sessions_of_month(year: int, month: int) -> Sequence[Session]:
    following = date(year + month // 12, month % 12 + 1, 1)
    return [session for session in calendar.sessions_before(following, 23) if session.day.month == month]


def _declared(ex: Session) -> date:
    before = calendar.sessions_before(ex.day, DECLARED_SESSIONS_BEFORE)
    return before[0].day if before else ex.day
