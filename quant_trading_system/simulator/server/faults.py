"""Decides when the exchange misbehaves: a seeded plan of faults, asked at every request, frame and handshake.

A rule fires at its occasions: `where` is a glob over "METHOD /path" or "stream:trade_updates" / "stream:market_data".
With `at` N it fires from the N-th occasion on (once, unless `count` says more), with `probability` by a seeded draw,
with neither at every occasion. `count` bounds how often, `for_seconds` how long after its first firing (real seconds).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

RULES_MAX = 100
LATENCY_MS_DEFAULT = 2_000
LATENCY_MS_MAX = 60_000
FOR_SECONDS_MAX = 7 * 86_400
COUNT_MAX = 1_000_000_000
REPLAYS_MAX = 3

TRADE_UPDATES = "stream:trade_updates"
MARKET_DATA = "stream:market_data"


class Kind(StrEnum):
    LATENCY = "latency"
    ERROR_403 = "error_403"
    ERROR_429 = "error_429"
    ERROR_500 = "error_500"
    ERROR_502 = "error_502"
    ERROR_503 = "error_503"
    ERROR_504 = "error_504"
    HTML_ERROR = "html_error"
    EMPTY_BODY = "empty_body"
    TRUNCATED_BODY = "truncated_body"
    EMPTY_LIST = "empty_list"
    STALE_SNAPSHOT = "stale_snapshot"
    DROP_BEFORE_ACCEPT = "drop_before_accept"
    ACCEPT_THEN_DROP = "accept_then_drop"
    ACCEPT_THEN_504 = "accept_then_504"
    PENDING_CANCEL_STUCK = "pending_cancel_stuck"
    DROP_FRAME = "drop_frame"
    DUPLICATE_FRAME = "duplicate_frame"
    REPLAY_FRAMES = "replay_frames"
    REORDER = "reorder"
    MUTE_STREAM = "mute_stream"
    DISCONNECT_STREAM = "disconnect_stream"
    REFUSE_CONNECT = "refuse_connect"
    DELAY_FRAME = "delay_frame"
    REPLAY_FILLS = "replay_fills"
    MUTE_LEGS = "mute_legs"
    STARVE_STREAM = "starve_stream"
    CLOSE_STREAM = "close_stream"
    STREAM_ERROR = "stream_error"
    SILENT_LOGIN = "silent_login"
    REFUSE_OLD_LOGIN = "refuse_old_login"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_KEYS = "unknown_keys"
    NULL_EXECUTION_ID = "null_execution_id"
    NO_TIMESTAMP = "no_timestamp"
    BURST = "burst"
    CORRECT_TRADE = "correct_trade"
    CANCEL_TRADE = "cancel_trade"


DESCRIPTIONS: Mapping[Kind, str] = {
    Kind.LATENCY: f"the request is carried out, its answer comes latency_ms later ({LATENCY_MS_DEFAULT})",
    Kind.ERROR_403: "403 without carrying the request out",
    Kind.ERROR_429: "429 without carrying the request out",
    Kind.ERROR_500: "500 with a JSON body without carrying the request out",
    Kind.ERROR_502: "502 with an HTML body without carrying the request out",
    Kind.ERROR_503: "503 with an HTML body without carrying the request out",
    Kind.ERROR_504: "504 with an empty body without carrying the request out",
    Kind.HTML_ERROR: "an HTML page with status 401 instead of JSON, without carrying the request out",
    Kind.EMPTY_BODY: "the request is carried out, the answer has its status and no body",
    Kind.TRUNCATED_BODY: "the request is carried out, the body ends in the middle",
    Kind.EMPTY_LIST: "a list that should have rows is answered as []",
    Kind.STALE_SNAPSHOT: "a read is answered with what it was when the rule first fired",
    Kind.DROP_BEFORE_ACCEPT: "the connection is cut before the request is carried out",
    Kind.ACCEPT_THEN_DROP: "the request is carried out, then the connection is cut",
    Kind.ACCEPT_THEN_504: "the request is carried out, the answer is a 504",
    Kind.PENDING_CANCEL_STUCK: "a cancel is answered 204 and the order stays pending_cancel",
    Kind.DROP_FRAME: "a stream frame is lost",
    Kind.DUPLICATE_FRAME: "a stream frame is sent twice",
    Kind.REPLAY_FRAMES: "after a frame, the last three are sent again",
    Kind.REORDER: "a frame is held back and sent after the next one",
    Kind.MUTE_STREAM: "the stream stays open, answers pings and sends nothing",
    Kind.DISCONNECT_STREAM: "the stream's connection is cut",
    Kind.REFUSE_CONNECT: "the stream's handshake is refused with 429",
    Kind.DELAY_FRAME: "a stream frame is sent latency_ms later, behind what came after it",
    Kind.REPLAY_FILLS: "trade_updates: behind an order's last event its new and its fills come again, times (1 to 3)",
    Kind.MUTE_LEGS: "trade_updates: the events of child legs are lost",
    Kind.STARVE_STREAM: "a connection gets nothing more once it is after_seconds old; a new one is well",
    Kind.CLOSE_STREAM: "the stream's connection is closed in order, with code (1000)",
    Kind.STREAM_ERROR: "market data: error code at login (402, 404, 406, 409, 411), subscribe (400, 405, 410, 413) or "
    "frame (407, 500); trade_updates: its error frame, and the end",
    Kind.SILENT_LOGIN: "a stream's login is never answered",
    Kind.REFUSE_OLD_LOGIN: "trade_updates: the old form of the login is refused",
    Kind.UNKNOWN_EVENT: "trade_updates: behind a frame comes the same order with an event name that nobody knows",
    Kind.UNKNOWN_KEYS: "trade_updates: a frame and its order carry keys that nobody knows",
    Kind.NULL_EXECUTION_ID: "trade_updates: execution_id is null",
    Kind.NO_TIMESTAMP: "trade_updates: the timestamp is missing",
    Kind.BURST: "frames are held for latency_ms and then sent together, one event a frame",
    Kind.CORRECT_TRADE: "market data: a correction follows the trade",
    Kind.CANCEL_TRADE: "market data: a cancel follows the trade",
}
FIELDS: Mapping[str, str] = {
    "kind": "one of kinds",
    "where": 'glob over "METHOD /path" or "stream:trade_updates", "stream:market_data"; default "*"',
    "at": "fires from this occasion on, counted from 1; excludes probability",
    "probability": "0 to 1, drawn from the seed at every occasion",
    "count": "how often at most; default 1 with at, else without bound",
    "for_seconds": "real seconds that the rule lasts after it first fires",
    "latency_ms": f"latency, delay_frame, burst: 1 to {LATENCY_MS_MAX}",
    "event": "stream frames: glob over the event's name, or over the channel of market data; default all",
    "after_seconds": "starve_stream, disconnect_stream, close_stream: real age of a connection, 0 to a week",
    "code": "close_stream: the close code; stream_error: the error's code",
    "times": "replay_fills: how often, 1 to 3",
}

REST_KINDS = frozenset(
    {
        Kind.LATENCY,
        Kind.ERROR_403,
        Kind.ERROR_429,
        Kind.ERROR_500,
        Kind.ERROR_502,
        Kind.ERROR_503,
        Kind.ERROR_504,
        Kind.HTML_ERROR,
        Kind.EMPTY_BODY,
        Kind.TRUNCATED_BODY,
        Kind.EMPTY_LIST,
        Kind.STALE_SNAPSHOT,
        Kind.DROP_BEFORE_ACCEPT,
        Kind.ACCEPT_THEN_DROP,
        Kind.ACCEPT_THEN_504,
    }
)
FRAME_KINDS = frozenset({Kind.DROP_FRAME, Kind.DUPLICATE_FRAME, Kind.REPLAY_FRAMES, Kind.REORDER, Kind.DELAY_FRAME})
TRADE_FRAME_KINDS = FRAME_KINDS | {
    Kind.REPLAY_FILLS,
    Kind.MUTE_LEGS,
    Kind.UNKNOWN_EVENT,
    Kind.UNKNOWN_KEYS,
    Kind.NULL_EXECUTION_ID,
    Kind.NO_TIMESTAMP,
    Kind.BURST,
}
AGED_KINDS = frozenset({Kind.STARVE_STREAM, Kind.DISCONNECT_STREAM, Kind.CLOSE_STREAM})
LATENCY_KINDS = frozenset({Kind.LATENCY, Kind.DELAY_FRAME, Kind.BURST})
CODE_KINDS = frozenset({Kind.CLOSE_STREAM, Kind.STREAM_ERROR})
KINDS_OF_FIELD: Mapping[str, Collection[Kind]] = {
    "latency_ms": LATENCY_KINDS,
    "after_seconds": AGED_KINDS,
    "code": CODE_KINDS,
    "times": frozenset({Kind.REPLAY_FILLS}),
    "event": TRADE_FRAME_KINDS,
}


class FaultPlanError(Exception):
    """The plan names a kind, field or value that does not exist. The message begins with the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One line of a plan, checked."""

    kind: Kind
    where: str = "*"
    at: int | None = None
    probability: float | None = None
    count: int | None = None
    for_seconds: float | None = None
    latency_ms: int = LATENCY_MS_DEFAULT
    event: str | None = None
    after_seconds: float | None = None
    code: int | None = None
    times: int = 1

    @property
    def count_max(self) -> int:
        if self.count is not None:
            return self.count
        return 1 if self.at is not None else COUNT_MAX

    def concerns(self, event: str) -> bool:
        return self.event is None or fnmatchcase(event, self.event)

    @property
    def is_unconditional(self) -> bool:
        """True when it fires at once, without waiting for an occasion to be counted or drawn."""
        return self.at is None and self.probability is None

    def as_json(self) -> dict[str, object]:
        values: dict[str, object] = {"kind": self.kind.value, "where": self.where}
        for name in ("at", "probability", "count", "for_seconds"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        for name in ("event", "after_seconds", "code"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        if self.kind in LATENCY_KINDS:
            values["latency_ms"] = self.latency_ms
        if self.kind is Kind.REPLAY_FILLS:
            values["times"] = self.times
        return values


@dataclass(slots=True)
class _Armed:
    """A rule and what has happened to it."""

    rule: FaultRule
    occasions: int = 0
    fired: int = 0
    first_fired_s: float | None = None
    kept: dict[str, object] = field(default_factory=dict)

    def is_over(self, now_s: float) -> bool:
        if self.fired >= self.rule.count_max:
            return True
        lasts_s = self.rule.for_seconds
        return lasts_s is not None and self.first_fired_s is not None and now_s >= self.first_fired_s + lasts_s

    def is_in_force(self, now_s: float) -> bool:
        """For a state such as muteness: it has begun and its time is not over (`count` does not end it)."""
        if self.first_fired_s is None:
            return False
        return self.rule.for_seconds is None or now_s < self.first_fired_s + self.rule.for_seconds


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fires, and what it keeps from one firing to the next."""

    rule: FaultRule
    kept: dict[str, object]


class FaultPlan:
    """The rules in force. One plan at a time; posting another replaces it, an empty one heals.

    Args:
        mono_s: monotonic seconds; faults last in real time.
    """

    def __init__(self, mono_s: Callable[[], float]) -> None:
        self._mono_s = mono_s
        self._seed = 0
        self._random = random.Random(0)  # noqa: S311 - chance of a rehearsal, nothing secret
        self._armed: list[_Armed] = []

    def replace(self, rules: Sequence[FaultRule], *, seed: int = 0) -> None:
        """Forget the old rules with all they counted, and arm these."""
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - chance of a rehearsal, nothing secret
        self._armed = [_Armed(rule) for rule in rules]

    @property
    def is_empty(self) -> bool:
        return not self._armed

    def fires(self, kind: Kind, where: str) -> FaultRule | None:
        """Count an occasion for this kind here; answer the rule that fires, if one does."""
        for armed in self._matching(kind, where):
            if self._fires_now(armed):
                return armed.rule
        return None

    def fire_all(self, where: str, kinds: Collection[Kind], *, event: str = "") -> dict[Kind, Firing]:
        """Count one occasion for every rule of these kinds here; answer what fires, by kind.

        All rules see the same occasions: a request that one fault ends counts for the others too. `event` is the name
        of a frame's event: rules for other events do not count it.
        """
        fired: dict[Kind, Firing] = {}
        for armed in self._armed:
            rule = armed.rule
            if rule.kind in kinds and _is_at(rule, where) and rule.concerns(event) and self._fires_now(armed):
                fired.setdefault(rule.kind, Firing(rule, armed.kept))
        return fired

    def fires_at_age(self, kind: Kind, where: str, age_s: float) -> FaultRule | None:
        """Count a connection that has come to the age of a rule; the caller asks once for each and rule."""
        for armed in self._matching(kind, where):
            after_s = armed.rule.after_seconds
            if after_s is not None and age_s >= after_s and self._fires_now(armed):
                return armed.rule
        return None

    def fires_with_code(self, kind: Kind, where: str, codes: Collection[int]) -> int | None:
        """Count an occasion for the rules with one of these codes; answer the code of the one that fires."""
        for armed in self._matching(kind, where):
            code = armed.rule.code
            if code is not None and code in codes and self._fires_now(armed):
                return code
        return None

    def has(self, kind: Kind) -> bool:
        """Whether a rule of this kind waits for its occasion or is in force."""
        now_s = self._mono_s()
        same_kind = (armed for armed in self._armed if armed.rule.kind is kind)
        return any(armed.first_fired_s is None or armed.is_in_force(now_s) for armed in same_kind)

    def is_muted(self, where: str, *, at_frame: bool) -> bool:
        """Whether a stream is mute now. A counted or drawn rule is asked at frames alone, and then stays in force."""
        now_s = self._mono_s()
        for armed in self._matching(Kind.MUTE_STREAM, where):
            if armed.is_in_force(now_s):
                return True
            may_begin = at_frame or armed.rule.is_unconditional
            if armed.first_fired_s is None and may_begin and self._fires_now(armed):
                return True
        return False

    def cuts_stream(self, where: str, *, at_frame: bool) -> bool:
        """Whether a stream is to be cut now; an unconditional rule does not wait for a frame."""
        for armed in self._matching(Kind.DISCONNECT_STREAM, where):
            if armed.rule.after_seconds is not None:
                continue  # asked for each connection, by its age
            if (at_frame or armed.rule.is_unconditional) and self._fires_now(armed):
                return True
        return False

    def as_json(self) -> dict[str, object]:
        return {
            "faults": [{**armed.rule.as_json(), "fired": armed.fired} for armed in self._armed],
            "seed": self._seed,
            "kinds": {kind.value: text for kind, text in DESCRIPTIONS.items()},
            "fields": dict(FIELDS),
        }

    def _matching(self, kind: Kind, where: str) -> list[_Armed]:
        return [armed for armed in self._armed if armed.rule.kind is kind and _is_at(armed.rule, where)]

    def _fires_now(self, armed: _Armed) -> bool:
        now_s = self._mono_s()
        if armed.is_over(now_s):
            return False
        armed.occasions += 1
        rule = armed.rule
        if rule.at is not None and armed.occasions < rule.at:
            return False
        if rule.probability is not None and self._random.random() >= rule.probability:
            return False
        armed.fired += 1
        if armed.first_fired_s is None:
            armed.first_fired_s = now_s
        return True


def _is_at(rule: FaultRule, where: str) -> bool:
    return fnmatchcase(where.casefold(), rule.where.casefold())


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
    where = item.get("where", "*")
    if not isinstance(where, str) or not where:
        raise FaultPlanError(f"{place}.where: expected a glob like 'POST /v2/orders', found {where!r}")
    if "at" in item and "probability" in item:
        raise FaultPlanError(f"{place}.probability: excludes at; give one of them")
    for name, kinds in KINDS_OF_FIELD.items():
        if name in item and kind not in kinds:
            raise FaultPlanError(f"{place}.{name}: belongs to {', '.join(sorted(kinds))} alone")
    event = item.get("event")
    if event is not None and not isinstance(event, str):
        raise FaultPlanError(f"{place}.event: expected a glob like 'fill', found {event!r}")
    return FaultRule(
        kind=kind,
        where=where,
        at=_whole(item, "at", place, 1, COUNT_MAX),
        probability=_number(item, "probability", place, 0.0, 1.0),
        count=_whole(item, "count", place, 1, COUNT_MAX),
        for_seconds=_number(item, "for_seconds", place, 0.0, FOR_SECONDS_MAX),
        latency_ms=_whole(item, "latency_ms", place, 1, LATENCY_MS_MAX) or LATENCY_MS_DEFAULT,
        event=event,
        after_seconds=_number(item, "after_seconds", place, 0.0, FOR_SECONDS_MAX),
        code=_whole(item, "code", place, 400, 4_999),
        times=_whole(item, "times", place, 1, REPLAYS_MAX) or 1,
    )


def _number(item: Mapping[object, object], name: str, place: str, low: float, high: float) -> float | None:
    value = item.get(name)
    if value is None and name not in item:
        return None
    try:
        number = float(value) if not isinstance(value, bool | str) else None  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        raise FaultPlanError(f"{place}.{name}: expected a number from {low:g} to {high:g}, found {value!r}")
    return number


def _whole(item: Mapping[object, object], name: str, place: str, low: int, high: int) -> int | None:
    number = _number(item, name, place, low, high)
    if number is not None and not number.is_integer():
        raise FaultPlanError(f"{place}.{name}: expected a whole number, found {item[name]!r}")
    return None if number is None else int(number)
