"""Which sets of limits this database has seen. Decides nothing; a decision names a version, here is what it said."""

from __future__ import annotations

from quant_trading_system.persistence.database import Database


async def record_limits(db: Database, *, version: str, content: bytes) -> None:
    """Keep a set of limits (JSON) under its version; the first sight counts.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    async with db.session() as connection:
        await connection.execute(
            "INSERT INTO limits (version, content) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING",
            version,
            content.decode(),
        )


async def read_limits(db: Database, version: str) -> bytes | None:
    """The set of limits a decision was checked against, as JSON, or None where it was never recorded.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    async with db.session() as connection:
        found = await connection.fetchval("SELECT content FROM limits WHERE version = $1", version)
    return None if found is None else str(found).encode()
