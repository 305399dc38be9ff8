"""Redis on a real Valkey: quick when up, quick to say that it is down, never the authority, refilled after a return."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis

from quant_trading_system.core.errors import ConfigurationError
from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.embedded import EmbeddedValkey
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.redis_state import RedisState
from tests.support.stores import Servers, kill


def on_redis(servers: Servers, script: Callable[[RedisState, redis.Redis], Awaitable[None]]) -> None:
    async def run() -> None:
        state = RedisState(servers.valkey.url, prefix="t")
        await state.connect()
        direct = redis.Redis(unix_socket_path=str(servers.valkey.socket_path))
        direct.flushall()
        try:
            await script(state, direct)
        finally:
            direct.close()
            await state.close()

    asyncio.run(run())


def test_snapshot_heartbeat_and_events_are_there_for_others(servers: Servers):
    async def script(state: RedisState, direct: redis.Redis) -> None:
        listener = direct.pubsub()
        listener.subscribe("t:events")
        listener.get_message(timeout=1.0)
        assert await state.write_snapshot(b"picture")
        assert await state.heartbeat(123)
        assert await state.publish("events", b"hello")
        assert direct.get("t:snapshot") == b"picture"
        assert direct.get("t:heartbeat") == b"123"
        assert 0 < int(direct.ttl("t:heartbeat")) <= 30
        message = listener.get_message(timeout=1.0)
        assert message is not None
        assert message["data"] == b"hello"
        listener.close()

    on_redis(servers, script)


@pytest.mark.requirement("R057")
def test_the_mirror_says_what_was_written_and_missing_when_it_was_flushed(servers: Servers):
    async def script(state: RedisState, direct: redis.Redis) -> None:
        assert (await state.read_latch())[0] is Latch.MISSING
        await state.write_latch(Latch.ENGAGED, "runaway")
        assert await state.read_latch() == (Latch.ENGAGED, "runaway")
        await state.write_latch(Latch.CLEAR)
        assert (await state.read_latch())[0] is Latch.CLEAR
        direct.flushall()
        assert (await state.read_latch())[0] is Latch.MISSING

    on_redis(servers, script)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("planted", [b"", b"CLEAR", b'{"latch":"OPEN"}', b'{"latch":"MISSING"}', b"\xff\xfe"])
def test_a_damaged_mirror_is_unreadable_never_clear(servers: Servers, planted: bytes):
    async def script(state: RedisState, direct: redis.Redis) -> None:
        direct.set("t:latch", planted)
        assert (await state.read_latch())[0] is Latch.UNREADABLE

    on_redis(servers, script)


@pytest.mark.fault("F7")
def test_a_mirror_of_the_wrong_type_is_unreadable(servers: Servers):
    async def script(state: RedisState, direct: redis.Redis) -> None:
        direct.lpush("t:latch", "CLEAR")
        assert (await state.read_latch())[0] is Latch.UNREADABLE

    on_redis(servers, script)


@pytest.mark.fault("F7")
def test_a_frozen_server_costs_half_a_second_not_a_minute(server_folder: Path):
    async def script() -> None:
        server = EmbeddedValkey(server_folder / "s")
        await server.start()
        state = RedisState(server.url)
        await state.connect()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert not await state.write_snapshot(b"x")
        assert (await state.read_latch())[0] is Latch.UNREADABLE
        assert time.monotonic() - started < 10.0  # two limits of half a second, on a machine that does much else
        with pytest.raises(StoreUnavailable, match="redis"):
            await state.write_latch(Latch.ENGAGED)
        os.kill(server.pid, signal.SIGCONT)
        assert await state.ping()
        await state.close()
        await server.stop()

    asyncio.run(script())


@pytest.mark.fault("F7")
@pytest.mark.timeout(30)
def test_after_a_restart_the_snapshot_is_put_back_and_the_return_is_told(server_folder: Path):
    async def script() -> None:
        server = EmbeddedValkey(server_folder / "s")
        await server.start()
        told: list[bool] = []
        state = RedisState(server.url, on_health=lambda up, _detail: told.append(up))
        await state.connect()
        await state.write_snapshot(b"picture")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(state.run())
            await asyncio.sleep(0.1)
            kill(server)
            await server.wait_died()
            while told != [False]:
                await asyncio.sleep(0.02)
            supervising = group.create_task(server.supervise(lambda _detail: None, lambda: None))
            while told != [False, True]:
                await asyncio.sleep(0.02)
            assert await state.read_snapshot() == b"picture"
            assert (await state.read_latch())[0] is Latch.MISSING
            watching.cancel()
            supervising.cancel()
        await state.close()
        await server.stop()

    asyncio.run(script())


def test_a_server_that_is_not_there_is_said_so_at_once(server_folder: Path):
    async def script() -> None:
        state = RedisState(f"unix://{server_folder}/nothing.sock")
        with pytest.raises(StoreUnavailable, match="redis"):
            await state.connect()
        assert not await state.publish("events", b"x")
        await state.close()

    asyncio.run(script())


def test_an_oversized_snapshot_is_refused_not_sent(servers: Servers):
    async def script(state: RedisState, direct: redis.Redis) -> None:
        assert not await state.write_snapshot(bytes(5 * 1024 * 1024))
        assert direct.get("t:snapshot") is None

    on_redis(servers, script)


def test_a_url_of_another_kind_is_refused():
    with pytest.raises(ConfigurationError, match=r"redis\.url"):
        RedisState("http://localhost")
