"""A recorded day that is asked for again is not read again, and tells what its file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataDirectory, DataFileError
from quant_trading_system.simulator.events import SimTrade
from quant_trading_system.simulator.instants import new_york_ns, rfc3339
from quant_trading_system.simulator.market import decoded_days
from quant_trading_system.simulator.market.decoded_days import BATCH_ROWS, DecodedDay, DecodedDays
from quant_trading_system.simulator.market.recorded import RecordedMarket
from quant_trading_system.simulator.market.recorded_history import RecordedHistory
from quant_trading_system.simulator.market.source import Reading

TODAY = date(2013, 10, 7)
RANGE_DAY = date(2013, 10, 8)


class File:
    """A file of trades, three to a stamp, that knows how far it was read."""

    def __init__(self, rows: int, *, bad_after: int | None = None) -> None:
        self._rows = rows
        self._bad_after = bad_after
        self.rows_read = 0

    def open(self) -> Iterator[SimTrade]:
        for number in range(self._rows):
            if number == self._bad_after:
                raise DataFileError(Path("trades.csv"), number, "bad row")
            self.rows_read += 1
            conditions = ("@",) if number % 2 else ("@", "I")
            yield SimTrade("AAPL", 1.0 + number, 2.0, number // 3, "VQ"[number % 2], number, conditions)


def test_any_range_of_a_decoded_day_is_what_the_file_says():
    whole = list(File(2_000).open())
    for start, end in ((0, 999), (5, 5), (300, 400), (666, 10_000), (700, 800), (9, 3)):
        day = DecodedDay(File(2_000).open(), SimTrade)
        expected = [trade for trade in whole if start <= trade.ts_ns <= end]
        assert list(day.between(start, end)) == expected
        assert list(day.between(0, 10_000)) == whole
        assert list(day.between(start, end)) == expected


def test_a_day_is_decoded_once_and_no_further_than_it_is_asked_for():
    file = File(100_000)
    days = DecodedDays(SimTrade, lambda _symbol, _day: file.open())
    assert next(days.day("AAPL", TODAY).between(1_000, 2_000)).ts_ns == 1_000
    assert file.rows_read <= 3_000 + 2 * BATCH_ROWS
    before = file.rows_read
    assert sum(1 for _ in days.day("AAPL", TODAY).between(0, 999)) == 3_000
    assert file.rows_read == before


def test_what_lies_before_a_stamp_is_decoded_in_small_steps():
    file = File(100_000)
    day = DecodedDay(file.open(), SimTrade)
    read = [0]
    for _ in day.decode_to(1_000):
        read.append(file.rows_read)
    assert all(0 < after - before <= BATCH_ROWS for before, after in pairwise(read))
    assert 3_000 <= file.rows_read <= 3_000 + BATCH_ROWS
    assert list(day.decode_to(1_000)) == []


def test_a_bad_file_is_bad_each_time():
    day = DecodedDay(File(2_000, bad_after=1_000).open(), SimTrade)
    for _ in range(2):
        with pytest.raises(DataFileError, match="bad row"):
            list(day.between(0, 10_000))
    assert sum(1 for _ in day.between(0, 10)) == 33


def test_days_that_nobody_asks_for_any_more_are_forgotten(monkeypatch):
    monkeypatch.setattr(decoded_days, "ROWS_KEPT_MAX", 10_000)
    opened: list[date] = []

    def read(_symbol: str, day: date) -> Iterator[SimTrade]:
        opened.append(day)
        return File(6_000).open()

    days = DecodedDays(SimTrade, read)
    asked = [TODAY + timedelta(days=number) for number in (0, 1, 2, 0)]
    for day in asked:
        assert sum(1 for _ in days.day("AAPL", day).between(0, 10_000)) == 6_000
    assert opened == asked


def recorded_market(root: Path) -> RecordedMarket:
    """IBM's trades of Monday and Tuesday, one a second of the first hour; it is Tuesday, a quarter past ten."""
    for day in (TODAY, TODAY + timedelta(days=1)):
        open_ns = new_york_ns(day, 9, 30)
        rows = [f"{rfc3339(open_ns + second * 10**9)},{100 + second % 7},{1 + second % 3}" for second in range(3_600)]
        path = root / "trades" / "IBM" / f"{day:%Y%m%d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["timestamp,price,size", *rows]) + "\n")
    market = RecordedMarket(DataDirectory(root))
    market.begin(new_york_ns(TODAY + timedelta(days=1), 10, 15))
    return market


RANGE_NS = (new_york_ns(TODAY, 9, 45), new_york_ns(TODAY + timedelta(days=1), 16))


@pytest.mark.parametrize("reading", ["trades", "minute", "day", "auctions"])
def test_what_was_prepared_in_steps_is_told_as_if_it_was_not(tmp_path, reading):
    def told(market: RecordedMarket) -> list[object]:
        days = (TODAY, TODAY + timedelta(days=1))
        return [
            list(market.trades("IBM", *RANGE_NS)),
            market.bars("IBM", "minute", *RANGE_NS),
            market.bars("IBM", "day", *RANGE_NS),
            market.auctions("IBM", *days),
        ]

    plain, prepared = recorded_market(tmp_path), recorded_market(tmp_path)
    for _ in prepared.prepare(reading, "IBM", *RANGE_NS):
        pass
    assert told(prepared) == told(plain)
    assert list(prepared.prepare(reading, "IBM", *RANGE_NS)) == []
    assert max(trade.ts_ns for trade in prepared.trades("IBM", *RANGE_NS)) <= new_york_ns(RANGE_DAY, 10, 15)


def test_a_past_day_is_made_ready_in_steps_and_the_running_one_is_left_alone(tmp_path):
    recorded_market(tmp_path)
    expected: tuple[tuple[Reading, int], ...] = (
        ("trades", 900 // BATCH_ROWS),
        ("minute", 3_600 // BATCH_ROWS),
        ("auctions", 3_600 // 1_000),
    )
    for reading, steps in expected:
        history = RecordedHistory(DataDirectory(tmp_path))
        assert len(list(history.prepare(reading, "IBM", *RANGE_NS, today=RANGE_DAY))) > steps
    history = RecordedHistory(DataDirectory(tmp_path))
    assert list(history.prepare("minute", "IBM", *RANGE_NS, today=TODAY)) == []
