"""The constant statements of the package, each answered by one function. Decides what the modelled server knows.

To add one: copy its text here, word for word, above a function of (transaction, its arguments) that returns the rows of
the answer, one for each row a statement without RETURNING touches. The text is copied, not imported: a statement that
was changed by mistake must not be known any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tests.simulation.stores.relations import Row, relations
from tests.simulation.stores.transaction import Transaction

Answer = list[Row]
ONLY = (True,)  # the key of a table that has one row


class Statement(Struct, frozen=True):
    """`label`: what a fault is aimed at. `writes`: refused by a server that takes no writes."""

    text: str
    answer: Callable[..., Answer]
    label: str
    writes: bool
    locks: bool = False
    way: str = "commit"
    """What it waits for outside of a transaction: see `database.DELAYS_S`."""

    @property
    def verb(self) -> str:
        return self.text.split(" ", 1)[0]


STATEMENTS: dict[str, Statement] = {}


def statement(
    *texts: str, label: str = "read", locks: bool = False, way: str = "commit"
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Make a function the answer to these texts. `locks`: it may wait for a row; `way`: how long a write takes."""

    def known(answer: Callable[..., Answer]) -> Callable[..., Answer]:
        for text in texts:
            writes = text.startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
            STATEMENTS[text] = Statement(
                text=text, answer=answer, label=label, writes=writes, locks=writes or locks, way=way
            )
        return answer

    return known


def one(**columns: Any) -> Answer:
    return [columns]


# --- the server itself ------------------------------------------------------------------------------------------------


@statement("SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'", label="probe")
def is_writable(tx: Transaction) -> Answer:
    return one(writable=not (tx.is_read_only or tx.session.server.is_read_only))


@statement("SET LOCAL statement_timeout = 60000")
def more_time(tx: Transaction) -> Answer:
    tx.session.statement_s = 60.0
    return []


@statement("SELECT pg_try_advisory_lock($1)", label="lease")
def try_advisory_lock(tx: Transaction, key: int) -> Answer:
    holder = tx.session.server.advisory.setdefault(key, tx.session)
    return one(pg_try_advisory_lock=holder is tx.session)


@statement(
    "SELECT pg_terminate_backend(held.pid) FROM pg_locks AS held JOIN pg_stat_activity AS seen USING (pid)"
    " WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1"
    " AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (held.classid::bigint << 32) | held.objid::bigint = $1 AND held.pid <> pg_backend_pid()"
    " AND (held.pid = $2 OR (seen.state_change < clock_timestamp() - make_interval(secs => $3)"
    " AND (SELECT beat_at FROM lease_beat) < clock_timestamp() - make_interval(secs => $3)))",
    label="lease",
)
def end_dead_session(tx: Transaction, key: int, own_backend: int, term_s: float) -> Answer:
    holder, beat_row = tx.session.server.advisory.get(key), tx.get("lease_beat", ONLY)
    if holder is None or holder is tx.session:
        return []
    old_s = tx.now_s - term_s
    is_silent = holder.heard_s < old_s and beat_row is not None and beat_row["beat_at"] < old_s
    if holder.pid != own_backend and not is_silent:
        return []
    holder.fall("terminating connection due to administrator command")
    return one(pg_terminate_backend=True)


@statement(
    "SELECT pg_terminate_backend(held.pid) FROM pg_locks AS held JOIN pg_stat_activity AS seen USING (pid)"
    " WHERE held.locktype = 'relation' AND held.relation = 'lease'::regclass AND held.pid <> pg_backend_pid()"
    " AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND seen.xact_start IS NOT NULL AND seen.wait_event = 'ClientRead'"
    " AND seen.state_change < clock_timestamp() - make_interval(secs => $1)",
    label="lease",
)
def end_abandoned_transactions(_tx: Transaction, _seconds: float) -> Answer:
    """The model's transactions hold no row between two statements."""
    return []


# --- instance, lease, kill ----------------------------------------------------------------------------------------


@statement("SELECT * FROM instance", label="instance")
def find_instance(tx: Transaction) -> Answer:
    return list(tx.rows("instance"))


@statement("UPDATE instance SET token = $1, former_tokens = $2", label="instance")
def renew_instance(tx: Transaction, token: str, former_tokens: str) -> Answer:
    row = tx.get("instance", ONLY)
    if row is not None:
        change(tx, "instance", ONLY, {**row, "token": token, "former_tokens": former_tokens})
    return []


@statement("UPDATE lease SET epoch = greatest(epoch, $1) + 1 RETURNING epoch", label="instance")
def raise_epoch(tx: Transaction, floor: int) -> Answer:
    lease = tx.get("lease", ONLY)
    if lease is None:
        return []
    epoch = max(lease["epoch"], floor) + 1
    change(tx, "lease", ONLY, {**lease, "epoch": epoch})
    return one(epoch=epoch)


@statement("INSERT INTO instance (token, mode, created_by) VALUES ($1, $2, $3)", label="instance")
def make_instance(tx: Transaction, token: str, mode: str, created_by: str) -> Answer:
    return [tx.insert(relations()["instance"], ("token", "mode", "created_by"), (token, mode, created_by))]


@statement("UPDATE instance SET account = coalesce(account, $1) RETURNING account", label="instance")
def bind_account(tx: Transaction, account: str) -> Answer:
    bound = tx.get("instance", ONLY)
    if bound is None:
        return []
    row = {**bound, "account": account if bound["account"] is None else bound["account"]}
    change(tx, "instance", ONLY, row)
    return one(account=row["account"])


@statement(
    "INSERT INTO lease (account, epoch, holder, host, pid) VALUES ($1, 1, $2, $3, $4)"
    " ON CONFLICT (is_only) DO UPDATE SET account = excluded.account, epoch = lease.epoch + 1,"
    " holder = excluded.holder, host = excluded.host, pid = excluded.pid, taken_at = clock_timestamp()"
    " RETURNING epoch",
    label="lease",
)
def take_lease(tx: Transaction, account: str, holder: str, host: str, pid: int) -> Answer:
    lease = tx.get("lease", ONLY)
    epoch = 1 if lease is None else lease["epoch"] + 1
    columns = ("account", "epoch", "holder", "host", "pid")
    upsert(tx, "lease", columns, (account, epoch, holder, host, pid))
    return one(epoch=epoch)


@statement(
    "INSERT INTO lease_beat DEFAULT VALUES ON CONFLICT (is_only) DO UPDATE SET beat_at = clock_timestamp()",
    label="lease",
)
def begin_beat(tx: Transaction) -> Answer:
    return [upsert(tx, "lease_beat", (), ())]


@statement(
    "UPDATE lease_beat SET beat_at = clock_timestamp() WHERE (SELECT epoch FROM lease) = $1", label="lease", way="beat"
)
def beat(tx: Transaction, epoch: int) -> Answer:
    lease, row = tx.get("lease", ONLY), tx.get("lease_beat", ONLY)
    if lease is None or row is None or lease["epoch"] != epoch:
        return []
    change(tx, "lease_beat", ONLY, {**row, "beat_at": tx.now_s})
    return [row]


@statement(
    "SELECT holder, host, pid, epoch,"
    " to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS since,"
    " extract(epoch FROM clock_timestamp() - beat_at)::float8 AS age_s FROM lease, lease_beat",
    label="lease",
)
def read_holder(tx: Transaction) -> Answer:
    lease, row = tx.get("lease", ONLY), tx.get("lease_beat", ONLY)
    if lease is None or row is None:
        return []
    columns = ("holder", "host", "pid", "epoch")
    since = datetime.fromtimestamp(lease["taken_at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [{**{name: lease[name] for name in columns}, "since": since, "age_s": tx.now_s - row["beat_at"]}]


@statement("SELECT latch, operator, reason FROM kill", label="kill")
def read_kill(tx: Transaction) -> Answer:
    return list(tx.rows("kill"))


@statement("INSERT INTO kill (latch, operator, reason) VALUES ('CLEAR', '', 'new database instance')", label="instance")
def make_kill(tx: Transaction) -> Answer:
    columns = ("latch", "operator", "reason")
    return [tx.insert(relations()["kill"], columns, ("CLEAR", "", "new database instance"))]


@statement(
    "INSERT INTO kill (latch, operator, reason) VALUES ($1, $2, $3) ON CONFLICT (is_only) DO UPDATE SET"
    " latch = excluded.latch, operator = excluded.operator, reason = excluded.reason,"
    " changed_at = clock_timestamp()",
    label="kill",
)
def change_kill(tx: Transaction, latch: str, operator: str, reason: str) -> Answer:
    return [upsert(tx, "kill", ("latch", "operator", "reason"), (latch, operator, reason))]


@statement("INSERT INTO operator_actions (operator, action, reason) VALUES ($1, $2, $3)", label="kill")
def record_action(tx: Transaction, operator: str, action: str, reason: str) -> Answer:
    columns = ("operator", "action", "reason")
    return [tx.insert(relations()["operator_actions"], columns, (operator, action, reason))]


@statement("SELECT at, operator, action, reason FROM operator_actions ORDER BY id DESC LIMIT $1")
def read_actions(tx: Transaction, limit: int) -> Answer:
    chosen = newest(tx.rows("operator_actions"), "id", limit)
    names = ("operator", "action", "reason")
    return [{"at": datetime.fromtimestamp(row["at"], UTC), **{name: row[name] for name in names}} for row in chosen]


@statement("INSERT INTO limits (version, content) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING")
def record_limits(tx: Transaction, version: str, content: str) -> Answer:
    tx.lock("limits", (version,))
    if tx.get("limits", (version,)) is not None:
        return []
    return [tx.insert(relations()["limits"], ("version", "content"), (version, content))]


@statement("SELECT content FROM limits WHERE version = $1")
def read_limits(tx: Transaction, version: str) -> Answer:
    found = tx.get("limits", (version,))
    return [] if found is None else one(content=found["content"])


# --- the order path ---------------------------------------------------------------------------------------------------

INTENT_COLUMNS = (
    "client_order_id", "epoch", "sequence", "strategy", "symbol", "side", "quantity", "order_type", "limit_price",
    "stop_price", "time_in_force", "reference_price", "declared_notional_usd", "allocations", "decision_id",
    "decided_ns", "reason", "limits_version", "reduces_exposure", "payload",
    "order_class", "stop_loss_price", "take_profit_price",
)  # fmt: skip


@statement(
    "WITH held AS (SELECT 1 FROM lease WHERE epoch = $2 FOR SHARE), put AS (INSERT INTO intents (client_order_id,"
    " epoch, sequence, strategy, symbol, side, quantity, order_type, limit_price, stop_price, time_in_force,"
    " reference_price, declared_notional_usd, allocations, decision_id, decided_ns, reason, limits_version,"
    " reduces_exposure, payload, order_class, stop_loss_price, take_profit_price) SELECT $1::text, $2::bigint,"
    " $3::bigint, $4::text, $5::text, $6::text, $7::numeric, $8::text, $9::numeric, $10::numeric, $11::text,"
    " $12::numeric, $13::numeric, $14::jsonb, $15::text, $16::bigint, $17::text, $18::text, $19::boolean, $20::bytea,"
    " $21::text, $22::numeric, $23::numeric FROM held ON CONFLICT (client_order_id) DO NOTHING RETURNING 1)"
    " SELECT (SELECT count(*) FROM held) AS held, (SELECT count(*) FROM put) AS put",
    label="intent",
)
def put_intent(tx: Transaction, *values: Any) -> Answer:
    held = share_lease(tx, values[1])
    if not held:
        return one(held=0, put=0)
    tx.lock("intents", values[:1])
    if tx.get("intents", values[:1]) is not None:
        return one(held=1, put=0)
    tx.insert(relations()["intents"], INTENT_COLUMNS, values)
    return one(held=1, put=1)


@statement("SELECT payload FROM intents WHERE client_order_id = $1", label="read_back")
def read_payload(tx: Transaction, client_order_id: str) -> Answer:
    found = tx.get("intents", (client_order_id,))
    return [] if found is None else one(payload=found["payload"])


# --- the writer behind ----------------------------------------------------------------------------------------------


@statement("SELECT 1 FROM lease WHERE epoch = $1 FOR SHARE", label="batch", locks=True)
def check_epoch(tx: Transaction, epoch: int) -> Answer:
    return one(held=1) if share_lease(tx, epoch) else []


@statement(
    "INSERT INTO writer_progress AS progress (writer, batch) VALUES ($1, $2) ON CONFLICT (writer)"
    " DO UPDATE SET batch = excluded.batch, at = clock_timestamp() WHERE progress.batch < excluded.batch"
    " RETURNING 1",
    label="batch",
)
def claim_batch(tx: Transaction, writer: str, batch: int) -> Answer:
    tx.lock("writer_progress", (writer,))
    known = tx.get("writer_progress", (writer,))
    if known is not None and known["batch"] >= batch:
        return []
    upsert(tx, "writer_progress", ("writer", "batch"), (writer, batch))
    return one(claimed=1)


@statement(
    "SELECT greatest((SELECT max(ordinal) FROM fills), (SELECT max(ordinal) FROM equity),"
    " (SELECT max(ordinal) FROM fill_corrections), (SELECT max(ordinal) FROM ledger_entries), 0)"
)
def last_ordinal(tx: Transaction) -> Answer:
    tables = ("fills", "equity", "fill_corrections", "ledger_entries")
    return one(greatest=max(largest(tx.rows(table), "ordinal") or 0 for table in tables))


# --- what handlers share ------------------------------------------------------------------------------------------


def share_lease(tx: Transaction, epoch: int) -> bool:
    """FOR SHARE waits for whoever is taking the lease at this moment, and then sees the new epoch."""
    lease = tx.get("lease", ONLY)
    if lease is None or lease["epoch"] != epoch:
        return False
    tx.share("lease", ONLY)
    return True


def upsert(tx: Transaction, table: str, columns: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    """Put a row in the place of the one with its key: for tables whose other columns are defaults or moments."""
    relation = relations()[table]
    row = tx.new_row(relation, columns, values)
    key = relation.key_of(row)
    tx.lock(table, key)
    tx.put(relation, key, row)
    return row


def change(tx: Transaction, table: str, key: tuple[Any, ...], row: Row) -> None:
    """Replace a row that is there."""
    tx.lock(table, key)
    relation = relations()[table]
    relation.refuse_invalid(row)
    tx.put(relation, key, row)


def newest(rows: Iterable[Row], column: str, limit: int) -> Answer:
    return sorted(rows, key=lambda row: row[column], reverse=True)[:limit]


def largest(rows: Iterable[Row], column: str) -> Any:
    """max() as SQL has it: None where there is no row."""
    return max((row[column] for row in rows if row[column] is not None), default=None)


def total(amounts: Iterable[Decimal]) -> Decimal | None:
    """sum() as SQL has it: None where there is no row."""
    listed = list(amounts)
    return sum(listed, Decimal(0)) if listed else None


def pick(row: Mapping[str, Any], *names: str) -> Row:
    return {name: row[name] for name in names}
