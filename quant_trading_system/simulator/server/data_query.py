"""What a question for market data asks for. Decides its range and page, and refuses in the data interface's words.

The words of refusals are recorded (2026-08 and 2026-09): the server names the parameter as the libraries do that read
it, a generated binding for types and Alpaca's own checks for values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator.instants import EPOCH, to_ns
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Place, Window, parse_token
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.stamps import parse_instant

RECENT_NS = 15 * NANOS_PER_MINUTE
"""What a plan without real-time consolidated data may not see (reference 10.1)."""
EARLIEST_NS = to_ns(EPOCH)  # nothing is known before, and calendars end there

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CURRENCY = "USD"

Order = Literal["asc", "desc"]
ASCENDING: Order = "asc"
DESCENDING: Order = "desc"


class DataQuery(Query):
    """The parameters of one question for market data."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values, invalid_data)

    def required(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise invalid_data(f"Invalid format for parameter {name}: query parameter '{name}' is required")
        return text

    def window(
        self,
        *,
        zone: ZoneInfo,
        newest_ns: Nanos,
        start_ns: Nanos | None = None,
        order: Order = ASCENDING,
        rows: tuple[int, int] = (PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX),
    ) -> Window:
        """The range and page asked for.

        Args:
            zone: whose dates are meant by a date alone, and whose day the range begins with by default.
            newest_ns: the last stamp that may be told.
            start_ns: where the range begins by default, instead.
            order: how rows are sorted by default.
            rows: how many a page has, by default and at most.
        """
        start_ns, end_ns = self._start_ns(zone, newest_ns, start_ns), self._end_ns(zone, newest_ns)
        if end_ns < start_ns:
            raise invalid_data("end should not be before start")
        return Window(
            start_ns=max(start_ns, EARLIEST_NS),
            end_ns=min(end_ns, newest_ns),
            is_descending=self.choice("sort", (ASCENDING, DESCENDING), order) == DESCENDING,
            limit=self.whole("limit", rows[0], low=1, high=rows[1]),
            place=self.place(),
        )

    def asks_after(self, newest_ns: Nanos, *, zone: ZoneInfo) -> bool:
        """Whether the end of the range is named and lies behind a stamp."""
        return bool(self.text("end")) and self._end_ns(zone, newest_ns) > newest_ns

    def place(self) -> Place | None:
        token = self.text("page_token")
        if not token:
            return None
        try:
            return parse_token(token)
        except ValueError as error:
            raise invalid_data(str(error)) from None

    def currency(self) -> str | None:
        """The currency if one is named. The exchange has no rates: it knows the dollar."""
        named = self.text("currency").upper()
        if named not in ("", _CURRENCY):
            raise invalid_data(f"invalid currency: {self.text('currency')}")
        return named or None

    def date_alone(self, name: str) -> date | None:
        text = self.text(name)
        if not text:
            return None
        try:
            if not _DATE.fullmatch(text):
                raise ValueError
            return date.fromisoformat(text)
        except ValueError:
            raise invalid_data(f"Invalid format for parameter {name}: {_date_fault(text)}") from None

    def _start_ns(self, zone: ZoneInfo, newest_ns: Nanos, default_ns: Nanos | None) -> Nanos:
        given = self.instant("start", zone=zone)
        if given is not None:
            return given
        return default_ns if default_ns is not None else _midnight_ns(newest_ns, zone)

    def _end_ns(self, zone: ZoneInfo, newest_ns: Nanos) -> int:
        given = self.instant("end", zone=zone)
        if given is None:
            return newest_ns
        if not self.is_date_alone("end"):
            return given
        # A date alone is the whole day (recorded 2026-09-07: start and end of one date gave the day's bars).
        return _midnight_ns(given + 36 * 60 * NANOS_PER_MINUTE, zone) - 1

    def _read_instant(self, text: str, zone: ZoneInfo | None) -> Nanos:
        if not (_RFC3339.fullmatch(text) or _DATE.fullmatch(text)):
            raise ValueError(text)
        try:
            return parse_instant(text, zone=zone)
        except OverflowError:  # a date at the end of the calendar, in another zone
            raise ValueError(text) from None

    def _say_choice(self, name: str, value: str, allowed: tuple[str, ...]) -> str:
        return f"invalid {name}: {value}"

    def _say_whole(self, name: str, value: str, low: int) -> str:
        fault = "value out of range" if value.removeprefix("-").isdecimal() else "invalid syntax"
        return (
            f"Invalid format for parameter {name}: error binding string parameter:"
            f' strconv.ParseInt: parsing "{value}": {fault}'
        )

    def _say_low(self, name: str, low: int) -> str:
        return f"invalid {name}: smaller than the allowed minimum of {low}"

    def _say_instant(self, name: str, value: str) -> str:
        return (
            f"Invalid format for parameter {name}: error parsing '{value}' as RFC3339 or 2006-01-02 time:"
            f" {_date_fault(value)}"
        )


def _midnight_ns(stamp_ns: int, zone: ZoneInfo) -> Nanos:
    """When the day of an instant began."""
    try:
        local = (EPOCH + timedelta(microseconds=stamp_ns // 1_000)).astimezone(zone)
    except OverflowError:
        return Nanos(stamp_ns)
    return to_ns(local.replace(hour=0, minute=0, second=0, microsecond=0))


def _date_fault(text: str) -> str:
    """What the server's parser of dates says of a text that is none."""
    rest = text
    for length, layout in ((4, "2006"), (1, "-"), (2, "01"), (1, "-"), (2, "02")):
        part = rest[:length]
        if len(part) < length or not (part == "-" if layout == "-" else part.isdecimal() and part.isascii()):
            return f'parsing time "{text}" as "2006-01-02": cannot parse "{rest}" as "{layout}"'
        if layout == "01" and not 1 <= int(part) <= 12:
            return f'parsing time "{text}": month out of range'
        rest = rest[length:]
    if rest:
        return f'parsing time "{text}": extra text: "{rest}"'
    return f'parsing time "{text}": day out of range'
