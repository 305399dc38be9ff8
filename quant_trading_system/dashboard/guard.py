"""Who may speak to the HTTP server, and how much. Decides hosts, methods, tokens, origins, rates and response headers.

Numbers in brackets are the requirements of the security list this implements: S2, S3, S10, S12, S14, S16 to S18.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from quant_trading_system.dashboard.problems import Problem, from_http_exception

METHODS = frozenset({"GET", "HEAD", "POST"})
REQUESTS_PER_SECOND = 50.0  # of one address; a page and a scrape need two
REQUESTS_BURST = 200.0
FAILURES_PER_SECOND = 0.2  # wrong tokens of one address
FAILURES_BURST = 10.0
ADDRESSES_MAX = 1_000

SERVER_NAME = "AlphaTrade"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Server": SERVER_NAME,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger("http")


class Buckets:
    """A token bucket for each key, the least recently used forgotten beyond `ADDRESSES_MAX`."""

    def __init__(self, *, per_second: float, burst: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic_s = monotonic_s
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Spend one token of `key`. False where it has none left."""
        now_s = self._monotonic_s()
        level, at_s = self._levels.pop(key, (self._burst, now_s))
        level = min(self._burst, level + (now_s - at_s) * self._per_second)
        has_token = level >= 1.0
        self._levels[key] = (level - 1.0 if has_token else level, now_s)
        if len(self._levels) > ADDRESSES_MAX:
            self._levels.popitem(last=False)
        return has_token


class Guard:
    """The checks every request passes before its handler sees it."""

    def __init__(self, *, token: str, allowed_hosts: Collection[str]) -> None:
        assert len(token) >= 32, "a control token has at least 32 characters"
        self._token = token
        self.hosts = frozenset(
            host_name(f"[{host}]" if host.count(":") > 1 and "[" not in host else host) for host in allowed_hosts
        )
        assert "" not in self.hosts, f"a malformed host would allow every malformed Host header: {allowed_hosts}"
        self._requests = Buckets(per_second=REQUESTS_PER_SECOND, burst=REQUESTS_BURST)
        self._failures = Buckets(per_second=FAILURES_PER_SECOND, burst=FAILURES_BURST)

    @property
    def csrf_token(self) -> str:
        """What a browser must send back with a POST. It follows from the control token and does not tell it."""
        return hmac.new(self._token.encode(), b"alphatrade csrf", hashlib.sha256).hexdigest()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check, call, and turn every failure into problem+json."""
        try:
            self._check(request)
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except web.HTTPException as error:
            return from_http_exception(error).response()
        except Exception as error:  # border: one request that fails must not show a trace nor stop the server
            log.exception("request_failed", method=request.method, path=request.path, error=type(error).__name__)
            return Problem(500, "the daemon could not answer; its log says why").response()

    def require_token(self, request: web.Request) -> None:
        """Refuse a POST without the control token, or from a page of another origin.

        Raises:
            Problem: 401, 403 or 429.
        """
        given = request.headers.get("Authorization", "")
        scheme, _, token = given.partition(" ")
        is_right = hmac.compare_digest(token.strip().encode(), self._token.encode()) and scheme.lower() == "bearer"
        if not is_right:
            address = request.remote or ""
            log.warning("control_token_wrong", path=request.path, address=address, was_given=bool(given))
            if not self._failures.take(address):
                raise Problem(429, "too many wrong tokens; wait a minute", headers={"Retry-After": "60"})
            raise Problem(
                401,
                "this needs `Authorization: Bearer` with the content of control.token in the state directory",
                headers={"WWW-Authenticate": "Bearer"},
            )
        self._check_origin(request)

    def _check(self, request: web.Request) -> None:
        mark_used(request)
        host = request.headers.getall("Host", [])
        if len(host) != 1 or host_name(host[0]) not in self.hosts:
            raise Problem(421, "this host name is not served here")
        if request.method not in METHODS:
            raise Problem(405, "only GET, HEAD and POST are served", headers={"Allow": "GET, HEAD, POST"})
        if request.method != "POST" and not self._requests.take(request.remote or ""):
            raise Problem(429, f"more than {REQUESTS_PER_SECOND:.0f} requests a second", headers={"Retry-After": "1"})

    def _check_origin(self, request: web.Request) -> None:
        """A browser names where its page came from; a program does not, and needs no CSRF token."""
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None and site != "same-origin":
            raise Problem(403, "a page of another site may not command the daemon", code="cross_site")
        if origin is None:
            return
        if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
            raise Problem(403, "a page of another origin may not command the daemon", code="cross_origin")
        given = request.headers.get("X-CSRF-Token", "")
        if not hmac.compare_digest(given.encode(), self.csrf_token.encode()):
            raise Problem(403, "the page's CSRF token is missing or wrong", code="csrf")


def host_name(host: str) -> str:
    """The name in a Host header, without port, in lower case; "" where it is malformed."""
    try:
        parts = urlsplit(f"//{host.strip()}")
        port = parts.port  # raises where it is no number
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment or port == 0:
        return ""
    return (parts.hostname or "").rstrip(".")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """The last thing before a response's headers are written, streams and errors included (S12)."""
    for name, value in HEADERS.items():
        response.headers[name] = value


def mark_used(request: web.Request) -> None:
    """Tell the connection that a whole request head arrived: it is no slow-loris."""
    used = getattr(request.protocol, "note_request", None)
    if used is not None:
        used()
