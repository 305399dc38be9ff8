"""The modelled Redis under the real `RedisState`. Decides what a server that is gone, slow or damaged answers."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from quant_trading_system.persistence.redis_state import ANSWER_SECONDS_MAX, RedisState

URL = "redis://simulated:6379/0"
WRONG_TYPE = object()
BACKUP_PERIOD_S = 120.0


class RedisModel:
    """One server. It outlives every crash of the daemon, and nothing in it is durable."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.is_up = True
        self.is_silent = False
        """Takes bytes and answers none."""
        self.delay_s = 0.0
        self.slowness_s: list[float] = []
        """What every command takes instead, for as long as it is listed; the longest counts."""
        self.published: dict[str, int] = {}
        self._values: dict[str, tuple[Any, float | None]] = {}
        self._backup: dict[str, tuple[Any, float | None]] = {}
        self._backed_up_s = 0.0

    def state(self, url: str = URL, **how: Any) -> RedisState:
        """The real class on this model, for one life of the daemon."""
        return RedisState(url, make_client=lambda _url: Client(self), **how)

    # faults

    def flush(self) -> None:
        """FLUSHALL, or a server without persistence that was started again."""
        self._values.clear()

    def restore(self) -> None:
        """Everything is as it was when it was remembered last: before a write, at most `BACKUP_PERIOD_S` apart."""
        self._values = dict(self._backup)

    def spoil(self) -> None:
        """Every key holds another type than the one it was written with."""
        self._values = {key: (WRONG_TYPE, None) for key in self._values}

    def heal(self) -> None:
        self.is_up = True
        self.is_silent = False
        self.delay_s = 0.0

    # what checkers and clients read

    def value(self, key: str) -> Any:
        """What a key holds, None where it is not there or is over."""
        found = self._values.get(key)
        if found is None or (found[1] is not None and asyncio.get_running_loop().time() >= found[1]):
            return None
        return found[0]

    def put(self, key: str, value: bytes, expires_s: float | None) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._backed_up_s >= BACKUP_PERIOD_S:
            self._backed_up_s = now_s
            self._backup = dict(self._values)
        self._values[key] = (value, expires_s)

    async def answer(self) -> None:
        """Wait for the server as redis-py does: a socket that says nothing for `ANSWER_SECONDS_MAX` is given up."""
        if not self.is_up:
            raise NotConnected("Error 111 connecting to the server. Connection refused.")
        delay_s = max(self.slowness_s, default=self.delay_s)
        if self.is_silent or delay_s > ANSWER_SECONDS_MAX:
            await asyncio.sleep(ANSWER_SECONDS_MAX)
            raise NoAnswer("Timeout reading from the server")
        if delay_s:
            await asyncio.sleep(delay_s)
            if not self.is_up:
                raise NotConnected("Connection closed by server.")


class Client:
    """The few commands of redis-py's client that are used."""

    def __init__(self, server: RedisModel) -> None:
        self._server = server

    async def ping(self) -> bool:
        await self._server.answer()
        return True

    async def get(self, key: str) -> bytes | None:
        await self._server.answer()
        value = self._server.value(key)
        if value is WRONG_TYPE:
            raise ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return None if value is None else bytes(value)

    async def set(self, key: str, value: object, ex: int | None = None) -> bool:
        await self._server.answer()
        raw = value if isinstance(value, bytes) else str(value).encode()
        self._server.put(key, raw, None if ex is None else asyncio.get_running_loop().time() + ex)
        return True

    async def exists(self, key: str) -> int:
        await self._server.answer()
        return int(self._server.value(key) is not None)

    async def publish(self, channel: str, _message: bytes) -> int:
        await self._server.answer()
        self._server.published[channel] = self._server.published.get(channel, 0) + 1
        return 0

    async def aclose(self) -> None:
        """There is no socket to close."""
