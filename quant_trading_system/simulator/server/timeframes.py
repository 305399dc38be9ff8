"""Decides which bars make up a longer bar: minutes in New York's hours and days, days in weeks and months."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY, MINUTE, BarSpan

MINUTES_MAX = 59
HOURS_MAX = 23
MONTHS = (1, 2, 3, 4, 6, 12)

_TIMEFRAME = re.compile(r"([1-9]\d{0,2})?(Min|T|Hour|H|Day|D|Week|W|Month|M)", re.ASCII)
_UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """How long a bar is, the span of the bars it is made of, and where each one belongs."""

    source: BarSpan
    begin_of: Callable[[int], int] | None  # None: the source's bars as they are


def parse_timeframe(text: str) -> Timeframe:
    """Read `[1-59]Min`, `[1-23]Hour`, `1Day`, `1Week`, `[1,2,3,4,6,12]Month` or their short forms.

    Raises:
        ValueError: another form.
    """
    match = _TIMEFRAME.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid timeframe: {text}")
    count, unit = int(match[1] or 1), _UNITS.get(match[2], match[2])
    if unit == "Min" and count <= MINUTES_MAX:
        return Timeframe(MINUTE, _grid_of_minutes(count) if count > 1 else None)
    if unit == "Hour" and count <= HOURS_MAX:
        return Timeframe(MINUTE, _grid_of_minutes(60 * count))
    if unit == "Day" and count == 1:
        return Timeframe(DAY, None)
    if unit == "Week" and count == 1:
        return Timeframe(DAY, _by_date(lambda day: day - timedelta(days=day.weekday())))
    if unit == "Month" and count in MONTHS:
        return Timeframe(DAY, _by_date(lambda day: date(day.year, (day.month - 1) // count * count + 1, 1)))
    raise ValueError(f"invalid timeframe: {text}")


def merge_bars(bars: Sequence[SimBar], timeframe: Timeframe) -> Iterable[SimBar]:
    """Bars of the timeframe from bars of its source, ascending."""
    if timeframe.begin_of is None:
        return bars
    return _merged(bars, timeframe.begin_of)


def _merged(bars: Sequence[SimBar], begin_of: Callable[[int], int]) -> Iterator[SimBar]:
    group: list[SimBar] = []
    group_begin_ns = 0
    for bar in bars:
        begin_ns = begin_of(bar.ts_ns)
        if group and begin_ns != group_begin_ns:
            yield _join(group, group_begin_ns)
            group = []
        group_begin_ns = begin_ns
        group.append(bar)
    if group:
        yield _join(group, group_begin_ns)


def _join(bars: Sequence[SimBar], begin_ns: int) -> SimBar:
    volume = sum(bar.volume for bar in bars)
    paid_usd = sum(bar.vwap * bar.volume for bar in bars)
    return SimBar(
        symbol=bars[0].symbol,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=volume,
        ts_ns=begin_ns,
        trade_count=sum(bar.trade_count for bar in bars),
        vwap=round(paid_usd / volume, 6) if volume else bars[-1].close,
    )


def _grid_of_minutes(minutes: int) -> Callable[[int], int]:
    """Bars counted from New York midnight, so that hours do not shift with daylight saving."""
    length_ns = minutes * NANOS_PER_MINUTE

    def begin_of(stamp_ns: int) -> int:
        midnight_ns = new_york_ns(new_york_date(stamp_ns))
        return midnight_ns + (stamp_ns - midnight_ns) // length_ns * length_ns

    return begin_of


def _by_date(first_of: Callable[[date], date]) -> Callable[[int], int]:
    return lambda stamp_ns: new_york_ns(first_of(new_york_date(stamp_ns)))
