"""Server-sent events: who listens, what they missed, who is too slow. Decides every bound on it.

A record becomes one event with an id that grows by one. A client that comes back with the last id it saw gets what it
missed, or a `reset` where that is no longer kept or came from another process.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from types import TracebackType

import msgspec
from msgspec import Struct

from quant_trading_system.core.records import (
    AlertRecord,
    DecisionRecord,
    DriftRecord,
    EquityRecord,
    FillRecord,
    LockRecord,
    OrderRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.dashboard import json_views

CLIENTS_MAX = 16
WAITING_MAX = 256  # messages one client may lag behind; then it is cut off and comes back by itself
KEPT_MAX = 512

_KINDS: dict[type[Record], str] = {
    DecisionRecord: "decision",
    OrderRecord: "order",
    FillRecord: "fill",
    EquityRecord: "equity",
    AlertRecord: "alert",
    ReconciliationRecord: "reconciliation",
    DriftRecord: "drift",
    LockRecord: "lock",
}


class TooManyClients(Exception):
    """`CLIENTS_MAX` clients listen already."""


class StreamEnded(Exception):
    """The hub closed, or this client was too slow."""


class Message(Struct, frozen=True):
    """One event on the wire. `id` is empty for what need not be repeated to a client that comes back."""

    kind: str
    data: bytes
    id: str = ""

    def encode(self) -> bytes:
        """As text/event-stream; JSON holds no raw newline, so one data line is enough."""
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.kind}\ndata: ".encode() + self.data + b"\n\n"


class Subscription:
    """One client's queue, bounded. A context manager: leaving it ends the subscription."""

    def __init__(self, hub: EventHub, waiting_max: int) -> None:
        self._hub = hub
        self._waiting: deque[Message] = deque()
        self._waiting_max = waiting_max
        self._ready = asyncio.Event()
        self._is_ended = False

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._hub.forget(self)

    async def next(self, timeout_s: float) -> Message | None:
        """The next message, or None when `timeout_s` passed without one.

        Raises:
            StreamEnded: nothing will come any more.
        """
        if not self._waiting and not self._is_ended:
            self._ready.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ready.wait()
            except TimeoutError:
                return None
        if self._waiting:
            return self._waiting.popleft()
        if self._is_ended:
            raise StreamEnded
        return None

    def offer(self, message: Message) -> bool:
        """Queue a message. False where the client is too slow: what waited is given up and the stream ends."""
        if len(self._waiting) >= self._waiting_max:
            self._waiting.clear()
            self.end()
            return False
        self._waiting.append(message)
        self._ready.set()
        return True

    def end(self) -> None:
        self._is_ended = True
        self._ready.set()


class EventHub:
    """Publishes to every client without waiting for any."""

    def __init__(
        self,
        *,
        run_id: str = "",
        clients_max: int = CLIENTS_MAX,
        waiting_max: int = WAITING_MAX,
        kept_max: int = KEPT_MAX,
    ) -> None:
        self._run_id = run_id or secrets.token_hex(4)
        self._clients: set[Subscription] = set()
        self._clients_max = clients_max
        self._waiting_max = waiting_max
        self._kept: deque[Message] = deque(maxlen=kept_max)
        self._published = 0
        self._is_closed = False
        self.cut_off = 0
        self.decisions_published = 0

    def publish_record(self, record: Record) -> None:
        """Show one row the engine wants remembered; rows nobody needs live are left out."""
        kind = _KINDS.get(type(record))
        if kind is None:
            return
        if kind == "decision":
            self.decisions_published += 1
        self.publish(kind, msgspec.json.encode(json_views.record(record)))

    def publish(self, kind: str, data: bytes) -> None:
        assert b"\n" not in data, "one event is one line of JSON"
        self._published += 1
        message = Message(kind, data, f"{self._run_id}-{self._published}")
        self._kept.append(message)
        for client in list(self._clients):
            if not client.offer(message):
                self.cut_off += 1
                self._clients.discard(client)

    def subscribe(self, last_event_id: str = "") -> Subscription:
        """Listen from now on, or from just after `last_event_id`.

        Raises:
            TooManyClients: no room.
            StreamEnded: the hub is closed.
        """
        if self._is_closed:
            raise StreamEnded
        if len(self._clients) >= self._clients_max:
            raise TooManyClients
        client = Subscription(self, self._waiting_max)
        if last_event_id:
            self._replay(client, last_event_id)
        self._clients.add(client)
        return client

    def forget(self, client: Subscription) -> None:
        self._clients.discard(client)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for client in list(self._clients):
            client.end()
        self._clients.clear()

    @property
    def clients(self) -> int:
        return len(self._clients)

    def _replay(self, client: Subscription, last_event_id: str) -> None:
        run_id, _, number = last_event_id.rpartition("-")
        last = int(number) if number.isascii() and number.isdecimal() and len(number) <= 18 else -1
        first_kept = self._published - len(self._kept) + 1
        if run_id != self._run_id or last > self._published or last + 1 < first_kept:
            client.offer(Message("reset", b"{}"))
            return
        missed = list(self._kept)[last + 1 - first_kept :]
        if len(missed) >= self._waiting_max:
            client.offer(Message("reset", b"{}"))
            return
        for message in missed:
            client.offer(message)
