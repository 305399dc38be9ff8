"""The exchange's own session rules against an independent library."""

from __future__ import annotations

from datetime import date

import pytest

from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.instants import new_york_ns

# Late openings that exchange-calendars does not know: two minutes of silence, and the first anniversary.
LATE_OPENINGS = {date(2001, 9, 17), date(2002, 9, 11)}


@pytest.fixture(scope="module")
def reference():
    exchange_calendars = pytest.importorskip("exchange_calendars")
    known = exchange_calendars.get_calendar("XNYS", start="1998-01-01", end="2027-06-30")
    return {stamp.date(): (int(row["open"].value), int(row["close"].value)) for stamp, row in known.schedule.iterrows()}


def test_every_session_from_1998_on_is_the_one_that_exchange_calendars_knows(reference):
    ours = {
        session.day: (session.open_ns, session.close_ns)
        for session in calendar.sessions_between(date(1998, 1, 1), max(reference))
    }
    assert ours.keys() == reference.keys()
    assert {day for day in ours if ours[day] != reference[day]} == LATE_OPENINGS


@pytest.mark.parametrize(
    ("day", "close"),
    [
        (date(2026, 11, 27), 13),  # after Thanksgiving
        (date(2026, 12, 24), 13),
        (date(2013, 7, 3), 13),
        (date(2012, 7, 3), 13),
        (date(2026, 11, 25), 16),
    ],
)
def test_half_days_end_at_one(day, close):
    session = calendar.session_on(day)
    assert session is not None
    assert session.close_ns == new_york_ns(day, close)
    assert session.is_half_day == (close == 13)


@pytest.mark.parametrize(
    "day", [date(2012, 10, 29), date(2025, 1, 9), date(2026, 11, 26), date(2026, 11, 22), date(2030, 6, 19)]
)
def test_there_is_no_session_on_holidays_weekends_and_days_of_mourning(day):
    assert calendar.session_on(day) is None


def test_a_session_holds_its_open_and_not_its_close():
    session = calendar.session_on(date(2026, 11, 23))
    assert session is not None
    assert calendar.session_at(session.open_ns) == session
    assert calendar.session_at(session.close_ns - 1) == session
    assert calendar.session_at(session.close_ns) is None
    assert calendar.session_at(session.open_ns - 1) is None


def test_the_calendar_ends_where_it_says():
    last = calendar.sessions_between(date(2030, 12, 1), date(2031, 12, 31))[-1]
    assert last.day == date(2030, 12, 31)
    assert calendar.session_closing_after(last.close_ns) is None


@pytest.mark.parametrize(
    ("traded", "settled"),
    [
        (date(2026, 11, 25), date(2026, 11, 27)),  # over Thanksgiving
        (date(2020, 1, 2), date(2020, 1, 6)),
        (date(2013, 10, 7), date(2013, 10, 10)),
    ],
)
def test_trades_settle_as_many_days_later_as_the_rule_of_their_time_says(traded, settled):
    assert calendar.settlement_date(traded) == settled


@pytest.mark.parametrize(
    ("day", "hour", "minute", "phase", "ends"),
    [
        (date(2026, 11, 23), 3, 59, "closed", (4, 0)),
        (date(2026, 11, 23), 4, 0, "pre", (9, 30)),
        (date(2026, 11, 23), 9, 29, "pre", (9, 30)),
        (date(2026, 11, 23), 9, 30, "regular", (16, 0)),
        (date(2026, 11, 23), 15, 59, "regular", (16, 0)),
        (date(2026, 11, 23), 16, 0, "post", (20, 0)),
        (date(2026, 11, 27), 12, 59, "regular", (13, 0)),  # the half-day after Thanksgiving
        (date(2026, 11, 27), 13, 0, "post", (17, 0)),
    ],
)
def test_a_day_has_its_phases(day, hour, minute, phase, ends):
    stamp_ns = new_york_ns(day, hour, minute)
    assert calendar.phase_at(stamp_ns) == phase
    assert calendar.phase_end_after(stamp_ns) == new_york_ns(day, *ends)


@pytest.mark.parametrize(
    ("day", "hour", "opens"),
    [
        (date(2026, 11, 23), 20, date(2026, 11, 24)),
        (date(2026, 11, 21), 12, date(2026, 11, 23)),  # a Saturday
        (date(2026, 11, 26), 12, date(2026, 11, 27)),  # Thanksgiving
        (date(2026, 11, 27), 17, date(2026, 11, 30)),
    ],
)
def test_nights_holidays_and_weekends_are_closed_until_four(day, hour, opens):
    stamp_ns = new_york_ns(day, hour)
    assert calendar.phase_at(stamp_ns) == "closed"
    assert calendar.phase_end_after(stamp_ns) == new_york_ns(opens, 4)


@pytest.mark.parametrize(
    ("ex_date", "recorded"),
    [
        (date(2026, 11, 25), date(2026, 11, 25)),  # trades settle on the next day
        (date(2020, 1, 2), date(2020, 1, 3)),
        (date(2013, 10, 7), date(2013, 10, 9)),
    ],
)
def test_who_bought_before_the_ex_date_is_on_record(ex_date, recorded):
    assert calendar.record_date_of(ex_date) == recorded


def test_sessions_after_a_date_come_in_order():
    assert [session.day.day for session in calendar.sessions_after(date(2026, 11, 25), 2)] == [27, 30]
