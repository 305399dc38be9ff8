"""Decides what happens to a client that reads more slowly than the exchange writes: a bounded queue, then the end."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import WSCloseCode, web

FAREWELL_SECONDS_MAX = 5.0  # a client that does not even read its last message is cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may wait for one client: frames, and bytes in them."""

    frames_max: int
    bytes_max: int


class Outbox:
    """The frames that wait for one WebSocket, in order. Bytes become binary frames, text text frames.

    `put` never blocks, so the exchange is never held up by a client; `run` is the task that writes.
    """

    def __init__(
        self, socket: web.WebSocketResponse, limits: Limits, *, transport: asyncio.Transport | None = None
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._limits = limits
        self._waiting: deque[str | bytes] = deque()
        self._waiting_bytes = 0
        self._something = asyncio.Event()
        self._joins_segments = False
        self._is_closing = False
        self._close_code: int = WSCloseCode.OK

    @property
    def is_closing(self) -> bool:
        return self._is_closing

    def put(self, frame: str | bytes) -> bool:
        """Queue a frame; False when the client is too slow for it (the queue is left as it is)."""
        if self._is_closing:
            return True
        size = len(frame)
        if len(self._waiting) >= self._limits.frames_max or self._waiting_bytes + size > self._limits.bytes_max:
            return False
        self._waiting.append(frame)
        self._waiting_bytes += size
        self._something.set()
        return True

    def join_segments(self) -> None:
        """Let what is put now leave in as few TCP segments as it fits in (where the system can do that)."""
        self._joins_segments = True

    def close_after(self, *farewell: str | bytes, code: int = WSCloseCode.OK, drop_waiting: bool = False) -> None:
        """Send what waits (or drop it), then these frames, then close; later frames are ignored."""
        if self._is_closing:
            return
        if drop_waiting:
            self._waiting.clear()
        self._waiting.extend(farewell)
        self._is_closing = True
        self._close_code = code
        self._something.set()
        # The writer may stand in front of a client that reads nothing: it does not get there by itself.
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS_MAX, self._abort)

    def cut(self) -> None:
        """End the connection without a word, as a broken line does."""
        self._is_closing = True
        self._waiting.clear()
        self._something.set()
        self._abort()

    async def run(self) -> None:
        """Write until the box is closed or the line breaks. A broken line ends quietly: the reader sees it too."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                if self._is_closing:
                    break
                if self._joins_segments:
                    self._joins_segments = False
                    with _corked(self._socket):
                        await self._write_waiting()
                else:
                    await self._write_waiting()
            await self._write_waiting()
            await self._socket.close(code=self._close_code)
        except (ConnectionError, RuntimeError):
            # RuntimeError: aiohttp's word for writing to a socket that the client has begun to close.
            self._is_closing = True

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _write_waiting(self) -> None:
        while self._waiting:
            frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame)
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)


@contextmanager
def _corked(web_socket: web.WebSocketResponse) -> Iterator[None]:
    """Hold back partly filled segments until everything is written."""
    option = getattr(socket, "TCP_CORK", None)
    line = web_socket.get_extra_info("socket")
    if option is None or line is None:
        yield
        return
    line.setsockopt(socket.IPPROTO_TCP, option, 1)
    try:
        yield
    finally:
        line.setsockopt(socket.IPPROTO_TCP, option, 0)
