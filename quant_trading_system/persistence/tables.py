"""The schema as SQLAlchemy metadata: what migrations must arrive at, and what `db check` compares a database with.

Decides column types: money and quantities are NUMERIC without a scale (exact), moments are nanoseconds in BIGINT as the
events carry them, and what only people read is JSONB. At run time nothing imports this module; `rows`
names the columns.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)


def _row_id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _must(name: str, type_: type) -> Column[object]:
    return Column(name, type_, nullable=False)


def _group() -> tuple[Column[object], ...]:
    """What an order with legs has beside its own prices."""
    return (
        Column("order_class", Text, nullable=False, server_default=text("''")),
        Column("stop_loss_price", Numeric),
        Column("take_profit_price", Numeric),
    )


def _stamps() -> tuple[Column[object], Column[object]]:
    return _must("venue_ns", BigInteger), _must("seen_ns", BigInteger)


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp())


# --- the life of this database ---------------------------------------------------------------------------------------

instance = Table(
    "instance",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    _must("token", Text),
    Column("account", Text),
    _must("mode", Text),
    _must("created_by", Text),
    _moment("created_at"),
    Column("former_tokens", Text),  # with blanks between them; NULL before the first restore
    CheckConstraint("is_only", name="one_row"),
)

lease = Table(
    "lease",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    _must("account", Text),
    _must("epoch", BigInteger),
    _must("holder", Text),
    _must("host", Text),
    _must("pid", Integer),
    _moment("taken_at"),
    CheckConstraint("is_only", name="one_row"),
)

# Apart from `lease`, so that a renewal every 3 s never makes an intent wait for a row lock.
lease_beat = Table(
    "lease_beat",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    _moment("beat_at"),
    CheckConstraint("is_only", name="one_row"),
)

kill = Table(
    "kill",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    _must("latch", Text),
    _must("operator", Text),
    _must("reason", Text),
    _moment("changed_at"),
    CheckConstraint("is_only", name="one_row"),
    CheckConstraint("latch IN ('CLEAR', 'ENGAGED')", name="latch_known"),
)

operator_actions = Table(
    "operator_actions",
    metadata,
    _row_id(),
    _moment("at"),
    _must("operator", Text),
    _must("action", Text),
    _must("reason", Text),
)

limits = Table(
    "limits",
    metadata,
    Column("version", Text, primary_key=True),
    _must("content", JSONB),
    _moment("first_used_at"),
)

writer_progress = Table(
    "writer_progress",
    metadata,
    Column("writer", Text, primary_key=True),
    _must("batch", BigInteger),
    _moment("at"),
)

# --- written before the wire -----------------------------------------------------------------------------------------

intents = Table(
    "intents",
    metadata,
    Column("client_order_id", Text, primary_key=True),
    _must("epoch", BigInteger),
    Column("sequence", BigInteger),
    _must("strategy", Text),
    _must("symbol", Text),
    _must("side", Text),
    _must("quantity", Numeric),
    _must("order_type", Text),
    Column("limit_price", Numeric),
    Column("stop_price", Numeric),
    _must("time_in_force", Text),
    _must("reference_price", Numeric),
    _must("declared_notional_usd", Numeric),
    _must("allocations", JSONB),
    _must("decision_id", Text),
    _must("decided_ns", BigInteger),
    _must("reason", Text),
    _must("limits_version", Text),
    _must("reduces_exposure", Boolean),
    _must("payload", LargeBinary),
    _moment("committed_at"),
    *_group(),
)

# --- written behind: newest state ------------------------------------------------------------------------------------

orders = Table(
    "orders",
    metadata,
    Column("client_order_id", Text, primary_key=True),
    Column("broker_order_id", Text),
    _must("strategy", Text),
    _must("symbol", Text),
    _must("side", Text),
    _must("quantity", Numeric),
    _must("order_type", Text),
    Column("limit_price", Numeric),
    Column("stop_price", Numeric),
    _must("time_in_force", Text),
    _must("status", Text),
    _must("broker_status", Text),
    _must("filled_quantity", Numeric),
    _must("filled_value_usd", Numeric),
    _must("reason", Text),
    _must("decision_id", Text),
    _must("reference_price", Numeric),
    _must("allocations", JSONB),
    _must("created_ns", BigInteger),
    Column("sent_ns", BigInteger),
    Column("acknowledged_ns", BigInteger),
    _must("is_final", Boolean),
    *_stamps(),
    *_group(),
    Column("parent_client_order_id", Text),
    Column("replaces", Text),
    Column("exists_at_broker", Boolean, nullable=False, server_default=text("false")),
)
Index("ix_orders_open", orders.c.created_ns, postgresql_where=text("NOT is_final"))
Index("ix_orders_broker_order_id", orders.c.broker_order_id)
Index("ix_orders_symbol", orders.c.symbol, orders.c.created_ns)

positions = Table(
    "positions",
    metadata,
    Column("strategy", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    _must("quantity", Numeric),
    _must("cost_usd", Numeric),
    _must("realised_usd", Numeric),
    *_stamps(),
)

locks = Table(
    "locks",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _must("reason", Text),
    _must("is_locked", Boolean),
    *_stamps(),
)

# --- written behind: history, one row a fact -------------------------------------------------------------------------

order_states = Table(
    "order_states",
    metadata,
    _row_id(),
    _must("client_order_id", Text),
    Column("broker_order_id", Text),
    _must("status", Text),
    _must("broker_status", Text),
    _must("filled_quantity", Numeric),
    _must("filled_value_usd", Numeric),
    _must("reason", Text),
    *_stamps(),
)
Index("ix_order_states_client_order_id", order_states.c.client_order_id)

fills = Table(
    "fills",
    metadata,
    Column("broker_order_id", Text, primary_key=True),
    Column("cumulative_quantity", Numeric, primary_key=True),
    _must("ordinal", BigInteger),
    _must("execution_id", Text),
    Column("client_order_id", Text),
    _must("symbol", Text),
    _must("side", Text),
    _must("quantity", Numeric),
    _must("price", Numeric),
    _must("realised_usd", Numeric),
    _must("allocations", JSONB),
    _must("source", Text),
    Column("slippage_bps", Numeric),
    *_stamps(),
)
Index("ix_fills_client_order_id", fills.c.client_order_id)
Index("ix_fills_ordinal", fills.c.ordinal)

fill_corrections = Table(
    "fill_corrections",
    metadata,
    _row_id(),
    _must("ordinal", BigInteger),
    _must("broker_order_id", Text),
    _must("cumulative_quantity", Numeric),
    _must("execution_id", Text),
    Column("client_order_id", Text),
    _must("symbol", Text),
    _must("side", Text),
    _must("quantity", Numeric),
    _must("price", Numeric),
    _must("executed_ns", BigInteger),
    _must("cash_usd", Numeric),
    _must("realised_usd", Numeric),
    _must("allocations", JSONB),
    _must("source", Text),
    _must("reason", Text),
    *_stamps(),
)
Index("ix_fill_corrections_broker_order_id", fill_corrections.c.broker_order_id)
Index("ix_fill_corrections_ordinal", fill_corrections.c.ordinal)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _row_id(),
    _must("ordinal", BigInteger),
    _must("kind", Text),
    _must("reference", Text),
    Column("symbol", Text),
    _must("quantity", Numeric),
    _must("price", Numeric),
    _must("cash_usd", Numeric),
    _must("parts", JSONB),
    _must("text", Text),
    *_stamps(),
)
Index("ix_ledger_entries_venue_ns", ledger_entries.c.venue_ns)
Index("ix_ledger_entries_ordinal", ledger_entries.c.ordinal)

decisions = Table(
    "decisions",
    metadata,
    _row_id(),
    _must("decision_id", Text),
    _must("strategy", Text),
    _must("symbol", Text),
    _must("outcome", Text),
    _must("reason", Text),
    Column("side", Text),
    Column("quantity", Numeric),
    Column("limit_price", Numeric),
    Column("reference_price", Numeric),
    Column("client_order_id", Text),
    _must("limits_version", Text),
    _must("controls", JSONB),
    _must("inputs", JSONB),
    *_stamps(),
)
Index("ix_decisions_symbol", decisions.c.symbol, decisions.c.venue_ns)
Index("ix_decisions_decision_id", decisions.c.decision_id)
Index(
    "ix_decisions_client_order_id",
    decisions.c.client_order_id,
    postgresql_where=text("client_order_id IS NOT NULL"),
)

equity = Table(
    "equity",
    metadata,
    _row_id(),
    _must("ordinal", BigInteger),
    _must("equity_usd", Numeric),
    _must("cash_usd", Numeric),
    _must("day_pnl_usd", Numeric),
    _must("drawdown_ratio", Numeric),
    _must("gross_exposure_usd", Numeric),
    *_stamps(),
)
Index("ix_equity_venue_ns", equity.c.venue_ns)

guards = Table(
    "guards",
    metadata,
    _row_id(),
    _must("session_date", Text),
    Column("day_start_equity_usd", Numeric),
    Column("high_water_mark_usd", Numeric),
    Column("session_high_usd", Numeric),
    Column("equity_floor_usd", Numeric),
    Column("first_equity_usd", Numeric),
    _must("incidents", Integer),
    _must("state", Text),
    _must("causes", JSONB),
    *_stamps(),
)

drifts = Table(
    "drifts",
    metadata,
    _row_id(),
    _must("kind", Text),
    Column("symbol", Text),
    _must("ours", Text),
    _must("brokers", Text),
    _must("action", Text),
    *_stamps(),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    _row_id(),
    _must("result", Text),
    _must("duration_s", Double),
    _must("drifts", Integer),
    _must("reason", Text),
    *_stamps(),
)

audit = Table(
    "audit",
    metadata,
    _row_id(),
    _must("actor", Text),
    _must("action", Text),
    _must("reason", Text),
    _must("outcome", Text),
    _must("details", JSONB),
    *_stamps(),
)

alerts = Table(
    "alerts",
    metadata,
    _row_id(),
    _must("severity", Text),
    _must("code", Text),
    _must("text", Text),
    _must("context", JSONB),
    *_stamps(),
)
