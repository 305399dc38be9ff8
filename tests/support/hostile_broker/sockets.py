"""Both WebSockets: `trade_updates` in binary frames, market data as msgpack or JSON, and how each misbehaves."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgpack  # type: ignore[import-untyped]
from aiohttp import WSMsgType, web

from tests.support.hostile_broker import schedule as points
from tests.support.hostile_broker.books import Event
from tests.support.hostile_broker.desk import Desk
from tests.support.hostile_broker.times import NANOS, parse, stamp
from tests.support.hostile_broker.wire import ulid, update_frame

TICK_S = 0.25
SETTLED_S = 2.0
"""Before a stream misbehaves its client has it for so long: nobody can tell the fall of what it did not yet have."""
LATE_S = (1.0, 6.0)
MINUTE_NS = 60 * NANOS
NOTICE = "the authenticate action is deprecated, use auth with key and secret"
LISTS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")


class TradeSocket:
    """One connection to /stream."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle(self, request: web.Request) -> web.StreamResponse:
        desk = self._desk
        desk.handshakes["trade"] += 1
        if desk.connections["trade"] or desk.schedule.draw(points.TRADE_HANDSHAKE) == "too_many":
            return web.Response(status=429, text="too many requests.")
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        desk.connections["trade"] += 1
        session = _TradeSession(desk, socket)
        try:
            await session.run()
        finally:
            desk.connections["trade"] -= 1
        return socket


class _TradeSession:
    def __init__(self, desk: Desk, socket: web.WebSocketResponse) -> None:
        self._desk = desk
        self._socket = socket
        self._is_authorized = False
        self._is_listening = False
        self._is_starved = False
        self._login = desk.schedule.draw(points.TRADE_LOGIN)
        self._sent: list[dict[str, Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0

    async def run(self) -> None:
        self._spawn(self._misbehave())
        self._desk.listeners.append(self._on_event)
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                await self._obey(json.loads(message.data))
        finally:
            self._desk.listeners.remove(self._on_event)
            for task in self._tasks:
                task.cancel()

    async def _obey(self, command: dict[str, Any]) -> None:
        match command.get("action"):
            case "auth":
                await self._authorize((command.get("key"), command.get("secret")), is_new_form=True)
            case "authenticate":
                data = command.get("data", {})
                await self._authorize((data.get("key_id"), data.get("secret_key")), is_new_form=False)
            case "listen":
                await self._listen(command.get("data", {}).get("streams", []))
            case _:
                await self._send({"action": "error", "data": {"error_message": "invalid action"}})

    async def _authorize(self, keys: tuple[object, object], *, is_new_form: bool) -> None:
        if self._login == "silent":
            return
        refused = is_new_form and self._login == "new_form_refused"
        self._is_authorized = keys == self._desk.keys and not refused
        data: dict[str, str] = {
            "action": "authenticate",
            "status": "authorized" if self._is_authorized else "unauthorized",
        }
        if not self._is_authorized:
            data["message"] = "access key verification failed"
        elif not is_new_form:
            data["message"] = NOTICE
        await self._send({"stream": "authorization", "data": data})

    async def _listen(self, streams: list[str]) -> None:
        if not self._is_authorized:
            await self._send({"stream": "authorization", "data": {"action": "listen", "status": "unauthorized"}})
            return
        known = [each for each in streams if each == "trade_updates"]
        if self._login == "not_listening":
            known = []
        self._is_listening = bool(known)
        await self._send({"stream": "listening", "data": {"streams": known}})
        if self._is_listening:
            self._desk.schedule.begin()

    async def _misbehave(self) -> None:
        while not self._is_listening:
            await asyncio.sleep(TICK_S)
        await asyncio.sleep(SETTLED_S)
        while True:
            await asyncio.sleep(TICK_S)
            match self._desk.schedule.draw(points.TRADE_TICK):
                case "starve":
                    self._is_starved = True  # until the connection is made anew: open, answering pings, and mute
                case "close_1000":
                    await self._socket.close(code=1000)
                case "abort":
                    transport = self._socket._req.transport if self._socket._req is not None else None
                    if transport is not None:
                        transport.abort()
                case "error_frame":
                    await self._send({"action": "error", "data": {"error_message": "internal server error"}})
                    await self._socket.close(code=1011)

    def _on_event(self, event: Event) -> None:
        if not self._is_listening:
            return
        self._number += 1
        data = update_frame(event, self._desk.books, event_id=ulid(self._number, event.at_ns))
        frame = {"stream": "trade_updates", "data": data}
        fault = self._desk.schedule.draw(points.TRADE_EVENT)
        if fault == "dropped" or (fault == "no_new" and event.word in ("new", "pending_new")):
            return
        if fault == "bare":
            for key in ("at", "event_id", "execution_id" if event.execution is None else "swap_rate"):
                data.pop(key, None)
        self._spawn(self._deliver(frame, fault))

    async def _deliver(self, frame: dict[str, Any], fault: str | None) -> None:
        between = self._desk.schedule.between
        if fault == "late":
            await asyncio.sleep(between(*LATE_S))
        await self._send(frame)
        self._sent.append(frame)
        if fault == "unknown_word":
            await self._send({"stream": "trade_updates", "data": {**frame["data"], "event": "restated_by_hand"}})
        if fault == "replayed":
            for _ in range(3):
                await asyncio.sleep(between(0.05, 2.0))
                for old in self._sent[-6:]:
                    await self._send(old)

    async def _send(self, frame: dict[str, Any]) -> None:
        if self._socket.closed or (self._is_starved and "stream" in frame):
            return
        try:
            await self._socket.send_bytes(json.dumps(frame).encode())
        except (ConnectionError, RuntimeError):
            return  # it ended meanwhile; nothing is sent again

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class DataSocket:
    """One connection to /v2/iex or /v2/sip."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle(self, request: web.Request) -> web.StreamResponse:
        desk = self._desk
        desk.handshakes["data"] += 1
        if desk.schedule.draw(points.DATA_HANDSHAKE) == "too_many":
            return web.Response(status=429, text="too many requests.")
        socket = web.WebSocketResponse(autoping=True, compress=True)
        await socket.prepare(request)
        is_msgpack = "msgpack" in request.headers.get("Content-Type", "")
        session = _DataSession(desk, socket, is_msgpack=is_msgpack, is_second=desk.connections["data"] > 0)
        desk.connections["data"] += 1
        try:
            await session.run()
        finally:
            desk.connections["data"] -= 1
        return socket


class _DataSession:
    def __init__(self, desk: Desk, socket: web.WebSocketResponse, *, is_msgpack: bool, is_second: bool) -> None:
        self._desk = desk
        self._socket = socket
        self._is_msgpack = is_msgpack
        self._is_second = is_second
        self._is_authenticated = False
        self._subscribed: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        self._is_mute = False
        self._settled_s: float | None = None
        self._login = desk.schedule.draw(points.DATA_LOGIN)
        self._trade_number = 0

    async def run(self) -> None:
        await self._send([{"T": "success", "msg": "connected"}])
        speaking = asyncio.get_running_loop().create_task(self._speak())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._obey(json.loads(message.data))
                elif message.type is WSMsgType.BINARY:
                    await self._obey(msgpack.unpackb(message.data))
        finally:
            speaking.cancel()

    async def _obey(self, command: dict[str, Any]) -> None:
        match command.get("action"):
            case "auth":
                await self._authenticate((command.get("key"), command.get("secret")))
            case "subscribe" | "unsubscribe" if not self._is_authenticated:
                await self._error(401, "not authenticated")
            case "subscribe":
                await self._subscribe(command, adds=True)
            case "unsubscribe":
                await self._subscribe(command, adds=False)
            case _:
                await self._error(400, "invalid syntax")

    async def _authenticate(self, keys: tuple[object, object]) -> None:
        if keys != self._desk.keys:
            await self._error(402, "auth failed", closes=True)
        elif self._is_second or self._login == "connection_limit":
            await self._error(406, "connection limit exceeded", closes=True)
        elif self._login == "auth_timeout":
            await self._error(404, "auth timeout", closes=True)
        elif self._is_authenticated:
            await self._error(403, "already authenticated")
        else:
            self._is_authenticated = True
            await self._send([{"T": "success", "msg": "authenticated"}])

    async def _subscribe(self, command: dict[str, Any], *, adds: bool) -> None:
        wanted = {channel: set(command.get(channel) or ()) for channel in CHANNELS}
        if not any(wanted.values()):
            await self._error(400, "invalid syntax")
            return
        for channel, symbols in wanted.items():
            self._subscribed[channel] = (
                self._subscribed[channel] | symbols if adds else self._subscribed[channel] - symbols
            )
        self._settled_s = self._settled_s or time.monotonic() + SETTLED_S
        shown = {channel: sorted(self._subscribed[channel]) for channel in LISTS}
        trades = shown["trades"]
        await self._send([{"T": "subscription", **shown, "corrections": trades, "cancelErrors": trades}])

    async def _speak(self) -> None:
        desk = self._desk
        minute = desk.now_ns() // MINUTE_NS
        while True:
            await asyncio.sleep(TICK_S)
            is_settled = self._settled_s is not None and time.monotonic() >= self._settled_s
            match desk.schedule.draw(points.DATA_TICK) if is_settled else None:
                case "mute":
                    self._is_mute = True  # until the connection is made anew
                case "close":
                    await self._socket.close(code=1001)
                case "slow_client":
                    await self._error(407, "slow client", closes=True)
            if self._is_mute:
                continue
            now = desk.now_ns() // MINUTE_NS
            if now != minute:
                await self._send(self._bars(minute, now))
                minute = now
            await self._send([*self._quotes(), *self._trades()])

    def _quotes(self) -> list[dict[str, Any]]:
        found = []
        for symbol in sorted(self._subscribed["quotes"] & set(self._desk.market.symbols)):
            found.append({"T": "q", "S": symbol, **self._desk.latest("quotes", symbol)})
        return found

    def _trades(self) -> list[dict[str, Any]]:
        found = []
        for symbol in sorted(self._subscribed["trades"] & set(self._desk.market.symbols)):
            self._trade_number += 1
            trade = {**self._desk.latest("trades", symbol), "i": self._trade_number}
            found.append({"T": "t", "S": symbol, **trade})
        return found

    def _bars(self, first: int, end: int) -> list[dict[str, Any]]:
        frame: list[dict[str, Any]] = []
        for symbol in sorted(self._subscribed["bars"] & set(self._desk.market.symbols)):
            for minute in range(first, end):
                bar = {"T": "b", "S": symbol, **self._desk.market.bar(symbol, minute * MINUTE_NS)}
                frame.append(bar)
                frame += self._spoiled(symbol, bar)
        return frame

    def _spoiled(self, symbol: str, bar: dict[str, Any]) -> list[dict[str, Any]]:
        at = stamp(self._desk.now_ns())
        match self._desk.schedule.draw(points.DATA_BAR):
            case "doubled":
                return [dict(bar)]
            case "updated":
                return [{**bar, "T": "u", "v": int(bar["v"]) + 100}]
            case "corrections":
                return [
                    {"T": "c", "S": symbol, "x": "V", "oi": 1, "op": 1.0, "os": 1, "oc": ["@"], "ci": 2, "cp": 1.1,
                     "cs": 1, "cc": ["@"], "t": at, "z": "C"},
                    {"T": "x", "S": symbol, "i": 3, "x": "V", "p": 1.0, "s": 1, "a": "C", "t": at, "z": "C"},
                ]  # fmt: skip
            case "unknown_kind":
                nothing = dict.fromkeys(("bp", "bs", "ap", "as"), 0)  # no quote on either side
                return [
                    {"T": "zz", "S": symbol, "t": at, "nobody": ["knows"]},
                    {"T": "q", "S": symbol, "t": at, **nothing, "c": None, "z": "C", "new_key": 1},
                ]
        return []

    async def _error(self, code: int, text: str, *, closes: bool = False) -> None:
        await self._send([{"T": "error", "code": code, "msg": text}])
        if closes:
            await self._socket.close()

    async def _send(self, frame: list[dict[str, Any]]) -> None:
        if not frame or self._socket.closed:
            return
        try:
            if self._is_msgpack:
                await self._socket.send_bytes(msgpack.packb([_with_timestamps(each) for each in frame], datetime=False))
            else:
                await self._socket.send_str(json.dumps(frame))
        except (ConnectionError, RuntimeError):
            return  # it ended meanwhile


def _with_timestamps(message: dict[str, Any]) -> dict[str, Any]:
    """In msgpack a stamp is the extension type -1."""
    if "t" not in message:
        return message
    ns = parse(message["t"])
    return {**message, "t": msgpack.Timestamp(ns // NANOS, ns % NANOS)}
