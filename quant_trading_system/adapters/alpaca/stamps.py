"""Reads and writes the broker's times: RFC 3339 with any offset and up to nine digits of a second."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from quant_trading_system.core.clock import to_datetime, to_nanos
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

STAMPS_CACHED_MAX = 4_096
"""Each pass shows the orders of a day with the stamps that the pass before showed."""
_STAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d{0,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


@lru_cache(maxsize=STAMPS_CACHED_MAX)
def parse_stamp(text: str) -> Nanos:
    """Nanoseconds of an RFC 3339 time.

    Raises:
        ValueError: not such a time, or no such date.
    """
    found = _STAMP.fullmatch(text)
    if found is None:
        raise ValueError(f"expected an RFC 3339 time with an offset, found {text[:40]!r}")
    date, time, fraction, offset = found.groups()
    whole = datetime.fromisoformat(f"{date}T{time}{'+00:00' if offset in 'Zz' else offset}")
    return Nanos(to_nanos(whole) + int((fraction or "").ljust(9, "0")))


def format_stamp(stamp_ns: int) -> str:
    """RFC 3339 in UTC with nine digits, as the broker accepts it in a query."""
    seconds, fraction_ns = divmod(stamp_ns, NANOS_PER_SECOND)
    return f"{to_datetime(seconds * NANOS_PER_SECOND):%Y-%m-%dT%H:%M:%S}.{fraction_ns:09d}Z"
