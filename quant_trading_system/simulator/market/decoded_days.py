"""Recorded days that were read once and are asked for again. Decides how many rows are kept.

A file has no index: its 14:00 is behind everything before. So what was decoded stays, as columns that take a quarter of
the memory of their events, and is decoded only as far as somebody asked.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.events import SimQuote, SimTrade

BATCH_ROWS = 256
ROWS_KEPT_MAX = 750_000  # of a kind, about 40 MB; the busiest recorded symbol has 450,000 trades a day

_FLOAT, _INT, _CODE = "d", "q", "I"
_STAMP = "ts_ns"

Event = TypeVar("Event", SimTrade, SimQuote)


class _Codes:
    """A column of values of which there are few: exchanges, conditions."""

    def __init__(self) -> None:
        self._codes = array(_CODE)
        self._known: dict[object, int] = {}
        self._values: list[object] = []

    def extend(self, values: tuple[object, ...]) -> None:
        for value in values:
            code = self._known.get(value)
            if code is None:
                code = self._known[value] = len(self._values)
                self._values.append(value)
            self._codes.append(code)

    def __getitem__(self, place: int) -> object:
        return self._values[self._codes[place]]


class DecodedDay(Generic[Event]):
    """The events of one file, in its order.

    Args:
        events: read as far as they are asked for; their stamps do not go back.
        kind: what they are.
    """

    def __init__(self, events: Iterator[Event], kind: type[Event]) -> None:
        self._events: Iterator[Event] = events
        self._kind: type[Event] = kind
        self._columns = [_column(field) for field in msgspec.structs.fields(kind)]
        stamps = self._columns[kind.__struct_fields__.index(_STAMP)]
        assert isinstance(stamps, array), "expected stamps to be whole numbers"
        self._stamps = stamps
        self._is_whole = False
        self._error: DataFileError | None = None

    def __len__(self) -> int:
        return len(self._stamps)

    def between(self, start_ns: int, end_ns: int) -> Iterator[Event]:
        """Events of an inclusive range.

        Raises:
            DataFileError: the file is not sound; also when it is asked for again.
        """
        columns, stamps = self._columns, self._stamps
        make: Callable[..., Event] = self._kind
        for _ in self.decode_to(start_ns):
            pass
        place = bisect_left(stamps, start_ns)
        while True:
            while place < len(stamps):
                if stamps[place] > end_ns:
                    return
                yield make(*[column[place] for column in columns])
                place += 1
            if self._is_whole:
                return
            self._decode()

    def decode_to(self, stamp_ns: int) -> Iterator[None]:
        """Decode what lies before a stamp, step by step."""
        while not self._is_whole and (not self._stamps or self._stamps[-1] < stamp_ns):
            self._decode()
            yield None

    def _decode(self) -> None:
        """Take in the next rows."""
        if self._error is not None:
            raise self._error
        try:
            rows = [msgspec.structs.astuple(event) for event in islice(self._events, BATCH_ROWS)]
        except DataFileError as error:
            self._error = error
            raise
        self._is_whole = len(rows) < BATCH_ROWS
        if rows:
            for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
                column.extend(values)


class DecodedDays(Generic[Event]):
    """The symbols' days that were asked for lately, of one kind.

    Args:
        kind: what they hold.
        read: opens the file of a symbol's day.
    """

    def __init__(self, kind: type[Event], read: Callable[[str, date], Iterator[Event]]) -> None:
        self._kind: type[Event] = kind
        self._read: Callable[[str, date], Iterator[Event]] = read
        self._days: OrderedDict[tuple[str, date], DecodedDay[Event]] = OrderedDict()

    def day(self, symbol: str, day: date) -> DecodedDay[Event]:
        key = (symbol, day)
        if key not in self._days:
            self._days[key] = DecodedDay(self._read(symbol, day), self._kind)
        self._days.move_to_end(key)
        while len(self._days) > 1 and sum(map(len, self._days.values())) > ROWS_KEPT_MAX:
            self._days.popitem(last=False)
        return self._days[key]


def _column(field: msgspec.structs.FieldInfo) -> array[float] | array[int] | _Codes:
    if field.type is float:
        return array(_FLOAT)
    return array(_INT) if field.type is int else _Codes()
