"""Both sides' books as plain values: the exchange's ledger, and what the database holds. Decides nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

LIVE_STATUSES = frozenset({"WORKING", "PARTIAL", "CANCELING", "REPLACING"})
OVER_AT_EXCHANGE = frozenset({"filled", "canceled", "expired", "rejected", "replaced", "done_for_day"})
PREFIX = "qts-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order at the exchange."""

    broker_order_id: str
    client_order_id: str
    status: str
    filled: Decimal
    created_at: str
    sent: dict[str, Any]
    """The fields of the request that made it."""

    @property
    def is_ours(self) -> bool:
        return self.client_order_id.startswith(PREFIX)

    @property
    def is_open(self) -> bool:
        return self.status not in OVER_AT_EXCHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the exchange says of itself."""

    orders: tuple[Order, ...]
    executed: dict[str, Decimal]
    """Shares executed by the exchange's id of the order."""
    positions: dict[str, Decimal]
    cash: Decimal

    @property
    def open_orders(self) -> int:
        return sum(order.is_open for order in self.orders if order.is_ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    broker_order_id: str | None
    status: str
    filled: Decimal
    is_external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is committed, of one moment."""

    instance: str
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The bytes to be sent, decoded, by client order id."""
    epochs: dict[str, int] = field(default_factory=dict)
    orders: dict[str, OrderRow] = field(default_factory=dict)
    booked: dict[str, Decimal] = field(default_factory=dict)
    """Shares booked by the exchange's id of the order."""
    repeated_fills: tuple[str, ...] = ()
    traded: dict[str, Decimal] = field(default_factory=dict)
    """Signed sum of the booked shares by symbol."""
    positions: dict[str, Decimal] = field(default_factory=dict)
    epoch: int = 0
    latch: str = "MISSING"


def to_ledger(answer: dict[str, Any]) -> Ledger:
    """The answer of `GET /simulator/v1/ledger`."""
    executed: dict[str, Decimal] = {}
    for execution in answer["executions"]:
        executed[execution["order_id"]] = executed.get(execution["order_id"], Decimal(0)) + Decimal(execution["qty"])
    return Ledger(
        orders=tuple(
            Order(
                broker_order_id=order["id"],
                client_order_id=order["client_order_id"],
                status=order["status"],
                filled=Decimal(order["filled_qty"]),
                created_at=order["created_at"],
                sent=order,
            )
            for order in answer["orders"]
        ),
        executed=executed,
        positions={row["symbol"]: Decimal(row["qty"]) for row in answer["positions"]},
        cash=Decimal(answer["cash"]),
    )


async def read_rows(dsn: str) -> Rows:
    """Everything the judges look at, in one snapshot."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await read_snapshot(connection)
    finally:
        await connection.close()


async def read_snapshot(connection: asyncpg.Connection) -> Rows:
    """The same on a connection whose transaction is the caller's; nothing where there is no schema yet."""
    if not await connection.fetchval("SELECT to_regclass('intents') IS NOT NULL"):
        return Rows(instance="")
    intents = await connection.fetch("SELECT client_order_id, payload, epoch FROM intents")
    orders = await connection.fetch(
        "SELECT client_order_id, broker_order_id, status, filled_quantity, strategy FROM orders"
    )
    fills = await connection.fetch(
        "SELECT broker_order_id, symbol, side, quantity, count(*) OVER (PARTITION BY broker_order_id,"
        " cumulative_quantity) AS times FROM fills"
    )
    positions = await connection.fetch("SELECT symbol, sum(quantity) AS quantity FROM positions GROUP BY symbol")
    booked: dict[str, Decimal] = {}
    traded: dict[str, Decimal] = {}
    for fill in fills:
        booked[fill["broker_order_id"]] = booked.get(fill["broker_order_id"], Decimal(0)) + fill["quantity"]
        signed = fill["quantity"] if fill["side"] == "buy" else -fill["quantity"]
        traded[fill["symbol"]] = traded.get(fill["symbol"], Decimal(0)) + signed
    return Rows(
        instance=await connection.fetchval("SELECT token FROM instance") or "",
        intents={row["client_order_id"]: json.loads(bytes(row["payload"])) for row in intents},
        epochs={row["client_order_id"]: row["epoch"] for row in intents},
        orders={
            row["client_order_id"]: OrderRow(
                broker_order_id=row["broker_order_id"],
                status=row["status"],
                filled=row["filled_quantity"],
                is_external=row["strategy"] == "external",
            )
            for row in orders
        },
        booked=booked,
        repeated_fills=tuple(row["broker_order_id"] for row in fills if row["times"] > 1),
        traded=traded,
        positions={row["symbol"]: row["quantity"] for row in positions if row["quantity"]},
        epoch=await connection.fetchval("SELECT epoch FROM lease") or 0,
        latch=await connection.fetchval("SELECT latch FROM kill") or "MISSING",
    )
