"""Frames of the market-data feed as events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from quant_trading_system.adapters.alpaca.wire import Encoding, FeedDecoder, FeedError, Subscription, Success
from quant_trading_system.core.events import BarSeen, MarketEvent, QuoteSeen, StatusSeen, TradeSeen

AT = "2026-11-20T14:30:00.123456789Z"
TRADE = {"T": "t", "i": 7, "S": "IBM", "x": "V", "p": 186.5, "s": 100, "c": ["@", "I"], "t": AT, "z": "A"}
QUOTE = {"T": "q", "S": "IBM", "bx": "V", "bp": 186.4, "bs": 2, "ax": "V", "ap": 186.6, "as": 3, "t": AT, "z": "A"}
BAR = {"T": "b", "S": "IBM", "o": 1, "h": 2.5, "l": 0.5, "c": 2, "v": 900, "t": AT, "n": 12, "vw": 1.7}
STATUS = {"T": "s", "S": "IBM", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "News", "t": AT, "z": "A"}
ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")


def encode(messages: Any, encoding: Encoding) -> bytes:
    return msgspec.json.encode(messages) if encoding == "json" else msgspec.msgpack.encode(messages)


def decode(messages: Any, encoding: Encoding = "json") -> list[Any]:
    return FeedDecoder(encoding).decode(encode(messages, encoding), 11, 22)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_frame_becomes_events_in_order_stamped_on_arrival(encoding: Encoding):
    trade, quote, bar, status = decode([TRADE, QUOTE, BAR, STATUS], encoding)
    assert isinstance(trade, TradeSeen)
    assert (trade.symbol, trade.price, trade.size, trade.conditions) == ("IBM", 186.5, 100.0, ("@", "I"))
    assert isinstance(quote, QuoteSeen)
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == (186.4, 2.0, 186.6, 3.0)
    assert isinstance(bar, BarSeen)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.vwap) == (
        1.0, 2.5, 0.5, 2.0, 900.0, 12, 1.7,
    )  # fmt: skip
    assert isinstance(status, StatusSeen)
    assert (status.status_code, status.status_message, status.reason_code) == ("H", "Trading Halt", "T12")
    assert {(event.seen_ns, event.mono_ns) for event in (trade, quote, bar, status)} == {(11, 22)}
    assert abs(trade.venue_at - datetime(2026, 11, 20, 14, 30, 0, 123456, UTC)) <= timedelta(microseconds=1)


def test_msgpack_carries_time_as_its_own_extension():
    (trade,) = decode([{**TRADE, "t": datetime(2026, 11, 20, 14, 30, tzinfo=UTC)}], "msgpack")
    assert trade.venue_ns == 1_795_185_000 * 1_000_000_000


def test_control_messages_are_told_from_data():
    frame = [
        {"T": "success", "msg": "connected"},
        {"T": "error", "code": 406, "msg": "connection limit exceeded"},
        {"T": "subscription", "trades": ["IBM"], "quotes": [], "bars": ["*"], "lulds": [], "corrections": ["IBM"]},
    ]
    assert decode(frame) == [
        Success("connected"), FeedError(406, "connection limit exceeded"), Subscription(("IBM",), (), ("*",), ()),
    ]  # fmt: skip


def test_messages_that_nobody_listens_to_are_left_out_without_complaint():
    others = [{"T": tag, "S": "IBM", "t": AT} for tag in "udlcxi"]
    decoder = FeedDecoder("json")
    assert len(decoder.decode(encode([*others, TRADE], "json"), 0, 0)) == 1
    assert decoder.bad_messages == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "bad",
    [
        {"T": "zz", "S": "IBM"}, {"S": "IBM"}, {**TRADE, "p": "dear"}, {**TRADE, "t": "yesterday"},
        {**QUOTE, "S": None}, [], 7, None, "t", {**TRADE, "c": 3},
    ],
)  # fmt: skip
def test_one_bad_message_costs_itself_and_not_its_neighbours(bad: object, encoding: Encoding):
    reasons: list[str] = []
    decoder = FeedDecoder(encoding, on_bad=reasons.append)
    events = decoder.decode(encode([TRADE, bad, QUOTE], encoding), 11, 22)
    assert [type(event).__mro__[1] for event in events] == [TradeSeen, QuoteSeen]
    assert {event.seen_ns for event in events if isinstance(event, MarketEvent)} == {11}
    assert (decoder.bad_messages, len(reasons)) == (1, 1)


def test_null_means_absent():
    trade, status = decode([{**TRADE, "c": None}, {**STATUS, "sm": None, "rc": None}])
    assert (trade.conditions, status.status_message, status.reason_code) == ((), "", "")


def test_the_feed_cannot_set_our_stamps():
    (trade,) = decode([{**TRADE, "seen_ns": 5, "~seen_ns": 5, "mono_ns": 5}])
    assert (trade.seen_ns, trade.mono_ns) == (11, 22)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=some.binary(max_size=60))
def test_no_bytes_make_it_raise(encoding: Encoding, data: bytes):
    decoder = FeedDecoder(encoding)
    assert isinstance(decoder.decode(data, 0, 0), list)


JUNK = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(max_size=5) | some.integers(-(2**63), 2**64 - 1),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from("TSpstcbaoq"), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.requirement("R105")
@given(junk=JUNK, tag=some.sampled_from(["t", "q", "b", "s", "success", "error", "subscription", "u"]))
def test_no_message_makes_it_raise_or_lose_its_neighbour(junk: object, tag: str):
    message = {**junk, "T": tag} if isinstance(junk, dict) else junk
    for encoding in ENCODINGS:
        events = decode([message, QUOTE], encoding)
        assert isinstance(events[-1], QuoteSeen)
