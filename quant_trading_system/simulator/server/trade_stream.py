"""The `/stream` WebSocket: who is logged in, who listens, and the frames of trade_updates.

Frames are binary with JSON text inside, as Alpaca's paper hosts send them; msgpack where the handshake asks for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from quant_trading_system.simulator.server.auth import Credentials
from quant_trading_system.simulator.server.clients import Clients, open_socket
from quant_trading_system.simulator.server.errors import too_many_requests_answer
from quant_trading_system.simulator.server.faults import TRADE_UPDATES, FaultPlan, Kind
from quant_trading_system.simulator.server.outbox import Limits, Outbox
from quant_trading_system.simulator.server.socket_faults import FrameFaults

STREAM_NAME = "trade_updates"
CONNECTIONS_MAX = 16
MESSAGE_BYTES_MAX = 64 * 1_024
LIMITS = Limits(frames_max=20_000, bytes_max=64 * 1_024 * 1_024)  # order events are never dropped: cut instead

DEPRECATION = 'this authentication form is deprecated, use {"action":"auth","key":"...","secret":"..."}'

Event = Mapping[str, object]


class TradeClient:
    """One connection and what it may see."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.request = request
        self.socket = socket
        self.outbox = Outbox(socket, LIMITS)
        self.is_authorized = False
        self.is_listening = False
        wants_msgpack = "msgpack" in request.headers.get("Content-Type", "")
        self.encode: Callable[[object], bytes] = msgspec.msgpack.encode if wants_msgpack else msgspec.json.encode

    def send(self, stream: str, data: object) -> None:
        self._put({"stream": stream, "data": data})

    def refuse(self, message: str) -> None:
        self._put({"action": "error", "data": {"error_message": message}})

    def _put(self, message: object) -> None:
        if not self.outbox.put(self.encode(message)):
            self.outbox.cut(self.request)


class TradeStream:
    """All connections of `/stream`."""

    def __init__(self, credentials: Credentials, plan: FaultPlan) -> None:
        self._credentials = credentials
        self._plan = plan
        self._faults: FrameFaults[Event] = FrameFaults(plan, TRADE_UPDATES)
        self._clients: Clients[TradeClient] = Clients()

    @property
    def listeners(self) -> int:
        return sum(client.is_listening for client in self._clients)

    def publish(self, event: Event) -> None:
        """Send one order event to everyone who listens, one event a frame."""
        if self._faults.is_cut(at_frame=True):
            self._clients.cut_all()
            return
        for leaving in self._faults.frames_for(event):
            frames: dict[Callable[[object], bytes], bytes] = {}
            for client in self._clients:
                if not client.is_listening:
                    continue
                frame = frames.get(client.encode)
                if frame is None:
                    frame = frames[client.encode] = client.encode({"stream": STREAM_NAME, "data": leaving})
                if not client.outbox.put(frame):
                    client.outbox.cut(client.request)

    def tick(self) -> None:
        """Faults that do not wait for an event."""
        if self._clients and self._faults.is_cut(at_frame=False):
            self._clients.cut_all()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if len(self._clients) >= CONNECTIONS_MAX or self._plan.fires(Kind.REFUSE_CONNECT, TRADE_UPDATES):
            return too_many_requests_answer(is_data=False)
        socket = await open_socket(request, message_bytes_max=MESSAGE_BYTES_MAX)
        await self._clients.serve(TradeClient(request, socket), self._read)
        return socket

    def close_all(self) -> None:
        """Say goodbye to everyone: the exchange stops."""
        self._clients.close_all()

    async def _read(self, client: TradeClient, _writer: asyncio.Task[None]) -> None:
        async for message in client.socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            command = _decode(message.data)
            if command is None:
                client.refuse("invalid message")
                continue
            self._obey(client, command)

    def _obey(self, client: TradeClient, command: Mapping[str, Any]) -> None:
        action = command.get("action")
        if action in ("auth", "authenticate"):
            self._log_in(client, command, is_old_form=action == "authenticate")
        elif action == "listen":
            self._listen(client, command)
        else:
            client.refuse("unknown action")

    def _log_in(self, client: TradeClient, command: Mapping[str, Any], *, is_old_form: bool) -> None:
        key_id, secret_key = _credentials_of(command, is_old_form=is_old_form)
        client.is_authorized = self._credentials.match_login(key_id, secret_key)
        if not client.is_authorized:
            client.is_listening = False
        data = {"action": "authenticate", "status": "authorized" if client.is_authorized else "unauthorized"}
        if not client.is_authorized:
            data["message"] = "access key verification failed"
        elif is_old_form:
            data["message"] = DEPRECATION
        client.send("authorization", data)

    def _listen(self, client: TradeClient, command: Mapping[str, Any]) -> None:
        if not client.is_authorized:
            client.send("authorization", {"action": "listen", "status": "unauthorized"})
            return
        data = command.get("data")
        asked = data.get("streams") if isinstance(data, Mapping) else None
        client.is_listening = isinstance(asked, list) and STREAM_NAME in asked
        client.send("listening", {"streams": [STREAM_NAME] if client.is_listening else []})


def _credentials_of(command: Mapping[str, Any], *, is_old_form: bool) -> tuple[str, str]:
    if not is_old_form:
        return str(command.get("key", "")), str(command.get("secret", ""))
    data = command.get("data")
    if not isinstance(data, Mapping):
        return "", ""
    if "oauth_token" in data:
        return "oauth", str(data["oauth_token"])
    return str(data.get("key_id", "")), str(data.get("secret_key", ""))


def _decode(payload: str | bytes) -> Mapping[str, Any] | None:
    """A JSON or msgpack object, None when it is neither."""
    try:
        command = json.loads(payload)
    except ValueError:
        try:
            command = msgspec.msgpack.decode(payload) if isinstance(payload, bytes) else None
        except msgspec.DecodeError:
            return None
    return command if isinstance(command, Mapping) else None
