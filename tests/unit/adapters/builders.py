"""A clock on the loop's time, and the broker's objects with defaults for every field."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec

from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    ClientOrderId,
    MonoNanos,
    Nanos,
    OrderType,
    Side,
    StrategyId,
    Symbol,
    TimeInForce,
)
from quant_trading_system.core.values import OrderIntent

START_NS = 1_763_735_400 * NANOS_PER_SECOND  # 2025-11-21T14:30:00Z


class LoopClock:
    """Monotonic time is the running loop's; venue time starts at `START_NS` and runs `speed` times as fast."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._speed = speed

    def wall_ns(self) -> Nanos:
        return Nanos(START_NS + self.mono_ns())

    def mono_ns(self) -> MonoNanos:
        return MonoNanos(int(asyncio.get_running_loop().time() * NANOS_PER_SECOND))

    def venue_ns(self) -> Nanos:
        return Nanos(START_NS + int(self.mono_ns() * self._speed))


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 0

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * NANOS_PER_SECOND)

    def wall_ns(self) -> Nanos:
        return Nanos(START_NS + self.now_ns)

    def mono_ns(self) -> MonoNanos:
        return MonoNanos(self.now_ns)

    def venue_ns(self) -> Nanos:
        return Nanos(START_NS + self.now_ns)


def intent(**changes: Any) -> OrderIntent:
    """A buy of ten AAPL at most at 190.10."""
    fields: dict[str, Any] = {
        "client_order_id": ClientOrderId("acct-inst-mom-1"),
        "strategy": StrategyId("momentum"),
        "symbol": Symbol("AAPL"),
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": OrderType.LIMIT,
        "limit_price": Decimal("190.10"),
        "stop_price": None,
        "time_in_force": TimeInForce.DAY,
        "reference_price": Decimal("190.05"),
        "declared_notional_usd": Decimal("1900.50"),
        "allocations": (),
        "decision_id": "d-1",
        "decided_ns": Nanos(START_NS),
        "decided_mono_ns": MonoNanos(0),
        "reason": "test",
    }
    return OrderIntent(**{**fields, **changes})


def order_fields(**changes: Any) -> dict[str, Any]:
    """Alpaca's order object for `intent()`, as recorded objects look."""
    fields: dict[str, Any] = {
        "id": "904837e3-3b76-47ec-b432-046db621571b",
        "client_order_id": "acct-inst-mom-1",
        "created_at": "2025-11-21T14:30:00.018261Z",
        "updated_at": "2025-11-21T14:30:00.034510123Z",
        "submitted_at": "2025-11-21T14:30:00.016Z",
        "filled_at": None,
        "canceled_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "10",
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "190.1",
        "stop_price": None,
        "status": "pending_new",
        "extended_hours": False,
        "legs": None,
    }
    return {**fields, **changes}


def order_body(**changes: Any) -> bytes:
    return msgspec.json.encode(order_fields(**changes))
