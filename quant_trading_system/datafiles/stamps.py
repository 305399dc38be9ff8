"""Decides how a stamp in a market-data file becomes UTC nanoseconds, and which nanoseconds a file's date covers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from quant_trading_system.core.clock import NEW_YORK, to_nanos
from quant_trading_system.core.types import NANOS_PER_SECOND

_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MINUTES_CACHED_MAX = 4_096  # three days of minutes; a file holds one, so this is never reached by a good file


def parse_stamp(text: str) -> int:
    """Convert a stamp to UTC nanoseconds, losing nothing; without an offset it is UTC.

    Raises:
        ValueError: another form, more than nine fractional digits, or a time that does not exist.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a UTC time like 2013-10-07T13:30:00.123Z, found {text!r}")
    day, clock, fraction, offset = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{offset if offset not in (None, 'Z') else '+00:00'}")
    except ValueError as error:
        raise ValueError(f"expected a time that exists, found {text!r} ({error})") from None
    return to_nanos(whole) + int((fraction or "0").ljust(9, "0"))


class StampReader:
    """Reads the stamps of one file, remembering what the first sixteen characters (to the minute) mean.

    `datetime` costs a microsecond a row; a file of 400,000 rows has 960 different minutes.
    """

    def __init__(self) -> None:
        self._minute_ns: dict[str, int] = {}

    def read(self, text: str) -> int:
        """Convert one stamp to UTC nanoseconds.

        Raises:
            ValueError: as `parse_stamp`.
        """
        base_ns = self._minute_ns.get(text[:16])
        if base_ns is not None and text[-1] == "Z" and text[16] == ":":
            length = len(text)
            seconds = text[17:19]
            # isdecimal keeps int() from accepting signs, spaces and underscores.
            if length == 24 and text[19] == "." and (digits := text[20:23]).isdecimal() and seconds.isdecimal():
                if seconds < "60":
                    return base_ns + int(seconds) * NANOS_PER_SECOND + int(digits) * 1_000_000
            elif length == 20 and seconds.isdecimal() and seconds < "60":
                return base_ns + int(seconds) * NANOS_PER_SECOND
        return self._read_slowly(text)

    def _read_slowly(self, text: str) -> int:
        stamp_ns = parse_stamp(text)
        if text.endswith("Z") and len(self._minute_ns) < _MINUTES_CACHED_MAX:
            self._minute_ns[text[:16]] = stamp_ns - stamp_ns % (60 * NANOS_PER_SECOND)
        return stamp_ns


def parse_date(text: str) -> date:
    """Read YYYY-MM-DD.

    Raises:
        ValueError: another form, or a date that does not exist.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"expected a date like 2013-10-07, found {text!r}")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"expected a date that exists, found {text!r} ({error})") from None


def new_york_midnight_ns(day: date) -> int:
    """UTC nanoseconds of the beginning of a New York day."""
    return to_nanos(datetime.combine(day, time(), NEW_YORK).astimezone(UTC))


def new_york_day_bounds_ns(day: date) -> tuple[int, int]:
    """The first nanosecond of a New York day and the first one after it."""
    return new_york_midnight_ns(day), new_york_midnight_ns(day + timedelta(days=1))
