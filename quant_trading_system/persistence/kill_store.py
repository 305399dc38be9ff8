"""The kill latch in PostgreSQL: one row, and the history of who changed it. Decides nothing; missing stays MISSING."""

from __future__ import annotations

from collections.abc import Mapping

from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.database import Connection, Database, tried_again
from quant_trading_system.persistence.rows import clean


class KillStore:
    """Reads and writes the row. Every change writes its history in the same transaction (R051)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self) -> tuple[Latch, str]:
        """The latch, and why.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        row = await tried_again(self._row)
        if row is None:
            return Latch.MISSING, "the database has no row of the kill latch"
        who = f"{row['operator']}: " if row["operator"] else ""
        return Latch(row["latch"]), f"{who}{row['reason']}"

    async def engage(self, operator: str, reason: str) -> None:
        """Write ENGAGED, also where the row is missing.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        await tried_again(lambda: self._change(Latch.ENGAGED, operator, reason))

    async def clear(self, operator: str, reason: str) -> None:
        """Write CLEAR after an accepted reset.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        await tried_again(lambda: self._change(Latch.CLEAR, operator, reason))

    async def history(self, limit: int = 100) -> list[dict[str, str]]:
        """The newest changes first: at, operator, action, reason."""
        async with self._db.session() as connection:
            rows = await connection.fetch(
                "SELECT at, operator, action, reason FROM operator_actions ORDER BY id DESC LIMIT $1", limit
            )
        return [{**dict(row), "at": row["at"].isoformat()} for row in rows]

    async def _row(self) -> Mapping[str, str] | None:
        async with self._db.session() as connection:
            row: Mapping[str, str] | None = await connection.fetchrow("SELECT latch, operator, reason FROM kill")
        return row

    async def _change(self, latch: Latch, operator: str, reason: str) -> None:
        async with self._db.session() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO kill (latch, operator, reason) VALUES ($1, $2, $3) ON CONFLICT (is_only) DO UPDATE SET"
                " latch = excluded.latch, operator = excluded.operator, reason = excluded.reason,"
                " changed_at = clock_timestamp()",
                latch.value,
                clean(operator),
                clean(reason),
            )
            await record_action(connection, operator, f"kill latch {latch.value}", reason)


async def record_action(connection: Connection, operator: str, action: str, reason: str) -> None:
    """One line of the history of what people did."""
    await connection.execute(
        "INSERT INTO operator_actions (operator, action, reason) VALUES ($1, $2, $3)",
        clean(operator),
        clean(action),
        clean(reason),
    )
