"""What a request may carry: query parameters and bodies as strict types. Decides every limit on them.

Unknown fields are refused by name. OpenAPI is generated from the same types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from quant_trading_system.core.clock import NEW_YORK, to_nanos
from quant_trading_system.dashboard.problems import Problem

BODY_BYTES_MAX = 65_536
LIMIT_MAX = 500

Line = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$", description="One line without controls.")]
RequiredLine = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
SymbolText = Annotated[str, Meta(min_length=1, max_length=12, pattern=r"^[A-Za-z0-9./-]+$", examples=["IBM"])]
OrderId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
TimeText = Annotated[str, Meta(max_length=40, description="Venue time; without an offset it is New York's.")]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameter."""


class ReadyQuery(Struct, frozen=True, forbid_unknown_fields=True):
    verbose: Annotated[str | None, Meta(description="List every check.")] = None


class ListQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Limit = 100


class OrdersQuery(Struct, frozen=True, forbid_unknown_fields=True):
    status: Literal["open", "closed", "all"] = "open"
    symbol: SymbolText | None = None
    limit: Limit = 100


class DecisionsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    symbol: SymbolText | None = None
    at: TimeText | None = None
    order: OrderId | None = None
    limit: Limit = 100


class EventsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    page: Annotated[Literal["overview"] | None, Meta(description="Also send what this page shows.")] = None


class PauseBody(Struct, frozen=True, forbid_unknown_fields=True):
    operator: Name = "http"
    reason: Line = ""
    cancel: Annotated[bool, Meta(description="Also cancel open entries.")] = False


class CommandBody(Struct, frozen=True, forbid_unknown_fields=True):
    operator: Name = "http"
    reason: Line = ""


class ResetBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    operator: Name
    reason: RequiredLine


class UnlockBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    symbol: SymbolText
    operator: Name = "http"
    reason: RequiredLine


class EnableBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    strategy: Name
    operator: Name = "http"
    reason: RequiredLine


Body = PauseBody | CommandBody | ResetBody | UnlockBody | EnableBody
Query = TypeVar("Query", bound=Struct)
AnyBody = TypeVar("AnyBody", bound=Struct)

_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_AT = re.compile(r" - at `\$\.?([^`]*)`")


def parse_query(query: Mapping[str, str], keys: list[str], kind: type[Query]) -> Query:
    """Read query parameters.

    Args:
        query: parameter to value; keys: every key as it came, repetitions included.

    Raises:
        Problem: 422 naming the parameter.
    """
    for key in keys:
        if keys.count(key) > 1:
            raise Problem(422, f"parameter {key!r} is given {keys.count(key)} times, once is right", field=key)
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None


def parse_body(raw: bytes, kind: type[AnyBody]) -> AnyBody:
    """Read a JSON body; an empty one is an empty object.

    Raises:
        Problem: 400 where it is no JSON, 422 naming the field where it does not fit.
    """
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not valid JSON: {error}", code="malformed_json") from None


def parse_time(text: str) -> int:
    """UTC nanoseconds of an ISO 8601 time; without an offset it is New York time.

    Raises:
        Problem: 422, another form.
    """
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T", 1) if "T" not in text else text.strip())
        return to_nanos(moment if moment.tzinfo is not None else moment.replace(tzinfo=NEW_YORK))
    except (ValueError, OverflowError):
        raise Problem(
            422, f"at must be a time such as 2013-10-07T09:45 (New York) or with an offset, was {text!r}", field="at"
        ) from None


def _invalid(message: str) -> Problem:
    for pattern, text in ((_UNKNOWN, "unknown field {0!r}"), (_MISSING, "field {0!r} is missing")):
        if found := pattern.search(message):
            return Problem(422, text.format(found[1]), field=found[1])
    found = _AT.search(message)
    field = found[1] if found else ""
    rule = _AT.sub("", message)
    return Problem(422, f"{field}: {rule}" if field else rule, field=field)
