"""Pages of any length hold every row once, in order, also where many rows share a stamp."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.simulator.events import SimBar, SimTrade
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.server.paging import Window, parse_token, read_page
from quant_trading_system.simulator.server.timeframes import merge_bars, parse_timeframe
from tests.support.virtual_loop import run_virtual


@given(
    stamps=st.dictionaries(st.sampled_from(["A", "B", "C"]), st.lists(st.integers(0, 6), max_size=12), min_size=1),
    limit=st.integers(1, 5),
    is_descending=st.booleans(),
)
def test_pages_joined_are_the_whole(stamps, limit, is_descending):
    rows = {
        symbol: [SimTrade(symbol, 1.0, 1.0, ts, "V", n) for n, ts in enumerate(sorted(found))]
        for symbol, found in stamps.items()
    }

    def read(symbol: str, start_ns: int, end_ns: int) -> list[SimTrade]:
        found = [row for row in rows[symbol] if start_ns <= row.ts_ns <= end_ns]
        return found[::-1] if is_descending else found

    expected = [row for symbol in sorted(rows) for row in (rows[symbol][::-1] if is_descending else rows[symbol])]
    found: list[SimTrade] = []
    place = None
    for _ in range(len(expected) + 2):
        window = Window(start_ns=0, end_ns=9, limit=limit, is_descending=is_descending, place=place)
        page = run_virtual(read_page(read, list(rows), window))
        of_page = [row for part in page.rows.values() for row in part]
        assert len(of_page) <= limit
        found += of_page
        if page.next_place is None:
            break
        place = parse_token(page.next_place.token())
    assert found == expected


@pytest.mark.parametrize("token", ["", "x", "QQ==", "!!!!", "QXwtMXww", "QXw5OTk5OTk5OTk5OTk5OTk5OTk5OXww"])
def test_a_token_that_is_none_is_refused(token):
    with pytest.raises(ValueError, match="invalid page token"):
        parse_token(token)


def bar(ts_ns: int, *, high: float = 2.0, volume: float = 10.0) -> SimBar:
    return SimBar("A", 1.0, high, 0.5, 1.5, volume, ts_ns, 3, 1.25)


def test_hours_are_counted_from_new_york_midnight_and_weeks_from_monday():
    from datetime import date

    minute_ns = 60_000_000_000
    open_ns = new_york_ns(date(2024, 6, 3), 9, 30)
    bars = [bar(open_ns + minute * minute_ns, high=2.0 + minute) for minute in range(60)]
    hours = list(merge_bars(bars, parse_timeframe("1Hour")))
    assert [one.ts_ns for one in hours] == [open_ns - 30 * minute_ns, open_ns + 30 * minute_ns]
    assert [(one.volume, one.high, one.trade_count, one.vwap) for one in hours] == [
        (300.0, 31.0, 90, 1.25),
        (300.0, 61.0, 90, 1.25),
    ]
    days = [bar(new_york_ns(date(2024, 6, day))) for day in (6, 7, 10)]
    weeks = list(merge_bars(days, parse_timeframe("1Week")))
    assert [one.ts_ns for one in weeks] == [new_york_ns(date(2024, 6, 3)), new_york_ns(date(2024, 6, 10))]
    months = list(merge_bars(days, parse_timeframe("3M")))
    assert [one.ts_ns for one in months] == [new_york_ns(date(2024, 4, 1))]


@pytest.mark.parametrize("text", ["", "0Min", "60Min", "24Hour", "2Day", "2Week", "5Month", "1Year", "1min"])
def test_a_timeframe_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match="timeframe"):
        parse_timeframe(text)


@pytest.mark.parametrize(
    ("text", "source", "is_source_itself"),
    [
        ("1Min", "minute", True),
        ("Min", "minute", True),
        ("5T", "minute", False),
        ("4H", "minute", False),
        ("1Day", "day", True),
        ("D", "day", True),
        ("1W", "day", False),
        ("12Month", "day", False),
    ],
)
def test_both_spellings_of_a_timeframe_are_read(text, source, is_source_itself):
    timeframe = parse_timeframe(text)
    assert (timeframe.source, timeframe.begin_of is None) == (source, is_source_itself)
