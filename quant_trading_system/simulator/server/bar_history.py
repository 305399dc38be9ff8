"""Bars of any timeframe from a market's minutes and days. Decides how much of the market a page of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from zoneinfo import ZoneInfo

from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.market.source import DAY, BarSpan
from quant_trading_system.simulator.server.ranges import DAYS_PIECE_NS, MINUTES_PIECE_NS, backward, forward
from quant_trading_system.simulator.server.timeframes import Timeframe, merge_bars, midnight_before

ReadBars = Callable[[BarSpan, int, int], Iterable[SimBar | None]]
"""The minutes or days that begin between two stamps, both inclusive, ascending."""


def bars_between(
    source: ReadBars, timeframe: Timeframe, start_ns: int, end_ns: int, *, zone: ZoneInfo, is_descending: bool = False
) -> Iterator[SimBar | None]:
    """Bars whose beginning lies in an inclusive range; lazy, so that a page costs what it holds."""
    # The first bar of a longer timeframe begins before its first minute: read from there.
    begin_ns = timeframe.begin_of(start_ns) if timeframe.begin_of is not None else start_ns

    def read(first_ns: int, last_ns: int) -> Iterator[SimBar | None]:
        found: list[SimBar] = []
        for bar in source(timeframe.source, first_ns, last_ns):
            if bar is None:
                yield None
            else:
                found.append(bar)
        yield from merge_bars(found, timeframe)

    def day_of(stamp_ns: int) -> int:
        return midnight_before(stamp_ns, zone)

    # A piece holds whole bars. Those of minutes lie within a day, those of days within their own beginnings.
    is_of_days = timeframe.source == DAY
    floor = timeframe.begin_of if is_of_days and timeframe.begin_of is not None else day_of
    in_order = backward if is_descending else forward
    piece_ns = DAYS_PIECE_NS if is_of_days else MINUTES_PIECE_NS
    bars = in_order(read, begin_ns, end_ns, piece_ns=piece_ns, floor=floor)
    return (bar for bar in bars if bar is None or start_ns <= bar.ts_ns <= end_ns)
