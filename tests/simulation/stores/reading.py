"""The statements that recovery and the dashboard read with. Decides what a SELECT over many rows finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.stores.statements import Answer, largest, newest, one, pick, statement, total
from tests.simulation.stores.transaction import Transaction

ORDER_NAMES = (
    "client_order_id", "broker_order_id", "strategy", "symbol", "side", "quantity", "order_type", "limit_price",
    "stop_price", "time_in_force", "reference_price", "allocations", "decision_id", "status", "filled_quantity",
    "filled_value_usd", "created_ns", "order_class", "stop_loss_price", "take_profit_price", "parent_client_order_id",
    "replaces", "exists_at_broker",
)  # fmt: skip


@statement("SELECT kind, key, reason FROM locks WHERE is_locked ORDER BY kind, key")
def locks(tx: Transaction) -> Answer:
    locked = [pick(row, "kind", "key", "reason") for row in tx.rows("locks") if row["is_locked"]]
    return sorted(locked, key=lambda row: (row["kind"], row["key"]))


@statement(
    "SELECT NOT (EXISTS (SELECT FROM intents) OR EXISTS (SELECT FROM orders) OR EXISTS (SELECT FROM equity)"
    " OR EXISTS (SELECT FROM guards) OR EXISTS (SELECT FROM positions))"
)
def is_first_start(tx: Transaction) -> Answer:
    tables = ("intents", "orders", "equity", "guards", "positions")
    return one(first=not any(True for table in tables for _ in tx.rows(table)))


@statement(
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
def open_orders(tx: Transaction) -> Answer:
    found = [
        {**pick(row, *ORDER_NAMES), "told_ns": row["venue_ns"]} for row in tx.rows("orders") if not row["is_final"]
    ]
    unsent = {
        "broker_order_id": None, "status": "UNKNOWN", "filled_quantity": total([]) or 0, "filled_value_usd": 0,
        "parent_client_order_id": None, "replaces": None, "exists_at_broker": False,
    }  # fmt: skip
    for intent in tx.rows("intents"):
        if tx.get("orders", (intent["client_order_id"],)) is None:
            unknown = pick({**intent, **unsent, "created_ns": intent["decided_ns"]}, *ORDER_NAMES)
            found.append({**unknown, "told_ns": 0})
    return sorted(found, key=lambda row: (row["created_ns"], row["client_order_id"]))


@statement(
    "SELECT client_order_id, strategy, symbol, side, filled_quantity AS quantity,"
    " coalesce(limit_price, stop_price) AS price, created_ns AS sent_ns, is_final,"
    " CASE WHEN filled_quantity > 0 THEN venue_ns END AS executed_ns,"
    " order_type IN ('stop', 'stop_limit') AS is_protection FROM orders"
    " WHERE is_final AND (strategy <> $1"
    " OR EXISTS (SELECT FROM intents WHERE intents.client_order_id = orders.client_order_id))"
    " AND (created_ns > (SELECT max(created_ns) FROM orders) - $2"
    " OR filled_quantity > 0 AND venue_ns > (SELECT max(created_ns) FROM orders) - $2)"
    " ORDER BY created_ns, client_order_id"
)
def recent_orders(tx: Transaction, external: str, age_ns: int) -> Answer:
    last = largest(tx.rows("orders"), "created_ns")
    found = [
        {
            **pick(row, "client_order_id", "strategy", "symbol", "side", "is_final"),
            "quantity": row["filled_quantity"],
            "price": row["stop_price"] if row["limit_price"] is None else row["limit_price"],
            "sent_ns": row["created_ns"],
            "executed_ns": row["venue_ns"] if row["filled_quantity"] > 0 else None,
            "is_protection": row["order_type"] in ("stop", "stop_limit"),
        }
        for row in tx.rows("orders")
        if row["is_final"]
        if row["strategy"] != external or tx.get("intents", (row["client_order_id"],)) is not None
        if row["created_ns"] > last - age_ns or (row["filled_quantity"] > 0 and row["venue_ns"] > last - age_ns)
    ]
    return sorted(found, key=lambda row: (row["sent_ns"], row["client_order_id"]))


@statement("SELECT strategy, symbol, quantity, cost_usd, realised_usd FROM positions ORDER BY strategy, symbol")
def books(tx: Transaction) -> Answer:
    names = ("strategy", "symbol", "quantity", "cost_usd", "realised_usd")
    return sorted((pick(row, *names) for row in tx.rows("positions")), key=lambda row: (row["strategy"], row["symbol"]))


def correction_of(tx: Transaction, fill: dict[str, Any]) -> dict[str, Any] | None:
    """The newest correction of an execution."""
    found = [
        row
        for row in tx.rows("fill_corrections")
        if (row["broker_order_id"], row["cumulative_quantity"])
        == (fill["broker_order_id"], fill["cumulative_quantity"])
    ]
    return max(found, key=lambda row: row["id"], default=None)


@statement(
    "SELECT broker_order_id, cumulative_quantity FROM fills"
    " WHERE venue_ns >= (SELECT max(venue_ns) FROM fills) - $1"
    " AND coalesce((SELECT quantity FROM fill_corrections AS corrected"
    " WHERE corrected.broker_order_id = fills.broker_order_id"
    " AND corrected.cumulative_quantity = fills.cumulative_quantity ORDER BY id DESC LIMIT 1), 1) <> 0"
    " ORDER BY ordinal"
)
def known_executions(tx: Transaction, age_ns: int) -> Answer:
    last = largest(tx.rows("fills"), "venue_ns")
    found = [row for row in tx.rows("fills") if row["venue_ns"] >= last - age_ns]
    found = [row for row in found if (corrected := correction_of(tx, row)) is None or corrected["quantity"] != 0]
    found.sort(key=lambda row: row["ordinal"])
    return [pick(row, "broker_order_id", "cumulative_quantity") for row in found]


@statement(
    "SELECT DISTINCT broker_order_id, cumulative_quantity FROM fill_corrections"
    " ORDER BY broker_order_id, cumulative_quantity"
)
def undone_executions(tx: Transaction) -> Answer:
    keys = sorted({(row["broker_order_id"], row["cumulative_quantity"]) for row in tx.rows("fill_corrections")})
    return [{"broker_order_id": order, "cumulative_quantity": cumulative} for order, cumulative in keys]


@statement(
    "SELECT fills.broker_order_id, fills.cumulative_quantity, fills.execution_id, fills.client_order_id,"
    " fills.symbol, fills.side, coalesce(newest.quantity, fills.quantity) AS quantity,"
    " coalesce(newest.price, fills.price) AS price, coalesce(newest.executed_ns, fills.venue_ns) AS venue_ns,"
    " coalesce(newest.allocations, fills.allocations) AS allocations,"
    " coalesce(newest.source, fills.source) AS source FROM fills"
    " LEFT JOIN LATERAL (SELECT quantity, price, executed_ns, allocations, source FROM fill_corrections"
    " AS corrected WHERE corrected.broker_order_id = fills.broker_order_id"
    " AND corrected.cumulative_quantity = fills.cumulative_quantity ORDER BY id DESC LIMIT 1) AS newest ON true"
    " WHERE fills.venue_ns >= (SELECT max(venue_ns) FROM fills) - $1 ORDER BY fills.ordinal DESC LIMIT $2"
)
def newest_fills(tx: Transaction, age_ns: int, limit: int) -> Answer:
    last = largest(tx.rows("fills"), "venue_ns")
    found = [row for row in tx.rows("fills") if row["venue_ns"] >= last - age_ns]
    found.sort(key=lambda row: -row["ordinal"])
    names = ("broker_order_id", "cumulative_quantity", "execution_id", "client_order_id", "symbol", "side")
    answer = []
    for row in found[:limit]:
        corrected = correction_of(tx, row)
        numbers = row if corrected is None else corrected
        told = row["venue_ns"] if corrected is None else corrected["executed_ns"]
        answer.append(
            {**pick(row, *names), **pick(numbers, "quantity", "price", "allocations", "source"), "venue_ns": told}
        )
    return answer


@statement(
    "SELECT reference, kind, cash_usd, venue_ns FROM ledger_entries"
    " WHERE venue_ns >= (SELECT max(venue_ns) FROM ledger_entries) - $1 ORDER BY id"
)
def entries(tx: Transaction, age_ns: int) -> Answer:
    last = largest(tx.rows("ledger_entries"), "venue_ns")
    found = [row for row in tx.rows("ledger_entries") if row["venue_ns"] >= last - age_ns]
    found.sort(key=lambda row: row["id"])
    return [pick(row, "reference", "kind", "cash_usd", "venue_ns") for row in found]


@statement(
    "SELECT cash_usd - coalesce((SELECT sum(CASE side WHEN 'buy' THEN quantity * price ELSE -quantity * price END)"
    " FROM fills WHERE fills.ordinal > newest.ordinal), 0)"
    " + coalesce((SELECT sum(cash_usd) FROM fill_corrections WHERE fill_corrections.ordinal > newest.ordinal), 0)"
    " + coalesce((SELECT sum(cash_usd) FROM ledger_entries WHERE ledger_entries.ordinal > newest.ordinal), 0)"
    " FROM (SELECT cash_usd, ordinal FROM equity ORDER BY id DESC LIMIT 1) AS newest"
)
def cash(tx: Transaction) -> Answer:
    for last in newest(tx.rows("equity"), "id", 1):
        spent = total(
            row["quantity"] * row["price"] * (1 if row["side"] == "buy" else -1)
            for row in tx.rows("fills")
            if row["ordinal"] > last["ordinal"]
        )
        moved = total(
            row["cash_usd"]
            for table in ("fill_corrections", "ledger_entries")
            for row in tx.rows(table)
            if row["ordinal"] > last["ordinal"]
        )
        return one(cash_usd=last["cash_usd"] - (spent or 0) + (moved or 0))
    return []


@statement("SELECT * FROM guards ORDER BY id DESC LIMIT 1")
def guards(tx: Transaction) -> Answer:
    return newest(tx.rows("guards"), "id", 1)


@statement(
    "SELECT action, seen_ns FROM audit WHERE actor = 'healing' AND outcome IN ('done', 'failed')"
    " AND id > (SELECT coalesce(max(id), 0) FROM audit WHERE actor = 'healing' AND action = 'budget')"
    " AND seen_ns > $1 ORDER BY id"
)
def healing_actions(tx: Transaction, since_ns: int) -> Answer:
    healing = [row for row in tx.rows("audit") if row["actor"] == "healing"]
    given = max((row["id"] for row in healing if row["action"] == "budget"), default=0)
    found = [
        row
        for row in healing
        if row["outcome"] in ("done", "failed") and row["id"] > given and row["seen_ns"] > since_ns
    ]
    return [pick(row, "action", "seen_ns") for row in sorted(found, key=lambda row: row["id"])]


@statement("SELECT coalesce(max(sequence), 0) FROM intents")
def newest_sequence(tx: Transaction) -> Answer:
    return one(coalesce=largest(tx.rows("intents"), "sequence") or 0)


@statement(
    "SELECT client_order_id FROM intents WHERE client_order_id = ANY($1::text[])"
    " UNION SELECT client_order_id FROM orders WHERE client_order_id = ANY($1::text[])"
)
def known_orders(tx: Transaction, ids: list[str]) -> Answer:
    wanted = set(ids)
    known = {row["client_order_id"] for table in ("intents", "orders") for row in tx.rows(table)}
    return [{"client_order_id": each} for each in sorted(known & wanted)]


@statement("SELECT max(sequence) FROM intents")
def last_sequence(tx: Transaction) -> Answer:
    return one(max=largest(tx.rows("intents"), "sequence"))


@statement(
    "SELECT client_order_id FROM orders WHERE strategy <> $1 AND NOT EXISTS"
    " (SELECT FROM intents WHERE intents.client_order_id = orders.client_order_id)"
)
def orders_without_intent(tx: Transaction, external: str) -> Answer:
    return [
        pick(row, "client_order_id")
        for row in tx.rows("orders")
        if row["strategy"] != external and tx.get("intents", (row["client_order_id"],)) is None
    ]


@statement(
    "SELECT greatest((SELECT max(venue_ns) FROM equity), (SELECT max(venue_ns) FROM orders),"
    " (SELECT max(venue_ns) FROM fills), (SELECT venue_ns FROM guards ORDER BY id DESC LIMIT 1))"
)
def last_stop(tx: Transaction) -> Answer:
    moments = [largest(tx.rows(table), "venue_ns") for table in ("equity", "orders", "fills")]
    moments += [row["venue_ns"] for row in newest(tx.rows("guards"), "id", 1)]
    return one(greatest=max((moment for moment in moments if moment is not None), default=None))


# --- history ------------------------------------------------------------------------------------------------------


@statement(
    "SELECT * FROM decisions WHERE ($1::text IS NULL OR symbol = $1) AND ($2::bigint IS NULL OR venue_ns <= $2)"
    " ORDER BY venue_ns DESC, id DESC LIMIT $3"
)
def decisions(tx: Transaction, symbol: str | None, at_ns: int | None, limit: int) -> Answer:
    found = [
        row
        for row in tx.rows("decisions")
        if (symbol is None or row["symbol"] == symbol) and (at_ns is None or row["venue_ns"] <= at_ns)
    ]
    return sorted(found, key=lambda row: (row["venue_ns"], row["id"]), reverse=True)[:limit]


@statement("SELECT * FROM decisions WHERE client_order_id = $1 ORDER BY id DESC LIMIT 1")
def decision_by_order(tx: Transaction, client_order_id: str) -> Answer:
    return newest((row for row in tx.rows("decisions") if row["client_order_id"] == client_order_id), "id", 1)


@statement("SELECT * FROM orders WHERE client_order_id = $1 OR broker_order_id = $1 LIMIT 1")
def order_by_id(tx: Transaction, order_id: str) -> Answer:
    found = [row for row in tx.rows("orders") if order_id in (row["client_order_id"], row["broker_order_id"])]
    return found[:1]


@statement("SELECT * FROM intents WHERE client_order_id = $1")
def intent_by_id(tx: Transaction, client_order_id: str) -> Answer:
    found = tx.get("intents", (client_order_id,))
    return [] if found is None else [found]


@statement("SELECT * FROM order_states WHERE client_order_id = $1 ORDER BY id LIMIT 1000")
def order_states(tx: Transaction, client_order_id: str) -> Answer:
    found = [row for row in tx.rows("order_states") if row["client_order_id"] == client_order_id]
    return sorted(found, key=lambda row: row["id"])[:1000]


@statement("SELECT * FROM fills WHERE client_order_id = $1 OR broker_order_id = $2 ORDER BY cumulative_quantity")
def fills_of_order(tx: Transaction, client_order_id: str, broker_order_id: str | None) -> Answer:
    found = [
        row
        for row in tx.rows("fills")
        if row["client_order_id"] == client_order_id
        or (broker_order_id is not None and row["broker_order_id"] == broker_order_id)
    ]
    return sorted(found, key=lambda row: row["cumulative_quantity"])


def _newest_of(table: str, column: str) -> Callable[..., Answer]:
    def answer(tx: Transaction, limit: int) -> Answer:
        return newest(tx.rows(table), column, limit)

    return answer


def _add_newest() -> None:
    statement("SELECT * FROM orders ORDER BY created_ns DESC LIMIT $1")(_newest_of("orders", "created_ns"))
    statement("SELECT * FROM fills ORDER BY ordinal DESC LIMIT $1")(_newest_of("fills", "ordinal"))
    for table in ("reconciliations", "drifts", "alerts", "audit"):
        statement(f"SELECT * FROM {table} ORDER BY id DESC LIMIT $1")(_newest_of(table, "id"))


_add_newest()


@statement(
    "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY id DESC) - 1 AS place, count(*) OVER () AS rows"
    " FROM equity WHERE $1::bigint IS NULL OR venue_ns >= $1) AS numbered"
    " WHERE place % greatest(1, ceil(rows::numeric / $2)::bigint) = 0 ORDER BY id"
)
def equity_curve(tx: Transaction, since_ns: int | None, points: int) -> Answer:
    found: list[dict[str, Any]] = [row for row in tx.rows("equity") if since_ns is None or row["venue_ns"] >= since_ns]
    found.sort(key=lambda row: row["id"], reverse=True)
    step = max(1, -(-len(found) // points))
    return found[::step][::-1]
