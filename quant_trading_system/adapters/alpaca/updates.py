"""Reads one frame of `trade_updates`. Decides when shares moved, and when a frame cannot be trusted to say so."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from quant_trading_system.adapters.alpaca.answers import finite, guarded, parse_order
from quant_trading_system.adapters.alpaca.stamps import parse_stamp
from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.events import OrderUpdated
from quant_trading_system.core.types import ExecutionId, MonoNanos, Nanos

FILL_WORDS = frozenset({"fill", "partial_fill"})


class Envelope(Struct, kw_only=True):
    """The outside of every frame; `action` is what an error of the stream carries."""

    stream: str = ""
    action: str = ""
    data: Raw = Raw(b"{}")


class _Update(Struct, kw_only=True):
    event: str
    order: Raw
    event_id: str | None = None
    execution_id: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None
    timestamp: str | None = None
    at: str | None = None


def parse_envelope(data: bytes | str) -> Envelope:
    """The outside of a frame. Raises `Unreadable`."""
    return guarded(lambda: msgspec.json.decode(data, type=Envelope), "frame")


def parse_update(data: Raw | bytes, *, seen_ns: Nanos, mono_ns: MonoNanos) -> OrderUpdated:
    """The event of one frame. Words nobody knows are passed on.

    Raises:
        Unreadable: no order in it, or a fill that does not say how much at what price.
    """
    return guarded(lambda: _update(data, seen_ns=seen_ns, mono_ns=mono_ns), "trade update")


def _update(data: Raw | bytes, *, seen_ns: Nanos, mono_ns: MonoNanos) -> OrderUpdated:
    wire = msgspec.json.decode(data, type=_Update)
    order = parse_order(wire.order)
    happened = wire.timestamp or wire.at
    venue_ns = parse_stamp(happened) if happened else order.updated_ns
    return OrderUpdated(
        venue_ns=venue_ns,
        seen_ns=seen_ns,
        mono_ns=mono_ns,
        word=wire.event,
        event_id=wire.event_id,
        order=order,
        execution=_execution(wire, order, venue_ns) if wire.event in FILL_WORDS else None,
    )


def _execution(wire: _Update, order: BrokerOrder, venue_ns: Nanos) -> Execution:
    if wire.price is None or wire.qty is None:
        raise ValueError(f"expected price and qty of a {wire.event}, found {wire.price} and {wire.qty}")
    cumulative = order.filled_quantity
    return Execution(
        execution_id=ExecutionId(wire.execution_id or f"{order.broker_order_id}:{cumulative}"),
        broker_order_id=order.broker_order_id,
        client_order_id=order.client_order_id or None,
        symbol=order.symbol,
        side=order.side,
        quantity=finite(wire.qty),
        price=finite(wire.price),
        cumulative_quantity=cumulative,
        venue_ns=venue_ns,
    )
