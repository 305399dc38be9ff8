"""The broker's `trade_updates` stream: handshake, login, frames. Decides which frames a connection gets, and when.

The client above is the daemon's own. A fault bends each frame's way while it lasts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from aiohttp import WSMessage, WSMsgType

from quant_trading_system.adapters.alpaca.failures import BrokerAuthError, StreamEnded
from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.server.event_wire import order_event_json
from tests.simulation.loop import LIFE, Life

if TYPE_CHECKING:
    from quant_trading_system.adapters.alpaca.streaming import Socket
    from tests.simulation.world import World

AUTHORIZED = b'{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}'
UNAUTHORIZED = b'{"stream":"authorization","data":{"action":"authenticate","status":"unauthorized"}}'
LISTENING = b'{"stream":"listening","data":{"streams":["trade_updates"]}}'
KEPT_FRAMES = 3
NO_HEADERS: Mapping[str, str] = {}


class SimSocket:
    """One connection, from the client's side."""

    def __init__(self, streams: TradeStreams, life: Life | None) -> None:
        self._streams = streams
        self.life = life
        self._frames: deque[WSMessage] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.is_open = True
        self.is_listening = False
        self.close_code: int | None = None

    async def receive(self) -> WSMessage:
        while not self._frames:
            if not self.is_open:
                return WSMessage(WSMsgType.CLOSED, None, None)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._frames.popleft()

    async def send_str(self, text: str) -> None:
        if not self.is_open:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self._streams.on_command(self, msgspec.json.decode(text))

    def exception(self) -> BaseException | None:
        return None

    async def close(self) -> None:
        self.cut()

    # from the broker's side

    def push(self, data: bytes) -> None:
        if self.is_open:
            self._frames.append(WSMessage(WSMsgType.BINARY, data, None))
            self._wake()

    def cut(self, code: int = 1006) -> None:
        """The connection is gone; what was not read yet can still be read."""
        self.is_open = self.is_listening = False
        self.close_code = code
        self._streams.forget(self)
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


FrameRule = Callable[["Frame"], None]


class Frame:
    """One frame on its way. A rule may drop, delay, double or change it."""

    __slots__ = ("copies", "delay_s", "event", "event_json", "is_dropped", "is_held", "raw")

    def __init__(self, event: OrderEvent, event_json: dict[str, Any]) -> None:
        self.event = event
        self.event_json = event_json
        self.raw: bytes | None = None
        """Bytes instead of the JSON."""
        self.is_dropped = False
        self.is_held = False
        """Sent behind the next frame."""
        self.delay_s = 0.0
        self.copies = 1


class TradeStreams:
    """Every connection to `/stream` of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._latency_s = world.plan.switches.get("stream_latency_ms", 5.0) / 1_000.0
        self._sockets: dict[SimSocket, None] = {}
        self._encode = msgspec.json.Encoder().encode
        self.rules: dict[int, FrameRule] = {}
        self.refusals: dict[int, str] = {}
        """How handshakes fail now: refused, 429, 406, blackhole, unauthorized."""
        self.mute: dict[int, None] = {}
        """Connections stay open, and nothing passes."""
        self.after: dict[int, Callable[[Frame], None]] = {}
        """Told of each frame that was sent."""
        self._recent: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self._held: Frame | None = None

    @property
    def recent(self) -> list[bytes]:
        return list(self._recent)

    @asynccontextmanager
    async def _open(self, _url: str, settings: Any, _headers: Mapping[str, str]) -> AsyncIterator[SimSocket]:
        await asyncio.sleep(self._latency_s + 0.001)
        refusal = next(iter(self.refusals.values()), None)
        if refusal == "429":
            raise StreamEnded("the handshake was answered with HTTP 429", wait_s=settings.too_many_requests_wait_s)
        if refusal in ("401", "403"):
            raise BrokerAuthError(f"the stream's handshake was refused: HTTP {refusal}")
        if refusal == "blackhole":
            await asyncio.sleep(settings.connect_s)
            raise StreamEnded(f"no connection within {settings.connect_s:g} s")
        if refusal is not None:
            raise StreamEnded(f"no connection: {refusal}")
        socket = SimSocket(self, LIFE.get())
        self._sockets[socket] = None
        try:
            yield socket
        finally:
            await socket.close()

    def opener(self) -> Callable[..., AbstractAsyncContextManager[Socket]]:
        """What the daemon calls instead of opening a socket."""
        return self._open  # type: ignore[return-value]

    def forget(self, socket: SimSocket) -> None:
        self._sockets.pop(socket, None)

    def on_command(self, socket: SimSocket, command: dict[str, Any]) -> None:
        """The broker takes a client's frame."""
        if self.mute:
            return
        if command.get("action") in ("auth", "authenticate"):
            self._later(self._latency_s, socket.push, AUTHORIZED)
        elif command.get("action") == "listen":
            socket.is_listening = True
            self._later(self._latency_s, socket.push, LISTENING)

    def block(self, number: int) -> None:
        """Cut every connection and refuse new ones."""
        self.refusals[number] = "connection refused"
        self.cut_all()

    def unblock(self, number: int) -> None:
        self.refusals.pop(number, None)

    def cut_all(self) -> int:
        """Cut every connection. Returns how many."""
        sockets = list(self._sockets)
        for socket in sockets:
            socket.cut()
        return len(sockets)

    def cut_of(self, life: Life) -> None:
        """A process lost its power."""
        for socket in [each for each in self._sockets if each.life is life]:
            socket.cut()

    def publish(self, events: list[OrderEvent], published_ns: int) -> None:
        """Send what happened to orders."""
        venue = self._world.venue
        for event in events:
            client_order_id = event.order.client_order_id
            if client_order_id in venue.hidden:
                continue
            written = order_event_json(event, published_ns=published_ns)
            word = venue.words.get(client_order_id) if venue.words else None
            if word is not None:
                order = written["order"]
                assert isinstance(order, dict), "a frame holds its order"
                order["status"] = word
            self._bend(Frame(event, written))

    def _bend(self, frame: Frame) -> None:
        for rule in list(self.rules.values()):
            rule(frame)
        held, self._held = self._held, None
        if frame.is_held and not frame.is_dropped:
            self._held = frame
            frame.is_held = False
            self._later(5.0, self._release, frame)  # no next frame came
        else:
            self._send(frame)
        if held is not None:
            self._send(held)

    def _release(self, frame: Frame) -> None:
        if self._held is frame:
            self._held = None
            self._send(frame)

    def _send(self, frame: Frame) -> None:
        if frame.is_dropped:
            return
        raw = frame.raw or self._encode({"stream": "trade_updates", "data": frame.event_json})
        for _ in range(frame.copies):
            self.send_raw(raw, delay_s=frame.delay_s)
        self._recent.append(raw)
        for act in list(self.after.values()):
            act(frame)

    def send_raw(self, raw: bytes, *, delay_s: float = 0.0) -> None:
        """Send bytes to every connection that listens now."""
        if self.mute:
            return
        for socket in list(self._sockets):
            if socket.is_listening:
                self._later(self._latency_s + delay_s, socket.push, raw)

    def _later(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(delay_s, act, *arguments, context=self._world.context)
