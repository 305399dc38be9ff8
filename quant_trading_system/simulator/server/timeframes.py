"""Decides which bars make up a longer bar: minutes in the zone's hours and days, days in weeks and months."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import EPOCH, NEW_YORK, to_ns
from quant_trading_system.simulator.market.source import DAY, MINUTE, BarSpan

MINUTES_MAX = 59
HOURS_MAX = 23
MONTHS = (1, 2, 3, 4, 6, 12)
VOLUME_DECIMALS = 9  # crypto's; the sum of two such numbers has more

_TIMEFRAME = re.compile(r"([1-9]\d{0,4})?(Min|T|Hour|H|Day|D|Week|W|Month|M)", re.ASCII)
_UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_COUNTS_MAX = {"Min": MINUTES_MAX, "Hour": HOURS_MAX, "Day": 1, "Week": 1, "Month": 12}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """How long a bar is, the span of the bars it is made of, and where each one belongs."""

    source: BarSpan
    begin_of: Callable[[int], int] | None  # None: the source's bars as they are


def parse_timeframe(text: str, zone: ZoneInfo = NEW_YORK, *, day_zone: ZoneInfo = NEW_YORK) -> Timeframe:
    """Read `[1-59]Min`, `[1-23]Hour`, `1Day`, `1Week`, `[1,2,3,4,6,12]Month` or their short forms.

    Args:
        zone: whose midnight minutes and hours are counted from.
        day_zone: in whose midnight daily bars begin, and so weeks and months.

    Raises:
        ValueError: another form.
    """
    match = _TIMEFRAME.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid timeframe: {text}")
    count, unit = int(match[1] or 1), _UNITS.get(match[2], match[2])
    if count > _COUNTS_MAX[unit]:
        raise ValueError(f"timeframe period number is larger than the allowed maximum of {_COUNTS_MAX[unit]}")
    if unit == "Min":
        return Timeframe(MINUTE, _grid_of_minutes(count, zone) if count > 1 else None)
    if unit == "Hour":
        return Timeframe(MINUTE, _grid_of_minutes(60 * count, zone))
    if unit == "Day":
        return Timeframe(DAY, None)
    if unit == "Week":
        return Timeframe(DAY, _by_date(lambda day: day - timedelta(days=day.weekday()), day_zone))
    if count not in MONTHS:
        raise ValueError(f"invalid timeframe: {text}")
    return Timeframe(DAY, _by_date(lambda day: date(day.year, (day.month - 1) // count * count + 1, 1), day_zone))


def merge_bars(bars: Iterable[SimBar], timeframe: Timeframe) -> Iterable[SimBar]:
    """Bars of the timeframe from bars of its source, ascending."""
    if timeframe.begin_of is None:
        return bars
    return _merged(bars, timeframe.begin_of)


def join_bars(bars: list[SimBar], begin_ns: int) -> SimBar:
    """One bar of several, which are at least one."""
    volume = round(sum(bar.volume for bar in bars), VOLUME_DECIMALS)
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


def midnight_before(stamp_ns: int, zone: ZoneInfo) -> Nanos:
    """When the zone's day of an instant began."""
    return _midnight_ns((EPOCH + timedelta(microseconds=stamp_ns // 1_000)).astimezone(zone).date(), zone)


def _merged(bars: Iterable[SimBar], begin_of: Callable[[int], int]) -> Iterator[SimBar]:
    group: list[SimBar] = []
    group_begin_ns = 0
    for bar in bars:
        begin_ns = begin_of(bar.ts_ns)
        if group and begin_ns != group_begin_ns:
            yield join_bars(group, group_begin_ns)
            group = []
        group_begin_ns = begin_ns
        group.append(bar)
    if group:
        yield join_bars(group, group_begin_ns)


def _grid_of_minutes(minutes: int, zone: ZoneInfo) -> Callable[[int], int]:
    """Bars counted from the zone's midnight, so that hours do not shift with daylight saving."""
    length_ns = minutes * NANOS_PER_MINUTE
    midnight_ns = end_ns = 0  # of the day asked for last: bars come by the hundred of one day

    def begin_of(stamp_ns: int) -> int:
        nonlocal midnight_ns, end_ns
        if not midnight_ns <= stamp_ns < end_ns:
            midnight_ns = midnight_before(stamp_ns, zone)
            end_ns = midnight_before(midnight_ns + 36 * 60 * NANOS_PER_MINUTE, zone)
        return midnight_ns + (stamp_ns - midnight_ns) // length_ns * length_ns

    return begin_of


def _by_date(first_of: Callable[[date], date], zone: ZoneInfo) -> Callable[[int], int]:
    def begin_of(stamp_ns: int) -> int:
        day = (EPOCH + timedelta(microseconds=stamp_ns // 1_000)).astimezone(zone).date()
        return _midnight_ns(first_of(day), zone)

    return begin_of


def _midnight_ns(day: date, zone: ZoneInfo) -> Nanos:
    return to_ns(datetime.combine(day, time(), zone))
