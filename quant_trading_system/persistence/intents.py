"""Intents: written and committed before any byte of their order leaves (invariants I1, I25, I31).

Decides what "stored" means: the server confirmed the commit, or a read-back found the row with equal bytes. Everything
else raises, and the order is dropped unsent. The statement itself checks the lease's epoch, under a lock on its row, so
that a daemon that lost the lease cannot store an intent, however late its statement arrives.
"""

from __future__ import annotations

import asyncio

import asyncpg

from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.values import Approved
from quant_trading_system.orders.ids import PREFIX
from quant_trading_system.persistence.database import UNREACHABLE, Database
from quant_trading_system.persistence.errors import IntentConflict, IntentNotStored, StaleEpoch, StoreUnavailable
from quant_trading_system.persistence.rows import clean, to_json

READ_BACK_ATTEMPTS_MAX = 3
READ_BACK_DELAY_S = 0.2
COMMIT_SECONDS_MAX = 1.0

COLUMNS = (
    "client_order_id", "epoch", "sequence", "strategy", "symbol", "side", "quantity", "order_type", "limit_price",
    "stop_price", "time_in_force", "reference_price", "declared_notional_usd", "allocations", "decision_id",
    "decided_ns", "reason", "limits_version", "reduces_exposure", "payload",
    "order_class", "stop_loss_price", "take_profit_price",
)  # fmt: skip
TYPES = (
    "text", "bigint", "bigint", "text", "text", "text", "numeric", "text", "numeric", "numeric", "text", "numeric",
    "numeric", "jsonb", "text", "bigint", "text", "text", "boolean", "bytea", "text",
    "numeric", "numeric",
)  # fmt: skip

# FOR SHARE waits for a daemon that is taking the lease at this moment, and then sees its epoch.
INSERT = (
    "WITH held AS (SELECT 1 FROM lease WHERE epoch = $2 FOR SHARE), put AS ("  # noqa: S608 - columns are constants
    f"INSERT INTO intents ({', '.join(COLUMNS)}) SELECT {', '.join(f'${n}::{t}' for n, t in enumerate(TYPES, 1))}"
    " FROM held ON CONFLICT (client_order_id) DO NOTHING RETURNING 1)"
    " SELECT (SELECT count(*) FROM held) AS held, (SELECT count(*) FROM put) AS put"
)
IN_DOUBT = (*UNREACHABLE, asyncpg.PostgresError, StoreUnavailable)
"""After any of these the row may or may not be there."""


class IntentStore:
    """Stores approved intents, each in its own commit."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def commit(self, approved: Approved, *, payload: bytes, epoch: int) -> None:
        """Store one intent durably. Storing the same bytes under the same id again is fine.

        Raises:
            StaleEpoch: another daemon took the lease.
            IntentNotStored: the row is not known to be there; nothing may be sent.
            IntentConflict: the id is stored with other bytes.
        """
        client_order_id = approved.intent.client_order_id
        failpoint("intents.before_transaction")
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX), self._db.order_session() as connection:
                failpoint("intents.inside_transaction")
                answer = await connection.fetchrow(INSERT, *_row(approved, payload, epoch))
        except IN_DOUBT as error:
            await self._believe_read_back(client_order_id, payload, error)
            return
        failpoint("intents.after_transaction")
        assert answer is not None, "the statement has one row"
        if answer["put"] == 1:
            return
        if answer["held"] == 0:
            raise StaleEpoch(epoch)
        await self._believe_read_back(client_order_id, payload, None)

    async def read_payload(self, client_order_id: str) -> bytes | None:
        """The bytes stored under an id, or None.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        async with self._db.session() as connection:
            return await _payload(connection, client_order_id)

    async def _believe_read_back(self, client_order_id: str, payload: bytes, cause: BaseException | None) -> None:
        """The commit's answer was lost, or the id was there already: look, and believe only what is found."""
        failpoint("intents.before_read_back")
        stored = await self._read_back(client_order_id, cause)
        if stored is None:
            raise IntentNotStored(f"{client_order_id}: {type(cause).__name__}, and the row is not there") from cause
        if stored != payload:
            raise IntentConflict(f"{client_order_id} is stored with other bytes than those to be sent")

    async def _read_back(self, client_order_id: str, cause: BaseException | None) -> bytes | None:
        for attempt in range(READ_BACK_ATTEMPTS_MAX):
            try:
                async with asyncio.timeout(COMMIT_SECONDS_MAX), self._db.order_session() as connection:
                    return await _payload(connection, client_order_id)
            except IN_DOUBT as error:
                cause = error
            if attempt + 1 < READ_BACK_ATTEMPTS_MAX:
                await asyncio.sleep(READ_BACK_DELAY_S)
        raise IntentNotStored(f"{client_order_id}: {type(cause).__name__}, and it could not be read back") from cause


def sequence_of(client_order_id: str) -> int | None:
    """The sequence number at the end of one of our ids (base 36), or None where it has none, as a leg's id."""
    prefix, _, last = client_order_id.rpartition("-")
    if not prefix.startswith(f"{PREFIX}-") or not last.isalnum() or not last.isascii() or len(last) > 12:
        return None
    number = int(last, 36)
    return number if number < 2**63 else None


async def _payload(connection: asyncpg.Connection, client_order_id: str) -> bytes | None:
    found = await connection.fetchval("SELECT payload FROM intents WHERE client_order_id = $1", client_order_id)
    return None if found is None else bytes(found)


def _row(approved: Approved, payload: bytes, epoch: int) -> tuple[object, ...]:
    intent = approved.intent
    return (
        intent.client_order_id,
        epoch,
        sequence_of(intent.client_order_id),
        intent.strategy,
        intent.symbol,
        intent.side.value,
        intent.quantity,
        intent.order_type.value,
        intent.limit_price,
        intent.stop_price,
        intent.time_in_force.value,
        intent.reference_price,
        intent.declared_notional_usd,
        to_json(intent.allocations),
        intent.decision_id,
        intent.decided_ns,
        clean(intent.reason),
        approved.limits_version,
        approved.reduces_exposure,
        payload,
        intent.order_class.value,
        intent.stop_loss_price,
        intent.take_profit_price,
    )
