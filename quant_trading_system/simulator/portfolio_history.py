"""The account's equity over time (reference 6.2). Decides the grid, the profit's base, and how much is kept.

Equity is sampled at every minute of the venue's day, and kept where it differs from the minute before; all intraday
timeframes are read off that one line. Profits: of an intraday point against the close before its day (`per_day`) or
before the range (`no_reset`); of a daily point against the day before, as recorded in 2021 and in the specification's
examples of 2026, whose percentages are those of each day.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.entries import NonTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.refusals import invalid

NANOS_PER_MINUTE = 60 * NANOS_PER_SECOND
NANOS_PER_DAY = 86_400 * NANOS_PER_SECOND
SAMPLES_MAX = 32 * 1_440  # minutes of 32 days: intraday history may be asked for over 30
DAYS_MAX = 30 * 253  # closes of thirty years
INTRADAY_DAYS_MAX = 30
PERIOD_DAYS_MAX = 20 * 366
POINTS_MAX = 50_000  # of one answer: 30 days of minutes around the clock are 43,200
TIMEFRAMES = {"1Min": 1, "5Min": 5, "15Min": 15, "1H": 60, "1D": 0}
REPORTINGS = ("market_hours", "extended_hours", "continuous")
RESETS = ("per_day", "no_reset")
CENT = Decimal("0.01")
_PERIOD = re.compile(r"([1-9][0-9]{0,3})([DWMA])", re.ASCII)
_DAYS_OF = {"D": 1, "W": 7, "M": 30, "A": 365}


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for; None takes Alpaca's default."""

    period: str | None = None
    timeframe: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    intraday_reporting: str = "market_hours"
    pnl_reset: str = "per_day"
    cashflow_types: tuple[str, ...] = ()
    daily_stamp_hour: float = 20.0  # New York: the end of the late session; 9.5 in recordings until 2021

    def with_daily_stamp(self, hour: float) -> HistoryQuery:
        return msgspec.structs.replace(self, daily_stamp_hour=hour)

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            Refusal: names the parameter.
        """
        if None not in (self.period, self.start_ns, self.end_ns):
            raise invalid("only two of start, end and period can be specified at the same time")
        if self.period is not None and not _PERIOD.fullmatch(self.period):
            raise invalid(f"invalid period: {self.period}")
        if self.timeframe is not None and self.timeframe not in TIMEFRAMES:
            raise invalid(f"invalid timeframe: {self.timeframe}")
        if self.intraday_reporting not in REPORTINGS:
            raise invalid(f"intraday_reporting must be one of {', '.join(REPORTINGS)}")
        if self.pnl_reset not in RESETS:
            raise invalid(f"pnl_reset must be one of {', '.join(RESETS)}")
        if self.start_ns is not None and self.end_ns is not None and self.start_ns >= self.end_ns:
            raise invalid("start must be before end")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v2/account/portfolio/history` is written from: lists of equal length, USD and fractions."""

    stamps_s: list[int]
    equity: list[float]
    profit_loss: list[float]
    profit_loss_fraction: list[float]
    base_value: float
    base_value_asof: date | None
    timeframe: str
    cashflow: dict[str, list[float]]


class _Point(msgspec.Struct, frozen=True):
    """One place of the grid: its label, the moment whose equity it shows, and the day it belongs to."""

    label_ns: int
    sampled_ns: int
    day: date


class EquityLine:
    """Equity at minutes, in USD cents' precision; the oldest are forgotten."""

    def __init__(self) -> None:
        self._stamps = array("q")
        self._values = array("d")

    def add(self, stamp_ns: int, equity: float) -> bool:
        """Note what equity is from a moment on; False where that was known."""
        if self._values and self._values[-1] == equity:
            return False
        self._stamps.append(stamp_ns)
        self._values.append(equity)
        if len(self._stamps) >= 2 * SAMPLES_MAX:
            del self._stamps[:SAMPLES_MAX], self._values[:SAMPLES_MAX]
        return True

    def at(self, stamp_ns: int) -> float | None:
        """Equity at a moment, None before the first."""
        place = bisect_right(self._stamps, stamp_ns)
        return self._values[place - 1] if place else None

    def __len__(self) -> int:
        return len(self._stamps)


class PortfolioHistory:
    """Equity of the account at minutes and at the closes of sessions."""

    def __init__(self, *, began_ns: int, cash: Decimal) -> None:
        self.line = EquityLine()
        self._began_ns = began_ns
        self._began_with = _usd(cash)
        self._days: list[date] = []
        self._closes: list[float] = []

    def add_sample(self, stamp_ns: int, equity: float) -> bool:
        return self.line.add(stamp_ns, equity)

    def add_close(self, day: date, equity: Decimal) -> None:
        """Note the equity of a session's close."""
        if len(self._days) >= DAYS_MAX:
            del self._days[0], self._closes[0]
        self._days.append(day)
        self._closes.append(_usd(equity))

    def read(self, query: HistoryQuery, *, now_ns: Nanos, equity: Decimal, flows: Sequence[NonTrade] = ()) -> History:
        """Answer a question.

        Args:
            equity: of the account now.
            flows: non-trade activities, of which those asked for are told beside the equity.

        Raises:
            Refusal: the question makes no sense.
        """
        query.check()
        first_ns, last_ns = _range(query, now_ns)
        span_days = (last_ns - first_ns) / NANOS_PER_DAY
        is_period = query.start_ns is None or query.period is not None
        timeframe = query.timeframe or _default_timeframe(
            _period_days(query.period or "1M") if is_period else span_days
        )
        minutes = TIMEFRAMES[timeframe]
        if minutes and span_days > INTRADAY_DAYS_MAX + 1:
            raise invalid(f"intraday timeframes are only available for periods of {INTRADAY_DAYS_MAX} days or less")
        first_ns = max(first_ns, self._began_ns - NANOS_PER_DAY)  # before there was an account there is nothing to tell
        last_ns = max(last_ns, self._began_ns - NANOS_PER_DAY)
        grid = _grid(query, first_ns, last_ns, minutes) if minutes else _daily_grid(query, first_ns, last_ns, now_ns)
        told = ((point, self._value(point, now_ns, _usd(equity), is_daily=not minutes)) for point in grid)
        points = [(point, value) for point, value in told if value is not None][:POINTS_MAX]
        return self._history(query, points, timeframe, flows)

    def _history(
        self, query: HistoryQuery, points: Sequence[tuple[_Point, float]], timeframe: str, flows: Sequence[NonTrade]
    ) -> History:
        base_day, base = self._close_before(points[0][0].day) if points else (None, self._began_with)
        bases = [base] * len(points)
        if query.pnl_reset == "per_day":
            bases = list(_yesterdays(points, base) if timeframe == "1D" else self._closes_before(points))
        gains = [round(value - against, 4) for (_, value), against in zip(points, bases, strict=True)]
        return History(
            stamps_s=[point.label_ns // NANOS_PER_SECOND for point, _ in points],
            equity=[value for _, value in points],
            profit_loss=gains,
            profit_loss_fraction=[
                round(gain / against, 4) if against else 0.0 for gain, against in zip(gains, bases, strict=True)
            ],
            base_value=base,
            base_value_asof=base_day,
            timeframe=timeframe,
            cashflow=_cashflow(query.cashflow_types, [point for point, _ in points], flows),
        )

    def _closes_before(self, points: Sequence[tuple[_Point, float]]) -> Iterator[float]:
        """What each intraday point's profit is counted from: the close before its day."""
        known: dict[date, float] = {}
        for point, _ in points:
            if point.day not in known:
                known[point.day] = self._close_before(point.day)[1]
            yield known[point.day]

    def _value(self, point: _Point, now_ns: int, equity: float, *, is_daily: bool) -> float | None:
        if point.sampled_ns > now_ns:
            return equity
        if point.sampled_ns < self._began_ns:
            return None
        if is_daily:
            return self._close_of(point.day)
        known = self.line.at(point.sampled_ns)
        return self._began_with if known is None else known

    def _close_of(self, day: date) -> float | None:
        place = bisect_left(self._days, day)
        return self._closes[place] if place < len(self._days) and self._days[place] == day else None

    def _close_before(self, day: date) -> tuple[date | None, float]:
        """The last close before a day, and of which day it is; before the first, what the account began with."""
        place = bisect_left(self._days, day)
        return (self._days[place - 1], self._closes[place - 1]) if place else (None, self._began_with)


def _yesterdays(points: Sequence[tuple[_Point, float]], base: float) -> Iterator[float]:
    """What each daily point's profit is counted from: the point before it."""
    for _, value in points:
        yield base
        base = value


def _daily_grid(query: HistoryQuery, first_ns: int, last_ns: int, now_ns: int) -> Iterator[_Point]:
    """One place a session; today's is labelled with now while its own label lies ahead."""
    hour, minute = divmod(round(query.daily_stamp_hour * 60), 60)
    for session in calendar.sessions_between(new_york_date(first_ns), new_york_date(last_ns)):
        if session.pre_market_ns <= last_ns:
            label_ns = new_york_ns(session.day, hour, minute)
            yield _Point(min(label_ns, now_ns), session.close_ns, session.day)


def _usd(amount: Decimal) -> float:
    return float(amount.quantize(CENT))


def _range(query: HistoryQuery, now_ns: int) -> tuple[int, int]:
    """The stamps between which points are wanted. A period counts calendar days back from its end."""
    days = _period_days(query.period or "1M")
    start_ns, end_ns = _in_our_time(query.start_ns), _in_our_time(query.end_ns)
    if start_ns is not None and end_ns is None:
        until_ns = now_ns if query.period is None else start_ns + days * NANOS_PER_DAY
        return start_ns, min(until_ns, now_ns)
    last_ns = min(now_ns, end_ns if end_ns is not None else now_ns)
    if start_ns is not None:
        return start_ns, last_ns
    return _start_of_period(last_ns, days), last_ns


def _in_our_time(stamp_ns: int | None) -> int | None:
    """Not before 1970: New York's clocks cannot show the year 1."""
    return None if stamp_ns is None else max(0, stamp_ns)


def _start_of_period(last_ns: int, days: int) -> int:
    """Midnight of the first day: one day is the session that runs or was the last."""
    last_day = new_york_date(last_ns)
    if days < _DAYS_OF["W"]:
        begun = [s for s in calendar.sessions_between(last_day - timedelta(days=14), last_day) if s.open_ns <= last_ns]
        if begun:
            return new_york_ns(begun[max(0, len(begun) - days)].day)
    return new_york_ns(last_day - timedelta(days=days))


def _period_days(period: str) -> int:
    match = _PERIOD.fullmatch(period)
    assert match is not None, f"period {period}: expected one that was checked"
    days = int(match[1]) * _DAYS_OF[match[2]]
    if days > PERIOD_DAYS_MAX:
        raise invalid(f"invalid period: {period}")
    return days


def _default_timeframe(span_days: float) -> str:
    if span_days < 7:
        return "1Min"
    return "15Min" if span_days < INTRADAY_DAYS_MAX else "1D"


def _grid(query: HistoryQuery, first_ns: int, last_ns: int, minutes: int) -> Iterator[_Point]:
    """The places of an intraday grid, left-labelled: a place shows the equity at the end of its window."""
    step_ns = minutes * NANOS_PER_MINUTE
    if query.intraday_reporting == "continuous":
        label_ns = first_ns - first_ns % step_ns
        while label_ns <= last_ns:
            yield _Point(label_ns, label_ns + step_ns, new_york_date(label_ns))
            label_ns += step_ns
        return
    for session in calendar.sessions_between(new_york_date(first_ns), new_york_date(last_ns)):
        begin_ns, end_ns = _hours(session, query.intraday_reporting)
        for label_ns in range(begin_ns, min(end_ns, last_ns) + 1, step_ns):
            yield _Point(label_ns, min(label_ns + step_ns, end_ns), session.day)


def _hours(session: Session, reporting: str) -> tuple[int, int]:
    if reporting == "extended_hours":
        return session.pre_market_ns, session.post_market_end_ns
    return session.open_ns, session.close_ns


def _cashflow(types: Iterable[str], points: Sequence[_Point], flows: Sequence[NonTrade]) -> dict[str, list[float]]:
    """What moved in each window, by type; "ALL" takes every type that occurs."""
    wanted = tuple(types)
    sums: dict[str, list[float]] = {name: [0.0] * len(points) for name in wanted if name != "ALL"}
    for flow in flows:
        is_wanted = flow.activity_type in wanted or ("ALL" in wanted and bool(flow.cash))
        place = _window(points, flow.created_at_ns)
        if is_wanted and place is not None:
            row = sums.setdefault(flow.activity_type, [0.0] * len(points))
            row[place] = round(row[place] + float(flow.cash), 4)
    return sums


def _window(points: Sequence[_Point], stamp_ns: int) -> int | None:
    """The first place whose moment is not before a stamp, None outside the range."""
    day = new_york_date(stamp_ns)
    if not points or day < points[0].day:
        return None
    place = bisect_left(points, stamp_ns, key=lambda point: point.sampled_ns)
    return place if place < len(points) else None
