"""What the database knew when the last process ended, as the one event the engine is told first.

Decides what must come back: orders that were not final (with intents whose order row was not written yet), the books,
the executions already booked, cash, guards, locks. Reading changes nothing, so recovering twice is as recovering once.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from msgspec import Struct

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.events import (
    Restored,
    RestoredBook,
    RestoredEntry,
    RestoredFill,
    RestoredGuards,
    RestoredOrder,
)
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    BrokerOrderId,
    ClientOrderId,
    MonoNanos,
    Nanos,
    StrategyId,
    Symbol,
)
from quant_trading_system.core.values import Allocation
from quant_trading_system.core.views import RecentOrder
from quant_trading_system.persistence.database import Connection, Database, tried_again
from quant_trading_system.persistence.intents import sequence_of
from quant_trading_system.persistence.rows import from_row

KNOWN_EXECUTIONS_DAYS = 30  # longer than any cursor into the broker's activities reaches back before the last stop
FILLS_DAYS = 5  # a venue takes an execution back within days
FILLS_MAX = 5_000
ENTRIES_DAYS = 14  # longer than any pass reads back in the broker's activities
NANOS_PER_DAY = 86_400 * 1_000_000_000
EXTERNAL = "external"


class Stamps(TypedDict):
    """The three stamps every event carries."""

    venue_ns: Nanos
    seen_ns: Nanos
    mono_ns: MonoNanos


async def load_restored(db: Database, *, stamps: Stamps) -> Restored:
    """Read everything in one consistent snapshot.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    failpoint("recovery.before_load")
    return await tried_again(lambda: _load(db, stamps))


async def _load(db: Database, stamps: Stamps) -> Restored:
    async with db.session() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        locks = await connection.fetch("SELECT kind, key, reason FROM locks WHERE is_locked ORDER BY kind, key")
        return Restored(
            orders=await _orders(connection),
            books=await _books(connection),
            known_executions=await _known_executions(connection),
            fills=await _fills(connection),
            undone_executions=await _undone_executions(connection),
            entries=await _entries(connection),
            cash_usd=await _cash(connection),
            guards=await _guards(connection),
            next_sequence=await _next_sequence(connection),
            locks=tuple((Symbol(row["key"]), row["reason"]) for row in locks if row["kind"] == "symbol"),
            disabled_strategies=tuple(
                (StrategyId(row["key"]), row["reason"]) for row in locks if row["kind"] == "strategy"
            ),
            last_stop_ns=await _last_stop_ns(connection),
            is_first_start=await is_first_start(connection),
            recent=await _recent(connection),
            healing=await _healing(connection, stamps["seen_ns"]),
            **stamps,
        )


KNOWN_ORDERS = (
    "SELECT client_order_id FROM intents WHERE client_order_id = ANY($1::text[])"
    " UNION SELECT client_order_id FROM orders WHERE client_order_id = ANY($1::text[])"
)


async def known_order_ids(db: Database, ids: Sequence[ClientOrderId]) -> frozenset[ClientOrderId]:
    """Which of these orders the database knows, by intent or by order.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    if not ids:
        return frozenset()
    async with db.session() as connection:
        rows = await connection.fetch(KNOWN_ORDERS, list(ids))
    return frozenset(row["client_order_id"] for row in rows)


async def is_first_start(connection: Connection) -> bool:
    """Whether nothing was ever recorded: then what the broker holds is adopted as external, not missed."""
    answer = await connection.fetchval(
        "SELECT NOT (EXISTS (SELECT FROM intents) OR EXISTS (SELECT FROM orders) OR EXISTS (SELECT FROM equity)"
        " OR EXISTS (SELECT FROM guards) OR EXISTS (SELECT FROM positions))"
    )
    return bool(answer)


async def _orders(connection: Connection) -> tuple[RestoredOrder, ...]:
    """Orders that are not final, others' too; an intent without an order row may have been sent: UNKNOWN."""
    rows = await connection.fetch(
        "SELECT client_order_id, broker_order_id, strategy, symbol, side, quantity, order_type, limit_price,"
        " stop_price, time_in_force, reference_price, allocations, decision_id, status, filled_quantity,"
        " filled_value_usd, created_ns, order_class, stop_loss_price, take_profit_price, parent_client_order_id,"
        " replaces, exists_at_broker, venue_ns AS told_ns FROM orders WHERE NOT is_final"
        " UNION ALL SELECT client_order_id, NULL, strategy, symbol, side, quantity, order_type, limit_price,"
        " stop_price, time_in_force, reference_price, allocations, decision_id, 'UNKNOWN', 0, 0, decided_ns,"
        " order_class, stop_loss_price, take_profit_price, NULL, NULL, false, 0"
        " FROM intents WHERE NOT EXISTS (SELECT FROM orders WHERE orders.client_order_id = intents.client_order_id)"
        " ORDER BY created_ns, client_order_id"
    )
    return tuple(from_row(RestoredOrder, row) for row in rows)


async def _recent(connection: Connection) -> tuple[RecentOrder, ...]:
    """Final orders of ours that were made, or executed, in the 24 hours of venue time before the newest one.

    One that was forgotten and came back as somebody else's is still one that we sent.
    """
    rows = await connection.fetch(
        "SELECT client_order_id, strategy, symbol, side, filled_quantity AS quantity,"
        " coalesce(limit_price, stop_price) AS price, created_ns AS sent_ns, is_final,"
        " CASE WHEN filled_quantity > 0 THEN venue_ns END AS executed_ns,"
        " order_type IN ('stop', 'stop_limit') AS is_protection FROM orders"
        " WHERE is_final AND (strategy <> $1"
        " OR EXISTS (SELECT FROM intents WHERE intents.client_order_id = orders.client_order_id))"
        " AND (created_ns > (SELECT max(created_ns) FROM orders) - $2"
        " OR filled_quantity > 0 AND venue_ns > (SELECT max(created_ns) FROM orders) - $2)"
        " ORDER BY created_ns, client_order_id",
        EXTERNAL,
        NANOS_PER_DAY,
    )
    return tuple(from_row(RecentOrder, row) for row in rows)


async def _books(connection: Connection) -> tuple[RestoredBook, ...]:
    rows = await connection.fetch(
        "SELECT strategy, symbol, quantity, cost_usd, realised_usd FROM positions ORDER BY strategy, symbol"
    )
    return tuple(from_row(RestoredBook, row) for row in rows)


async def _known_executions(connection: Connection) -> tuple[tuple[BrokerOrderId, Decimal], ...]:
    """Executions that count as booked: those that were stored, and not taken back afterwards."""
    rows = await connection.fetch(
        "SELECT broker_order_id, cumulative_quantity FROM fills"
        " WHERE venue_ns >= (SELECT max(venue_ns) FROM fills) - $1"
        " AND coalesce((SELECT quantity FROM fill_corrections AS corrected"
        " WHERE corrected.broker_order_id = fills.broker_order_id"
        " AND corrected.cumulative_quantity = fills.cumulative_quantity ORDER BY id DESC LIMIT 1), 1) <> 0"
        " ORDER BY ordinal",
        KNOWN_EXECUTIONS_DAYS * NANOS_PER_DAY,
    )
    return tuple((BrokerOrderId(row["broker_order_id"]), row["cumulative_quantity"]) for row in rows)


async def _undone_executions(connection: Connection) -> tuple[tuple[BrokerOrderId, Decimal], ...]:
    """Executions that were corrected: told again, they get a further correction instead of a second row."""
    rows = await connection.fetch(
        "SELECT DISTINCT broker_order_id, cumulative_quantity FROM fill_corrections"
        " ORDER BY broker_order_id, cumulative_quantity"
    )
    return tuple((BrokerOrderId(row["broker_order_id"]), row["cumulative_quantity"]) for row in rows)


async def _fills(connection: Connection) -> tuple[RestoredFill, ...]:
    """The newest executions with the numbers that count, oldest first."""
    rows = await connection.fetch(
        "SELECT fills.broker_order_id, fills.cumulative_quantity, fills.execution_id, fills.client_order_id,"
        " fills.symbol, fills.side, coalesce(newest.quantity, fills.quantity) AS quantity,"
        " coalesce(newest.price, fills.price) AS price, coalesce(newest.executed_ns, fills.venue_ns) AS venue_ns,"
        " coalesce(newest.allocations, fills.allocations) AS allocations,"
        " coalesce(newest.source, fills.source) AS source FROM fills"
        " LEFT JOIN LATERAL (SELECT quantity, price, executed_ns, allocations, source FROM fill_corrections"
        " AS corrected WHERE corrected.broker_order_id = fills.broker_order_id"
        " AND corrected.cumulative_quantity = fills.cumulative_quantity ORDER BY id DESC LIMIT 1) AS newest ON true"
        " WHERE fills.venue_ns >= (SELECT max(venue_ns) FROM fills) - $1 ORDER BY fills.ordinal DESC LIMIT $2",
        FILLS_DAYS * NANOS_PER_DAY,
        FILLS_MAX,
    )
    return tuple(
        RestoredFill(
            execution=from_row(Execution, row),
            allocations=from_row(_Allocated, row).allocations,
            is_inferred=row["source"] == "inferred",
        )
        for row in reversed(rows)
        if row["quantity"]
    )


class _Allocated(Struct):
    allocations: tuple[Allocation, ...]


async def _entries(connection: Connection) -> tuple[RestoredEntry, ...]:
    """The activities that are booked, and cash that was taken over without one, oldest first."""
    rows = await connection.fetch(
        "SELECT reference, kind, cash_usd, venue_ns FROM ledger_entries"
        " WHERE venue_ns >= (SELECT max(venue_ns) FROM ledger_entries) - $1 ORDER BY id",
        ENTRIES_DAYS * NANOS_PER_DAY,
    )
    return tuple(from_row(RestoredEntry, row) for row in rows)


async def _cash(connection: Connection) -> Decimal | None:
    """Cash of the newest equity row, with what was bought, sold, corrected and entered after it."""
    cash = await connection.fetchval(
        "SELECT cash_usd - coalesce((SELECT sum(CASE side WHEN 'buy' THEN quantity * price ELSE -quantity * price END)"
        " FROM fills WHERE fills.ordinal > newest.ordinal), 0)"
        " + coalesce((SELECT sum(cash_usd) FROM fill_corrections WHERE fill_corrections.ordinal > newest.ordinal), 0)"
        " + coalesce((SELECT sum(cash_usd) FROM ledger_entries WHERE ledger_entries.ordinal > newest.ordinal), 0)"
        " FROM (SELECT cash_usd, ordinal FROM equity ORDER BY id DESC LIMIT 1) AS newest"
    )
    assert cash is None or isinstance(cash, Decimal), "a numeric column"
    return cash


async def _guards(connection: Connection) -> RestoredGuards | None:
    row = await connection.fetchrow("SELECT * FROM guards ORDER BY id DESC LIMIT 1")
    return None if row is None else from_row(RestoredGuards, row)


async def _next_sequence(connection: Connection) -> int:
    """One more than any id of ours ever stored. Orders count too: a dropped one may have no intent."""
    stored = await connection.fetchval("SELECT max(sequence) FROM intents")
    ids = await connection.fetch(
        "SELECT client_order_id FROM orders WHERE strategy <> $1 AND NOT EXISTS"
        " (SELECT FROM intents WHERE intents.client_order_id = orders.client_order_id)",
        EXTERNAL,
    )
    used = [number for row in ids if (number := sequence_of(row["client_order_id"])) is not None]
    return max([stored or 0, *used]) + 1


async def _healing(connection: Connection, seen_ns: Nanos) -> tuple[tuple[str, float], ...]:
    """What earlier processes used of the day's budget of mending themselves, since a person renewed it last."""
    rows = await connection.fetch(
        "SELECT action, seen_ns FROM audit WHERE actor = 'healing' AND outcome IN ('done', 'failed')"
        " AND id > (SELECT coalesce(max(id), 0) FROM audit WHERE actor = 'healing' AND action = 'budget')"
        " AND seen_ns > $1 ORDER BY id",
        seen_ns - NANOS_PER_DAY,
    )
    return tuple((row["action"], (seen_ns - row["seen_ns"]) / NANOS_PER_SECOND) for row in rows)


async def _last_stop_ns(connection: Connection) -> Nanos | None:
    """Venue time of the last thing recorded: where asking the broker what happened since has to begin."""
    newest = await connection.fetchval(
        "SELECT greatest((SELECT max(venue_ns) FROM equity), (SELECT max(venue_ns) FROM orders),"
        " (SELECT max(venue_ns) FROM fills), (SELECT venue_ns FROM guards ORDER BY id DESC LIMIT 1))"
    )
    return None if newest is None else Nanos(newest)
