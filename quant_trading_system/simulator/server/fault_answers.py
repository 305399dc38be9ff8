"""Decides what the transport does to an answer that faults spoil: another status, a cut line, a drip, a flood."""

from __future__ import annotations

import asyncio
import time
import zlib
from email.utils import formatdate
from http import HTTPStatus

import msgspec
from aiohttp import web

from quant_trading_system.simulator.server.errors import html_answer, json_answer
from quant_trading_system.simulator.server.fault_kinds import Kind
from quant_trading_system.simulator.server.fault_rules import FaultRule

DRIP_PIECES_MAX = 1_000  # a longer body comes in longer pieces
FLOOD_PIECE_BYTES = 64 * 1_024
ENDLESS_WALL_SECONDS_MAX = 600.0

_STATUS_OF_KIND = {
    Kind.ERROR_401: 401,
    Kind.ERROR_403: 403,
    Kind.ERROR_404: 404,
    Kind.ERROR_409: 409,
    Kind.ERROR_422: 422,
    Kind.ERROR_429: 429,
    Kind.ERROR_500: 500,
    Kind.ERROR_502: 502,
    Kind.ERROR_503: 503,
    Kind.ERROR_504: 504,
}
ERROR_KINDS = frozenset({Kind.ERROR, *_STATUS_OF_KIND})

_BODY_OF_STATUS = {502: "html", 503: "html", 504: "empty"}  # as they were seen (reference 1.2, 1.5)
_MESSAGES: dict[int, tuple[int | None, str]] = {
    401: (None, "unauthorized."),
    403: (None, "forbidden."),
    404: (40410000, "order not found"),
    409: (40910000, "conflict"),
    422: (42210000, "unprocessable"),
    429: (42910000, "rate limit exceeded"),
    500: (50010000, "internal server error occurred"),
    503: (50310000, "service unavailable"),
}


def error_answer(rule: FaultRule, *, is_data: bool) -> web.Response:
    """The answer of an error kind: its status, with the body that Alpaca or the proxy in front was seen to send."""
    status = _STATUS_OF_KIND.get(rule.kind, rule.status or 500)
    form = rule.body or _BODY_OF_STATUS.get(status, "json")
    if form == "html":
        return html_answer(status)
    if form == "empty":
        return web.Response(status=status)
    code, message = _MESSAGES.get(status, (status * 100_000, HTTPStatus(status).phrase if _is_known(status) else ""))
    if is_data:
        code = None  # market data answers without codes (reference 10.3)
        message = "too many requests." if status == 429 else message
    body: dict[str, object] = {"message": rule.message or message}
    code = rule.code if rule.code is not None else code
    return json_answer({"code": code, **body} if code is not None else body, status=status)


def _is_known(status: int) -> bool:
    return status in HTTPStatus.__members__.values()


def skew_date(answer: web.Response, seconds: int) -> None:
    """Let the Date header tell another time than it is."""
    answer.headers["Date"] = formatdate(time.time() + seconds, usegmt=True)


def copied(answer: web.Response, body: bytes, *, status: int | None = None) -> web.Response:
    """The same answer with another body."""
    copy = web.Response(body=body, status=status or answer.status)
    for name, value in answer.headers.items():
        if name not in ("Content-Length", "Content-Encoding"):
            copy.headers[name] = value
    return copy


def body_of(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


def cut(request: web.Request) -> web.Response:
    """End the connection without an answer; what is returned here goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def cut_within(request: web.Request, answer: web.Response, point: str) -> web.Response:
    """Send a part of an answer, then end the connection."""
    head, body = _head(answer), body_of(answer)
    sent = {"before": 0, "headers": len(head) // 2, "body": len(head) + len(body) // 2, "after": len(head) + len(body)}
    if request.transport is None or not sent[point]:
        return cut(request)
    request.transport.write((head + body)[: sent[point]])
    request.transport.close()
    return web.Response(status=499)


def _head(answer: web.Response) -> bytes:
    body = body_of(answer)
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items() if name != "Content-Length"]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


async def drip(request: web.Request, answer: web.Response, *, seconds: float) -> web.StreamResponse:
    """Send the body in small pieces, evenly over some real seconds."""
    body = body_of(answer)
    piece = max(1, -(-len(body) // DRIP_PIECES_MAX))
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
    stream = _streamed(answer, length=len(body))
    await stream.prepare(request)
    for part in pieces:
        await stream.write(part)
        await asyncio.sleep(seconds / len(pieces))
    await stream.write_eof()
    return stream


async def flood(request: web.Request, answer: web.Response, *, size_bytes: int, is_chunked: bool) -> web.StreamResponse:
    """Send a JSON text of that size, with its length in the headers or without an end in sight."""
    stream = _streamed(answer, length=None if is_chunked else size_bytes)
    if is_chunked:
        stream.enable_chunked_encoding()
    await stream.prepare(request)
    filler = b" " * FLOOD_PIECE_BYTES  # blanks are JSON wherever they stand
    async with asyncio.timeout(ENDLESS_WALL_SECONDS_MAX):
        for start in range(0, size_bytes, FLOOD_PIECE_BYTES):
            await stream.write(filler[: size_bytes - start])
    await stream.write_eof()
    return stream


def bomb(answer: web.Response, *, size_bytes: int) -> web.Response:
    """A small body that unpacks to one of that size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    filler = b" " * FLOOD_PIECE_BYTES
    packed = [packer.compress(filler[: size_bytes - start]) for start in range(0, size_bytes, FLOOD_PIECE_BYTES)]
    answer = copied(answer, b"".join([*packed, packer.flush()]))
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _streamed(answer: web.Response, *, length: int | None) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name != "Content-Length":
            stream.headers[name] = value
    stream.content_length = length
    return stream


def patched(answer: web.Response, values: dict[str, object]) -> web.Response:
    """The same answer with other values in its object; anything but an object stays as it is."""
    try:
        tree = msgspec.json.decode(body_of(answer))
    except msgspec.DecodeError:
        return answer
    if not isinstance(tree, dict):
        return answer
    tree.update((name, value) for name, value in values.items() if name in tree)
    return copied(answer, msgspec.json.encode(tree))
