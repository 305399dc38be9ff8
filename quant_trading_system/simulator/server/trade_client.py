"""One connection of `/stream`: how it is spoken to, and what its commands say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from quant_trading_system.simulator.server.clients import Connection
from quant_trading_system.simulator.server.outbox import Limits

LIMITS = Limits(frames_max=20_000, bytes_max=64 * 1_024 * 1_024)  # order events are never dropped: cut instead
INTERNAL_ERROR = "internal server error"

Write = Callable[[object], str | bytes]
Command = Mapping[str, Any]


class TradeClient(Connection):
    """A client of trade_updates.

    Args:
        is_text: JSON leaves in text frames, not in binary ones as from Alpaca's paper hosts.
    """

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, *, is_text: bool) -> None:
        super().__init__(request, socket, LIMITS)
        self.is_listening = False
        if "msgpack" in request.headers.get("Content-Type", ""):
            self.write: Write = msgspec.msgpack.encode
        else:
            self.write = _write_text if is_text else msgspec.json.encode

    def send(self, stream: str, data: object) -> None:
        self.send_frame(self.write({"stream": stream, "data": data}))

    def send_frame(self, frame: str | bytes) -> None:
        if not self.outbox.put(frame):
            self.outbox.cut()

    def fail(self, code: int = 500) -> None:
        """The one error that is documented for this stream, whatever was wrong; then the end."""
        self.outbox.close_after(self.write({"action": "error", "data": {"error_message": INTERNAL_ERROR}}))


def _write_text(message: object) -> str:
    return msgspec.json.encode(message).decode()


def decode_command(payload: str | bytes) -> Command | None:
    """A JSON or msgpack object, None when it is neither."""
    try:
        command = json.loads(payload)
    except (ValueError, RecursionError):
        try:
            command = msgspec.msgpack.decode(payload) if isinstance(payload, bytes) else None
        except (msgspec.DecodeError, RecursionError):
            return None
    return command if isinstance(command, Mapping) else None


def credentials_of(command: Command, *, is_old_form: bool) -> tuple[str, str]:
    """Key and secret of a login in either form; "oauth" and the token where it has one."""
    if not is_old_form:
        return str(command.get("key", "")), str(command.get("secret", ""))
    data = command.get("data")
    if not isinstance(data, Mapping):
        return "", ""
    if "oauth_token" in data:
        return "oauth", str(data["oauth_token"])
    return str(data.get("key_id", "")), str(data.get("secret_key", ""))
