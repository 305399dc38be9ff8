"""One HTTP session to the broker. Decides whether a failed request can have had an effect.

A request of which no byte was written failed harmlessly (`Unavailable`). A read never has an effect. Anything else
that got no whole answer is `InDoubt`: only the broker knows. Statuses are judged by the callers, which know what they
asked for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache

import aiohttp
from msgspec import Struct
from yarl import URL

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.failures import Unreachable
from quant_trading_system.adapters.alpaca.gated import GatedPayload
from quant_trading_system.adapters.alpaca.hosts import Endpoints, check_endpoints, tls_context
from quant_trading_system.adapters.alpaca.limits import BreakerState, CircuitBreaker, Lane, RequestBudget
from quant_trading_system.core.clock import Clock, to_nanos
from quant_trading_system.core.errors import InDoubt, Unavailable
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos

MUTATING_METHODS = frozenset({"POST", "PATCH", "PUT", "DELETE"})
URGENT_LANES = frozenset({Lane.CANCEL, Lane.CLOSE})
READ_CHUNK_BYTES = 64 * 1_024


class Base(StrEnum):
    """Which of the broker's REST interfaces; each has a budget and a breaker of its own."""

    TRADING = "trading"
    DATA = "data"


class HttpLimits(Struct, frozen=True, kw_only=True):
    """How long and how much a request may take."""

    connect_s: float = 3.0
    read_silence_s: float = 4.0  # of a read; it is tried again, so it is given up early
    total_s: float = 10.0  # of any request, and the silence allowed to an order: doubt costs more than patience
    budget_wait_s: float = 5.0
    body_bytes_max: int = 16 * 1_024 * 1_024  # the list of all assets had 2.6 MB in 2020
    connections_max: int = 10
    keepalive_s: float = 30.0


class Reply(Struct, frozen=True, kw_only=True):
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BodyTooLong(aiohttp.ClientError):
    """An answer longer than any we can have asked for."""


class AlpacaHttp:
    """The broker's REST interfaces. Use as an async context manager.

    Args:
        endpoints: base URLs; refused unless on the allow-list.
        credentials: sent as headers with every request.
        clock: wall time for the skew, monotonic time for durations.
        budget: request budget of the trading interface.
        data_budget: request budget of the data interface; one like `budget`, without reserve, if not given.
        on_request: told (endpoint, status or kind of failure, seconds) after every attempt.
        on_breaker: told (interface, state) at every change of a circuit breaker.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        *,
        clock: Clock,
        budget: RequestBudget,
        data_budget: RequestBudget | None = None,
        limits: HttpLimits | None = None,
        on_request: Callable[[str, str, float], None] = lambda _endpoint, _code, _seconds: None,
        on_breaker: Callable[[str, BreakerState], None] = lambda _target, _state: None,
    ) -> None:
        check_endpoints(endpoints)
        self.endpoints = endpoints
        self.budget = budget
        self.skew_s: float | None = None
        """Our wall clock minus the broker's `Date`, in seconds: at least so much; None at first."""
        self._credentials = credentials
        self._clock = clock
        self._limits = limits or HttpLimits()
        self._on_request = on_request
        self._urls = {Base.TRADING: endpoints.trading_url, Base.DATA: endpoints.data_url}
        self._tls = {base: tls_context(url) for base, url in self._urls.items()}
        self._budgets = {
            Base.TRADING: budget,
            Base.DATA: data_budget or RequestBudget(budget.per_minute, 0, clock=clock),
        }
        self.breakers = {base: CircuitBreaker(base.value, clock=clock, on_change=on_breaker) for base in Base}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AlpacaHttp:
        limits = self._limits
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.connections_max, keepalive_timeout=limits.keepalive_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**self._credentials.headers(), "Accept": "application/json"},
            trust_env=False,  # a proxy from the environment would see the keys
            timeout=self._timeout(limits.total_s),
            read_bufsize=READ_CHUNK_BYTES,
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        lane: Lane,
        endpoint: str = "",
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        before_write: Callable[[], None] | None = None,
        base: Base = Base.TRADING,
    ) -> Reply:
        """Send one request, once, and read the whole answer.

        `before_write` runs in the same step of the event loop as the write of the first byte; what it raises is raised
        here, and no byte has left then. `endpoint` names the request for statistics where the path holds an id.

        Raises:
            Unavailable: nothing can have changed at the broker.
            InDoubt: a request that changes something may have arrived, and got no whole answer.
        """
        assert before_write is None or method in MUTATING_METHODS, "only a request that changes something is gated"
        await self._budgets[base].acquire(lane, self._limits.budget_wait_s)
        breaker = self.breakers[base]
        payload = GatedPayload(body or b"", before_write) if method in MUTATING_METHODS else None
        if lane in URGENT_LANES:
            permit = breaker.bypass()
        else:
            permit = breaker.admit_read() if payload is None else breaker.admit()
        endpoint = endpoint or f"{method} {path}"
        started_ns, code = self._clock.mono_ns(), "cancelled"
        try:
            reply = await self._exchange(method, self._url(base, path, params), payload, base)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            code = _kind(error)
            if payload is not None and payload.refusal is not None:
                code = "refused_locally"
                raise payload.refusal from None
            permit.fail()
            failure = InDoubt if payload is not None and payload.has_left else _harmless(error)
            raise failure(f"{endpoint}: {code}{_words(error)}") from error
        else:
            code = str(reply.status)
            if reply.status >= 500:
                permit.fail()
            else:
                permit.succeed()
            self._budgets[base].observe(reply.status, reply.headers)
            return reply
        finally:
            permit.release()
            self._on_request(endpoint, code, (self._clock.mono_ns() - started_ns) / NANOS_PER_SECOND)

    async def _exchange(self, method: str, url: URL, payload: GatedPayload | None, base: Base) -> Reply:
        assert self._session is not None, "the session is open"
        limits = self._limits
        sent_ns = self._clock.wall_ns()
        async with self._session.request(
            method,
            url,
            data=payload,
            skip_auto_headers=() if payload is None or payload.size else ("Content-Type",),
            allow_redirects=False,
            ssl=self._tls[base],
            timeout=self._timeout(limits.read_silence_s if payload is None else limits.total_s),
        ) as response:
            if base is Base.TRADING:
                self._measure_skew(response.headers.get("Date"), sent_ns=sent_ns, received_ns=self._clock.wall_ns())
            content = await self._read_limited(response.content)
            return Reply(status=response.status, headers=response.headers, body=content)

    async def _read_limited(self, content: aiohttp.StreamReader) -> bytes:
        received = bytearray()
        while chunk := await content.readany():
            received += chunk
            if len(received) > self._limits.body_bytes_max:
                raise BodyTooLong(f"the answer is longer than {self._limits.body_bytes_max} bytes")
        return bytes(received)

    def _url(self, base: Base, path: str, params: Mapping[str, str] | None) -> URL:
        url = URL(f"{self._urls[base]}{path}")
        return url.with_query(params) if params else url

    def _timeout(self, silence_s: float) -> aiohttp.ClientTimeout:
        limits = self._limits
        return aiohttp.ClientTimeout(
            total=limits.total_s, connect=limits.connect_s, sock_connect=limits.connect_s, sock_read=silence_s
        )

    def _measure_skew(self, date: str | None, *, sent_ns: int, received_ns: int) -> None:
        """The broker stamped its answer between our sending and our receiving, in whole seconds cut off."""
        if date is None:
            return
        theirs_ns = _stamp_of(date)
        if theirs_ns is None:
            return  # no date, no measurement; the last one stands
        if received_ns < theirs_ns:
            self.skew_s = (received_ns - theirs_ns) / NANOS_PER_SECOND
        else:
            self.skew_s = max(0, sent_ns - theirs_ns - NANOS_PER_SECOND) / NANOS_PER_SECOND


@lru_cache(maxsize=16)
def _stamp_of(date: str) -> Nanos | None:
    """A `Date` header as a stamp, None where it is none. The answers of one second share it."""
    try:
        return to_nanos(parsedate_to_datetime(date))
    except ValueError:
        return None


def _words(error: Exception) -> str:
    """The library's words behind the kind of a failure, where they say more than it."""
    if isinstance(error, aiohttp.ClientConnectorError):  # its text begins with how TLS is set, even where there is none
        cause = error.os_error
        words = os.strerror(cause.errno) if cause.errno is not None and cause.errno > 0 else str(cause)
        return f": {error.host}:{error.port}: {words}"
    return f": {error}" if str(error) else ""


def _harmless(error: Exception) -> type[Unavailable]:
    """What a failure is of which no byte arrived, or which only read."""
    no_connection = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return Unreachable if no_connection else Unavailable


def _kind(error: Exception) -> str:
    """One word for a failure, as a label of a metric."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout"
        case asyncio.TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "connect_failed"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return "disconnected"
        case aiohttp.ClientPayloadError():
            return "body_cut"
        case BodyTooLong():
            return "body_too_long"
        case _:
            return "protocol_error"
