"""How a range of history is read: in pieces, so that a page costs what it holds. Decides how long a piece is.

A None between rows says that there is none yet: whoever asks may let others have their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from quant_trading_system.core.types import NANOS_PER_MINUTE

HOUR_NS = 60 * NANOS_PER_MINUTE
PIECE_NS_MAX = 64 * 24 * HOUR_NS
TICKS_PIECE_NS = 5 * NANOS_PER_MINUTE
MINUTES_PIECE_NS = HOUR_NS  # floored to a day's beginning, so at least the day
DAYS_PIECE_NS = 8 * 24 * HOUR_NS
SPARSE_ROWS = 500  # a piece of ticks with fewer is followed by a longer one
ROWS_PER_PAUSE = 64
DAY_NS = 24 * HOUR_NS

Row = TypeVar("Row")
ReadPauses = Callable[[int, int], Iterable[Row | None]]
"""Ascending rows between two stamps, both inclusive."""
Floor = Callable[[int], int]


def backward_ticks(read: ReadPauses[Row], start_ns: int, end_ns: int) -> Iterator[Row | None]:
    """Rows of an inclusive range, the last first; reading is lazy, so it can be left when a piece is too long."""
    piece_ns = TICKS_PIECE_NS
    while end_ns >= start_ns:
        begin_ns = max(start_ns, end_ns - piece_ns)
        found: list[Row] = []
        is_too_long = False
        for row in read(begin_ns, end_ns):
            if row is None:
                yield None
            elif piece_ns > HOUR_NS and begin_ns > start_ns:
                is_too_long = True  # it has crossed a night, and how much it holds nobody knows
                break
            else:
                found.append(row)
                if not len(found) % ROWS_PER_PAUSE:
                    yield None
        yield None
        if is_too_long:
            piece_ns //= 2
            continue
        yield from reversed(found)
        if not found:
            piece_ns = min(piece_ns * 4, PIECE_NS_MAX)
        elif len(found) < SPARSE_ROWS:
            piece_ns *= 2
        end_ns = begin_ns - 1


def backward(read: ReadPauses[Row], start_ns: int, end_ns: int, *, piece_ns: int, floor: Floor) -> Iterator[Row | None]:
    """Rows of an inclusive range, the last first, in pieces that begin at a value of `floor`."""
    length_ns = piece_ns
    while end_ns >= start_ns:
        begin_ns = max(start_ns, floor(end_ns - length_ns))
        rows: list[Row] = []
        for row in read(begin_ns, end_ns):
            if row is None:
                yield None
            else:
                rows.append(row)
        yield None
        yield from reversed(rows)
        length_ns = piece_ns if rows else _longer(length_ns)
        end_ns = begin_ns - 1


def forward(read: ReadPauses[Row], start_ns: int, end_ns: int, *, piece_ns: int, floor: Floor) -> Iterator[Row | None]:
    """Rows of an inclusive range, the first first, in pieces that end just before a value of `floor`."""
    length_ns = piece_ns
    while start_ns <= end_ns:
        stop_ns = min(end_ns, _stop_after(start_ns, length_ns, floor))
        is_empty = True
        yield None
        for row in read(start_ns, stop_ns):
            is_empty = is_empty and row is None
            yield row
        length_ns = _longer(length_ns) if is_empty else piece_ns
        start_ns = stop_ns + 1


def _stop_after(start_ns: int, piece_ns: int, floor: Floor) -> int:
    """The end of the piece that begins at a stamp: of at least one unit of the floor."""
    while (stop_ns := floor(start_ns + piece_ns) - 1) < start_ns:
        piece_ns = max(2 * piece_ns, 26 * HOUR_NS)  # a day has at most 25 hours
    return stop_ns


def _longer(length_ns: int) -> int:
    """The length of the piece after an empty one: an empty stretch is crossed in few steps."""
    return min(max(length_ns, DAY_NS) * 4, PIECE_NS_MAX)
