"""Orders with legs, orders that replace others, and orders that the broker said to have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r20261121_0002_order_groups"
down_revision = "r20261121_0001_first_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("intents", "orders"):
        op.add_column(table, sa.Column("order_class", sa.Text(), server_default=sa.text("''"), nullable=False))
        op.add_column(table, sa.Column("stop_loss_price", sa.Numeric(), nullable=True))
        op.add_column(table, sa.Column("take_profit_price", sa.Numeric(), nullable=True))
    op.add_column("orders", sa.Column("parent_client_order_id", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("replaces", sa.Text(), nullable=True))
    op.add_column(
        "orders", sa.Column("exists_at_broker", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    """Migrations go forward alone: without these columns a stop could not be told from an order of somebody else's."""
    raise RuntimeError("the schema is not taken back; restore a backup into an empty database instead")
