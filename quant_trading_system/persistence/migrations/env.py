"""Alembic's entry: runs migrations on the connection it is given, or on `DATABASE_URL` for `alembic` itself."""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.persistence.database import connect
from quant_trading_system.persistence.tables import metadata

LOCK_TIMEOUT = "10s"  # a migration that cannot have a table fails; it does not make the order path wait


def migrate(connection: Connection) -> None:
    """Run what is asked for in the caller's transaction: a migration killed half way leaves nothing behind."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        on_version_apply=lambda **_applied: failpoint("migration.revision_applied"),
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_by_url(url: str) -> None:
    """For `alembic upgrade`, `alembic check` and `alembic revision --autogenerate` on a developer's machine."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_by_url(os.environ["DATABASE_URL"]))
