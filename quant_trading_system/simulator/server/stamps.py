"""Decides how instants are written: RFC 3339 for REST and JSON streams, the timestamp extension for msgpack.

Independent of the daemon's own time code on purpose: an error in our understanding must not stand on both sides.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.instants import NEW_YORK, to_ns

MSGPACK_TIMESTAMP = -1  # extension type of the msgpack specification

_SECONDS_CACHED_MAX = 4_096
_STAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP_64 = struct.Struct(">Q")
_TIMESTAMP_96 = struct.Struct(">Iq")
_whole_seconds: dict[int, str] = {}


def stamp_text(stamp_ns: int) -> str:
    """Write UTC nanoseconds as RFC 3339 with `Z`, trailing zeros of the fraction cut."""
    seconds, nanos = divmod(stamp_ns, NANOS_PER_SECOND)
    whole = _whole_seconds.get(seconds)
    if whole is None:
        if len(_whole_seconds) >= _SECONDS_CACHED_MAX:
            _whole_seconds.clear()
        whole = _whole_seconds[seconds] = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    if not nanos:
        return whole + "Z"
    return f"{whole}.{nanos:09d}".rstrip("0") + "Z"


def stamp_text_or_none(stamp_ns: int | None) -> str | None:
    return None if stamp_ns is None else stamp_text(stamp_ns)


def eastern_text(stamp_ns: int, *, with_fraction: bool = True) -> str:
    """Write an instant with New York's offset, as `/v2/clock` does."""
    seconds, nanos = divmod(stamp_ns, NANOS_PER_SECOND)
    local = datetime.fromtimestamp(seconds, NEW_YORK)
    offset = f"{local:%z}"
    fraction = f".{nanos:09d}" if with_fraction else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:]}"


def msgpack_stamp(stamp_ns: int) -> msgspec.msgpack.Ext:
    """The instant as msgpack's timestamp extension: 64 bits until 2514, 96 bits outside."""
    seconds, nanos = divmod(stamp_ns, NANOS_PER_SECOND)
    if 0 <= seconds < 1 << 34:
        return msgspec.msgpack.Ext(MSGPACK_TIMESTAMP, _TIMESTAMP_64.pack((nanos << 34) | seconds))
    return msgspec.msgpack.Ext(MSGPACK_TIMESTAMP, _TIMESTAMP_96.pack(nanos, seconds))


def parse_instant(text: str, *, zone: ZoneInfo | None = None) -> Nanos:
    """Read RFC 3339 or a date; without an offset it is UTC, or the given zone.

    Raises:
        ValueError: another form, or an instant that does not exist.
    """
    if _DATE.fullmatch(text):
        local = datetime.combine(date.fromisoformat(text), time(), zone or UTC)
        return to_ns(local)
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a time like 2013-10-07T09:30:00 or a date, found {text!r}")
    day, clock, fraction, offset = match.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}{'' if offset in (None, 'Z', 'z') else offset}")
    if whole.tzinfo is None:
        whole = whole.replace(tzinfo=UTC if offset else zone or UTC)
    return Nanos(to_ns(whole) + int((fraction or "0").ljust(9, "0")))
