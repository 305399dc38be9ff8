"""Decides when the regular session of US equities is open: by the generated table, and by the broker's clock.

The two are reported side by side; who trades treats a disagreement as closed (control P5, fault D8).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct

from quant_trading_system.core.broker import ClockReading
from quant_trading_system.core.clock import NEW_YORK, to_nanos, to_new_york
from quant_trading_system.core.session_table import CLOSED_WEEKDAYS, HALF_DAYS, YEAR_FIRST, YEAR_LAST
from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.core.views import SessionView

OPEN = time(9, 30)
CLOSE = time(16, 0)
HALF_DAY_CLOSE = time(13, 0)
SATURDAY = 5
DAYS_WITHOUT_SESSION_MAX = 14
"""The longest closure in the table is six days (September 2001); twice that means the table has a hole."""


class Session(Struct, frozen=True):
    """One regular session. `open_ns` is its first nanosecond, `close_ns` the first one after it, in UTC."""

    date: date
    open_ns: Nanos
    close_ns: Nanos
    is_half_day: bool


class _Stretch(Struct, frozen=True):
    """A stretch of time and what the calendar says of it, for each thing the broker may say."""

    from_ns: int
    until_ns: int
    offsets: tuple[int, int]
    views: dict[bool | None, SessionView]


class SessionCalendar:
    """Regular sessions of the New York Stock Exchange from 1998 to 2030."""

    def __init__(self) -> None:
        self._closed = _CLOSED
        self._half = _HALF
        self._known: dict[date, Session | None] = {}  # bounded by the days of the table
        self._stretch: _Stretch | None = None

    def session_on(self, date: date) -> Session | None:
        """The session of a New York date, or None on a day without one.

        Raises:
            ValueError: the table does not reach to that date.
        """
        if date not in self._known:
            self._known[date] = self._build(date)
        return self._known[date]

    def session_at(self, venue_ns: int) -> Session | None:
        """The session of the New York date at `venue_ns`, whether it is open then or not."""
        return self.session_on(to_new_york(venue_ns).date())

    def next_session(self, venue_ns: int) -> Session:
        """The first session that opens strictly after `venue_ns`."""
        day = to_new_york(venue_ns).date()
        for _ in range(DAYS_WITHOUT_SESSION_MAX):
            session = self.session_on(day)
            if session is not None and session.open_ns > venue_ns:
                return session
            day += timedelta(days=1)
        raise AssertionError(f"no session within {DAYS_WITHOUT_SESSION_MAX} days after {to_new_york(venue_ns)}")

    def previous_session(self, venue_ns: int) -> Session:
        """The last session that closed at or before `venue_ns`."""
        day = to_new_york(venue_ns).date()
        for _ in range(DAYS_WITHOUT_SESSION_MAX):
            session = self.session_on(day)
            if session is not None and session.close_ns <= venue_ns:
                return session
            day -= timedelta(days=1)
        raise AssertionError(f"no session within {DAYS_WITHOUT_SESSION_MAX} days before {to_new_york(venue_ns)}")

    def view(
        self,
        venue_ns: int,
        *,
        reading: ClockReading | None,
        reading_age_s: float | None,
        start_offset_minutes: int,
        end_offset_minutes: int,
    ) -> SessionView:
        """The session at `venue_ns` by both sources.

        Entries are allowed from `start_offset_minutes` after the open to `end_offset_minutes` before the close, on a
        half day too. A `reading` of unknown age says nothing. Past the table's last day the calendar says closed.
        """
        is_open_by_broker = None
        if reading is not None and reading_age_s is not None:
            is_open_by_broker = _is_open_by(reading, venue_ns)
        stretch, offsets = self._stretch, (start_offset_minutes, end_offset_minutes)
        if stretch is None or not stretch.from_ns <= venue_ns < stretch.until_ns or stretch.offsets != offsets:
            stretch = self._stretch = self._stretch_at(venue_ns, offsets)
        return stretch.views[is_open_by_broker]

    def _stretch_at(self, venue_ns: int, offsets: tuple[int, int]) -> _Stretch:
        """The time around `venue_ns` in which the calendar says the same: to the next midnight, open or close."""
        day = to_new_york(venue_ns).date()
        session = self.session_on(day) if YEAR_FIRST <= day.year <= YEAR_LAST else None
        edges = [_new_york_ns(day, time(0)), _new_york_ns(day + timedelta(days=1), time(0))]
        if session is not None:
            edges += [session.open_ns, session.close_ns]
        views = {said: self._build_view(venue_ns, day, session, said, offsets) for said in (None, False, True)}
        return _Stretch(
            from_ns=max(edge for edge in edges if edge <= venue_ns),
            until_ns=min(edge for edge in edges if edge > venue_ns),
            offsets=offsets,
            views=views,
        )

    def _build_view(
        self,
        venue_ns: int,
        day: date,
        session: Session | None,
        is_open_by_broker: bool | None,
        offsets: tuple[int, int],
    ) -> SessionView:
        start_offset_minutes, end_offset_minutes = offsets
        return SessionView(
            date=day.isoformat(),
            is_open_by_calendar=session is not None and session.open_ns <= venue_ns < session.close_ns,
            is_open_by_broker=is_open_by_broker,
            open_ns=None if session is None else session.open_ns,
            close_ns=None if session is None else session.close_ns,
            window_start_ns=None if session is None else _shift(session.open_ns, start_offset_minutes),
            window_end_ns=None if session is None else _shift(session.close_ns, -end_offset_minutes),
            next_open_ns=self._next_open(venue_ns),
        )

    def _next_open(self, venue_ns: int) -> Nanos | None:
        try:
            return self.next_session(venue_ns).open_ns
        except ValueError:  # the table has ended: nothing is known to open
            return None

    def _build(self, day: date) -> Session | None:
        if not YEAR_FIRST <= day.year <= YEAR_LAST:
            raise ValueError(f"expected a date in the session table, {YEAR_FIRST} to {YEAR_LAST}, found {day}")
        if day.weekday() >= SATURDAY or day in self._closed:
            return None
        is_half_day = day in self._half
        close = HALF_DAY_CLOSE if is_half_day else CLOSE
        return Session(day, _new_york_ns(day, OPEN), _new_york_ns(day, close), is_half_day)


def _is_open_by(reading: ClockReading, venue_ns: int) -> bool:
    """What the broker's reading means now. Past the close it named it says closed, until a newer reading comes."""
    return venue_ns < reading.next_close_ns and (reading.is_open or venue_ns >= reading.next_open_ns)


def _days(table: dict[int, str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, text in table.items() for day in text.split())


_CLOSED, _HALF = _days(CLOSED_WEEKDAYS), _days(HALF_DAYS)


def _new_york_ns(day: date, at: time) -> Nanos:
    return to_nanos(datetime.combine(day, at, tzinfo=NEW_YORK).astimezone(UTC))


def _shift(stamp_ns: int, minutes: int) -> Nanos:
    return Nanos(stamp_ns + minutes * NANOS_PER_MINUTE)
