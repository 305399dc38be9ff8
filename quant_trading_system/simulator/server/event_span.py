"""Which part of an event stream is asked for (reference 8), by time or by id. Decides what makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.server.event_wire import parse_ulid
from quant_trading_system.simulator.server.stamps import parse_instant

_DAY_NS = 86_400 * NANOS_PER_SECOND
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SEQUENCE_BITS = 80
_NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bounds of an event stream. `since` includes its moment; `since_id` is the last event that the client has."""

    since_ns: int | None = None
    until_ns: int | None = None
    since_id: int | None = None
    until_id: int | None = None

    @property
    def has_history(self) -> bool:
        return self.since_ns is not None or self.since_id is not None

    def includes(self, *, stamp_ns: int, number: int) -> bool:
        if self.since_ns is not None and stamp_ns < self.since_ns:
            return False
        if self.since_id is not None and number <= self.since_id:
            return False
        return not self.is_behind(stamp_ns=stamp_ns, number=number)

    def is_behind(self, *, stamp_ns: int, number: int) -> bool:
        """Whether an event lies behind the end."""
        if self.until_ns is not None and stamp_ns > self.until_ns:
            return True
        return self.until_id is not None and number > self.until_id

    def is_over(self, now_ns: int) -> bool:
        """Whether nothing more can come."""
        if self.until_ns is not None:
            return now_ns > self.until_ns
        return self.until_id is not None and now_ns // _NANOS_PER_MS > self.until_id >> _SEQUENCE_BITS


def read_span(query: Mapping[str, str]) -> Span:
    """The span that a query asks for.

    Raises:
        Refusal: 422 where it makes no sense.
    """
    if "until" in query and "since" not in query:
        raise invalid("until requires since")
    if "until_id" in query and "since_id" not in query:
        raise invalid("until_id requires since_id")
    if "since" in query and "since_id" in query:
        raise invalid("since and since_id cannot be used together")
    return Span(
        since_ns=_instant(query, "since"),
        until_ns=_instant(query, "until", is_end=True),
        since_id=_id(query, "since_id"),
        until_id=_id(query, "until_id"),
    )


def _instant(query: Mapping[str, str], name: str, *, is_end: bool = False) -> int | None:
    """A moment; a date stands for its beginning, or for its end."""
    if name not in query:
        return None
    text = query[name]
    try:
        stamp_ns = parse_instant(text)
    except ValueError as error:
        raise invalid(f"{name}: {error}") from None
    return stamp_ns + _DAY_NS - 1 if is_end and _DATE.fullmatch(text) else stamp_ns


def _id(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return parse_ulid(query[name])
    except ValueError as error:
        raise invalid(f"{name}: no ULID: {error}") from None
