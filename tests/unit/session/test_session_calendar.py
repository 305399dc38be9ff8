"""The calendar's edges: daylight saving, half days, closures, the broker's clock beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.broker import ClockReading
from quant_trading_system.core.clock import NEW_YORK, to_datetime, to_nanos
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.session_table import HALF_DAYS
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

CALENDAR = SessionCalendar()
HOUR_NS = 3_600 * NANOS_PER_SECOND


def at(text: str) -> Nanos:
    """New York wall time to UTC nanoseconds."""
    return to_nanos(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


def view(stamp_ns: int, reading: ClockReading | None = None, age_s: float | None = 0.0):
    return CALENDAR.view(stamp_ns, reading=reading, reading_age_s=age_s, start_offset_minutes=5, end_offset_minutes=10)


def reading(now: str, *, is_open: bool, next_open: str, next_close: str) -> ClockReading:
    return ClockReading(venue_ns=at(now), is_open=is_open, next_open_ns=at(next_open), next_close_ns=at(next_close))


@pytest.mark.fault("D6")
def test_every_session_opens_and_closes_by_the_clock_on_wall_street_whatever_utc_says():
    offsets = set()
    day = date(2000, 1, 1)
    while day.year <= 2030:
        session = CALENDAR.session_on(day)
        if session is not None:
            opening = to_datetime(session.open_ns).astimezone(NEW_YORK)
            closing = to_datetime(session.close_ns).astimezone(NEW_YORK)
            assert opening.date() == closing.date() == day
            assert (opening.hour, opening.minute) == (9, 30)
            assert (closing.hour, closing.minute) == ((13, 0) if session.is_half_day else (16, 0))
            offsets.add(opening.utcoffset())
        day += timedelta(days=1)
    assert offsets == {timedelta(hours=-4), timedelta(hours=-5)}


@pytest.mark.fault("D7")
def test_on_every_half_day_entries_end_at_ten_to_one():
    for year, days in HALF_DAYS.items():
        for day in days.split():
            session = CALENDAR.session_on(date.fromisoformat(f"{year}-{day}"))
            assert session is not None
            shown = view(session.open_ns)
            assert shown.window_start_ns == at(f"{year}-{day}T09:35")
            assert shown.window_end_ns == at(f"{year}-{day}T12:50")


@pytest.mark.parametrize("day", ["2001-09-12", "2012-10-29", "2018-12-05", "2025-01-09", "2026-11-26", "2013-10-05"])
def test_there_is_no_session_on_a_closed_day(day):
    shown = view(at(f"{day}T11:00"))
    assert CALENDAR.session_at(at(f"{day}T11:00")) is None
    assert not shown.is_open_by_calendar
    assert (shown.open_ns, shown.window_start_ns) == (None, None)
    assert shown.date == day


def test_a_session_is_open_from_its_first_nanosecond_until_its_close():
    session = CALENDAR.session_on(date(2013, 10, 7))
    assert session is not None
    open_at = [view(stamp).is_open_by_calendar for stamp in (session.open_ns - 1, session.open_ns)]
    close_at = [view(stamp).is_open_by_calendar for stamp in (session.close_ns - 1, session.close_ns)]
    assert (open_at, close_at) == ([False, True], [True, False])


def test_the_next_session_opens_strictly_later_and_the_previous_one_has_closed():
    friday, monday = CALENDAR.session_on(date(2013, 10, 4)), CALENDAR.session_on(date(2013, 10, 7))
    assert friday is not None
    assert monday is not None
    assert CALENDAR.next_session(friday.open_ns - 1) == friday
    assert CALENDAR.next_session(friday.open_ns) == monday
    assert CALENDAR.previous_session(friday.close_ns) == friday
    assert CALENDAR.previous_session(monday.close_ns - 1) == friday
    assert view(friday.close_ns).next_open_ns == monday.open_ns


def test_the_longest_closure_is_crossed_both_ways():
    before, after = CALENDAR.session_on(date(2001, 9, 10)), CALENDAR.session_on(date(2001, 9, 17))
    assert before is not None
    assert CALENDAR.next_session(before.open_ns) == after
    assert CALENDAR.previous_session(at("2001-09-17T09:00")) == before


@given(st.integers(to_nanos(datetime(1998, 1, 15, tzinfo=UTC)), to_nanos(datetime(2030, 12, 15, tzinfo=UTC))))
def test_any_moment_lies_between_two_neighbouring_sessions(stamp):
    earlier, later = CALENDAR.previous_session(stamp), CALENDAR.next_session(stamp)
    assert earlier.close_ns <= stamp < later.open_ns
    shown = view(stamp)
    between = CALENDAR.next_session(earlier.close_ns)
    # Nothing but the session that is on right now may lie between the two.
    assert (between == later) or (between.open_ns <= stamp < between.close_ns and shown.is_open_by_calendar)


def test_past_the_end_of_the_table_nothing_is_open_and_a_question_is_refused():
    shown = view(at("2031-03-03T11:00"))
    assert not shown.is_open_by_calendar
    assert shown.next_open_ns is None
    with pytest.raises(ValueError, match="1998 to 2030"):
        CALENDAR.session_on(date(2031, 3, 3))


def test_the_brokers_reading_is_carried_forward_to_now():
    during = reading("2013-10-07T15:59:50", is_open=True, next_open="2013-10-08T09:30", next_close="2013-10-07T16:00")
    assert view(at("2013-10-07T15:59:59"), during).is_open_by_broker is True
    assert view(at("2013-10-07T16:00"), during).is_open_by_broker is False
    before = reading("2013-10-07T09:29:50", is_open=False, next_open="2013-10-07T09:30", next_close="2013-10-07T16:00")
    assert view(at("2013-10-07T09:29:59"), before).is_open_by_broker is False
    assert view(at("2013-10-07T09:30"), before).is_open_by_broker is True
    assert view(at("2013-10-07T16:00"), before).is_open_by_broker is False


def test_without_a_reading_or_its_age_the_broker_says_nothing():
    at_noon = at("2013-10-07T12:00")
    known = reading("2013-10-07T12:00", is_open=True, next_open="2013-10-08T09:30", next_close="2013-10-07T16:00")
    assert view(at_noon, None).is_open_by_broker is None
    assert view(at_noon, known, None).is_open_by_broker is None


def test_calendar_and_broker_are_shown_side_by_side_when_they_disagree():
    closed = reading("2013-10-07T12:00", is_open=False, next_open="2013-10-08T09:30", next_close="2013-10-08T16:00")
    shown = view(at("2013-10-07T12:00"), closed)
    assert (shown.is_open_by_calendar, shown.is_open_by_broker) == (True, False)
