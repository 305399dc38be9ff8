"""The `/stream` WebSocket (reference 7.1): who is logged in, who listens, and the frames of trade_updates.

Frames are binary with JSON text inside, as Alpaca's paper hosts send them; msgpack where the handshake asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.server.auth import Credentials
from quant_trading_system.simulator.server.clients import Clients, Reaper, open_socket
from quant_trading_system.simulator.server.errors import too_many_requests_answer
from quant_trading_system.simulator.server.event_log import WriteEvent
from quant_trading_system.simulator.server.faults import TRADE_UPDATES, FaultPlan, Kind
from quant_trading_system.simulator.server.socket_faults import LineFaults
from quant_trading_system.simulator.server.trade_client import (
    Command,
    TradeClient,
    credentials_of,
    decode_command,
)
from quant_trading_system.simulator.server.trade_faults import TradeFaults, TradeFrame

STREAM_NAME = "trade_updates"
CONNECTIONS_MAX = 16
MESSAGE_BYTES_MAX = 64 * 1_024

NOTICE = (  # recorded 2026-09-18
    "this authentication format is being deprecated. "
    'Please use the format: {"action": "auth", "key": "x", "secret": "x"}'
)
REFUSAL = "access key verification failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStreamRules:
    """How trade_updates are given.

    Args:
        connections_max: Alpaca allows an account one, and refuses the next handshake with 429 (reference 7.1). More
            are allowed here unless told otherwise, so that somebody can watch while a bot trades.
        reap_seconds: how long a line that broke without a goodbye keeps its place; Alpaca takes about 90.
        is_text: JSON in text frames instead of binary ones.
        has_notice: whether the old form of the login is answered with the announcement of its end.
    """

    connections_max: int = CONNECTIONS_MAX
    reap_seconds: float = 0.0
    is_text: bool = False
    has_notice: bool = True
    may_deflate: bool = True


class TradeStream:
    """All connections of `/stream`."""

    def __init__(self, credentials: Credentials, plan: FaultPlan, rules: TradeStreamRules, write: WriteEvent) -> None:
        self._credentials = credentials
        self._plan = plan
        self._rules = rules
        self._write = write
        self._clients: Clients[TradeClient] = Clients()
        self._reaper = Reaper(rules.reap_seconds)
        self._faults = TradeFaults(plan)
        self._line_faults = LineFaults(plan, TRADE_UPDATES, self._clients, frame_errors=None)

    @property
    def listeners(self) -> int:
        return sum(client.is_listening for client in self._clients)

    def publish(self, event: OrderEvent, *, published_ns: int) -> None:
        """Send one order event to everyone who listens, one event a frame. Without a listener nothing is written."""
        if not self.listeners or self._line_faults.act(at_frame=True):
            return
        self._send(self._faults.frames_for(TradeFrame(event, published_ns, self._write)))

    def tick(self) -> None:
        """What is due without anything having happened: late frames, faults of lines."""
        self._line_faults.act(at_frame=False)
        frames, is_burst = self._faults.due()
        self._send(frames, is_burst=is_burst)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        taken = len(self._clients) + self._reaper.count(request.path)
        if taken >= self._rules.connections_max or self._plan.fires(Kind.REFUSE_CONNECT, TRADE_UPDATES):
            return too_many_requests_answer(is_data=False)
        socket = await open_socket(request, message_bytes_max=MESSAGE_BYTES_MAX, may_deflate=self._rules.may_deflate)
        await self._clients.serve(TradeClient(request, socket, is_text=self._rules.is_text), self._talk)
        return socket

    def close_all(self) -> None:
        """Say goodbye to everyone: the exchange stops."""
        self._clients.close_all()

    def _send(self, frames: Sequence[TradeFrame], *, is_burst: bool = False) -> None:
        if not frames:
            return
        for client in self._clients:
            if not client.is_listening or client.is_starved:
                continue
            if is_burst:
                client.outbox.join_segments()
            for frame in frames:
                encoded = frame.encoded(client.write)
                if encoded is not None:
                    client.send_frame(encoded)

    async def _talk(self, client: TradeClient, writer: asyncio.Task[None]) -> None:
        try:
            while not client.outbox.is_closing and (payload := await client.next_payload()) is not None:
                if not client.is_ignored:
                    self._obey(client, decode_command(payload))
            if client.outbox.is_closing:
                await writer  # what was said last must leave before the socket is closed
        finally:
            self._reaper.left(client, client.request.path)

    def _obey(self, client: TradeClient, command: Command | None) -> None:
        action = command.get("action") if command is not None else None
        if command is not None and action in ("auth", "authenticate"):
            self._log_in(client, command, is_old_form=action == "authenticate")
        elif command is not None and action == "listen":
            self._listen(client, command)
        else:
            client.fail()

    def _log_in(self, client: TradeClient, command: Command, *, is_old_form: bool) -> None:
        if self._plan.fires(Kind.SILENT_LOGIN, TRADE_UPDATES):
            client.is_ignored = True
            return
        client.is_authorized = self._credentials.match_login(*credentials_of(command, is_old_form=is_old_form))
        if is_old_form and self._plan.fires(Kind.REFUSE_OLD_LOGIN, TRADE_UPDATES):
            client.is_authorized = False
        message = NOTICE if is_old_form and self._rules.has_notice else None
        if not client.is_authorized:
            client.is_listening = False
            message = REFUSAL
        status = "authorized" if client.is_authorized else "unauthorized"
        told = {"message": message} if message is not None else {}
        client.send("authorization", {"action": "authenticate", **told, "status": status})

    def _listen(self, client: TradeClient, command: Command) -> None:
        if not client.is_authorized:
            client.send("authorization", {"action": "listen", "status": "unauthorized"})
            return
        if self._plan.fires(Kind.SILENT_SUBSCRIBE, TRADE_UPDATES):
            return
        data = command.get("data")
        asked = data.get("streams") if isinstance(data, Mapping) else None
        client.is_listening = isinstance(asked, list) and STREAM_NAME in asked
        if self._plan.fires(Kind.SHORT_SUBSCRIPTION, TRADE_UPDATES):
            client.is_listening = False
        client.send("listening", {"streams": [STREAM_NAME] if client.is_listening else []})
