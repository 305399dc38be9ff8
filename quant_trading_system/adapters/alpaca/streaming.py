"""What both streams share: how a connection is opened, kept, announced, and how long to stay away after a failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiohttp
from msgspec import Struct

from quant_trading_system.adapters.alpaca.failures import BrokerAuthError, StreamEnded
from quant_trading_system.adapters.alpaca.hosts import tls_context
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.events import StreamDown, StreamUp
from quant_trading_system.core.types import NANOS_PER_SECOND, Stream, Symbol

Socket = aiohttp.ClientWebSocketResponse


class StreamSettings(Struct, frozen=True, kw_only=True):
    """Times and sizes of a stream connection."""

    connect_s: float = 5.0
    login_s: float = 10.0  # the broker itself gives up on a login after 10 s
    acknowledge_s: float = 5.0
    close_s: float = 1.0  # a farewell may not hold up the daemon's stop
    send_s: float = 5.0
    heartbeat_s: float = 10.0  # Alpaca's Go client pings as often; a pong must come within half of it
    message_bytes_max: int = 4 * 1_024 * 1_024
    backoff_first_s: float = 1.0
    backoff_max_s: float = 60.0
    stable_s: float = 60.0  # a connection that lived so long starts the back-off anew
    connection_limit_wait_s: float = 90.0  # Alpaca reaps a stale connection after about 90 s
    too_many_requests_wait_s: float = 5.0  # handshakes refused with 429 were seen in reconnect storms
    silence_s: float = 30.0  # without any market data while the market is open
    silence_grace_s: float = 4.0  # for the subscription that is repeated first
    cycle_s: float | None = None  # a new trade_updates connection that often; None: only when asked
    encoding: str = "msgpack"


class Backoff:
    """Full jitter: a random wait up to a ceiling that doubles with every failure."""

    def __init__(self, rng: random.Random, settings: StreamSettings) -> None:
        self._rng = rng
        self._first_s = settings.backoff_first_s
        self._max_s = settings.backoff_max_s
        self._failures = 0

    def next_s(self, *, at_least_s: float = 0.0) -> float:
        """Seconds to stay away now."""
        ceiling_s = min(self._max_s, self._first_s * 2 ** min(self._failures, 16))
        self._failures += 1
        return at_least_s + self._rng.uniform(0.0, ceiling_s)

    def reset(self) -> None:
        self._failures = 0


class Announcer:
    """Says that a stream is up or down, and remembers which."""

    def __init__(self, stream: Stream, clock: Clock, emit: Callable[[StreamUp | StreamDown], None]) -> None:
        self._stream = stream
        self._clock = clock
        self._emit = emit
        self.is_up = False

    def up(self, symbols: tuple[Symbol, ...] = ()) -> None:
        self.is_up = True
        clock = self._clock
        self._emit(
            StreamUp(
                venue_ns=clock.venue_ns(),
                seen_ns=clock.wall_ns(),
                mono_ns=clock.mono_ns(),
                stream=self._stream,
                symbols=symbols,
            )
        )

    def down(self, reason: str) -> None:
        self.is_up = False
        clock = self._clock
        self._emit(
            StreamDown(
                venue_ns=clock.venue_ns(),
                seen_ns=clock.wall_ns(),
                mono_ns=clock.mono_ns(),
                stream=self._stream,
                reason=reason,
            )
        )


async def stay_connected(
    connect_once: Callable[[], Awaitable[NoReturn]],
    *,
    announcer: Announcer,
    backoff: Backoff,
    settings: StreamSettings,
    clock: Clock,
) -> NoReturn:
    """Make the connection anew whenever it ends, and say so each time.

    Raises:
        BrokerAuthError: the broker refuses us; a person must act.
    """
    while True:
        started_ns = clock.mono_ns()
        try:
            await connect_once()
        except StreamEnded as ended:
            if (clock.mono_ns() - started_ns) / NANOS_PER_SECOND >= settings.stable_s:
                backoff.reset()
            announcer.down(ended.reason)
            await asyncio.sleep(backoff.next_s(at_least_s=ended.wait_s))
        except BrokerAuthError as refused:
            announcer.down(str(refused))
            raise


@asynccontextmanager
async def open_socket(url: str, settings: StreamSettings, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
    """A WebSocket on a session of its own; both are closed on the way out.

    Raises:
        StreamEnded: no connection, or the handshake was refused.
        BrokerAuthError: the handshake was refused for the keys' sake.
    """
    session = aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, middlewares=(_refuse_redirects,)
    )
    async with session:
        try:
            async with asyncio.timeout(settings.connect_s):
                socket = await session.ws_connect(
                    url,
                    headers=headers,
                    heartbeat=settings.heartbeat_s,
                    max_msg_size=settings.message_bytes_max,
                    timeout=aiohttp.ClientWSTimeout(ws_close=settings.close_s),
                    ssl=tls_context(url),
                )
        except aiohttp.WSServerHandshakeError as error:
            _judge_handshake(error, settings)
        except TimeoutError:
            raise StreamEnded(f"no connection within {settings.connect_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamEnded(f"no connection: {error}") from error
        try:
            yield socket
        finally:
            await socket.close()


async def receive(socket: Socket) -> bytes | str:
    """The next data frame. Unbounded on purpose: a stream may be silent for hours; pings and watchers bound it.

    Raises:
        StreamEnded: the connection is over.
    """
    message = await socket.receive()
    if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
        data: bytes | str = message.data
        return data
    if message.type is aiohttp.WSMsgType.CLOSE:
        raise StreamEnded(f"closed by the broker: {message.data} {message.extra or ''}".rstrip())
    cause = socket.exception()
    raise StreamEnded(f"connection lost: {cause!r}" if cause else f"connection lost: code {socket.close_code}")


async def send(socket: Socket, data: bytes | str, settings: StreamSettings) -> None:
    """Send one frame, text or binary as the data is.

    Raises:
        StreamEnded: the connection is over, or does not take the frame in time.
    """
    try:
        async with asyncio.timeout(settings.send_s):
            await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
    except TimeoutError:
        raise StreamEnded(f"a command could not be sent within {settings.send_s:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise StreamEnded(f"connection lost: {error}") from error


async def race(*tasks: Coroutine[Any, Any, None]) -> None:
    """Run the parts of one connection side by side until the first of them fails, and raise what it raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except BaseExceptionGroup as group_error:
        raise first_cause(group_error) from None


def first_cause(error: BaseException) -> BaseException:
    """What went wrong first inside a (nested) group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _judge_handshake(error: aiohttp.WSServerHandshakeError, settings: StreamSettings) -> NoReturn:
    if error.status in (401, 403):
        raise BrokerAuthError(f"the stream's handshake was refused: HTTP {error.status}") from error
    wait_s = settings.too_many_requests_wait_s if error.status == 429 else 0.0
    raise StreamEnded(f"the handshake was answered with HTTP {error.status}", wait_s=wait_s) from error


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keys go to the host that was checked, never to one that it names."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientError(f"HTTP {response.status} wants to send us elsewhere")
    return response
