"""Journal entries that are no execution, and corrections of executions: what must be known to book nothing twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "r20261121_0003_ledger_entries"
down_revision = "r20261121_0002_order_groups"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fill_corrections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("cumulative_quantity", sa.Numeric(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=True),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False),
        sa.Column("executed_ns", sa.BigInteger(), nullable=False),
        sa.Column("cash_usd", sa.Numeric(), nullable=False),
        sa.Column("realised_usd", sa.Numeric(), nullable=False),
        sa.Column("allocations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("venue_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill_corrections")),
    )
    op.create_index("ix_fill_corrections_broker_order_id", "fill_corrections", ["broker_order_id"])
    op.create_index("ix_fill_corrections_ordinal", "fill_corrections", ["ordinal"])
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False),
        sa.Column("cash_usd", sa.Numeric(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("venue_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_venue_ns", "ledger_entries", ["venue_ns"])
    op.create_index("ix_ledger_entries_ordinal", "ledger_entries", ["ordinal"])


def downgrade() -> None:
    """Migrations go forward alone: dropping these tables would drop what was booked."""
    raise RuntimeError("this schema is not taken back; restore a backup into an empty database instead")
