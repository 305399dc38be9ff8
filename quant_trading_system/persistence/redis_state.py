"""Live state in Redis (or Valkey): snapshot, events, heartbeat, and a mirror of the kill latch. Never the authority.

Decides how long the hot path waits for it: a quarter of a second, once. redis-py's defaults (five seconds and ten
retries) would hold a dead server's callers for a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from quant_trading_system.core.errors import ConfigurationError
from quant_trading_system.core.pulse import Pulse, no_pulse
from quant_trading_system.core.types import Latch, Store
from quant_trading_system.persistence.errors import StoreUnavailable

SCHEMES = ("redis://", "rediss://", "unix://")
ANSWER_SECONDS_MAX = 0.25
CONNECTIONS_MAX = 8
PROBE_PERIOD_S = 1.0
HEARTBEAT_SECONDS_MAX = 30  # a heartbeat older than this is gone
SNAPSHOT_BYTES_MAX = 4 * 1024 * 1024
REASON_CHARACTERS_MAX = 500

Answer = TypeVar("Answer")
OnHealth = Callable[[bool, str], None]


async def _at_once() -> None:
    """Nobody counts how often it is used again."""


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """The latch as Redis holds it."""

    latch: Latch
    reason: str = ""


def _client(url: str) -> redis.Redis:
    """A client of this URL; nothing is connected yet.

    Raises:
        ConfigurationError: it is no Redis URL.
    """
    problem = f"expected one of {', '.join(SCHEMES)}"
    try:
        if url.startswith(SCHEMES):
            return redis.Redis.from_url(
                url,
                socket_timeout=ANSWER_SECONDS_MAX,
                socket_connect_timeout=ANSWER_SECONDS_MAX,
                retry=Retry(NoBackoff(), 0),
                max_connections=CONNECTIONS_MAX,
                protocol=2,
            )
    except ValueError as error:
        problem = f"not a URL ({error})"
    raise ConfigurationError([f"redis.url: {problem}"], fix="write redis://HOST:PORT/0 or unix:///SOCKET")


class RedisState:
    """One client for everything that must answer at once. `run` watches it, and puts back what a restart lost."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "qts",
        on_health: OnHealth = lambda _up, _detail: None,
        wait_allowed: Callable[[], Awaitable[None]] = _at_once,
        make_client: Callable[[str], Any] = _client,
        probe_period_s: float = PROBE_PERIOD_S,
        pulse: Pulse = no_pulse,
    ) -> None:
        self._pulse = pulse
        self._client = make_client(url)
        self._probe_period_s = probe_period_s
        self._prefix = prefix
        self._on_health = on_health
        self._wait_allowed = wait_allowed
        self._snapshot: bytes | None = None
        self.is_up = False
        self.last_error = "not connected yet"

    async def connect(self) -> None:
        """Find out whether the server answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self._ask(self._client.ping())
        self.is_up = True

    async def close(self) -> None:
        """Give the connections back; a server that is gone is no error any more."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._client.aclose()
        except (RedisError, OSError, TimeoutError) as error:
            self.last_error = str(error)

    def note_down(self, detail: str) -> None:
        """Its server died, as whoever started it says: what it held is gone, however soon it answers again."""
        self.last_error = detail
        self._set_health(False)

    async def ping(self) -> bool:
        """Whether it answers now."""
        return await self._try(self._client.ping())

    async def write_snapshot(self, snapshot: bytes) -> bool:
        """Replace the live snapshot. Kept here too, so that it can be put back after Redis returned."""
        if len(snapshot) > SNAPSHOT_BYTES_MAX:
            self.last_error = f"a snapshot of {len(snapshot)} bytes, limit {SNAPSHOT_BYTES_MAX}"
            return False
        self._snapshot = snapshot
        return await self._try(self._client.set(self._key("snapshot"), snapshot))

    async def read_snapshot(self) -> bytes | None:
        """The newest snapshot, None where there is none.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        found = await self._ask(self._client.get(self._key("snapshot")))
        return None if found is None else bytes(found)

    async def publish(self, channel: str, message: bytes) -> bool:
        """Tell whoever listens; nobody may rely on it."""
        return await self._try(self._client.publish(self._key(channel), message))

    async def heartbeat(self, at_ns: int) -> bool:
        """Say that the daemon lives; the key disappears by itself when it does not."""
        return await self._try(self._client.set(self._key("heartbeat"), at_ns, ex=HEARTBEAT_SECONDS_MAX))

    async def read_latch(self) -> tuple[Latch, str]:
        """The mirror: what it says, MISSING where Redis is empty, UNREADABLE where it cannot say."""
        try:
            raw = await self._ask(self._client.get(self._key("latch")))
        except StoreUnavailable as error:
            return Latch.UNREADABLE, error.detail
        if raw is None:
            return Latch.MISSING, "Redis holds no mirror of the kill latch"
        try:
            mirror = msgspec.json.decode(raw, type=Mirror)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Latch.UNREADABLE, "the mirror of the kill latch is damaged"
        if mirror.latch not in (Latch.CLEAR, Latch.ENGAGED):
            return Latch.UNREADABLE, f"the mirror of the kill latch says {mirror.latch}"
        return mirror.latch, mirror.reason

    async def write_latch(self, latch: Latch, reason: str = "") -> None:
        """Write the mirror, and read it back.

        Raises:
            StoreUnavailable: Redis does not answer, or does not hold what was written.
        """
        mirror = msgspec.json.encode(Mirror(latch=latch, reason=reason[:REASON_CHARACTERS_MAX]))
        await self._ask(self._client.set(self._key("latch"), mirror))
        if await self._ask(self._client.get(self._key("latch"))) != mirror:
            raise StoreUnavailable(Store.REDIS, "the mirror of the kill latch does not hold what was written")

    async def run(self) -> None:
        """Watch the server until cancelled: tells `on_health` of every change, and refills what was lost.

        A server that answers again is used again once `wait_allowed` returns.
        """
        while True:
            is_filled = await self._is_filled()
            if is_filled and not self.is_up:
                self._pulse(None)
                await self._wait_allowed()
            self._pulse(self._probe_period_s)
            self._set_health(is_filled)
            await asyncio.sleep(self._probe_period_s)

    async def _is_filled(self) -> bool:
        """Whether Redis answers and holds the snapshot; puts it back where it does not."""
        if self._snapshot is None:
            return await self.ping()
        try:
            holds = await self._ask(self._client.exists(self._key("snapshot")))
        except StoreUnavailable:
            return False
        return bool(holds) or await self.write_snapshot(self._snapshot)

    def _set_health(self, is_up: bool) -> None:
        if is_up is not self.is_up:
            self.is_up = is_up
            self._on_health(is_up, "" if is_up else self.last_error)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    async def _try(self, request: Any) -> bool:
        try:
            await self._ask(request)
        except StoreUnavailable:
            return False
        return True

    async def _ask(self, request: Awaitable[Answer] | Any) -> Any:
        """One request, bounded as a whole: the client's own limit is for each read of its socket."""
        try:
            async with asyncio.timeout(2 * ANSWER_SECONDS_MAX):
                return await request
        except (RedisError, OSError, TimeoutError) as error:
            self.last_error = f"{type(error).__name__}: {error}"
            raise StoreUnavailable(Store.REDIS, self.last_error) from error
