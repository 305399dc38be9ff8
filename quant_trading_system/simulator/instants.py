"""How the exchange's core turns instants into New York dates and texts. Decides nothing about sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

NEW_YORK = ZoneInfo("America/New_York")
NANOS_PER_MS = 1_000_000
_NANOS_PER_MINUTE = 60 * NANOS_PER_SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(moment: datetime) -> Nanos:
    """UTC nanoseconds of an aware datetime."""
    assert moment.tzinfo is not None, f"expected an aware datetime, found {moment!r}"
    return Nanos((moment - EPOCH) // timedelta(microseconds=1) * 1_000)


def new_york(stamp_ns: int) -> datetime:
    """The instant on New York's clocks, whole microseconds."""
    return (EPOCH + timedelta(microseconds=stamp_ns // 1_000)).astimezone(NEW_YORK)


def new_york_date(stamp_ns: int) -> date:
    return new_york(stamp_ns).date()


def new_york_ns(day: date, hour: int = 0, minute: int = 0) -> Nanos:
    """The instant at which New York's clocks show this."""
    return to_ns(datetime.combine(day, time(hour, minute), NEW_YORK))


def rfc3339(stamp_ns: int) -> str:
    """UTC with `Z`, trailing zeros of the fraction cut."""
    seconds, nanos = divmod(stamp_ns, NANOS_PER_SECOND)
    whole = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{whole}.{nanos:09d}".rstrip("0") + "Z" if nanos else whole + "Z"


def activity_prefix(stamp_ns: int) -> str:
    """The first part of an activity's id: New York time to the millisecond (reference 6.1)."""
    minute, rest_ns = divmod(stamp_ns, _NANOS_PER_MINUTE)
    return f"{_local_minute(minute)}{rest_ns // NANOS_PER_MS:05d}"


@lru_cache(maxsize=1)
def _local_minute(minute: int) -> str:
    """A minute since 1970 on New York's clocks, which differ from UTC's by whole minutes; one serves many fills."""
    return f"{new_york(minute * _NANOS_PER_MINUTE):%Y%m%d%H%M}"
