"""Migrations on a real PostgreSQL, the instance made with the schema, the kill row, and the verbs of `db`."""

from __future__ import annotations

import asyncio
import errno
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal, TemporaryFailure
from quant_trading_system.core.types import Latch
from quant_trading_system.persistence import instance, schema
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.high_water import HighWater, read_high_water, write_high_water
from quant_trading_system.persistence.instance import Instance, bind_account, open_instance, read_token
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.limits_store import read_limits, record_limits
from tests.support.stores import Servers, connected, on_database, query


@pytest.mark.requirement("R158")
def test_an_empty_database_is_brought_to_head_and_is_exactly_the_schema(servers: Servers):
    async def script(dsn: str) -> None:
        assert await schema.current(dsn) is None
        assert "no schema yet" in (await schema.check(dsn))[0]
        assert await schema.upgrade(dsn) is None
        assert await schema.current(dsn) == schema.head()
        assert await schema.check(dsn) == []
        assert await schema.upgrade(dsn) == schema.head()

    asyncio.run(script(servers.empty_database()))


def test_two_that_migrate_at_once_do_it_once(servers: Servers):
    async def script(dsn: str) -> None:
        await asyncio.gather(*(schema.upgrade(dsn) for _ in range(4)))
        assert await schema.check(dsn) == []

    asyncio.run(script(servers.empty_database()))


@pytest.mark.fault("F13")
def test_a_newer_schema_than_the_code_is_refused_politely(dsn: str):
    async def script(db: Database) -> None:
        await query(db, "UPDATE alembic_version SET version_num = 'r20990101_0001_future'")
        with pytest.raises(OperatorError, match="r20990101_0001_future, which this version does not know") as caught:
            await schema.upgrade(dsn)
        assert caught.value.exit_code is ExitCode.CONFIGURATION
        assert "newer version" in caught.value.fix
        assert await schema.current(dsn) == "r20990101_0001_future"

    on_database(dsn, script)


@pytest.mark.requirement("R158")
def test_a_difference_from_the_schema_is_named(dsn: str):
    async def script(db: Database) -> None:
        await query(db, "ALTER TABLE intents DROP COLUMN payload")
        await query(db, "DROP INDEX ix_orders_open")
        found = "\n".join(await schema.check(dsn))
        assert "payload" in found
        assert "ix_orders_open" in found

    on_database(dsn, script)


@pytest.mark.fault("F13")
def test_a_migration_that_dies_half_way_leaves_nothing(servers: Servers):
    async def script(dsn: str) -> None:
        async with connected(dsn) as db:
            await query(db, "CREATE TABLE positions (x int)")  # the migration stumbles over it
            with pytest.raises(Exception, match="positions"):
                await schema.upgrade(dsn)
            assert await schema.current(dsn) is None
            tables = await query(db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            assert tables == [{"tablename": "positions"}]
            await query(db, "DROP TABLE positions")
            await schema.upgrade(dsn)
            assert await schema.check(dsn) == []

    asyncio.run(script(servers.empty_database()))


async def opened(db: Database, folder: Path, *, mode: str = "sim") -> Instance:
    return await open_instance(db, mode=mode, version="0", state_folder=folder, latch=LatchFile(folder / "kill.latch"))


@pytest.mark.invariant("I3")
@pytest.mark.invariant("I10")
def test_a_new_instance_has_a_token_and_both_durable_latches_are_clear(dsn: str, tmp_path: Path):
    async def script(db: Database) -> None:
        assert (await KillStore(db).read())[0] is Latch.MISSING
        made = await opened(db, tmp_path)
        assert made.is_new
        assert len(made.token) == 8
        assert read_token(tmp_path) == made.token
        assert (await KillStore(db).read())[0] is Latch.CLEAR
        assert LatchFile(tmp_path / "kill.latch").read()[0] is Latch.CLEAR
        again = await opened(db, tmp_path)
        assert (again.token, again.is_new) == (made.token, False)

    on_database(dsn, script)


@pytest.mark.fault("E11")
def test_a_latch_file_that_was_lost_is_not_written_clear_again(dsn: str, tmp_path: Path):
    async def script(db: Database) -> None:
        await opened(db, tmp_path)
        (tmp_path / "kill.latch").unlink()
        await opened(db, tmp_path)
        assert LatchFile(tmp_path / "kill.latch").read()[0] is Latch.MISSING

    on_database(dsn, script)


@pytest.mark.fault("F5")
def test_an_empty_database_under_a_state_directory_that_traded_is_refused(servers: Servers, dsn: str, tmp_path: Path):
    async def script() -> None:
        async with connected(dsn) as db:
            await opened(db, tmp_path)
        async with connected(other) as db:
            with pytest.raises(SafetyRefusal, match="this database is empty") as caught:
                await opened(db, tmp_path)
            assert caught.value.exit_code is ExitCode.SAFETY
            assert await query(db, "SELECT * FROM instance") == []
            await opened(db, tmp_path / "another")
            with pytest.raises(SafetyRefusal, match="but this database is instance"):
                await opened(db, tmp_path)

    (tmp_path / "another").mkdir()
    other = servers.new_database()
    asyncio.run(script())


@pytest.mark.fault("F13")
@pytest.mark.fault("F8")
def test_a_restored_database_is_let_be_while_a_full_disk_cannot_remember_that_it_was(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The lease that a start takes next raises the epoch, which is the proof."""

    def is_full(_folder: Path, _mark: HighWater) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    async def script(db: Database) -> None:
        made = await opened(db, tmp_path)
        write_high_water(tmp_path, HighWater(token=made.token, epoch=9))
        with monkeypatch.context() as full:
            full.setattr(instance, "write_high_water", is_full)
            with pytest.raises(TemporaryFailure, match="cannot remember that") as caught:
                await instance.check_instance(db, mode="sim", state_folder=tmp_path, has_schema=True)
        assert caught.value.exit_code is ExitCode.TEMPORARY
        await instance.check_instance(db, mode="sim", state_folder=tmp_path, has_schema=True)
        mark = read_high_water(tmp_path)
        assert mark is not None
        assert mark.suspected == "its lease is of epoch 0, this directory led with epoch 9"

    on_database(dsn, script)


@pytest.mark.fault("K1")
def test_a_database_belongs_to_one_account_and_one_mode(dsn: str, tmp_path: Path):
    async def script(db: Database) -> None:
        await opened(db, tmp_path)
        await bind_account(db, "PA1111222233")
        await bind_account(db, "PA1111222233")
        with pytest.raises(SafetyRefusal) as caught:
            await bind_account(db, "PA9999888877")
        assert "…2233" in caught.value.message
        assert "PA1111222233" not in caught.value.message
        with pytest.raises(SafetyRefusal, match="mode sim, and the mode is live"):
            await opened(db, tmp_path, mode="live")

    on_database(dsn, script)


@pytest.mark.requirement("R051")
def test_every_change_of_the_kill_row_is_kept_with_who_and_why(dsn: str, tmp_path: Path):
    async def script(db: Database) -> None:
        await opened(db, tmp_path)
        kill = KillStore(db)
        await kill.engage("ana", "runaway")
        assert await kill.read() == (Latch.ENGAGED, "ana: runaway")
        await kill.clear("ben", "reconciled")
        history = await kill.history()
        assert [(line["operator"], line["action"], line["reason"]) for line in history] == [
            ("ben", "kill latch CLEAR", "reconciled"),
            ("ana", "kill latch ENGAGED", "runaway"),
        ]
        await query(db, "DELETE FROM kill")
        assert (await kill.read())[0] is Latch.MISSING
        await kill.engage("ana", "row lost")
        assert (await kill.read())[0] is Latch.ENGAGED

    on_database(dsn, script)


def test_a_set_of_limits_is_kept_as_it_was_first_seen(dsn: str):
    async def script(db: Database) -> None:
        await record_limits(db, version="v1", content=b'{"order_value_usd": "15000"}')
        await record_limits(db, version="v1", content=b'{"order_value_usd": "99999"}')
        stored = await read_limits(db, "v1")
        assert stored is not None
        assert json.loads(stored) == {"order_value_usd": "15000"}
        assert await read_limits(db, "v2") is None

    on_database(dsn, script)


def test_the_database_says_whether_it_takes_writes(dsn: str):
    async def script(db: Database) -> None:
        assert await db.is_writable()
        assert (await db.health())["fsync"] == "on"
        async with db.session() as connection:
            await connection.execute(
                "ALTER DATABASE " + dsn.split("/")[3].split("?")[0] + " SET default_transaction_read_only = on"
            )
        await db.close()
        await db.connect()
        assert not await db.is_writable()

    on_database(dsn, script)


def db_verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quant_trading_system.cli", "db", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.requirement("R158")
def test_the_verbs_of_db_make_show_and_check_the_embedded_database(server_folder: Path):
    place = ("--state-dir", str(server_folder / "state"))
    missing = db_verb("current", *place)
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "no database" in missing.stderr
    made = db_verb("upgrade", *place)
    assert (made.returncode, made.stdout) == (0, f"schema none -> {schema.head()}\n")
    assert db_verb("current", *place).stdout == f"{schema.head()} (head)\n"
    checked = db_verb("check", "--json", *place)
    assert (checked.returncode, json.loads(checked.stdout)) == (0, {"ok": True, "current": schema.head()})


def test_db_check_ends_with_4_and_names_what_differs(dsn: str):
    on_database(dsn, lambda db: query(db, "ALTER TABLE orders DROP COLUMN reason"))
    refused = db_verb("check", "--url", dsn)
    assert refused.returncode == 4
    assert "reason" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("mysql://u:geheim@h/d", 4, "expected the scheme postgresql"),
        ("postgresql://u:geheim@127.0.0.1:1/d", 75, "ConnectionRefusedError"),
        ("postgresql://u:geheim@/d?host=/nowhere", 75, "database: "),
    ],
)
def test_a_wrong_or_dead_database_is_said_in_one_line(url: str, code: int, says: str):
    started = time.monotonic()
    refused = db_verb("current", "--url", url)
    assert refused.returncode == code
    assert says in refused.stderr
    assert "geheim" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert time.monotonic() - started < 15
