"""Decides what a refusal looks like on the wire: status, code, text and key order as Alpaca sends them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.profiles import Profile

JSON_TYPE = "application/json; charset=UTF-8"

_NGINX_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_LEGACY_UNAUTHORIZED = Refusal(401, 40110000, "access key verification failed : verification failure")
_TOO_MANY_REQUESTS = Refusal(429, 42910000, "rate limit exceeded")
_TOO_MANY_DATA_REQUESTS = Refusal(429, None, "too many requests.")
_TITLES = {
    401: "401 Authorization Required",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


def invalid_data(message: str) -> Refusal:
    """400 as the market-data interface says it: without a code."""
    return Refusal(400, None, message)


def json_answer(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers={"Content-Type": JSON_TYPE})


def refusal_answer(refusal: Refusal) -> web.Response:
    return json_answer(refusal.body(), status=refusal.http_status)


def html_answer(status: int) -> web.Response:
    """The page of the proxy in front: what a client gets where it expected JSON."""
    title = _TITLES.get(status, f"{status} Error")
    return web.Response(text=_NGINX_PAGE.format(title=title), status=status, content_type="text/html")


def unauthorized_answer(path: str, *, profile: Profile) -> web.Response:
    """401 as recorded: HTML for clock and calendar; a code until 2021, none in 2026."""
    if profile is Profile.LEGACY_2021:
        answer = refusal_answer(_LEGACY_UNAUTHORIZED)
    elif path in ("/v2/clock", "/v2/calendar"):
        answer = html_answer(401)
    else:
        answer = json_answer({"message": "unauthorized."}, status=401)
    answer.headers["WWW-Authenticate"] = 'Bearer, Basic realm="alpaca.markets"'
    return answer


def forbidden_answer() -> web.Response:
    """A key that is good elsewhere (reference 1.2)."""
    return json_answer({"message": "forbidden."}, status=403)


def too_many_requests_answer(*, is_data: bool) -> web.Response:
    return refusal_answer(_TOO_MANY_DATA_REQUESTS if is_data else _TOO_MANY_REQUESTS)
