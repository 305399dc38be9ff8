"""Pages of market data: a limit over all symbols together, one symbol exhausted before the next (reference 10.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from quant_trading_system.simulator.server.pacing import Pacer

PAGE_ROWS_DEFAULT = 1_000
PAGE_ROWS_MAX = 10_000
STAMP_NS_END = 1 << 63
ROWS_PER_BREATH = 16  # a generated minute has about as many trades


ROWS_WRITTEN_PER_BREATH = 512


class Stamped(Protocol):
    @property
    def ts_ns(self) -> int: ...


Row = TypeVar("Row", bound=Stamped)
ReadRange = Callable[[str, int, int], Iterable[Row | None]]
"""Rows of a symbol between two stamps, both inclusive, in the order that is asked for; a None is a pause for breath."""
RowOf = Callable[[Row], object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: at a symbol and a stamp, of whose rows some were sent already."""

    symbol: str
    stamp_ns: int
    sent_at_stamp: int

    def token(self) -> str:
        text = f"{self.symbol}|{self.stamp_ns}|{self.sent_at_stamp}"
        return base64.urlsafe_b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The inclusive range of stamps that is asked for, in which order, and which page of it."""

    start_ns: int
    end_ns: int
    is_descending: bool = False
    limit: int = PAGE_ROWS_DEFAULT
    place: Place | None = None  # where the page begins, None for the first


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows by symbol, and where the next page begins."""

    rows: dict[str, list[Row]]
    next_place: Place | None

    @property
    def next_token(self) -> str | None:
        return self.next_place.token() if self.next_place is not None else None


def parse_token(token: str) -> Place:
    """Read a page token.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        symbol, stamp, sent = base64.urlsafe_b64decode(token.encode()).decode().split("|")
        place = Place(symbol, int(stamp), int(sent))
    except (binascii.Error, UnicodeError, ValueError):
        raise ValueError("invalid page token") from None
    if not (0 <= place.stamp_ns < STAMP_NS_END and 0 <= place.sent_at_stamp < STAMP_NS_END):
        raise ValueError("invalid page token")
    return place


async def read_page(read: ReadRange[Row], symbols: Sequence[str], window: Window) -> Page[Row]:
    """Collect one page, in the symbols' alphabetical order; long ones let others have their turns."""
    found: dict[str, list[Row]] = {}
    left, place, pacer = window.limit, window.place, Pacer()
    for symbol in sorted(symbols):
        if place is not None and symbol < place.symbol:
            continue
        here = place if place is not None and symbol == place.symbol else None
        first_ns, last_ns = window.start_ns, window.end_ns
        if here is not None:
            first_ns, last_ns = (first_ns, here.stamp_ns) if window.is_descending else (here.stamp_ns, last_ns)
        taken, has_more = await _take(iter(read(symbol, first_ns, last_ns)), left, here, pacer)
        if taken:
            found[symbol] = taken
            left -= len(taken)
        if has_more:
            begin_ns = last_ns if window.is_descending else first_ns
            return Page(found, _next_place(taken, here or Place(symbol, begin_ns, 0)))
    return Page(found, None)


async def _take(rows: Iterator[Row | None], limit: int, here: Place | None, pacer: Pacer) -> tuple[list[Row], bool]:
    """At most `limit` rows behind the place, and whether there is another one."""
    taken: list[Row] = []
    to_skip = here.sent_at_stamp if here is not None else 0
    for number, row in enumerate(rows):
        if row is None or not number % ROWS_PER_BREATH:
            await pacer.breathe()
        if row is None:
            continue
        if here is not None and to_skip and row.ts_ns == here.stamp_ns:
            to_skip -= 1
            continue
        if len(taken) == limit:
            return taken, True
        taken.append(row)
    return taken, False


async def written(page: Page[Row], row_of: RowOf[Row]) -> dict[str, list[object]]:
    """The page's rows as they are told."""
    pacer = Pacer()
    told: dict[str, list[object]] = {}
    for symbol, rows in page.rows.items():
        told[symbol] = []
        for begin in range(0, len(rows), ROWS_WRITTEN_PER_BREATH):
            await pacer.breathe()
            told[symbol].extend(map(row_of, rows[begin : begin + ROWS_WRITTEN_PER_BREATH]))
    return told


def _next_place(taken: Sequence[Row], here: Place) -> Place:
    """Where the page after this one begins, which began `here` and took these rows of the symbol."""
    if not taken:
        return here
    last_ns = taken[-1].ts_ns
    sent = sum(row.ts_ns == last_ns for row in taken)
    if here.stamp_ns == last_ns:
        sent += here.sent_at_stamp
    return Place(here.symbol, last_ns, sent)
