"""What the stores tell people: decisions, the story of an order, fills, the equity curve. Decides no trading.

All reads are bounded in rows and time, and use the general pool: a slow one cannot touch the order path.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.records import (
    AlertRecord,
    AuditRecord,
    DecisionRecord,
    DriftRecord,
    EquityRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
)
from quant_trading_system.core.types import Nanos
from quant_trading_system.core.values import Allocation
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.rows import AnyStruct, from_row

ROWS_MAX = 10_000
POINTS_MAX = 5_000


class StoredIntent(Struct, frozen=True, kw_only=True):
    """What was committed before the wire. `payload`: the bytes that were to be sent."""

    client_order_id: str
    epoch: int
    strategy: str
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    reference_price: Decimal
    allocations: tuple[Allocation, ...]
    decision_id: str
    decided_ns: Nanos
    reason: str
    limits_version: str
    reduces_exposure: bool
    payload: bytes


class OrderState(Struct, frozen=True, kw_only=True):
    """One step of an order's life."""

    status: str
    broker_status: str
    filled_quantity: Decimal
    filled_value_usd: Decimal
    reason: str
    broker_order_id: str | None
    venue_ns: Nanos
    seen_ns: Nanos


class OrderStory(Struct, frozen=True, kw_only=True):
    """One order from decision to fill; a part that was never stored is None or empty."""

    client_order_id: str
    decision: DecisionRecord | None
    intent: StoredIntent | None
    order: OrderRecord | None
    states: tuple[OrderState, ...]
    fills: tuple[FillRecord, ...]


class History:
    """Queries of the API and the dashboard. Each may raise StoreUnavailable."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def decisions(
        self, symbol: str | None = None, *, at_ns: Nanos | None = None, limit: int = 50
    ) -> list[DecisionRecord]:
        """The newest decisions first, of one symbol or all, not later than `at_ns` (venue time)."""
        return await self._read(
            DecisionRecord,
            "SELECT * FROM decisions WHERE ($1::text IS NULL OR symbol = $1) AND ($2::bigint IS NULL OR venue_ns <= $2)"
            " ORDER BY venue_ns DESC, id DESC LIMIT $3",
            symbol,
            at_ns,
            _bounded(limit),
        )

    async def decision_by_order(self, client_order_id: str) -> DecisionRecord | None:
        """The decision that made an order."""
        found = await self._read(
            DecisionRecord,
            "SELECT * FROM decisions WHERE client_order_id = $1 ORDER BY id DESC LIMIT 1",
            client_order_id,
        )
        return found[0] if found else None

    async def order_story(self, order_id: str) -> OrderStory | None:
        """Everything known of one order, by its client or its broker id; None where nothing is."""
        order = next(iter(await self._read(
            OrderRecord, "SELECT * FROM orders WHERE client_order_id = $1 OR broker_order_id = $1 LIMIT 1", order_id
        )), None)  # fmt: skip
        client_order_id = order.client_order_id if order else order_id
        intents = await self._read(StoredIntent, "SELECT * FROM intents WHERE client_order_id = $1", client_order_id)
        states = await self._read(
            OrderState, "SELECT * FROM order_states WHERE client_order_id = $1 ORDER BY id LIMIT 1000", client_order_id
        )
        fills = await self._read(
            FillRecord,
            "SELECT * FROM fills WHERE client_order_id = $1 OR broker_order_id = $2 ORDER BY cumulative_quantity",
            client_order_id,
            order.broker_order_id if order else None,
        )
        decision = await self.decision_by_order(client_order_id)
        if order is None and not intents and decision is None:
            return None
        return OrderStory(
            client_order_id=client_order_id,
            decision=decision,
            intent=intents[0] if intents else None,
            order=order,
            states=tuple(states),
            fills=tuple(fills),
        )

    async def orders(self, limit: int = 100) -> list[OrderRecord]:
        """The newest orders first."""
        return await self._read(OrderRecord, "SELECT * FROM orders ORDER BY created_ns DESC LIMIT $1", _bounded(limit))

    async def fills(self, limit: int = 100) -> list[FillRecord]:
        """The newest fills first."""
        return await self._read(FillRecord, "SELECT * FROM fills ORDER BY ordinal DESC LIMIT $1", _bounded(limit))

    async def equity_curve(self, since_ns: Nanos | None = None, *, max_points: int = 500) -> list[EquityRecord]:
        """Equity from `since_ns` (venue time), oldest first, thinned evenly to `max_points`; the newest row is in."""
        return await self._read(
            EquityRecord,
            "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY id DESC) - 1 AS place, count(*) OVER () AS rows"
            " FROM equity WHERE $1::bigint IS NULL OR venue_ns >= $1) AS numbered"
            " WHERE place % greatest(1, ceil(rows::numeric / $2)::bigint) = 0 ORDER BY id",
            since_ns,
            max(1, min(max_points, POINTS_MAX)),
        )

    async def reconciliations(self, limit: int = 50) -> list[ReconciliationRecord]:
        """The newest passes first."""
        return await self._newest(ReconciliationRecord, "reconciliations", limit)

    async def drifts(self, limit: int = 50) -> list[DriftRecord]:
        """The newest differences first."""
        return await self._newest(DriftRecord, "drifts", limit)

    async def alerts(self, limit: int = 50) -> list[AlertRecord]:
        """The newest alerts first."""
        return await self._newest(AlertRecord, "alerts", limit)

    async def audit(self, limit: int = 50) -> list[AuditRecord]:
        """The newest entries first."""
        return await self._newest(AuditRecord, "audit", limit)

    async def _newest(self, kind: type[AnyStruct], table: str, limit: int) -> list[AnyStruct]:
        query = f"SELECT * FROM {table} ORDER BY id DESC LIMIT $1"  # noqa: S608 - a constant of this class
        return await self._read(kind, query, _bounded(limit))

    async def _read(self, kind: type[AnyStruct], query: str, *arguments: object) -> list[AnyStruct]:
        async with self._db.session() as connection:
            rows = await connection.fetch(query, *arguments)
        return [from_row(kind, row) for row in rows]


def _bounded(limit: int) -> int:
    return max(0, min(limit, ROWS_MAX))
