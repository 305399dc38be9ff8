"""The market-data stream. Decides when it may be believed: logged in, acknowledged in full, and not silent.

A socket that is open and answers pings may carry no data for hours, so silence is judged by data while the market is
open: the subscription is repeated once, then the connection is made anew.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NoReturn

import msgspec

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.failures import BrokerAuthError, StreamEnded
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
from quant_trading_system.adapters.alpaca.wire import Control, FeedDecoder, FeedError, Subscription, Success
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.events import MarketEvent, StreamDown, StreamUp
from quant_trading_system.core.types import NANOS_PER_SECOND, Stream, Symbol

CHANNELS = ("trades", "quotes", "bars", "statuses")
WATCH_EVERY_S = 0.5
YIELD_AFTER_EVENTS = 2_000  # about 4 ms of decoding: then others get the loop, even if more has arrived
AUTH_FAILED = 402
HOPELESS_CODES = {AUTH_FAILED: "keys", 409: "plan", 411: "scope"}
CONNECTION_LIMIT = 406


async def _always(_reason: str) -> bool:
    """Nobody counts how often a connection is made anew."""
    return True


class DataStream:
    """One connection to the feed, kept alive until cancelled.

    Args:
        endpoints: where the feed is.
        credentials: who logs in.
        clock: stamps events and measures silence.
        emit: takes `StreamUp` and `StreamDown`.
        on_batch: takes the events of one frame.
        settings: times and sizes.
        symbols: what to subscribe to at first; `subscribe` changes it at any time.
        is_open: whether the market is open, so that silence means something.
        rng: jitter of the back-off.
        on_problem: told of messages that were left out.
        may_cycle: asked before a silent connection is given up and made anew.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        clock: Clock,
        emit: Callable[[StreamUp | StreamDown], None],
        on_batch: Callable[[list[MarketEvent]], None],
        settings: StreamSettings | None = None,
        *,
        symbols: Iterable[Symbol] = (),
        is_open: Callable[[], bool],
        rng: random.Random,
        on_problem: Callable[[str], None] = lambda _reason: None,
        may_cycle: Callable[[str], Awaitable[bool]] = _always,
    ) -> None:
        check_endpoints(endpoints)
        self._url = endpoints.market_stream_url
        self._credentials = credentials
        self._clock = clock
        self._announcer = Announcer(Stream.MARKET_DATA, clock, emit)
        self._on_batch = on_batch
        self._settings = settings or StreamSettings()
        self._is_open = is_open
        self._may_cycle = may_cycle
        self._backoff = Backoff(rng, self._settings)
        is_msgpack = self._settings.encoding == "msgpack"
        self._decoder = FeedDecoder("msgpack" if is_msgpack else "json", on_bad=on_problem)
        self._wanted = frozenset(symbols)
        self._changed = asyncio.Event()
        self._start_over()

    @property
    def bad_messages(self) -> int:
        return self._decoder.bad_messages

    @property
    def is_up(self) -> bool:
        return self._announcer.is_up

    def subscribe(self, symbols: Iterable[Symbol]) -> None:
        """From now on carry exactly these symbols. Takes effect on the running connection."""
        self._wanted = frozenset(symbols)
        self._changed.set()

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            BrokerAuthError: the keys, or what they may see, are refused; a person must act.
        """
        await stay_connected(
            self._connect_once,
            announcer=self._announcer,
            backoff=self._backoff,
            settings=self._settings,
            clock=self._clock,
        )

    async def _connect_once(self) -> NoReturn:
        self._start_over()
        headers = {"Content-Type": f"application/{self._decoder.encoding}"}
        async with open_socket(self._url, self._settings, headers) as socket:
            await self._log_in(socket)
            await race(self._read(socket), self._keep(socket))
        raise StreamEnded("the connection ended")

    def _start_over(self) -> None:
        self._announcer.is_up = False
        self._agreed: frozenset[Symbol] = frozenset()
        self._acknowledged = Subscription()
        self._acknowledgement = asyncio.Event()
        self._heard_ns = self._clock.mono_ns()
        self._repeated_ns: int | None = None
        self._events_since_yield = 0

    # logging in

    async def _log_in(self, socket: Socket) -> None:
        await self._await_success(socket, "connected")
        login = {"action": "auth", "key": self._credentials.key_id, "secret": self._credentials.secret_key}
        await self._command(socket, login)
        await self._await_success(socket, "authenticated")

    async def _await_success(self, socket: Socket, wanted: str) -> None:
        try:
            async with asyncio.timeout(self._settings.login_s):
                while not any(isinstance(m, Success) and m.msg == wanted for m in await self._next_controls(socket)):
                    pass
        except TimeoutError:
            raise StreamEnded(f"no {wanted!r} within {self._settings.login_s:g} s") from None

    async def _next_controls(self, socket: Socket) -> list[Control]:
        return self._take(await receive(socket))

    # while connected

    async def _read(self, socket: Socket) -> None:
        while True:
            self._take(await receive(socket))
            if self._events_since_yield >= YIELD_AFTER_EVENTS:
                self._events_since_yield = 0
                await asyncio.sleep(0)

    def _take(self, data: bytes | str) -> list[Control]:
        """Hand on the events of a frame; obey and return its control messages."""
        raw = data.encode() if isinstance(data, str) else data
        mono_ns = self._clock.mono_ns()
        messages = self._decoder.decode(raw, self._clock.wall_ns(), mono_ns)
        controls = [message for message in messages if isinstance(message, Control)]
        events = [m for m in messages if isinstance(m, MarketEvent)]
        if events:
            self._heard_ns = mono_ns
            self._events_since_yield += len(events)
            self._on_batch(events)
        for control in controls:
            self._obey(control)
        return controls

    def _obey(self, control: Control) -> None:
        if isinstance(control, Subscription):
            self._acknowledged = control
            self._acknowledgement.set()
        elif isinstance(control, FeedError):
            text = f"feed error {control.code}: {control.msg}"
            if control.code in HOPELESS_CODES:
                raise BrokerAuthError(f"{text} ({HOPELESS_CODES[control.code]})")
            wait_s = self._settings.connection_limit_wait_s if control.code == CONNECTION_LIMIT else 0.0
            raise StreamEnded(text, wait_s=wait_s)

    async def _keep(self, socket: Socket) -> None:
        """Bring the subscription to what is wanted, say so, then watch over it."""
        await self._agree(socket)
        self._heard_ns = self._clock.mono_ns()
        self._announcer.up(tuple(sorted(self._agreed)))
        while True:
            try:
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                await self._judge_silence(socket)
            else:
                await self._agree(socket)

    async def _agree(self, socket: Socket) -> None:
        """Ask for what is missing, drop what is not wanted, and wait until the feed names exactly the wanted set."""
        self._changed.clear()
        wanted = self._wanted
        if wanted == self._agreed:
            return
        await self._order_channels(socket, "subscribe", wanted - self._agreed)
        await self._order_channels(socket, "unsubscribe", self._agreed - wanted)
        try:
            async with asyncio.timeout(self._settings.acknowledge_s):
                while self._difference(wanted):
                    self._acknowledgement.clear()
                    await self._acknowledgement.wait()
        except TimeoutError:
            raise StreamEnded(f"the subscription was not acknowledged whole: {self._difference(wanted)}") from None
        self._agreed = wanted

    async def _order_channels(self, socket: Socket, action: str, symbols: frozenset[Symbol]) -> None:
        if symbols:
            await self._command(socket, {"action": action, **dict.fromkeys(CHANNELS, sorted(symbols))})

    def _difference(self, wanted: frozenset[Symbol]) -> str:
        """Where the acknowledged set is not the wanted one, "" where it is."""
        for channel in CHANNELS:
            named = frozenset(getattr(self._acknowledged, channel))
            if named != wanted:
                missing, extra = sorted(wanted - named)[:5], sorted(named - wanted)[:5]
                return f"{channel}: {len(named)} of {len(wanted)} symbols, missing {missing}, unasked {extra}"
        return ""

    async def _judge_silence(self, socket: Socket) -> None:
        if not self._agreed or not self._is_open():
            self._heard_ns = self._clock.mono_ns()  # silence counts from the opening, not from yesterday's close
            return
        silence_s = self._age_s(self._heard_ns)
        if silence_s < self._settings.silence_s:
            self._repeated_ns = None
        elif self._repeated_ns is None:
            self._repeated_ns = self._clock.mono_ns()
            await self._order_channels(socket, "subscribe", self._agreed)
        elif self._age_s(self._repeated_ns) >= self._settings.silence_grace_s:
            reason = f"no data for {silence_s:.0f} s while the market is open"
            if await self._may_cycle(reason):
                raise StreamEnded(reason)
            self._repeated_ns = self._clock.mono_ns()

    # helpers

    async def _command(self, socket: Socket, command: Mapping[str, object]) -> None:
        if self._decoder.encoding == "msgpack":
            await send(socket, msgspec.msgpack.encode(command), self._settings)
        else:
            await send(socket, msgspec.json.encode(command).decode(), self._settings)

    def _age_s(self, mono_ns: int) -> float:
        return (self._clock.mono_ns() - mono_ns) / NANOS_PER_SECOND
