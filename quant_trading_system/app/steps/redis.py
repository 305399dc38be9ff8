"""Step 4: Redis reachable or started, live state published, the kill mirror readable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from quant_trading_system.app.kill_latch import KILL_FILE, KillLatch
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.supervisor import RESTARTABLE
from quant_trading_system.core.errors import TemporaryFailure
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import Store
from quant_trading_system.persistence.embedded import EmbeddedValkey
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.kill_store import KillStore

TASKS_STOP_SECONDS_MAX = 1.0


@asynccontextmanager
async def redis(parts: Parts) -> AsyncIterator[str]:
    """Connect, and read the three copies of the kill latch; a missing mirror is filled again."""
    async with AsyncExitStack() as stack:
        url, where = await _address(parts, stack)
        parts.redis = parts.edge.make_redis(
            url,
            prefix=f"qts:{parts.instance.token}",
            on_health=lambda is_up, detail: _tell(parts, is_up, detail),
            wait_allowed=lambda: parts.healer.wait_reopening(Store.REDIS, "it answers again"),
            pulse=parts.supervisor.pulse("redis-watch"),
        )
        stack.push_async_callback(parts.redis.close)
        try:
            await parts.redis.connect()
        except StoreUnavailable as error:
            raise TemporaryFailure(f"Redis does not answer: {error.detail}", fix="check redis.url") from error
        parts.latch = KillLatch(
            file=parts.latch_file,
            touched=parts.state_dir / KILL_FILE,
            rows=KillStore(parts.database),
            redis=parts.redis,
            inbox=parts.inbox,
            clock=parts.clock,
            refusal_to_clear=lambda: None if parts.lease.is_held else "the single-writer lease is not held",
            period_s=parts.edge.periods.latch_s,
            read_period_s=parts.edge.periods.latch_read_s,
        )
        latches = await parts.latch.read_all()
        stack.push_async_callback(parts.supervisor.stop, "redis", timeout_s=TASKS_STOP_SECONDS_MAX)
        parts.supervisor.start("redis-watch", parts.redis.run, owner="redis", **RESTARTABLE)
        said = ", ".join(f"{store.value} {latch.value}" for store, latch in latches.items())
        failpoint("step.redis.entered")
        yield f"{where} · kill latch: {said}"
    failpoint("step.redis.left")


def _tell(parts: Parts, is_up: bool, detail: str) -> None:
    """Redis counts as up again once its mirror of the kill latch was read back, and filled where it was empty."""
    if is_up:
        parts.healer.note_reopened(Store.REDIS, "it answers, and its mirror is filled")
        parts.latch.wake()
    else:
        parts.tell_store(Store.REDIS, False, detail)


def _note_down(parts: Parts, detail: str) -> None:
    if getattr(parts, "redis", None) is None:
        parts.tell_store(Store.REDIS, False, detail)  # it died before anybody was connected to it
    else:
        parts.redis.note_down(detail)


async def _address(parts: Parts, stack: AsyncExitStack) -> tuple[str, str]:
    url = parts.settings.redis.url
    if url is not None:
        return url.get_secret_value(), "Redis by URL"
    server = EmbeddedValkey(parts.state_dir / "valkey")
    address = await server.start()
    stack.push_async_callback(server.stop)
    parts.supervisor.start(
        "embedded-valkey",
        lambda: server.supervise(
            on_down=lambda detail: _note_down(parts, detail),
            on_up=lambda: None,  # counts only once the mirror is filled again, which `redis-watch` sees to
            wait_allowed=lambda detail: parts.healer.wait_server_restart(Store.REDIS, detail),
            on_failed=lambda detail: parts.healer.note_not_reopened(Store.REDIS, detail),
        ),
        owner="redis",
    )
    return address, "Valkey embedded"
