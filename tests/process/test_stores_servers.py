"""Embedded servers: start, stop, die, come back, and never two on one folder."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal, TemporaryFailure
from quant_trading_system.persistence.embedded import EmbeddedPostgres, EmbeddedValkey, running_postgres
from quant_trading_system.persistence.processes import is_alive
from quant_trading_system.persistence.server_process import EmbeddedServer
from tests.support.stores import kill

HOLDER = """
import asyncio, sys
from pathlib import Path
from quant_trading_system.persistence.embedded import EmbeddedPostgres, EmbeddedValkey

async def main():
    for kind in (EmbeddedPostgres, EmbeddedValkey):
        server = kind(Path(sys.argv[1]) / kind.__name__)
        print(await server.start(), server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
KINDS = pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])


@KINDS
def test_a_later_start_is_quick(kind: type[EmbeddedPostgres], server_folder: Path):
    async def script() -> float:
        await once(kind(server_folder / "s"))
        took_s = []
        for _ in range(3):
            started = time.monotonic()
            await once(kind(server_folder / "s"))
            took_s.append(time.monotonic() - started)
        return min(took_s)

    assert asyncio.run(script()) < 2.0  # 0.05 s for start and stop on an idle machine


@KINDS
def test_a_folder_has_one_owner(kind: type[EmbeddedPostgres], server_folder: Path):
    async def script() -> None:
        first = kind(server_folder / "s")
        await first.start()
        with pytest.raises(SafetyRefusal) as caught:
            await kind(server_folder / "s").start()
        assert f"pid {os.getpid()}" in caught.value.message
        await first.stop()
        await once(kind(server_folder / "s"))

    asyncio.run(script())


@KINDS
@pytest.mark.fault("F5")
def test_a_killed_server_is_started_again_and_its_fall_is_told(kind: type[EmbeddedPostgres], server_folder: Path):
    async def script() -> list[str]:
        told: list[str] = []
        server = kind(server_folder / "s")
        await server.start()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(server.supervise(told.append, lambda: told.append("up")))
            kill(server)
            while "up" not in told:
                await asyncio.sleep(0.02)
            watching.cancel()
        assert server.pid is not None
        await server.stop()
        return told

    assert asyncio.run(script()) == [f"{kind.name} ended (signal SIGKILL)", "up"]


def test_the_fourth_death_in_five_minutes_ends_the_daemon_with_75(server_folder: Path):
    async def script() -> TemporaryFailure:
        server = EmbeddedValkey(server_folder / "s")
        await server.start()
        ups: list[int] = []

        def up() -> None:
            ups.append(1)
            kill(server)

        kill(server)
        with pytest.raises(TemporaryFailure, match="died 4 times") as caught:
            await server.supervise(lambda _detail: None, up)
        assert len(ups) == 3
        await server.stop()
        return caught.value

    assert asyncio.run(script()).exit_code is ExitCode.TEMPORARY


@pytest.mark.fault("F3")
def test_a_server_that_is_killed_while_it_starts_again_is_started_once_more(server_folder: Path):
    async def script() -> None:
        server = EmbeddedPostgres(server_folder / "s")
        await server.start()
        told: list[str] = []
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(server.supervise(told.append, lambda: told.append("up")))
            first = server.pid
            kill(server)
            while server.pid in (first, None):
                await asyncio.sleep(0)
            kill(server)
            while "up" not in told:
                await asyncio.sleep(0.02)
            watching.cancel()
        assert told == ["PostgreSQL ended (signal SIGKILL)", "up"]
        await server.stop()

    asyncio.run(script())


@pytest.mark.fault("F1")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("is_frozen", [False, True], ids=["alive", "frozen"])
def test_servers_end_with_a_killed_daemon_and_start_again_with_their_data(server_folder: Path, is_frozen: bool):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(server_folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    lines = [holder.stdout.readline().split() for _ in range(2)]
    dsn, pids = lines[0][0], [int(line[1]) for line in lines]
    asyncio.run(execute(dsn, "CREATE TABLE kept (x int)"))
    if is_frozen:  # they cannot hear that their parent died; the next start has to end them
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    holder.kill()
    holder.wait()
    give_up_s = time.monotonic() + 10
    while not is_frozen and any(is_alive(pid) for pid in pids):
        assert time.monotonic() < give_up_s, "they outlive the daemon"
        time.sleep(0.02)

    async def script() -> None:
        server, valkey = (kind(server_folder / kind.__name__) for kind in (EmbeddedPostgres, EmbeddedValkey))
        await server.start()
        await valkey.start()
        assert not any(is_alive(pid) for pid in pids)
        await execute(dsn, "INSERT INTO kept VALUES (1)")
        await valkey.stop()
        await server.stop()

    asyncio.run(script())


def test_a_lock_file_with_the_pid_of_a_stranger_does_not_stop_the_start(server_folder: Path):
    async def script() -> None:
        server = EmbeddedPostgres(server_folder / "s")
        await server.start()
        lock_file = server_folder / "s" / "data" / "postmaster.pid"
        before = lock_file.read_text()
        kill(server)
        await server.wait_died()
        await server.stop()
        stranger = a_stranger(server)
        lock_file.write_text(before.replace(before.splitlines()[0], str(stranger.pid), 1))
        await once(EmbeddedPostgres(server_folder / "s"))
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()

    asyncio.run(script())


def test_a_server_of_another_version_is_refused_with_what_to_do(server_folder: Path):
    async def script() -> None:
        await once(EmbeddedPostgres(server_folder / "s"))
        (server_folder / "s" / "data" / "PG_VERSION").write_text("16\n")
        with pytest.raises(OperatorError, match="was made by PostgreSQL 16") as caught:
            await EmbeddedPostgres(server_folder / "s").start()
        assert caught.value.exit_code is ExitCode.CONFIGURATION

    asyncio.run(script())


def test_a_start_that_fails_shows_the_end_of_the_log(server_folder: Path):
    async def script() -> None:
        await once(EmbeddedPostgres(server_folder / "s"))
        (server_folder / "s" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
        with pytest.raises(OperatorError, match="no_such_setting"):
            await EmbeddedPostgres(server_folder / "s").start()

    asyncio.run(script())


def test_a_half_made_cluster_is_made_anew(server_folder: Path):
    async def script() -> None:
        half = server_folder / "s" / "data.part"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        await once(EmbeddedPostgres(server_folder / "s"))
        assert not half.exists()

    asyncio.run(script())


def test_a_log_that_grew_too_long_is_emptied(server_folder: Path):
    async def script() -> None:
        server = EmbeddedValkey(server_folder / "s")
        await once(server)
        server.log_path.write_bytes(bytes(6 * 1024 * 1024))
        await once(server)
        assert server.log_path.stat().st_size < 100_000

    asyncio.run(script())


@pytest.mark.requirement("R016")
def test_nothing_listens_on_a_network_and_no_secret_is_inherited(server_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALPACA_SECRET_KEY", "canary-of-the-test")

    async def script() -> None:
        server, valkey = EmbeddedPostgres(server_folder / "p"), EmbeddedValkey(server_folder / "v")
        await server.start()
        await valkey.start()
        for process in (server, valkey):
            environment = environment_of(process)
            assert b"canary-of-the-test" not in environment
            assert listening_inodes() & socket_inodes(process) == set()
        await valkey.stop()
        await server.stop()

    asyncio.run(script())


def test_a_long_state_directory_still_gets_a_socket(server_folder: Path):
    async def script() -> None:
        for server in (EmbeddedValkey(server_folder / ("x" * 120)), EmbeddedPostgres(server_folder / ("y" * 120))):
            await server.start()
            assert server.sockets != server.folder
            await server.stop()
            assert not server.sockets.exists()

    asyncio.run(script())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to lend its servers another account")
def test_as_root_a_closed_parent_is_refused_with_exit_4_and_stays_closed(server_folder: Path):
    closed = server_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(OperatorError) as caught:
        asyncio.run(EmbeddedPostgres(closed / "state" / "postgres").start())
    assert caught.value.exit_code is ExitCode.CONFIGURATION
    assert str(closed) in caught.value.message
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_command_line_borrows_the_daemons_server_or_starts_its_own(server_folder: Path):
    async def script() -> None:
        folder = server_folder / "s"
        async with running_postgres(folder) as url:
            await execute(url, "SELECT 1")
            async with running_postgres(folder) as same:
                assert same == url
            await execute(url, "SELECT 1")
        with pytest.raises(OSError, match=r"such file|refused"):
            await execute(url, "SELECT 1")

    asyncio.run(script())


@pytest.mark.requirement("R034")
def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(server_folder: Path):
    async def script() -> None:
        server = EmbeddedValkey(server_folder / "s")
        await server.start()
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getpgid(server.pid) != os.getpgid(0)
        await server.stop()

    asyncio.run(script())


async def once(server: EmbeddedServer) -> None:
    await server.start()
    await server.stop()


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def a_stranger(server: EmbeddedServer) -> subprocess.Popen[bytes]:
    """A process of the servers' account that has nothing to do with them."""
    uid = server.account.uid if server.account is not None else None
    return subprocess.Popen(["sleep", "60"], cwd="/", user=uid)


def listening_inodes() -> set[str]:
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A"}


def socket_inodes(server: EmbeddedServer) -> set[str]:
    targets = [os.readlink(path) for path in Path(f"/proc/{server.pid}/fd").iterdir()]
    return {target.removeprefix("socket:[").rstrip("]") for target in targets if target.startswith("socket:")}


def environment_of(server: EmbeddedServer) -> bytes:
    return Path(f"/proc/{server.pid}/environ").read_bytes()
