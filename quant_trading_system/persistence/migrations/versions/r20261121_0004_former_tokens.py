"""The instance keeps the tokens it had before a restore: orders under them are its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r20261121_0004_former_tokens"
down_revision = "r20261121_0003_ledger_entries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("former_tokens", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("instance", "former_tokens")
