"""Decides which fault plans make sense: fields, their forms and bounds, and which kind has which.

A plan comes as JSON, from a file or by POST, or as flags like `error_500@GET /v2/account:at=2,body=html`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from fnmatch import fnmatchcase

from quant_trading_system.simulator.halts import HALT
from quant_trading_system.simulator.halts import KINDS as STATUSES
from quant_trading_system.simulator.server.fault_kinds import KINDS, Kind
from quant_trading_system.simulator.server.fault_readers import (
    Reader,
    number_reader,
    read_amount,
    read_flags,
    read_object,
    read_text,
    read_time,
    read_value,
    read_yes,
    whole_reader,
    word_reader,
    words_reader,
)
from quant_trading_system.simulator.server.stamps import stamp_text

RULES_MAX = 100
LATENCY_MS_DEFAULT = 2_000
LATENCY_MS_MAX = 600_000  # ten minutes: a delayed original that outlives every quarantine
FOR_SECONDS_MAX = 7 * 86_400
COUNT_MAX = 1_000_000_000
SIZE_BYTES_DEFAULT = 64 * 1_024 * 1_024
SIZE_BYTES_MAX = 1_024 * 1_024 * 1_024
SKEW_SECONDS_MAX = 10 * 366 * 86_400
STEP_SECONDS_MAX = 31 * 86_400
COPIES_MAX = 100
REPLAYS_MAX = 3

BODIES = ("json", "html", "empty")
ANSWERS = ("cut", "504", "first", "second")
POINTS = ("before", "headers", "body", "after")
SCOPES = ("date", "stamps", "all")
HIDING_PLACES = ("by_id", "by_client_id", "list", "stream")
QUOTE_FLAWS = ("stale", "crossed", "locked", "zero", "negative", "ten_times")


class FaultPlanError(Exception):
    """The plan names a kind, field or value that does not exist. The message begins with the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One line of a plan, checked. What is None was not said; the kind's own default stands."""

    kind: Kind
    where: str = "*"
    at: int | None = None
    probability: float | None = None
    count: int | None = None
    for_seconds: float | None = None
    every_seconds: float | None = None
    at_time: int | None = None  # UTC nanoseconds of venue time
    latency_ms: int = LATENCY_MS_DEFAULT
    status: int | None = None
    body: str | None = None
    code: int | None = None
    message: str | None = None
    carried_out: bool = False
    rate_headers: bool = True
    answer: str | None = None
    point: str = "before"
    location: str = "http://127.0.0.1:9/"  # the discard port: nobody answers there
    size_bytes: int = SIZE_BYTES_DEFAULT
    field: str | None = None
    value: object = None
    skew_seconds: int = 3_600
    scope: str = "all"
    hides: tuple[str, ...] = HIDING_PLACES[:3]
    flags: Mapping[str, object] | None = None  # trading_blocked
    silent: bool = False
    client_order_id: str | None = None
    qty: str | None = None
    price: str | None = None
    order: Mapping[str, object] | None = None
    execution_id: str | None = None
    symbol: str | None = None
    trading_status: str = HALT
    amount_usd: str | None = None
    action: Mapping[str, object] | None = None
    step_seconds: float = 1.0
    event: str | None = None
    after_seconds: float | None = None
    times: int = 1
    how: str = "crossed"
    copies: int = 2

    @property
    def count_max(self) -> int:
        if self.count is not None:
            return self.count
        return 1 if self.at is not None or self._is_dated_deed else COUNT_MAX

    def concerns(self, event: str) -> bool:
        return self.event is None or fnmatchcase(event, self.event)

    @property
    def is_unconditional(self) -> bool:
        """True when it fires at once, without waiting for an occasion to be counted or drawn."""
        return self.at is None and self.probability is None

    @property
    def _is_dated_deed(self) -> bool:
        return self.at_time is not None and self.is_unconditional

    def as_json(self) -> dict[str, object]:
        """The rule as it was given: what every rule has where it was said, and the kind's own fields."""
        values: dict[str, object] = {"kind": self.kind.value, "where": self.where}
        for name in ("at", "probability", "count", "for_seconds", "every_seconds"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        if self.at_time is not None:
            values["at_time"] = stamp_text(self.at_time)
        for name in KINDS[self.kind].fields:
            value = getattr(self, name)
            if name == "latency_ms" or value != _DEFAULTS[name]:
                values[name] = dict(value) if isinstance(value, Mapping) else value
        return values


_DEFAULTS = {field.name: field.default for field in fields(FaultRule)}


@dataclass(frozen=True, slots=True)
class _Field:
    text: str
    read: Reader


_LATENCY = f"real milliseconds, 1 to {LATENCY_MS_MAX}; default {LATENCY_MS_DEFAULT}"
_FIELDS: Mapping[str, _Field] = {
    "where": _Field('glob over "METHOD /path" or "stream:trade_updates", "stream:market_data"; default "*"', read_text),
    "at": _Field("fires from this occasion on, counted from 1; excludes probability", whole_reader(1, COUNT_MAX)),
    "probability": _Field("0 to 1, drawn from the seed at every occasion", number_reader(0.0, 1.0)),
    "count": _Field("how often at most; default 1 with at, else without bound", whole_reader(1, COUNT_MAX)),
    "for_seconds": _Field("real seconds that the rule lasts after it first fires", number_reader(0.0, FOR_SECONDS_MAX)),
    "every_seconds": _Field(
        "fires at most once in that many real seconds, first that long after the plan is set",
        number_reader(0.001, FOR_SECONDS_MAX),
    ),
    "at_time": _Field(
        "venue time before which the rule does nothing; a deed without at and probability is done at that moment,"
        " unless it has passed when the plan is set",
        read_time,
    ),
    "latency_ms": _Field(_LATENCY, whole_reader(1, LATENCY_MS_MAX)),
    "status": _Field("HTTP status, 300 to 599", whole_reader(300, 599)),
    "body": _Field("json, html or empty; default as the status has it", word_reader(*BODIES)),
    "code": _Field("error code in the body or message", whole_reader(0, 99_999_999)),
    "message": _Field("text in the body", read_text),
    "carried_out": _Field("true: the request is carried out all the same; default false", read_yes),
    "rate_headers": _Field("false: without the X-RateLimit headers; default true", read_yes),
    "answer": _Field(
        "delayed_original: cut (default) or 504; duplicate_request: first (default) or second", word_reader(*ANSWERS)
    ),
    "point": _Field("where the connection is cut: before (default), headers, body or after", word_reader(*POINTS)),
    "location": _Field("where the redirect points; default a port where nobody answers", read_text),
    "size_bytes": _Field(f"1 to {SIZE_BYTES_MAX}; default {SIZE_BYTES_DEFAULT}", whole_reader(1, SIZE_BYTES_MAX)),
    "field": _Field('path like "status", "order.filled_qty", "0.easy_to_borrow" or "bars.*.*.c"', read_text),
    "value": _Field("any JSON value", read_value),
    "skew_seconds": _Field(
        "whole seconds, negative for behind; default 3600", whole_reader(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX)
    ),
    "scope": _Field("date (the header), stamps or all (default)", word_reader(*SCOPES)),
    "hides": _Field("list of by_id, by_client_id, list, stream; default all but stream", words_reader(HIDING_PLACES)),
    "flags": _Field('account fields and their values; default {"trading_blocked": true}', read_flags),
    "silent": _Field("true: no event tells of it; default false", read_yes),
    "client_order_id": _Field("which order", read_text),
    "qty": _Field("decimal", read_amount),
    "price": _Field("decimal", read_amount),
    "order": _Field("the body of a POST /v2/orders", read_object),
    "execution_id": _Field("which execution; default the last one", read_text),
    "symbol": _Field("which symbol", read_text),
    "trading_status": _Field(f"one of {', '.join(STATUSES)}; default halt", word_reader(*STATUSES)),
    "amount_usd": _Field("dollars, negative for a withdrawal", read_amount),
    "action": _Field("the body of a POST /simulator/v1/corporate-actions", read_object),
    "step_seconds": _Field("venue seconds; default 1", number_reader(0.0, STEP_SECONDS_MAX)),
    "event": _Field("glob over the event's name, or over the channel of market data; default all", read_text),
    "after_seconds": _Field("real age of a connection, 0 to a week", number_reader(0.0, FOR_SECONDS_MAX)),
    "times": _Field("how often, 1 (default) to 3", whole_reader(1, REPLAYS_MAX)),
    "how": _Field(f"one of {', '.join(QUOTE_FLAWS)}; default crossed", word_reader(*QUOTE_FLAWS)),
    "copies": _Field("2 (default) to 100", whole_reader(2, COPIES_MAX)),
}
COMMON_FIELDS = ("where", "at", "probability", "count", "for_seconds", "every_seconds", "at_time")
_NARROWER: Mapping[tuple[Kind, str], Reader] = {
    (Kind.CLOSE_STREAM, "code"): whole_reader(1_000, 4_999),  # what a closing frame can hold
    (Kind.STREAM_ERROR, "code"): whole_reader(400, 599),
}
REQUIRED_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.ERROR: ("status",),
    Kind.SET_FIELD: ("field", "value"),
    Kind.MISSING_FIELD: ("field",),
    Kind.NULL_FIELD: ("field",),
    Kind.EXTERNAL_ORDER: ("order",),
    Kind.TRADING_STATUS: ("symbol",),
    Kind.TRANSFER: ("amount_usd",),
    Kind.CORPORATE_ACTION: ("action",),
}

FIELDS: Mapping[str, str] = {"kind": "one of kinds", **{name: field.text for name, field in _FIELDS.items()}}
assert {*_FIELDS, "kind"} == {field.name for field in fields(FaultRule)}, "each field of a rule has its reader"


def parse_plan(document: object) -> tuple[list[FaultRule], int]:
    """Read `{"faults": [...], "seed": N}` into rules and seed.

    Raises:
        FaultPlanError: naming the first field that is wrong.
    """
    if not isinstance(document, Mapping):
        raise FaultPlanError('body: expected an object like {"faults": [], "seed": 0}')
    for name in document:
        if name not in ("faults", "seed"):
            raise FaultPlanError(f"{name}: unknown field; known are faults, seed")
    if "faults" not in document:
        raise FaultPlanError("faults: missing; an empty list heals")
    listed = document["faults"]
    if not isinstance(listed, list):
        raise FaultPlanError(f"faults: expected a list, found {listed!r}")
    if len(listed) > RULES_MAX:
        raise FaultPlanError(f"faults: expected at most {RULES_MAX} rules, found {len(listed)}")
    seed = document.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise FaultPlanError(f"seed: expected a whole number, found {seed!r}")
    return [_parse_rule(item, f"faults[{index}]") for index, item in enumerate(listed)], seed


def _parse_rule(item: object, place: str) -> FaultRule:
    if not isinstance(item, Mapping):
        raise FaultPlanError(f"{place}: expected an object, found {item!r}")
    for name in item:
        if name not in FIELDS:
            raise FaultPlanError(f"{place}.{name}: unknown field; known are {', '.join(FIELDS)}")
    kind_text = item.get("kind")
    try:
        kind = Kind(str(kind_text))
    except ValueError:
        raise FaultPlanError(f"{place}.kind: unknown kind {kind_text!r}; known are {', '.join(Kind)}") from None
    _check_fields(kind, item, place)
    values: dict[str, object] = {}
    for name, field in _FIELDS.items():
        if name in item:
            try:
                values[name] = _NARROWER.get((kind, name), field.read)(item[name])
            except ValueError as error:
                raise FaultPlanError(f"{place}.{name}: {error}") from None
    return FaultRule(kind=kind, **values)  # type: ignore[arg-type]  # each reader gives what its field holds


def _check_fields(kind: Kind, item: Mapping[object, object], place: str) -> None:
    """Which fields a kind has, must have, and cannot have together."""
    own = KINDS[kind].fields
    for name in item:
        if name != "kind" and name not in COMMON_FIELDS and name not in own:
            whose = ", ".join(other for other in Kind if name in KINDS[other].fields)
            raise FaultPlanError(f"{place}.{name}: belongs to {whose}, not to {kind}")
    for name in REQUIRED_FIELDS.get(kind, ()):
        if name not in item:
            raise FaultPlanError(f"{place}.{name}: missing; {kind} needs it")
    if "at" in item and "probability" in item:
        raise FaultPlanError(f"{place}.probability: excludes at; give one of them")


_FLAG = re.compile(r"(?P<kind>[a-z0-9_]+)(?:@(?P<where>.+?))?(?::(?P<pairs>[a-z_]+=.*))?", re.ASCII | re.DOTALL)
_NEXT_PAIR = re.compile(r",(?=[a-z_]+=)", re.ASCII)


def parse_flag(text: str) -> dict[str, object]:
    """Read `KIND[@WHERE][:key=value,...]` into the object that a plan would have. Values are JSON where they can be.

    Raises:
        FaultPlanError: another form, or a rule that makes no sense.
    """
    match = _FLAG.fullmatch(text)
    if match is None:
        raise FaultPlanError(f"expected KIND[@WHERE][:key=value,...], found {text!r}")
    item: dict[str, object] = {"kind": match["kind"]}
    if match["where"] is not None:
        item["where"] = match["where"]
    for pair in _NEXT_PAIR.split(match["pairs"]) if match["pairs"] else ():
        name, _, value = pair.partition("=")
        item[name] = _flag_value(value)
    _parse_rule(item, text)
    return item


def _flag_value(text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return text
