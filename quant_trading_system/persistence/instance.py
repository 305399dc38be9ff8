"""The life of a database: a random token made with it, the account it belongs to, and the latch that is born with it.

Decides whether this database is the one this state directory and this account knew before. A database of another
account or of another life is refused (faults F5, K1): its ids, its books and its latch say nothing about this one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import asyncpg
from msgspec import Struct, structs

from quant_trading_system.core.errors import SafetyRefusal, TemporaryFailure
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.persistence.database import Database, tried_again
from quant_trading_system.persistence.files import write_atomically
from quant_trading_system.persistence.high_water import (
    Damaged,
    HighWater,
    read_high_water,
    why_restored,
    write_high_water,
)
from quant_trading_system.persistence.kill_store import record_action
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.lease_sessions import read_holder

TOKEN_FILE_NAME = "instance"  # noqa: S105 - a name of a file
TOKEN_CHARACTERS = 8
FIND = "SELECT * FROM instance"  # a standby reads it before the schema is of its version
RENEW = "UPDATE instance SET token = $1, former_tokens = $2"
RAISE_EPOCH = "UPDATE lease SET epoch = greatest(epoch, $1) + 1 RETURNING epoch"
NEWEST_SEQUENCE = "SELECT coalesce(max(sequence), 0) FROM intents"
LATEST = 2**63 - 1
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class Instance(Struct, frozen=True, kw_only=True):
    """`token` is part of every client order id. `is_new`: this start made it.

    `former` are the tokens it had before it was restored; `restored` says why it is taken for a restored one, until a
    start got as far as trading.
    """

    token: str
    account: str | None
    mode: str
    is_new: bool
    former: tuple[str, ...] = ()
    restored: str = ""
    raised_epoch: int = 0
    """The lease's epoch after a renewal, above every one that was taken before the restore; 0 where none was made."""

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset((self.token, *self.former))


def new_token() -> str:
    """40 random bits, in characters that Alpaca takes in a client order id."""
    return "".join(secrets.choice(BASE32) for _ in range(TOKEN_CHARACTERS))


async def check_instance(db: Database, *, mode: str, state_folder: Path, has_schema: bool = True) -> Instance | None:
    """The database's instance where it may be used in this mode and from this directory; None where none was made yet.

    Raises:
        SafetyRefusal: the state directory knew another database, or the database belongs to another mode.
        StoreUnavailable: the database does not answer.
        TemporaryFailure: it was restored, and that cannot be written down.
    """
    found = holder = None
    if has_schema:
        async with db.session() as connection:
            found, holder = await connection.fetchrow(FIND), await read_holder(connection)
    mark = _known_mark(state_folder)[0]
    if found is None:
        _compare_token(state_folder, None, mark)
        return None
    instance = _checked(found, mode, state_folder, mark)
    if mark is not None and not mark.suspected:
        epoch = 0 if holder is None else holder.epoch
        why = why_restored(mark, token=instance.token, epoch=epoch, sequence=await newest_sequence(db))
        if why:  # starts that take the lease and die raise the epoch, until it proves nothing any more
            _suspect(state_folder, mark, why)
    return instance


async def open_instance(
    db: Database,
    *,
    mode: str,
    version: str,
    state_folder: Path,
    latch: LatchFile,
    at_ns: int = 0,
    make_token: Callable[[], str] = new_token,
    epoch_before: int = LATEST,
) -> Instance:
    """Read the instance, or make it in an empty database, together with both durable copies of the kill latch.

    A database that was restored gets a new token. `epoch_before` is the lease's before this start took it.

    Raises:
        SafetyRefusal: the state directory knew another database, or the database belongs to another mode.
        StoreUnavailable: the database does not answer.
    """
    async with db.session() as connection:
        found = await connection.fetchrow(FIND)
        if found is None:
            try:
                return await _create(connection, mode, version, state_folder, latch, at_ns, make_token())
            except asyncpg.UniqueViolationError:  # another daemon was faster; the lease decides between the two
                found = await connection.fetchrow(FIND)
    assert found is not None, "somebody made it"
    mark, problem = _known_mark(state_folder)
    instance = _checked(found, mode, state_folder, mark)
    if mark is not None:
        sequence = await newest_sequence(db)
        problem = mark.suspected or why_restored(mark, token=instance.token, epoch=epoch_before, sequence=sequence)
    if problem:
        return await renew_instance(db, instance, problem, state_folder=state_folder, token=make_token())
    write_token(state_folder, instance.token)
    return instance if mark is None else structs.replace(instance, restored=mark.restored)


async def newest_sequence(db: Database) -> int:
    """The number of the newest intent that was committed, 0 before the first.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    async with db.session() as connection:
        return int(await connection.fetchval(NEWEST_SEQUENCE))


async def renew_instance(db: Database, instance: Instance, reason: str, *, state_folder: Path, token: str) -> Instance:
    """Give a restored database a new token, so that no id it gives out was given out before (invariant I3).

    The old ones stay known: orders under them are this database's. Done twice it costs a token and nothing else.
    """
    mark, _ = _known_mark(state_folder)
    known = frozenset() if mark is None else frozenset((mark.token, *mark.former))
    former = tuple(sorted((instance.tokens | known) - {token}))
    async with db.session() as connection, connection.transaction():
        await connection.execute(RENEW, token, " ".join(former))
        floor = 0 if mark is None else mark.epoch
        raised = await connection.fetchval(RAISE_EPOCH, floor)
        await record_action(connection, "", "new instance token", f"the database was restored: {reason}")
        failpoint("instance.before_renewal")
    failpoint("instance.after_renewal")
    write_token(state_folder, token)
    # From here on the database is the newest there is; guards that it does not know stand until a start took them over.
    guards = None if mark is None else mark.guards
    write_high_water(state_folder, HighWater(token=token, former=former, epoch=floor, guards=guards, restored=reason))
    failpoint("instance.after_renewed_mark")
    return structs.replace(instance, token=token, former=former, restored=reason, raised_epoch=raised or 0)


def _suspect(state_folder: Path, mark: HighWater, why: str) -> None:
    """Remember it before the lease is taken: where that fails no start may destroy the proof."""
    try:
        write_high_water(state_folder, structs.replace(mark, suspected=why))
    except OSError as error:
        raise TemporaryFailure(
            f"the database was restored ({why}), and {state_folder} cannot remember that: {error}",
            fix="make room on its disk and start again",
        ) from error


def _known_mark(state_folder: Path) -> tuple[HighWater | None, str]:
    """How far this directory saw its database come, and why that cannot be known."""
    try:
        return read_high_water(state_folder), ""
    except Damaged as error:
        return None, str(error)


def _checked(found: asyncpg.Record, mode: str, state_folder: Path, mark: HighWater | None) -> Instance:
    instance = Instance(
        token=found["token"],
        account=found["account"],
        mode=found["mode"],
        is_new=False,
        former=tuple((found.get("former_tokens") or "").split()),
    )
    if instance.mode != mode:
        raise SafetyRefusal(
            f"this database was made in mode {instance.mode}, and the mode is {mode}",
            fix=f"use a database of its own for {mode} (database.url or --state-dir)",
        )
    _compare_token(state_folder, instance, mark)
    return instance


async def bind_account(db: Database, account: str) -> None:
    """Tie the database to the broker's account at first sight; afterwards refuse every other.

    Raises:
        SafetyRefusal: it belongs to another account.
    """
    bound = await tried_again(lambda: _bind(db, account))
    assert bound is not None, "the instance is made before an account is bound"
    if bound != account:
        raise SafetyRefusal(
            f"this database belongs to account {mask(bound)}, and the broker reports account {mask(account)}",
            fix="give this account a database of its own (database.url or --state-dir), or use the keys of the other",
        )


async def _bind(db: Database, account: str) -> str | None:
    async with db.session() as connection:
        bound: str | None = await connection.fetchval(
            "UPDATE instance SET account = coalesce(account, $1) RETURNING account", account
        )
    return bound


def mask(account: str) -> str:
    """The last four characters: enough to tell two accounts apart, too little to be worth stealing."""
    return "…" + account[-4:] if len(account) > 4 else account


def read_token(state_folder: Path) -> str | None:
    """The token of the database this state directory last worked with, or None.

    Raises:
        SafetyRefusal: the file is damaged. It is written whole or not at all, so somebody else did that.
    """
    path = state_folder / TOKEN_FILE_NAME
    try:
        token = path.read_bytes().strip().decode("ascii", errors="replace")
    except FileNotFoundError:
        return None
    if len(token) == TOKEN_CHARACTERS and set(token) <= set(BASE32):
        return token
    raise SafetyRefusal(
        f"{path} is damaged: expected the {TOKEN_CHARACTERS} characters that name the database of this directory",
        fix="restore the file; remove it only when you know that database.url is the database used here before",
    )


def write_token(state_folder: Path, token: str) -> None:
    """Remember the token, durably and at once."""
    if read_token(state_folder) == token:
        return
    write_atomically(state_folder / TOKEN_FILE_NAME, f"{token}\n".encode("ascii"))


async def _create(
    connection: asyncpg.Connection,
    mode: str,
    version: str,
    state_folder: Path,
    latch: LatchFile,
    at_ns: int,
    token: str,
) -> Instance:
    _compare_token(state_folder, None, _known_mark(state_folder)[0])
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO instance (token, mode, created_by) VALUES ($1, $2, $3)", token, mode, version
        )
        await connection.execute(
            "INSERT INTO kill (latch, operator, reason) VALUES ('CLEAR', '', 'new database instance')"
        )
        # Before the commit: a crash in between leaves an empty database, and the next start does the same again.
        failpoint("instance.before_latch")
        latch.initialise(at_ns=at_ns)
        failpoint("instance.before_commit")
    failpoint("instance.before_token")
    write_token(state_folder, token)
    failpoint("instance.after_token")
    return Instance(token=token, account=None, mode=mode, is_new=True)


def _compare_token(state_folder: Path, found: Instance | None, mark: HighWater | None) -> None:
    """Refuse another database than the one this directory knows, under whichever of its tokens either remembers."""
    known = read_token(state_folder)
    if known is None:
        known = None if mark is None else mark.token
    if known is None or (found is not None and known in found.tokens):
        return
    if found is not None and mark is not None and known == mark.token and found.tokens & frozenset(mark.former):
        return
    what = "is empty" if found is None else f"is instance {found.token}"
    raise SafetyRefusal(
        f"{state_folder} has traded with database instance {known}, but this database {what}",
        fix="point database.url at the database this state directory knows or restore it; for a new life, use another "
        "--state-dir",
    )
