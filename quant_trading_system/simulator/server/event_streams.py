"""Server-sent events (reference 8): order events and account activities that a client can resume after a gap.

Decides what a reader gets: history as far as it is kept, then what happens, and a word about what it was too slow for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.auth import Credentials, is_authorized
from quant_trading_system.simulator.server.errors import (
    refusal_answer,
    too_many_requests_answer,
    unauthorized_answer,
)
from quant_trading_system.simulator.server.event_span import Span, read_span
from quant_trading_system.simulator.server.profiles import Profile

TRADES_PATH = "/v2/events/trades"
ACTIVITIES_PATH = "/v2beta1/events/activities"
READERS_MAX = 16
WAITING_MAX = 1_000  # messages in front of one reader; then new ones are dropped and counted
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.1  # between two looks whether the end of a span has come
WELCOME = b": welcome to the Alpaca events\n\n"
HEARTBEAT = b":heartbeat\n\n"


class Item(Protocol):
    """Something that happened."""

    @property
    def stamp_ns(self) -> int: ...

    @property
    def number(self) -> int:
        """What its ULID stands for."""

    def data(self) -> object | None:
        """What is told of it; None where nothing is."""


class Source(Protocol):
    """Where items come from."""

    def history(self) -> Sequence[Item]: ...

    def listen(self, listener: Callable[[Item], None], /) -> None: ...

    def leave(self, listener: Callable[[Item], None], /) -> None: ...


class Reader:
    """One client: what waits for it, and how much it has missed."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.waiting: deque[Item] = deque()
        self.dropped = 0
        self.is_at_end = False
        self.something = asyncio.Event()

    def take(self, item: Item) -> None:
        """Let an item wait; one too many is dropped."""
        if self.span.is_behind(stamp_ns=item.stamp_ns, number=item.number):
            self.is_at_end = True
        elif len(self.waiting) >= WAITING_MAX:
            self.dropped += 1
        elif self.span.includes(stamp_ns=item.stamp_ns, number=item.number):
            self.waiting.append(item)
        self.something.set()

    def end(self) -> None:
        self.is_at_end = True
        self.something.set()


class EventStreams:
    """All readers of server-sent events.

    Args:
        now_ns: venue time, at which a span ends.
    """

    def __init__(self, credentials: Credentials, profile: Profile, *, now_ns: Callable[[], int]) -> None:
        self._credentials = credentials
        self._profile = profile
        self._now_ns = now_ns
        self._readers: dict[Reader, None] = {}

    @property
    def readers(self) -> int:
        return len(self._readers)

    def handler(
        self, source: Source, span_of: Callable[[web.Request], Span] = lambda request: read_span(request.query)
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of a path."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if not is_authorized(request.headers, self._credentials):
                return unauthorized_answer(request.path, profile=self._profile)
            if len(self._readers) >= READERS_MAX:
                return too_many_requests_answer(is_data=False)
            try:
                reader = Reader(span_of(request))
            except Refusal as refusal:
                return refusal_answer(refusal)
            return await self._serve(request, source, reader)

        return handle

    def close_all(self) -> None:
        """End every stream: the exchange stops."""
        for reader in tuple(self._readers):
            reader.end()

    async def _serve(self, request: web.Request, source: Source, reader: Reader) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await answer.prepare(request)
        history = source.history() if reader.span.has_history else ()
        source.listen(reader.take)  # in the step that reads the history: nothing is lost in between
        self._readers[reader] = None
        try:
            await answer.write(WELCOME)
            for item in history:
                if reader.span.includes(stamp_ns=item.stamp_ns, number=item.number):
                    await _write(answer, item)
            await self._follow(answer, reader)
            await answer.write_eof()
        except ConnectionError:
            pass  # the reader left
        finally:
            self._readers.pop(reader, None)
            source.leave(reader.take)
        return answer

    async def _follow(self, answer: web.StreamResponse, reader: Reader) -> None:
        """Tell what happens until the end of the span."""
        loop = asyncio.get_running_loop()
        beat_s = loop.time() + HEARTBEAT_SECONDS
        while True:
            while reader.waiting:
                await _write(answer, reader.waiting.popleft())
            if reader.dropped:
                dropped, reader.dropped = reader.dropped, 0
                await answer.write(b": you are reading too slowly, dropped %d messages\n\n" % dropped)
            elif not reader.waiting and (reader.is_at_end or reader.span.is_over(self._now_ns())):
                return
            if loop.time() >= beat_s:
                beat_s = loop.time() + HEARTBEAT_SECONDS
                await answer.write(HEARTBEAT)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await reader.something.wait()
            except TimeoutError:
                continue
            reader.something.clear()


async def _write(answer: web.StreamResponse, item: Item) -> None:
    data = item.data()
    if data is not None:
        await answer.write(b"data: %s\n\n" % msgspec.json.encode(data))
