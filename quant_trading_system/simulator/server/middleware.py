"""What every REST request passes: faults, login, budget, and the form of a refusal. Decides if a handler is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.auth import is_authorized
from quant_trading_system.simulator.server.errors import (
    html_answer,
    json_answer,
    refusal_answer,
    too_many_requests_answer,
    unauthorized_answer,
)
from quant_trading_system.simulator.server.faults import REST_KINDS, Firing, Kind
from quant_trading_system.simulator.server.settings import Profile
from quant_trading_system.simulator.server.venue import VENUE, Venue

CONTROL_PREFIX = "/simulator/"
DATA_PREFIXES = ("/v2/stocks/", "/v1beta3/", "/v1/corporate-actions", "/v1beta1/")
STREAM_PATHS = frozenset({"/stream", "/v2/iex", "/v2/sip", "/v2/test"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fired = Mapping[Kind, Firing]

_INTERNAL_ERROR = {"code": 50010000, "message": "internal server error occurred"}
_FORBIDDEN = {"code": 40310000, "message": "forbidden."}


def is_data_path(path: str) -> bool:
    return path.startswith(DATA_PREFIXES)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to its handler, or answer in the handler's place."""
    venue = request.app[VENUE]
    if request.path in STREAM_PATHS:
        return await handler(request)
    if request.path.startswith(CONTROL_PREFIX):
        return await _answered(request, handler, venue)
    where = f"{request.method} {request.path}"
    if venue.plan.is_empty:
        answer = await _checked(request, handler, venue)
    else:
        answer = await _with_faults(request, handler, venue, where)
    answer.headers["X-Request-ID"] = venue.next_request_id()
    return answer


async def _with_faults(request: web.Request, handler: Handler, venue: Venue, where: str) -> web.Response:
    fired = venue.plan.fire_all(where, REST_KINDS)
    refused = _refused_by_fault(fired, request.path)
    if refused is not None:
        return refused
    if Kind.DROP_BEFORE_ACCEPT in fired:
        return _cut(request)
    answer = await _checked(request, handler, venue)
    if Kind.ACCEPT_THEN_DROP in fired:
        return _cut(request)
    latency = fired.get(Kind.LATENCY)
    if latency is not None:
        await asyncio.sleep(latency.rule.latency_ms / 1_000)
    return _spoilt(fired, where, answer)


def _refused_by_fault(fired: Fired, path: str) -> web.Response | None:
    """The answer of a fault that keeps the request from being carried out."""
    if Kind.ERROR_403 in fired:
        return json_answer(_FORBIDDEN, status=403)
    if Kind.ERROR_429 in fired:
        return too_many_requests_answer(is_data=is_data_path(path))
    if Kind.ERROR_500 in fired:
        return json_answer(_INTERNAL_ERROR, status=500)
    for kind, status in ((Kind.ERROR_502, 502), (Kind.ERROR_503, 503), (Kind.HTML_ERROR, 401)):
        if kind in fired:
            return html_answer(status)
    if Kind.ERROR_504 in fired:
        return web.Response(status=504)
    return None


def _spoilt(fired: Fired, where: str, answer: web.Response) -> web.Response:
    """The answer after the faults that come behind the request: lost, empty, cut, old."""
    if Kind.ACCEPT_THEN_504 in fired:
        return web.Response(status=504)
    if Kind.EMPTY_BODY in fired:
        return web.Response(status=answer.status)
    body = answer.body if isinstance(answer.body, bytes) else b""
    if Kind.EMPTY_LIST in fired and body.startswith(b"["):
        return json_answer([], status=answer.status)
    if Kind.TRUNCATED_BODY in fired:
        return _copied(answer, body[: len(body) // 2])
    stale = fired.get(Kind.STALE_SNAPSHOT)
    if stale is not None and answer.status == 200:
        kept = stale.kept.setdefault(where, body)
        assert isinstance(kept, bytes), "bodies are kept"
        return _copied(answer, kept)
    return answer


def _copied(answer: web.Response, body: bytes) -> web.Response:
    return web.Response(body=body, status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer; what is returned here goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


async def _checked(request: web.Request, handler: Handler, venue: Venue) -> web.Response:
    """Login and budget, then the handler."""
    if not is_authorized(request.headers, venue.settings.credentials):
        return unauthorized_answer(request.path, is_legacy=venue.settings.profile is Profile.LEGACY_2021)
    is_data = is_data_path(request.path)
    venue.catch_up()
    allowance = venue.limiter.take("data" if is_data else "trading", venue.exchange.now_ns)
    if allowance is not None and not allowance.is_allowed:
        answer = too_many_requests_answer(is_data=is_data)
    else:
        answer = await _answered(request, handler, venue)
    if allowance is not None:
        answer.headers.update(allowance.headers())
    return answer


async def _answered(request: web.Request, handler: Handler, venue: Venue) -> web.Response:
    """The handler's answer, or its refusal as Alpaca writes it."""
    try:
        answer = await handler(request)
    except Refusal as refusal:
        answer = refusal_answer(refusal)
    except DataFileError as error:
        # A recorded day that was not judged at the start: its history cannot be told, the rest goes on.
        answer = json_answer({"code": 50010000, "message": error.message}, status=500)
    except web.HTTPNotFound:
        answer = json_answer({"code": 40410000, "message": "endpoint not found"}, status=404)
    except web.HTTPMethodNotAllowed as error:
        answer = json_answer({"code": 40510000, "message": "method not allowed"}, status=405)
        answer.headers["Allow"] = ",".join(sorted(error.allowed_methods))
    except web.HTTPRequestEntityTooLarge:
        answer = json_answer({"code": 40010000, "message": "request body is too large"}, status=413)
    venue.publish()
    assert isinstance(answer, web.Response), "REST handlers answer whole bodies"
    return answer
