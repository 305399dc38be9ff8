"""The venue's time: real time, moved to a session and run faster, the same in every process that is told the same."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
NANOS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VenueTime:
    """`start_ns` was shown when the real clock showed `real_ns`; since then `speed` seconds pass in a real one."""

    def __init__(self, *, start_ns: int, real_ns: int, speed: float) -> None:
        self._start_ns = start_ns
        self._real_ns = real_ns
        self.speed = speed

    def now_ns(self) -> int:
        return self._start_ns + int((time.time_ns() - self._real_ns) * self.speed)

    def http_date(self) -> str:
        return format_datetime(as_utc(self.now_ns()).replace(microsecond=0), usegmt=True)


def as_utc(ns: int) -> datetime:
    return EPOCH + timedelta(microseconds=ns // 1_000)


def stamp(ns: int) -> str:
    """RFC 3339 in UTC, nanoseconds with trailing zeros cut, as orders carry it."""
    text = f"{as_utc(ns):%Y-%m-%dT%H:%M:%S}.{ns % NANOS:09d}".rstrip("0").rstrip(".")
    return f"{text}Z"


def eastern_stamp(ns: int, *, has_fraction: bool = True) -> str:
    """RFC 3339 with New York's offset, as the clock carries it."""
    local = as_utc(ns).astimezone(EASTERN)
    offset = f"{local:%z}"
    fraction = f".{ns % NANOS:09d}" if has_fraction else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:]}"


def parse(text: str) -> int:
    """Nanoseconds of a stamp or a date that a client sent."""
    whole = datetime.fromisoformat(text[:19].rstrip("Zz") if "T" in text else f"{text}T00:00:00")
    rest = text[19:] if "T" in text else ""
    fraction, offset = "0", "+00:00"
    if rest.startswith("."):
        digits = rest[1:]
        end = next((place for place, letter in enumerate(digits) if not letter.isdigit()), len(digits))
        fraction, rest = digits[:end], digits[end:]
    if rest and rest not in "Zz":
        offset = rest
    moment = whole.replace(tzinfo=datetime.fromisoformat(f"2020-01-01T00:00:00{offset}").tzinfo)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000 + int(fraction.ljust(9, "0")[:9])
