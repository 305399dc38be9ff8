"""The `trade_updates` stream. Decides when order events may be relied on: logged in and listening, as acknowledged.

It does not judge the events: repeated ones and words nobody knows are passed on as they come. A frame that cannot be
read is a gap, and a gap is announced as the stream going down and up, so that a reconciliation follows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.failures import BrokerAuthError, StreamEnded, Unreadable
from quant_trading_system.adapters.alpaca.hosts import Endpoints, check_endpoints
from quant_trading_system.adapters.alpaca.streaming import (
    Announcer,
    Backoff,
    Socket,
    StreamSettings,
    open_socket,
    race,
    receive,
    send,
    stay_connected,
)
from quant_trading_system.adapters.alpaca.updates import Envelope, parse_envelope, parse_update
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.events import OrderUpdated, StreamDown, StreamUp
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import Stream

STREAM_NAME = "trade_updates"
AUTHORIZED = "authorized"
Content = TypeVar("Content", bound=Struct)


class _Authorization(Struct, kw_only=True):
    status: str = ""
    message: str = ""


class _Listening(Struct, kw_only=True):
    streams: list[str] = []


class _StreamError(Struct, kw_only=True):
    error_message: str = ""


class TradeStream:
    """One connection to `/stream`, kept alive until cancelled.

    The login is tried in its current form first; where that is refused or left unanswered, the next connection uses
    the old one, which older servers know alone. Refused in both forms, the keys are wrong.

    Args:
        endpoints: where the stream is.
        credentials: who logs in.
        clock: stamps events.
        emit: takes `StreamUp`, `StreamDown` and `OrderUpdated`.
        settings: times and sizes.
        rng: jitter of the back-off.
        open_socket: how a connection is made.
        on_problem: told of frames that cannot be read.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        clock: Clock,
        emit: Callable[[StreamUp | StreamDown | OrderUpdated], None],
        settings: StreamSettings | None = None,
        *,
        rng: random.Random,
        open_socket: Callable[..., AbstractAsyncContextManager[Socket]] = open_socket,
        on_problem: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        check_endpoints(endpoints)
        self._url = endpoints.trade_stream_url
        self._credentials = credentials
        self._clock = clock
        self._emit = emit
        self._settings = settings or StreamSettings()
        self._backoff = Backoff(rng, self._settings)
        self._open_socket = open_socket
        self._on_problem = on_problem
        self._uses_old_form = False
        self._forms_refused: set[bool] = set()
        self._cycle_reason = asyncio.Event()
        self._announcer = Announcer(Stream.TRADE_UPDATES, clock, emit)
        self.bad_messages = 0

    @property
    def is_up(self) -> bool:
        return self._announcer.is_up

    def cycle(self) -> None:
        """Make the connection anew: the broker shows progress by REST that this socket never reported."""
        self._cycle_reason.set()

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            BrokerAuthError: the keys are refused in both forms of the login; a person must act.
        """
        await stay_connected(
            self._connect_once,
            announcer=self._announcer,
            backoff=self._backoff,
            settings=self._settings,
            clock=self._clock,
        )

    async def _connect_once(self) -> NoReturn:
        self._cycle_reason.clear()
        async with self._open_socket(self._url, self._settings, {}) as socket:
            await self._log_in(socket)
            failpoint("trade_stream.logged_in")
            await self._listen(socket)
            failpoint("trade_stream.listening")
            self._announcer.up()
            await race(self._read(socket), self._wait_for_cycle())
        raise StreamEnded("the connection ended")

    # logging in

    async def _log_in(self, socket: Socket) -> None:
        await self._command(socket, self._login())
        try:
            answer = await self._await_frame(socket, "authorization", self._settings.login_s)
        except StreamEnded:
            self._uses_old_form = not self._uses_old_form  # a server may drop a form it does not know, or ignore it
            raise
        authorization = _content(answer, _Authorization)
        if authorization.status == AUTHORIZED:
            self._forms_refused.clear()
            return
        self._forms_refused.add(self._uses_old_form)
        text = f"login {authorization.status or 'without a status'}: {authorization.message}"
        if len(self._forms_refused) == 2:
            raise BrokerAuthError(text)
        self._uses_old_form = not self._uses_old_form
        raise StreamEnded(text)

    def _login(self) -> dict[str, object]:
        keys = self._credentials
        if self._uses_old_form:
            return {"action": "authenticate", "data": {"key_id": keys.key_id, "secret_key": keys.secret_key}}
        return {"action": "auth", "key": keys.key_id, "secret": keys.secret_key}

    async def _listen(self, socket: Socket) -> None:
        await self._command(socket, {"action": "listen", "data": {"streams": [STREAM_NAME]}})
        answer = await self._await_frame(socket, "listening", self._settings.acknowledge_s)
        streams = _content(answer, _Listening).streams
        if STREAM_NAME not in streams:
            raise StreamEnded(f"asked to listen to {STREAM_NAME}, the broker acknowledged {streams}")

    async def _await_frame(self, socket: Socket, stream: str, timeout_s: float) -> Envelope:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    envelope = self._open(await receive(socket))
                    if envelope is not None and envelope.stream == stream:
                        return envelope
        except TimeoutError:
            raise StreamEnded(f"no {stream!r} frame within {timeout_s:g} s") from None

    # while connected

    async def _read(self, socket: Socket) -> None:
        while True:
            self._open(await receive(socket))

    def _open(self, data: bytes | str) -> Envelope | None:
        """Pass on an update at once; return any other frame; None where it cannot be read."""
        seen_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        try:
            envelope = parse_envelope(data)
            if envelope.stream == STREAM_NAME:
                self._emit(parse_update(envelope.data, seen_ns=seen_ns, mono_ns=mono_ns))
                failpoint("trade_stream.update_told")
        except Unreadable as error:
            self._note_gap(str(error))
            return None
        if envelope.action == "error" or envelope.stream == "error":
            raise StreamEnded(f"stream error: {_content(envelope, _StreamError).error_message}")
        return envelope

    async def _wait_for_cycle(self) -> None:
        try:
            async with asyncio.timeout(self._settings.cycle_s):
                await self._cycle_reason.wait()
        except TimeoutError:
            raise StreamEnded("cycled on schedule") from None
        raise StreamEnded("cycled: REST shows what this connection did not report")

    def _note_gap(self, reason: str) -> None:
        self.bad_messages += 1
        self._on_problem(reason)
        if self._announcer.is_up:
            self._announcer.down(reason)
            self._announcer.up()

    # helpers

    async def _command(self, socket: Socket, command: dict[str, Any]) -> None:
        await send(socket, msgspec.json.encode(command).decode(), self._settings)


def _content(envelope: Envelope, kind: type[Content]) -> Content:
    try:
        return msgspec.json.decode(envelope.data, type=kind)
    except msgspec.DecodeError as error:
        raise StreamEnded(f"unreadable {envelope.stream or envelope.action} frame: {error}") from error
