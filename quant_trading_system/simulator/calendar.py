"""Decides when the New York Stock Exchange is open, 1998 to 2030: holidays, half-days, closures nobody planned.

Its own rules, apart from the daemon's table. Source: NYSE Rule 7.2 and the holiday notices on nyse.com (read
2026-11); a test compares every day with exchange-calendars.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator.instants import new_york_date, new_york_ns

FIRST_YEAR = 1998
LAST_YEAR = 2030

# Days of mourning, attacks and storms: no rule yields them.
_UNPLANNED_CLOSURES = frozenset(
    {
        *(date(2001, 9, day) for day in (11, 12, 13, 14)),
        date(2004, 6, 11),
        date(2007, 1, 2),
        date(2012, 10, 29),
        date(2012, 10, 30),
        date(2018, 12, 5),
        date(2025, 1, 9),
    }
)
_UNPLANNED_HALF_DAYS = frozenset({date(1999, 12, 31), date(2003, 12, 26)})
_LATE_OPENS = {date(2001, 9, 17): (9, 33), date(2002, 9, 11): (12, 0)}

Phase = Literal["closed", "pre", "regular", "post"]
PRE_MARKET_HOUR = 4  # New York, on every session day
CLOSE_HOUR, CLOSE_HOUR_OF_HALF_DAY = 16, 13
POST_MARKET_HOURS = 4  # after the close
NANOS_PER_HOUR = 60 * NANOS_PER_MINUTE

_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY = 0, 3, 4, 5
_ONE_DAY = timedelta(days=1)

# Settlement: T+3, T+2 from 2017-09-05, T+1 from 2024-05-28 (SEC Rule 15c6-1).
_SETTLEMENT_DAYS = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: regular hours in UTC nanoseconds, the close excluded."""

    day: date
    open_ns: Nanos
    close_ns: Nanos
    is_half_day: bool

    @property
    def pre_market_ns(self) -> Nanos:
        """04:00 New York time, when the early session begins."""
        hours = (CLOSE_HOUR_OF_HALF_DAY if self.is_half_day else CLOSE_HOUR) - PRE_MARKET_HOUR
        return Nanos(self.close_ns - hours * NANOS_PER_HOUR)

    @property
    def post_market_end_ns(self) -> Nanos:
        """When the late session ends: 20:00 New York time, on half-days 17:00."""
        return Nanos(self.close_ns + POST_MARKET_HOURS * NANOS_PER_HOUR)

    def contains(self, stamp_ns: int) -> bool:
        return self.open_ns <= stamp_ns < self.close_ns


def session_on(day: date) -> Session | None:
    """The session of a New York date, None on weekends and holidays and outside the known years."""
    sessions = _sessions()
    index = bisect_left(_days(), day)
    return sessions[index] if index < len(sessions) and sessions[index].day == day else None


def session_at(stamp_ns: int) -> Session | None:
    """The session whose regular hours an instant lies in."""
    session = session_closing_after(stamp_ns)
    return session if session is not None and session.contains(stamp_ns) else None


def phase_at(stamp_ns: int) -> Phase:
    """Which part of the trading day an instant lies in; the overnight session counts as closed."""
    session = session_on(new_york_date(stamp_ns))
    if session is None or not session.pre_market_ns <= stamp_ns < session.post_market_end_ns:
        return "closed"
    if stamp_ns < session.open_ns:
        return "pre"
    return "regular" if stamp_ns < session.close_ns else "post"


def phase_end_after(stamp_ns: int) -> Nanos | None:
    """When the phase of an instant ends; None behind the last known session."""
    session = session_on(new_york_date(stamp_ns))
    if session is not None:
        for end_ns in (session.pre_market_ns, session.open_ns, session.close_ns, session.post_market_end_ns):
            if stamp_ns < end_ns:
                return end_ns
    following = session_opening_after(stamp_ns)
    return following.pre_market_ns if following is not None else None


def session_closing_after(stamp_ns: int) -> Session | None:
    """The first session that closes after an instant: the running one, else the next."""
    sessions = _sessions()
    index = bisect_right(_closes(), stamp_ns)
    return sessions[index] if index < len(sessions) else None


def session_opening_after(stamp_ns: int) -> Session | None:
    """The first session that opens after an instant."""
    sessions = _sessions()
    index = bisect_right(_opens(), stamp_ns)
    return sessions[index] if index < len(sessions) else None


def session_closed_by(stamp_ns: int) -> Session | None:
    """The last session that had closed at an instant."""
    index = bisect_right(_closes(), stamp_ns)
    return _sessions()[index - 1] if index else None


def sessions_between(first: date, last: date) -> tuple[Session, ...]:
    """Sessions of an inclusive range of dates, in order."""
    days = _days()
    return _sessions()[bisect_left(days, first) : bisect_right(days, last)]


def sessions_before(day: date, count: int) -> tuple[Session, ...]:
    """The last `count` sessions before a date, in order."""
    end = bisect_left(_days(), day)
    return _sessions()[max(0, end - count) : end]


def sessions_after(day: date, count: int) -> tuple[Session, ...]:
    """The first `count` sessions after a date, in order."""
    begin = bisect_right(_days(), day)
    return _sessions()[begin : begin + count]


def record_date_of(ex_date: date) -> date:
    """The record date that belongs to an ex-date: who bought the day before has settled by then.

    The same day since trades settle on the next one, a session later per day of settlement before that.
    """
    lag = next(days for since, days in _SETTLEMENT_DAYS if ex_date >= since) - 1
    following = sessions_after(ex_date, lag)
    return following[-1].day if following else ex_date


def settlement_date(day: date) -> date:
    """The date on which trades of a session settle."""
    offset = next(days for since, days in _SETTLEMENT_DAYS if day >= since)
    index = bisect_left(_days(), day) + offset
    days = _days()
    return days[index] if index < len(days) else day + timedelta(days=offset)


@cache
def _sessions() -> tuple[Session, ...]:
    return tuple(session for year in range(FIRST_YEAR, LAST_YEAR + 1) for session in _sessions_of(year))


@cache
def _days() -> tuple[date, ...]:
    return tuple(session.day for session in _sessions())


@cache
def _opens() -> tuple[int, ...]:
    return tuple(session.open_ns for session in _sessions())


@cache
def _closes() -> tuple[int, ...]:
    return tuple(session.close_ns for session in _sessions())


def _sessions_of(year: int) -> Iterator[Session]:
    closed = _holidays(year) | _UNPLANNED_CLOSURES
    half_days = _half_days(year) | _UNPLANNED_HALF_DAYS
    day = date(year, 1, 1)
    while day.year == year:
        if day.weekday() < _SATURDAY and day not in closed:
            is_half_day = day in half_days
            noon_ns = new_york_ns(day, 12)  # clocks are put forward and back at night
            hour, minute = _LATE_OPENS.get(day, (9, 30))
            opens_ns = noon_ns + (hour - 12) * NANOS_PER_HOUR + minute * NANOS_PER_MINUTE
            closes_ns = noon_ns + ((CLOSE_HOUR_OF_HALF_DAY if is_half_day else CLOSE_HOUR) - 12) * NANOS_PER_HOUR
            yield Session(day, Nanos(opens_ns), Nanos(closes_ns), is_half_day)
        day += _ONE_DAY


def _holidays(year: int) -> frozenset[date]:
    days = {
        _nth_weekday(year, 1, _MONDAY, 3),  # Martin Luther King Jr. Day, since 1998
        _nth_weekday(year, 2, _MONDAY, 3),  # Washington's Birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        _nth_weekday(year, 6, _MONDAY, 1) - timedelta(days=7),  # Memorial Day: the last Monday of May
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, _MONDAY, 1),  # Labor Day
        _nth_weekday(year, 11, _THURSDAY, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != _SATURDAY:  # on a Saturday the Friday before is the last of the books: open
        days.add(_observed(new_year))
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


def _half_days(year: int) -> frozenset[date]:
    days = {_nth_weekday(year, 11, _THURSDAY, 4) + _ONE_DAY}
    if date(year, 12, 24).weekday() < _FRIDAY:
        days.add(date(year, 12, 24))
    independence_day = date(year, 7, 4)
    if independence_day.weekday() == _THURSDAY and year < 2013:
        days.add(date(year, 7, 5))  # until 2012 the Friday was the short day, not the Wednesday
    elif independence_day.weekday() in range(1, _SATURDAY):
        days.add(date(year, 7, 3))
    return frozenset(days)


def _observed(holiday: date) -> date:
    """Sunday's holiday is kept on Monday, Saturday's on Friday."""
    match holiday.weekday():
        case 5:
            return holiday - _ONE_DAY
        case 6:
            return holiday + _ONE_DAY
        case _:
            return holiday


def _nth_weekday(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def _easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian computus (Meeus, Astronomical Algorithms, chapter 8)."""
    century, of_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    correction = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)
