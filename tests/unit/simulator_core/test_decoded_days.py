"""A recorded day that is asked for again is not read again, and tells what its file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.events import SimTrade
from quant_trading_system.simulator.market import decoded_days
from quant_trading_system.simulator.market.decoded_days import BATCH_ROWS, DecodedDay, DecodedDays

TODAY = date(2013, 10, 7)


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
