"""What an HTTP error looks like: `application/problem+json` with a stable `code` (RFC 9457). Decides the codes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "refused",
    413: "body_too_large",
    415: "not_json",
    421: "host_not_allowed",
    422: "invalid_field",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
    504: "engine_timeout",
}
TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Refused",
    413: "Body too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Invalid field",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
    504: "Timeout",
}


class Problem(Exception):
    """An answer that is not what was asked for.

    Args:
        status: HTTP status, one of `CODES`.
        detail: one sentence for people; never a trace, never a secret.
        code: stable word for programs; the status's own where it is left out.
        field: the field or parameter that is wrong.
        details: further members of the object, as text.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        field: str = "",
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or CODES.get(status, "error")
        self.field = field
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        members: dict[str, object] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.field:
            members["field"] = self.field
        return msgspec.json.encode({**members, **self.details})

    def response(self) -> web.Response:
        return web.Response(
            status=self.status, body=self.body(), content_type="application/problem+json", headers=self.headers
        )


def from_http_exception(error: web.HTTPException) -> Problem:
    """Our form of an error aiohttp raised: an unknown path, a method nobody serves, a body that is too large."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    texts = {
        404: "there is nothing at this path",
        405: f"this path answers {headers.get('Allow', 'other methods')} only",
        413: "the body is larger than 65536 bytes",
    }
    return Problem(error.status, texts.get(error.status, error.reason), headers=headers)
