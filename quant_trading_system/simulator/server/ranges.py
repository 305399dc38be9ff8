"""How a range of history is read: in pieces, so that a page costs what it holds. Decides how long a piece is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from quant_trading_system.core.types import NANOS_PER_MINUTE

PIECE_NS_MAX = 64 * 24 * 60 * NANOS_PER_MINUTE
TICKS_PIECE_NS = 5 * NANOS_PER_MINUTE
BARS_PIECE_NS = 60 * NANOS_PER_MINUTE  # floored to a day's beginning, so at least the day
SPARSE_ROWS = 500  # a piece with fewer is followed by a longer one

Row = TypeVar("Row")
ReadPiece = Callable[[int, int], Iterable[Row]]
Floor = Callable[[int], int]


def backward(
    read: ReadPiece[Row], start_ns: int, end_ns: int, *, piece_ns: int = TICKS_PIECE_NS, floor: Floor | None = None
) -> Iterator[Row]:
    """Rows of an inclusive range, the last first.

    Args:
        read: ascending rows between two stamps, both inclusive.
        floor: where a piece may begin, None for anywhere.
    """
    while end_ns >= start_ns:
        begin_ns = end_ns - piece_ns
        begin_ns = max(start_ns, floor(begin_ns) if floor is not None else begin_ns)
        rows: Sequence[Row] = list(read(begin_ns, end_ns))
        yield from reversed(rows)
        piece_ns = _following(piece_ns, len(rows))
        end_ns = begin_ns - 1


def forward(read: ReadPiece[Row], start_ns: int, end_ns: int, *, piece_ns: int, floor: Floor) -> Iterator[Row]:
    """Rows of an inclusive range, the first first.

    Args:
        floor: pieces end just before a value of it; a day has at most 25 hours.
    """
    day_ns = 26 * 60 * NANOS_PER_MINUTE
    while start_ns <= end_ns:
        stop_ns = min(end_ns, floor(start_ns + max(piece_ns, day_ns)) - 1)
        assert stop_ns >= start_ns, "expected a piece to reach the day's end"
        count = 0
        for row in read(start_ns, stop_ns):
            count += 1
            yield row
        piece_ns = _following(piece_ns, count)
        start_ns = stop_ns + 1


def _following(piece_ns: int, rows: int) -> int:
    """The length of the next piece: an empty stretch is crossed in few steps."""
    if rows >= SPARSE_ROWS:
        return piece_ns
    return min(piece_ns * (2 if rows else 4), PIECE_NS_MAX)
