"""How orders and fills are written: Alpaca's keys in Alpaca's order, decimals as strings, stamps as RFC 3339."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.server.stamps import stamp_text, stamp_text_or_none

Json = dict[str, object]


def plain_or_none(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def order_json(order: SimOrder, legs: Sequence[SimOrder] = ()) -> Json:
    """The order object of REST answers (reference 2.3, recorded 2026-09-18); `legs` is null where it is not nested."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": stamp_text(order.created_at_ns),
        "updated_at": stamp_text(order.updated_at_ns),
        "submitted_at": stamp_text(order.submitted_at_ns),
        "filled_at": stamp_text_or_none(order.filled_at_ns),
        "expired_at": stamp_text_or_none(order.expired_at_ns),
        "canceled_at": stamp_text_or_none(order.canceled_at_ns),
        "failed_at": stamp_text_or_none(order.failed_at_ns),
        "replaced_at": stamp_text_or_none(order.replaced_at_ns),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": order.asset_id,
        "symbol": order.symbol,
        "asset_class": order.asset_class,
        "notional": plain_or_none(order.notional),
        "qty": plain_or_none(order.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain_or_none(order.filled_avg_price),
        "order_class": order.order_class,
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force,
        "limit_price": plain_or_none(order.limit_price),
        "stop_price": plain_or_none(order.stop_price),
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": [order_json(leg) for leg in legs] or None,
        "trail_percent": plain_or_none(order.trail_percent),
        "trail_price": plain_or_none(order.trail_price),
        "hwm": plain_or_none(order.hwm),
        "subtag": None,
        "source": order.source,
        "expires_at": stamp_text_or_none(order.expires_at_ns),
    }
