"""The market-data WebSockets `/v2/iex`, `/v2/sip`, `/v2/test`. Decides who is logged in and what goes to whom.

Protocol: the market-data stream section of Alpaca's documentation; error codes 400 to 410 as listed there.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from quant_trading_system.simulator.server.auth import Credentials, has_credentials, is_authorized
from quant_trading_system.simulator.server.clients import Clients, open_socket
from quant_trading_system.simulator.server.data_frames import JSON, MSGPACK, Encoding, MarketMessage, split_frames
from quant_trading_system.simulator.server.errors import too_many_requests_answer
from quant_trading_system.simulator.server.faults import MARKET_DATA, FaultPlan, Kind
from quant_trading_system.simulator.server.outbox import Limits, Outbox
from quant_trading_system.simulator.server.socket_faults import FrameFaults

LOGIN_SECONDS_MAX = 10.0
CONNECTIONS_MAX = 64
MESSAGE_BYTES_MAX = 1_024 * 1_024  # ten thousand symbols in one subscribe
SYMBOLS_NAMED_MAX = 100_000
DEFAULT_LIMITS = Limits(frames_max=2_048, bytes_max=32 * 1_024 * 1_024)

STOCK_CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")
TEST_CHANNELS = ("trades", "quotes", "bars")
FOLLOWING_TRADES = ("corrections", "cancelErrors")  # they come with trades and cannot be asked for

_SYMBOL = re.compile(r"\*|[A-Z][A-Z0-9./\-]{0,20}", re.ASCII)
_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}

_CommandError = int


class DataClient:
    """One connection: what it is subscribed to, and the queue in front of it."""

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, channels: Sequence[str], limits: Limits
    ) -> None:
        self.request = request
        self.socket = socket
        self.feed = request.path
        self.channels = tuple(channels)
        self.outbox = Outbox(socket, limits)
        self.encoding = MSGPACK if "msgpack" in request.headers.get("Content-Type", "") else JSON
        self.is_authorized = False
        self.subscribed: dict[str, set[str]] = {channel: set() for channel in channels}

    def wants(self, message: MarketMessage) -> bool:
        symbols = self.subscribed.get(message.channel)
        return symbols is not None and (message.symbol in symbols or "*" in symbols)

    def control(self, message: Mapping[str, object]) -> str | bytes:
        return self.encoding.join([self.encoding.encode(message)])

    def say(self, message: Mapping[str, object]) -> None:
        """Send a control message: an array of length one."""
        if not self.outbox.put(self.control(message)):
            self.refuse(407, is_final=True)

    def refuse(self, code: int, *, is_final: bool = False) -> None:
        error = self.control({"T": "error", "code": code, "msg": _ERRORS[code]})
        if is_final:
            self.outbox.close_after(error, drop_waiting=code == 407)
        elif not self.outbox.put(error):
            self.refuse(407, is_final=True)

    def acknowledge(self) -> None:
        """The whole subscription, as after every subscribe and unsubscribe."""
        state: dict[str, object] = {"T": "subscription"}
        for channel in self.channels:
            state[channel] = sorted(self.subscribed[channel])
        if self.channels != TEST_CHANNELS:
            for channel in FOLLOWING_TRADES:
                state[channel] = sorted(self.subscribed["trades"])
        self.say(state)


class DataStream:
    """All market-data connections.

    Args:
        symbols_max: symbols one connection may name for trades and quotes together; 0 means no limit.
    """

    def __init__(
        self,
        credentials: Credentials,
        plan: FaultPlan,
        *,
        symbols_max: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        login_seconds_max: float = LOGIN_SECONDS_MAX,
    ) -> None:
        self._credentials = credentials
        self._plan = plan
        self._symbols_max = symbols_max
        self._limits = limits
        self._login_seconds_max = login_seconds_max
        self._faults: FrameFaults[tuple[MarketMessage, ...]] = FrameFaults(plan, MARKET_DATA)
        self._clients: Clients[DataClient] = Clients()

    @property
    def connections(self) -> int:
        return len(self._clients)

    @property
    def subscriptions(self) -> int:
        """Symbols asked for, over all connections and channels."""
        return sum(len(symbols) for client in self._clients for symbols in client.subscribed.values())

    def publish(self, messages: Iterable[MarketMessage], *, feeds: Sequence[str]) -> None:
        """Send the messages of one tick to everyone subscribed, a frame for at most 200 of them."""
        clients = [client for client in self._clients if client.is_authorized and client.feed in feeds]
        if not clients:
            return
        batch = tuple(message for message in messages if any(client.wants(message) for client in clients))
        if not batch:
            return
        if self._faults.is_cut(at_frame=True):
            self._clients.cut_all()
            return
        for leaving in self._faults.frames_for(batch):
            for client in clients:
                self._send(client, leaving)

    def tick(self) -> None:
        """Faults that do not wait for a message."""
        if self._clients and self._faults.is_cut(at_frame=False):
            self._clients.cut_all()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if len(self._clients) >= CONNECTIONS_MAX or self._plan.fires(Kind.REFUSE_CONNECT, MARKET_DATA):
            return too_many_requests_answer(is_data=True)
        socket = await open_socket(request, message_bytes_max=MESSAGE_BYTES_MAX)
        channels = TEST_CHANNELS if request.path == "/v2/test" else STOCK_CHANNELS
        await self._clients.serve(DataClient(request, socket, channels, self._limits), self._talk)
        return socket

    def close_all(self) -> None:
        """Say goodbye to everyone: the exchange stops."""
        self._clients.close_all()

    def _send(self, client: DataClient, messages: Sequence[MarketMessage]) -> None:
        encoding = client.encoding
        parts = [message.encoded(encoding) for message in messages if client.wants(message)]
        if not parts:
            return
        for frame in split_frames(encoding, parts):
            if not client.outbox.put(frame):
                client.refuse(407, is_final=True)
                return

    async def _talk(self, client: DataClient, writer: asyncio.Task[None]) -> None:
        await self._serve(client)
        await writer  # what was said last must leave before the socket is closed

    async def _serve(self, client: DataClient) -> None:
        client.say({"T": "success", "msg": "connected"})
        if has_credentials(client.request.headers):
            self._judge_login(client, is_right=is_authorized(client.request.headers, self._credentials))
        try:
            async with asyncio.timeout(self._login_seconds_max):
                while not client.is_authorized and await self._obey_next(client):
                    pass
        except TimeoutError:
            client.refuse(404, is_final=True)
            return
        while await self._obey_next(client):
            pass
        client.outbox.close_after()

    async def _obey_next(self, client: DataClient) -> bool:
        """Read and carry out one command; False when the connection is over."""
        if client.outbox.is_closing:
            return False
        message = await client.socket.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False
        command = _decode(message.data, client.encoding)
        action = command.get("action") if command is not None else None
        if command is None or action not in ("auth", "subscribe", "unsubscribe"):
            client.refuse(400)
        elif action == "auth":
            self._log_in(client, command)
        elif not client.is_authorized:
            client.refuse(401)
        else:
            self._change_subscription(client, command, is_adding=action == "subscribe")
        return not client.outbox.is_closing

    def _log_in(self, client: DataClient, command: Mapping[str, Any]) -> None:
        if client.is_authorized:
            client.refuse(403)
            return
        is_right = self._credentials.match_login(str(command.get("key", "")), str(command.get("secret", "")))
        self._judge_login(client, is_right=is_right)

    def _judge_login(self, client: DataClient, *, is_right: bool) -> None:
        if not is_right:
            client.refuse(402, is_final=True)
        elif any(self._competes(other, client) for other in self._clients):
            client.refuse(406, is_final=True)
        else:
            client.is_authorized = True
            client.say({"T": "success", "msg": "authenticated"})

    @staticmethod
    def _competes(other: DataClient, client: DataClient) -> bool:
        """Whether the other connection holds the one place of this feed; one on its way out does not."""
        return other.is_authorized and other.feed == client.feed and not other.outbox.is_closing

    def _change_subscription(self, client: DataClient, command: Mapping[str, Any], *, is_adding: bool) -> None:
        asked = {name: value for name, value in command.items() if name not in ("action", *FOLLOWING_TRADES)}
        code = _judge_subscription(asked, client.channels)
        if code is not None:
            client.refuse(code)
            return
        changed = {channel: set(symbols) for channel, symbols in client.subscribed.items()}
        for channel, symbols in asked.items():
            if is_adding:
                changed[channel] |= set(symbols)
            else:
                changed[channel] -= set(symbols)
        if is_adding and self._symbols_max:
            named = len(changed["trades"]) + len(changed["quotes"])
            if named > self._symbols_max:
                client.refuse(405)
                return
        client.subscribed = changed
        client.acknowledge()


def _judge_subscription(asked: Mapping[str, Any], channels: Sequence[str]) -> _CommandError | None:
    """The code to refuse a subscription with, None when it is good."""
    if not any(asked.values()):
        return 400
    for channel, symbols in asked.items():
        if channel not in channels:
            return 410
        if not isinstance(symbols, list) or len(symbols) > SYMBOLS_NAMED_MAX:
            return 400
        if not all(isinstance(symbol, str) and _SYMBOL.fullmatch(symbol) for symbol in symbols):
            return 400
    return None


def _decode(payload: str | bytes, encoding: Encoding) -> Mapping[str, Any] | None:
    """A command, None when it is no object in the connection's encoding (JSON is always understood)."""
    try:
        if encoding is MSGPACK and isinstance(payload, bytes):
            command = msgspec.msgpack.decode(payload)
        else:
            command = json.loads(payload)
    except (msgspec.DecodeError, ValueError):
        return None
    return command if isinstance(command, Mapping) else None
