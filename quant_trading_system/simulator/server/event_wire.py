"""How order events are written for trade_updates and the event streams (reference 7.2), and what their ids are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.server.order_wire import Json, order_json
from quant_trading_system.simulator.server.stamps import stamp_text, stamp_text_or_none

SWAP_RATE = "1"  # an account in dollars
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARACTERS = 26
_ULID_BITS = 128
_SEQUENCE_BITS = 80
_NANOS_PER_MS = 1_000_000
_NANOS_PER_US = 1_000
_AMOUNTS = ("price", "qty", "position_qty")
_NOT_IN_EVENTS = ("subtag", "source")


def stream_order_json(order: SimOrder) -> Json:
    """The order object inside trade_updates: with `cancel_requested_at`, without subtag and source."""
    written: Json = {}
    for name, value in order_json(order).items():
        if name == "canceled_at":
            written["cancel_requested_at"] = stamp_text_or_none(order.cancel_requested_at_ns)
        if name not in _NOT_IN_EVENTS:
            written[name] = value
    return written


def order_event_json(event: OrderEvent, *, published_ns: int) -> Json:
    """The data of one trade_updates frame. What an event does not have is no key of it."""
    data: Json = {
        "at": stamp_text(published_ns - published_ns % _NANOS_PER_US),
        "event_id": event_id(event),
        "event": event.event,
        "timestamp": stamp_text(event.timestamp_ns),
        "order": stream_order_json(event.order),
    }
    for name in _AMOUNTS:
        value: Decimal | None = getattr(event, name)
        if value is not None:
            data[name] = plain(value)
    if event.execution_id is not None:
        data["execution_id"] = event.execution_id
    if event.price is not None and event.order.asset_class == "crypto":
        data["swap_rate"] = SWAP_RATE
        data["settle_date"] = _day(event.timestamp_ns)
    if event.previous_execution_id is not None:
        data["previous_execution_id"] = event.previous_execution_id
    return data


def event_id(event: OrderEvent) -> str:
    return ulid(event.timestamp_ns, event.sequence)


def ulid(stamp_ns: int, sequence: int) -> str:
    """An event id: 48 bits of milliseconds, then the sequence, so that ids sort as the events happened."""
    number = ulid_number(stamp_ns, sequence)
    characters = [_CROCKFORD[number >> shift & 31] for shift in range(5 * (_ULID_CHARACTERS - 1), -1, -5)]
    return "".join(characters)


def ulid_number(stamp_ns: int, sequence: int) -> int:
    return (stamp_ns // _NANOS_PER_MS) << _SEQUENCE_BITS | sequence


def parse_ulid(text: str) -> int:
    """The number that an id stands for; ids sort as their numbers.

    Raises:
        ValueError: no ULID.
    """
    if len(text) != _ULID_CHARACTERS:
        raise ValueError(f"expected {_ULID_CHARACTERS} characters, found {len(text)}")
    number = 0
    for character in text.upper():
        number = number << 5 | _CROCKFORD.index(character)  # ValueError: no digit of Crockford's
    if number >> _ULID_BITS:
        raise ValueError("expected at most 128 bits")
    return number


def _day(stamp_ns: int) -> str:
    return f"{datetime.fromtimestamp(stamp_ns // NANOS_PER_SECOND, UTC):%Y-%m-%d}"
