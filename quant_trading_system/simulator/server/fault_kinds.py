"""Names every fault that the exchange can play: its effect, its own fields, and the rows of fault lists it stands for.

Decides nothing. Rows beginning with "12." are those of section 12 of the protocol reference in their order, the others
are of the fault matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Layer(StrEnum):
    """Where a fault acts, and so what its occasions are."""

    REFUSAL = "request"  # a request, before it is carried out
    ANSWER = "answer"  # a request that was carried out: what its answer becomes
    JSON = "body"  # the JSON of an answer or of a stream's frame
    DEED = "deed"  # a request before it is carried out, or a moment of venue time
    STATE = "state"  # begins at a request and lasts
    FRAME = "frame"  # a frame of any stream that is about to leave
    TRADES = "trades"  # a frame of trade_updates
    MARKET = "market"  # a batch of market data
    SOCKET = "socket"  # a stream's handshake, login, subscription or open connection


class Kind(StrEnum):
    LATENCY = "latency"
    DELAY_BEFORE = "delay_before"
    DELAYED_ORIGINAL = "delayed_original"
    REORDER_REQUESTS = "reorder_requests"
    DUPLICATE_REQUEST = "duplicate_request"
    ERROR = "error"
    ERROR_401 = "error_401"
    ERROR_403 = "error_403"
    ERROR_404 = "error_404"
    ERROR_409 = "error_409"
    ERROR_422 = "error_422"
    ERROR_429 = "error_429"
    ERROR_500 = "error_500"
    ERROR_502 = "error_502"
    ERROR_503 = "error_503"
    ERROR_504 = "error_504"
    HTML_ERROR = "html_error"
    REDIRECT = "redirect"
    HANG = "hang"
    DROP_BEFORE_ACCEPT = "drop_before_accept"
    ACCEPT_THEN_DROP = "accept_then_drop"
    ACCEPT_THEN_504 = "accept_then_504"
    EMPTY_BODY = "empty_body"
    TRUNCATED_BODY = "truncated_body"
    EMPTY_LIST = "empty_list"
    PARTIAL_PAGE = "partial_page"
    STALE_SNAPSHOT = "stale_snapshot"
    STALE_BUYING_POWER = "stale_buying_power"
    SLOW_DRIP = "slow_drip"
    GIANT_BODY = "giant_body"
    GZIP_BOMB = "gzip_bomb"
    ENDLESS_BODY = "endless_body"
    WRONG_ECHO = "wrong_echo"
    UNKNOWN_VALUE = "unknown_value"
    EXTRA_FIELD = "extra_field"
    MISSING_FIELD = "missing_field"
    NULL_FIELD = "null_field"
    SET_FIELD = "set_field"
    CLOCK_SKEW = "clock_skew"
    OFFSET_STAMPS = "offset_stamps"
    PENDING_CANCEL_STUCK = "pending_cancel_stuck"
    ORDER_INVISIBLE = "order_invisible"
    ACCOUNT_FLAGS = "account_flags"
    LATE_REJECT = "late_reject"
    FILL_ORDER = "fill_order"
    EXTERNAL_ORDER = "external_order"
    BUST = "bust"
    CORRECT = "correct"
    TRADING_STATUS = "trading_status"
    TRANSFER = "transfer"
    CORPORATE_ACTION = "corporate_action"
    CLOCK_STEP = "clock_step"
    DROP_FRAME = "drop_frame"
    DUPLICATE_FRAME = "duplicate_frame"
    REPLAY_FRAMES = "replay_frames"
    REORDER = "reorder"
    DELAY_FRAME = "delay_frame"
    REPLAY_FILLS = "replay_fills"
    BURST = "burst"
    MUTE_LEGS = "mute_legs"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_KEYS = "unknown_keys"
    NULL_EXECUTION_ID = "null_execution_id"
    NO_TIMESTAMP = "no_timestamp"
    CORRECT_TRADE = "correct_trade"
    CANCEL_TRADE = "cancel_trade"
    UPDATE_BAR = "update_bar"
    BAD_QUOTE = "bad_quote"
    LATE_TRADE = "late_trade"
    FLOOD = "flood"
    MUTE_STREAM = "mute_stream"
    STARVE_STREAM = "starve_stream"
    DISCONNECT_STREAM = "disconnect_stream"
    CLOSE_STREAM = "close_stream"
    STREAM_ERROR = "stream_error"
    REFUSE_CONNECT = "refuse_connect"
    SILENT_LOGIN = "silent_login"
    REFUSE_OLD_LOGIN = "refuse_old_login"
    SILENT_SUBSCRIBE = "silent_subscribe"
    SHORT_SUBSCRIPTION = "short_subscription"


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One row of the table."""

    layer: Layer
    effect: str
    rows: str  # of the fault lists, separated by blanks
    fields: tuple[str, ...] = ()  # beside those that every rule has


_BODY_FIELDS = ("event", "field")
_ERROR_FIELDS = ("body", "code", "message", "carried_out")
_REFUSAL, _ANSWER, _JSON, _STATE = Layer.REFUSAL, Layer.ANSWER, Layer.JSON, Layer.STATE
_DEED, _SOCKET = Layer.DEED, Layer.SOCKET
_FRAME, _TRADES, _MARKET = Layer.FRAME, Layer.TRADES, Layer.MARKET

KINDS: Mapping[Kind, KindSpec] = {
    Kind.LATENCY: KindSpec(
        _ANSWER,
        "the request is carried out, its answer comes latency_ms later",
        "12.1 A2 A5 A8 C10 G1",
        ("latency_ms",),
    ),
    Kind.DELAY_BEFORE: KindSpec(
        _REFUSAL, "the request is carried out latency_ms after it came", "A5 C10", ("latency_ms",)
    ),
    Kind.DELAYED_ORIGINAL: KindSpec(
        _REFUSAL,
        "the connection is cut (or a 504 answered) at once, the request is carried out latency_ms later",
        "A4",
        ("latency_ms", "answer"),
    ),
    Kind.REORDER_REQUESTS: KindSpec(
        _REFUSAL, "the request waits until another one was carried out, at most latency_ms", "A5 C9", ("latency_ms",)
    ),
    Kind.DUPLICATE_REQUEST: KindSpec(
        _ANSWER, "the request is carried out twice; the first or the second answer is given", "A7 C3", ("answer",)
    ),
    Kind.ERROR: KindSpec(_REFUSAL, "the status of your choice", "12.2 A9 A14", ("status", *_ERROR_FIELDS)),
    Kind.ERROR_401: KindSpec(_REFUSAL, "401, the login is refused", "12.2 G5", _ERROR_FIELDS),
    Kind.ERROR_403: KindSpec(_REFUSAL, "403, forbidden", "12.6 A9 B6 G5", _ERROR_FIELDS),
    Kind.ERROR_404: KindSpec(_REFUSAL, "404, not found", "A6 A7 B1", _ERROR_FIELDS),
    Kind.ERROR_409: KindSpec(_REFUSAL, "409, a conflict", "A9", _ERROR_FIELDS),
    Kind.ERROR_422: KindSpec(_REFUSAL, "422, not processable", "12.6 A9 A12 B1 B5", _ERROR_FIELDS),
    Kind.ERROR_429: KindSpec(
        _REFUSAL, "429, with the X-RateLimit headers or without", "12.3 A10 G2", (*_ERROR_FIELDS, "rate_headers")
    ),
    Kind.ERROR_500: KindSpec(_REFUSAL, "500", "A2 A3 B5 C8", _ERROR_FIELDS),
    Kind.ERROR_502: KindSpec(_REFUSAL, "502, a page of the proxy in front", "12.2 A2 A3 D11", _ERROR_FIELDS),
    Kind.ERROR_503: KindSpec(_REFUSAL, "503, a page of the proxy in front", "A2 A3 G6", _ERROR_FIELDS),
    Kind.ERROR_504: KindSpec(_REFUSAL, "504, an empty body", "12.2 A2 A3", _ERROR_FIELDS),
    Kind.HTML_ERROR: KindSpec(_REFUSAL, "an HTML page with status 401 where JSON was expected", "12.2", ()),
    Kind.REDIRECT: KindSpec(
        _REFUSAL, "a redirect to location, with status 307 unless another is given", "G4", ("location", "status")
    ),
    Kind.HANG: KindSpec(
        _REFUSAL, "no answer comes while the client waits (an hour at most)", "12.1 A2 A3 A6 G1", ("carried_out",)
    ),
    Kind.DROP_BEFORE_ACCEPT: KindSpec(_REFUSAL, "the connection is cut before the request is carried out", "A1 A3 G1"),
    Kind.ACCEPT_THEN_DROP: KindSpec(
        _ANSWER,
        "the request is carried out, then the connection is cut: before, in the headers, in the body of the answer or"
        " after it",
        "12.1 A2",
        ("point",),
    ),
    Kind.ACCEPT_THEN_504: KindSpec(_ANSWER, "the request is carried out, the answer is a 504", "12.1 A2"),
    Kind.EMPTY_BODY: KindSpec(_ANSWER, "the request is carried out, the answer has its status and no body", "12.2 C8"),
    Kind.TRUNCATED_BODY: KindSpec(_ANSWER, "the request is carried out, the body ends in the middle", "A2 C8"),
    Kind.EMPTY_LIST: KindSpec(_ANSWER, "a list that should have rows is answered without any", "C7 C8"),
    Kind.PARTIAL_PAGE: KindSpec(_ANSWER, "the second half of every list is missing, as is the way to go on", "C8 C13"),
    Kind.STALE_SNAPSHOT: KindSpec(_ANSWER, "a read is answered with what it was when the rule first fired", "C8 D3 G6"),
    Kind.STALE_BUYING_POWER: KindSpec(
        _ANSWER, "the account's buying power and cash are those before the last order event", "12.9 C9"
    ),
    Kind.SLOW_DRIP: KindSpec(_ANSWER, "the body comes in small pieces over latency_ms", "G3", ("latency_ms",)),
    Kind.GIANT_BODY: KindSpec(_ANSWER, "a body of size_bytes", "G3", ("size_bytes",)),
    Kind.GZIP_BOMB: KindSpec(_ANSWER, "a small gzip body that unpacks to size_bytes", "G3", ("size_bytes",)),
    Kind.ENDLESS_BODY: KindSpec(_ANSWER, "a chunked body that does not end before size_bytes", "G3", ("size_bytes",)),
    Kind.WRONG_ECHO: KindSpec(_JSON, "an order's field says something else than was asked for", "A13", _BODY_FIELDS),
    Kind.UNKNOWN_VALUE: KindSpec(
        _JSON, "a field has a value that no list knows", "12.10 A14 C12", (*_BODY_FIELDS, "value")
    ),
    Kind.EXTRA_FIELD: KindSpec(_JSON, "every object has one more field", "12.10", (*_BODY_FIELDS, "value")),
    Kind.MISSING_FIELD: KindSpec(_JSON, "a field is gone", "12.10 A14", _BODY_FIELDS),
    Kind.NULL_FIELD: KindSpec(_JSON, "a field is null that never was", "12.10", _BODY_FIELDS),
    Kind.SET_FIELD: KindSpec(
        _JSON, "a field has the value of your choice", "A14 C4 C7 D8 D11", (*_BODY_FIELDS, "value")
    ),
    Kind.CLOCK_SKEW: KindSpec(
        _JSON,
        "the Date header, the stamps or both are skew_seconds off",
        "12.11 C8 D6",
        ("event", "skew_seconds", "scope"),
    ),
    Kind.OFFSET_STAMPS: KindSpec(
        _JSON, "stamps in Z are written with New York's offset instead", "12.11 D6", ("event",)
    ),
    Kind.PENDING_CANCEL_STUCK: KindSpec(
        _STATE, "a cancel is answered 204 and the order stays pending_cancel", "12.6 B4 B6"
    ),
    Kind.ORDER_INVISIBLE: KindSpec(
        _STATE, "the order that a request makes exists, but nothing tells of it", "A6 A7", ("hides",)
    ),
    Kind.ACCOUNT_FLAGS: KindSpec(
        _STATE, "the account is blocked, suspended or of another status, and orders are refused", "12.9 A9", ("flags",)
    ),
    Kind.LATE_REJECT: KindSpec(
        _ANSWER,
        "the order that a request makes is rejected latency_ms of venue time later",
        "12.8 A14",
        ("latency_ms", "silent"),
    ),
    Kind.FILL_ORDER: KindSpec(
        _DEED,
        "the order of the request's path, of client_order_id or the newest open one fills, wholly or by qty",
        "12.6 12.7 B1 B2 B3 B5 B7 C9",
        ("client_order_id", "qty", "price"),
    ),
    Kind.EXTERNAL_ORDER: KindSpec(_DEED, "somebody gives an order in the broker's app", "C6 C9 C11", ("order",)),
    Kind.BUST: KindSpec(_DEED, "an execution is taken back, the last one unless named", "C12", ("execution_id",)),
    Kind.CORRECT: KindSpec(
        _DEED, "an execution turns out to be of another price or quantity", "C12", ("execution_id", "price", "qty")
    ),
    Kind.TRADING_STATUS: KindSpec(_DEED, "a symbol is halted, paused or resumed", "D5", ("symbol", "trading_status")),
    Kind.TRANSFER: KindSpec(_DEED, "cash comes or goes", "D12", ("amount_usd",)),
    Kind.CORPORATE_ACTION: KindSpec(_DEED, "a corporate action is announced", "D9 D10 D11", ("action",)),
    Kind.CLOCK_STEP: KindSpec(_DEED, "venue time moves on by step_seconds", "A5 C9 D6 D7", ("step_seconds",)),
    Kind.DROP_FRAME: KindSpec(_FRAME, "a stream frame is lost", "12.4 C1 C2 C5", ("event",)),
    Kind.DUPLICATE_FRAME: KindSpec(_FRAME, "a stream frame is sent twice", "12.4 12.5 C3", ("event",)),
    Kind.REPLAY_FRAMES: KindSpec(_FRAME, "after a frame, the last three are sent again", "12.4 C3", ("event",)),
    Kind.REORDER: KindSpec(_FRAME, "a frame is held back and sent after the next one", "B2 C3 D3", ("event",)),
    Kind.DELAY_FRAME: KindSpec(
        _FRAME,
        "a stream frame is sent latency_ms later, behind what came after it",
        "A5 B2 C5",
        ("event", "latency_ms"),
    ),
    Kind.REPLAY_FILLS: KindSpec(
        _TRADES,
        "trade_updates: behind an order's last event its new and its fills come again, times (1 to 3)",
        "12.4 C3",
        ("event", "times"),
    ),
    Kind.BURST: KindSpec(
        _TRADES,
        "trade_updates: frames are held for latency_ms and then sent together, one event a frame",
        "12.4 D4",
        ("event", "latency_ms"),
    ),
    Kind.MUTE_LEGS: KindSpec(_TRADES, "trade_updates: the events of child legs are lost", "12.4 B7", ("event",)),
    Kind.UNKNOWN_EVENT: KindSpec(
        _TRADES,
        "trade_updates: behind a frame comes the same order with an event name that nobody knows",
        "12.10 C12",
        ("event",),
    ),
    Kind.UNKNOWN_KEYS: KindSpec(
        _TRADES, "trade_updates: a frame and its order carry keys that nobody knows", "12.10", ("event",)
    ),
    Kind.NULL_EXECUTION_ID: KindSpec(_TRADES, "trade_updates: execution_id is null", "12.10", ("event",)),
    Kind.NO_TIMESTAMP: KindSpec(_TRADES, "trade_updates: the timestamp is missing", "12.10", ("event",)),
    Kind.CORRECT_TRADE: KindSpec(_MARKET, "market data: a correction follows the trade", "12.5"),
    Kind.CANCEL_TRADE: KindSpec(_MARKET, "market data: a cancel follows the trade", "12.5"),
    Kind.UPDATE_BAR: KindSpec(_MARKET, "market data: an updated bar follows the minute bar", "12.5"),
    Kind.BAD_QUOTE: KindSpec(
        _MARKET,
        "market data: a quote is stale, crossed, locked, zero, negative or ten times off",
        "D3",
        ("how",),
    ),
    Kind.LATE_TRADE: KindSpec(
        _MARKET, "market data: a trade carries a stamp latency_ms before its time", "D3", ("latency_ms",)
    ),
    Kind.FLOOD: KindSpec(_MARKET, "market data: every batch comes several times, as in a burst", "D4", ("copies",)),
    Kind.MUTE_STREAM: KindSpec(_SOCKET, "the stream stays open, answers pings and sends nothing", "12.4 12.5 D1 A6 C2"),
    Kind.STARVE_STREAM: KindSpec(
        _SOCKET,
        "a connection gets nothing more once it is after_seconds old; a new one is well",
        "12.4 D1 C2",
        ("after_seconds",),
    ),
    Kind.DISCONNECT_STREAM: KindSpec(
        _SOCKET, "the stream's connection is cut", "12.4 12.5 C2 G2 G6 G7", ("after_seconds",)
    ),
    Kind.CLOSE_STREAM: KindSpec(
        _SOCKET, "the stream's connection is closed in order, with code (1000)", "12.4 C2", ("after_seconds", "code")
    ),
    Kind.STREAM_ERROR: KindSpec(
        _SOCKET,
        "market data: error code at login (402, 404, 406, 409, 411), subscribe (400, 405, 410, 413) or frame"
        " (407, 500); trade_updates: its error frame, and the end",
        "12.5 D2 G2 G5",
        ("code",),
    ),
    Kind.REFUSE_CONNECT: KindSpec(_SOCKET, "the stream's handshake is refused with 429", "12.3 G2 G6"),
    Kind.SILENT_LOGIN: KindSpec(_SOCKET, "a stream's login is never answered", "12.4 D2"),
    Kind.REFUSE_OLD_LOGIN: KindSpec(_SOCKET, "trade_updates: the old form of the login is refused", "12.10"),
    Kind.SILENT_SUBSCRIBE: KindSpec(_SOCKET, "listen or subscribe is never answered and has no effect", "12.4 D2"),
    Kind.SHORT_SUBSCRIPTION: KindSpec(_SOCKET, "a subscription silently holds half of what was asked for", "D2"),
}

DESCRIPTIONS: Mapping[Kind, str] = {kind: spec.effect for kind, spec in KINDS.items()}


def kinds_of(*layers: Layer) -> frozenset[Kind]:
    """The kinds that act in these layers."""
    return frozenset(kind for kind, spec in KINDS.items() if spec.layer in layers)


REST_KINDS = kinds_of(Layer.REFUSAL, Layer.ANSWER, Layer.JSON, Layer.STATE, Layer.DEED) - {Kind.PENDING_CANCEL_STUCK}
JSON_KINDS = kinds_of(Layer.JSON)
DEED_KINDS = kinds_of(Layer.DEED)
FRAME_KINDS = kinds_of(Layer.FRAME)
TRADE_FRAME_KINDS = kinds_of(Layer.FRAME, Layer.TRADES)
