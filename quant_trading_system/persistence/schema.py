"""Which schema a database has and which one this code needs. Decides upgrade, refusal, and what counts as a difference.

Migrations lie in `migrations/versions`, one dated file each; the newest file name is the head. A database that is newer
than the code is refused, never downgraded. Alembic and SQLAlchemy are imported only where something is to be done: a
start with the schema at head costs one query.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.persistence.database import connect, normalise_dsn

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

FOLDER = Path(__file__).parent / "migrations"
MIGRATION_SECONDS_MAX = 300.0
LOCK_KEY = 0x416C_7068_4D69_6772  # one migration at a time in a database


def revisions() -> list[str]:
    """Every revision of this code, oldest first. A revision is named as its file: date, number, subject."""
    return sorted(path.stem for path in (FOLDER / "versions").glob("r[0-9]*.py"))


def head() -> str:
    """The revision this code needs."""
    return revisions()[-1]


async def current(dsn: str) -> str | None:
    """The revision a database has, None where it has none yet.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    connection = await connect(dsn)
    try:
        return await _current(connection)
    finally:
        await connection.close()


async def upgrade(dsn: str) -> str | None:
    """Bring a database to `head()`. Returns the revision it had before; the same as head where nothing was to be done.

    Raises:
        OperatorError: the database has a schema this code does not know (exit 4).
        StoreUnavailable: the database does not answer.
    """
    connection = await connect(dsn, statement_seconds=MIGRATION_SECONDS_MAX)
    try:
        before = await _current(connection)
        if before == head():
            return before
        refuse_unknown(before)
        failpoint("migration.before")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        if await _current(connection) != head():  # another process may have done it while this one waited
            await _run(dsn, _upgrade_to_head)
        return before
    finally:
        await connection.close()


async def check(dsn: str) -> list[str]:
    """What is wrong with a database's schema, one sentence a problem; empty where it is as the code needs it.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    found = await current(dsn)
    if found is None:
        return ["the database has no schema yet; `db upgrade` makes it"]
    if found not in revisions():
        return [f"the database has schema {found}, which this version does not know (its newest is {head()})"]
    if found != head():
        return [f"the database has schema {found}, this version needs {head()}; `db upgrade` brings it there"]
    differences: list[str] = []
    await _run(dsn, lambda sync: differences.extend(_differences(sync)))
    return differences


def refuse_unknown(found: str | None) -> None:
    """Refuse a schema that this code does not know: it is of a later version.

    Raises:
        OperatorError: exit 4.
    """
    if found is not None and found not in revisions():
        raise OperatorError(
            f"the database has schema {found}, which this version does not know; its own newest is {head()}",
            fix="run the newer version that made it, or restore a backup from before the upgrade",
            exit_code=ExitCode.CONFIGURATION,
        )


async def _current(connection: asyncpg.Connection) -> str | None:
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return None
    found = await connection.fetchval("SELECT version_num FROM alembic_version")
    return None if found is None else str(found)


async def _run(dsn: str, work: Callable[[Connection], object]) -> None:
    """Run synchronous SQLAlchemy work on one connection, in one transaction."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    url = normalise_dsn(dsn)

    async def open_connection() -> Any:
        return await connect(url, statement_seconds=MIGRATION_SECONDS_MAX)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=open_connection, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()


def alembic_config() -> Any:
    """Alembic's configuration without a file: the folder, and nothing that says where a database is."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def _upgrade_to_head(sync: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = sync
    command.upgrade(config, "head")
    failpoint("migration.before_commit")


def _differences(sync: Connection) -> list[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from quant_trading_system.persistence.tables import metadata

    context = MigrationContext.configure(sync, opts={"compare_type": True})
    return [f"differs from this version: {_describe(found)}" for found in compare_metadata(context, metadata)]


def _describe(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_describe(one) for one in difference)
    return " ".join(str(getattr(part, "name", part)) for part in difference if part is not None)
