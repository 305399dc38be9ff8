"""What every REST request passes: faults, login, budget, and the form of a refusal. Decides if a handler is asked."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.refusals import Refusal, malformed
from quant_trading_system.simulator.server.action_events import ACTIONS_PATH
from quant_trading_system.simulator.server.auth import has_credentials, is_authorized, is_of_another_host
from quant_trading_system.simulator.server.data_news import NEWS_PATH, wants_socket
from quant_trading_system.simulator.server.errors import (
    forbidden_answer,
    json_answer,
    refusal_answer,
    too_many_requests_answer,
    unauthorized_answer,
)
from quant_trading_system.simulator.server.event_streams import ACTIVITIES_PATH, TRADES_PATH
from quant_trading_system.simulator.server.feeds import FEEDS
from quant_trading_system.simulator.server.rest_faults import answer_with_faults, refuse_stream
from quant_trading_system.simulator.server.settings import is_data_path
from quant_trading_system.simulator.server.venue import VENUE, Venue

CONTROL_PREFIX = "/simulator/"
KEYLESS_PREFIX = "/v1beta3/crypto/"  # its history is read without a key, at a lower rate (reference 1.2)
STREAM_PATHS = frozenset({"/stream", TRADES_PATH, ACTIVITIES_PATH, ACTIONS_PATH, *FEEDS})
GZIP_BYTES_MIN = 512  # below this the packed body saves no packet
GZIP_LEVEL = 1
# zlib's word for a gzip header with a window of 4 KiB, and tables to match: an order is packed in 30 µs, an eighth of
# what it takes to set up the full window of 32 KiB.
_GZIP_WINDOW = 16 + 12
_GZIP_MEMORY = 6

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to its handler, or answer in the handler's place."""
    venue = request.app[VENUE]
    if _is_stream(request):
        refused = None if venue.plan.is_empty else await refuse_stream(request, venue)
        return refused or await handler(request)
    if request.path.startswith(CONTROL_PREFIX):
        return await _answered(request, handler, venue)
    if venue.plan.is_empty:
        return _packed(request, await _checked(request, handler, venue))
    answer = await answer_with_faults(request, venue, lambda: _checked(request, handler, venue))
    return _packed(request, answer) if isinstance(answer, web.Response) else answer


def _is_stream(request: web.Request) -> bool:
    """Whether the handler answers with a stream: it logs in and counts for itself."""
    if request.path not in STREAM_PATHS or request.method != "GET":
        return False
    return request.path != NEWS_PATH or wants_socket(request)


async def sign(request: web.Request, answer: web.StreamResponse) -> None:
    """The headers that every answer of Alpaca's hosts has (reference 1.4)."""
    answer.headers["X-Request-ID"] = request.app[VENUE].next_request_id()
    answer.headers["Strict-Transport-Security"] = "max-age=15724800; includeSubDomains"


def _packed(request: web.Request, answer: web.Response) -> web.Response:
    """The answer in gzip, where it is asked for and worth it."""
    body = answer.body
    if not isinstance(body, bytes) or len(body) < GZIP_BYTES_MIN or "Content-Encoding" in answer.headers:
        return answer
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW, _GZIP_MEMORY)
        answer.body = packer.compress(body) + packer.flush()
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
    return answer


async def _checked(request: web.Request, handler: Handler, venue: Venue) -> web.Response:
    """Login and budget, then the handler."""
    is_data = is_data_path(request.path)
    budget = "data" if is_data else "trading"
    if not is_authorized(request.headers, venue.settings.credentials):
        if is_of_another_host(request.headers, venue.settings.credentials):
            return forbidden_answer()
        if not _needs_no_key(request):
            return unauthorized_answer(request.path, profile=venue.settings.profile)
        budget = "keyless"
    venue.catch_up()
    allowance = venue.limiter.take(budget, venue.exchange.now_ns)
    if allowance is not None and not allowance.is_allowed:
        answer = too_many_requests_answer(is_data=is_data)
    else:
        answer = venue.manners.answer(request.method, await _answered(request, handler, venue))
    if allowance is not None and venue.settings.has_rate_limit_headers:
        answer.headers.update(allowance.headers())
    return answer


def _needs_no_key(request: web.Request) -> bool:
    is_history = request.path.startswith(KEYLESS_PREFIX) and request.method in ("GET", "HEAD")
    return is_history and not has_credentials(request.headers)


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
        answer = refusal_answer(malformed("request body is too large"))
    venue.publish()
    assert isinstance(answer, web.Response), "REST handlers answer whole bodies"
    return answer
