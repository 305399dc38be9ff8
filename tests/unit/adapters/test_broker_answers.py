"""REST bodies of the broker: tolerant where it grows, strict where a guess would be a lie."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from quant_trading_system.adapters.alpaca import answers, history
from quant_trading_system.adapters.alpaca.failures import Unreadable
from quant_trading_system.adapters.alpaca.stamps import format_stamp, parse_stamp
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.types import MonoNanos, Nanos, OrderType, Side, TimeInForce
from tests.unit.adapters.builders import order_body, order_fields

STATUSES = [
    "new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel",
    "pending_replace", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected", "suspended",
    "calculated", "held", "pending_review",
]  # fmt: skip


def test_an_order_keeps_every_digit():
    order = answers.parse_order(order_body(filled_avg_price="3648.1242857142857143", filled_qty="0.123456789"))
    assert order.filled_average_price == Decimal("3648.1242857142857143")
    assert order.filled_quantity == Decimal("0.123456789")
    assert (order.quantity, order.limit_price, order.notional_usd) == (Decimal(10), Decimal("190.1"), None)
    assert order.updated_ns - order.submitted_ns == 18_510_123
    assert (order.side, order.order_type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.DAY)


def test_numbers_are_read_like_text_and_never_as_binary_fractions():
    assert answers.parse_order(order_body(limit_price=190.1, qty=10)) == answers.parse_order(order_body())


@pytest.mark.fault("A14")
@pytest.mark.parametrize("status", [*STATUSES, "something_of_2027"])
def test_every_status_word_is_kept(status: str):
    assert answers.parse_order(order_body(status=status)).status == status


def test_words_nobody_knows_are_kept():
    order = answers.parse_order(order_body(type="trailing_stop", order_type="trailing_stop", time_in_force="gtd"))
    assert (order.order_type, order.time_in_force) == ("trailing_stop", "gtd")


def test_new_keys_and_missing_optional_keys_do_no_harm():
    fields = order_fields(commission="0", position_intent="buy_to_open", expires_at=None)
    for name in ("extended_hours", "legs", "notional", "limit_price", "replaced_by", "updated_at"):
        fields.pop(name)
    order = answers.parse_order(msgspec.json.encode(fields))
    assert (order.limit_price, order.updated_ns) == (None, order.submitted_ns)


@pytest.mark.invariant("I40")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"<html></html>", order_body()[:-20], order_body(side="sideways"),
        order_body(qty="NaN"), order_body(qty="Infinity"), order_body(qty="1e400"), order_body(filled_qty="ten"),
        order_body(submitted_at="2025-11-21 10:00"), order_body(status=None), order_body(id=7),
        order_body(submitted_at="2025-02-30T10:00:00Z"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_trusted_is_unreadable(body: bytes):
    with pytest.raises(Unreadable, match="unreadable order"):
        answers.parse_order(body)


@pytest.mark.fault("C8")
def test_one_unreadable_order_makes_the_list_unreadable():
    body = msgspec.json.encode([order_fields(), order_fields(side="?")])
    with pytest.raises(Unreadable):
        answers.parse_orders(body)


def test_an_account_without_the_day_trade_fields_is_whole():
    account = answers.parse_account(
        b'{"account_number":"PA1","status":"ACTIVE","cash":"100000","equity":"100000.5","last_equity":"99999",'
        b'"buying_power":"400000","multiplier":"4","trade_suspended_by_user":true,"shorting_enabled":true}'
    )
    assert (account.cash_usd, account.multiplier, account.blocked) == (Decimal(100000), Decimal(4), True)


def test_an_account_without_its_cash_is_unreadable():
    with pytest.raises(Unreadable, match="cash"):
        answers.parse_account(b'{"account_number":"PA1","status":"ACTIVE"}')


def test_a_short_position_is_negative_whatever_the_sign_on_the_wire():
    body = b'[{"symbol":"AAPL","asset_id":"a","qty":"%b","avg_entry_price":"190","side":"short","current_price":null}]'
    for quantity in (b"100", b"-100"):
        assert answers.parse_positions(body % quantity)[0].quantity == Decimal(-100)


def test_a_fill_names_its_order_and_the_quantity_so_far():
    (fill,) = answers.parse_fills(
        b'[{"id":"20251121093000199::u","activity_type":"FILL","transaction_time":"2025-11-21T14:30:00.199Z","type":'
        b'"partial_fill","price":"190.05","qty":"4","side":"sell_short","symbol":"AAPL","leaves_qty":"6","cum_qty":"4",'
        b'"order_id":"o-1","order_status":"partially_filled"}]'
    )
    assert (fill.side, fill.quantity, fill.price, fill.cumulative_quantity) == (
        Side.SELL, Decimal(4), Decimal("190.05"), Decimal(4),
    )  # fmt: skip


def test_the_calendar_is_in_new_york_time_on_both_sides_of_daylight_saving():
    body = (
        b'[{"date":"2026-03-06","open":"09:30","close":"16:00"},{"date":"2026-03-09","open":"09:30","close":"16:00"},'
        b'{"date":"2026-11-27","open":"09:30","close":"13:00","session_open":"0400"}]'
    )
    days = answers.parse_calendar(body)
    assert [f"{to_datetime(day.open_ns):%H:%M}–{to_datetime(day.close_ns):%H:%M}" for day in days] == [
        "14:30–21:00", "13:30–20:00", "14:30–18:00",
    ]  # fmt: skip


def test_a_session_that_closes_before_it_opens_is_unreadable():
    with pytest.raises(Unreadable):
        answers.parse_calendar(b'[{"date":"2026-03-06","open":"16:00","close":"09:30"}]')


def test_the_clock_keeps_its_offset_and_nanoseconds():
    reading = answers.parse_clock(
        b'{"timestamp":"2020-06-08T22:38:49.042731234-04:00","is_open":false,'
        b'"next_open":"2020-06-09T09:30:00-04:00","next_close":"2020-06-09T16:00:00-04:00"}'
    )
    assert reading.venue_ns == 1_591_670_329_042_731_234
    assert reading.next_close_ns - reading.next_open_ns == int(6.5 * 3600) * 1_000_000_000


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code":40310000,"message":"insufficient buying power","buying_power":"1"}', 40310000,
         "insufficient buying power"),
        (b'{"message":"forbidden."}', None, "forbidden."),
        (b"<html>504 Gateway Time-out</html>", None, "<html>504 Gateway Time-out</html>"),
        (b"", None, "empty body"),
        (b"[1]", None, "[1]"),
        (b'{"code":"x"}', None, ""),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
    ],
)  # fmt: skip
def test_any_error_body_is_read(body: bytes, code: int | None, message: str):
    refusal = answers.parse_refusal(body)
    assert (refusal.code, refusal.message) == (code, message)


def test_extra_keys_of_a_refusal_are_kept():
    refusal = answers.parse_refusal(b'{"code":40310000,"existing_order_id":"o-9","message":"potential wash trade"}')
    assert refusal.extra == {"existing_order_id": "o-9"}


def test_bars_of_several_symbols_and_the_next_page():
    bars, token = history.parse_bars_page(
        b'{"bars":{"IBM":[{"t":"2026-11-20T14:30:00Z","o":1,"h":2,"l":0.5,"c":1.5,"v":100,"n":3,"vw":1.2}],"BAC":null},'
        b'"next_page_token":"abc"}'
    )
    assert (len(bars["IBM"]), bars["BAC"], token) == (1, [], "abc")  # type: ignore[index]
    assert history.parse_bars_page(b'{"bars":{},"next_page_token":null}') == ({}, None)


def test_latest_quotes_become_events():
    body = b'{"quotes":{"IBM":{"t":"2026-11-20T14:30:00Z","ap":2,"as":1,"bp":1,"bs":1,"c":null}}}'
    quotes = history.parse_latest_quotes(body, seen_ns=Nanos(3), mono_ns=MonoNanos(4))
    (quote,) = quotes.values()
    assert (quote.symbol, quote.ask_price, quote.seen_ns, quote.mono_ns) == ("IBM", 2.0, 3, 4)


@pytest.mark.parametrize("body", [b"[]", b'{"quotes":{"IBM":7}}', b'{"quotes":{"IBM":{"t":"x"}}}', b"nope"])
def test_odd_latest_quotes_are_unreadable(body: bytes):
    with pytest.raises(Unreadable):
        history.parse_latest_quotes(body, seen_ns=Nanos(3), mono_ns=MonoNanos(4))


@given(some.integers(0, 4_102_444_800_000_000_000))
def test_a_stamp_survives_its_own_text(stamp_ns: int):
    assert parse_stamp(format_stamp(stamp_ns)) == stamp_ns


@pytest.mark.parametrize(
    ("text", "second"),
    [("1970-01-01T00:00:01Z", 1), ("1970-01-01T01:00:01+01:00", 1), ("1969-12-31t19:00:01-05:00", 1)],
)
def test_any_offset_is_understood(text: str, second: int):
    assert parse_stamp(text) == second * 1_000_000_000


@pytest.mark.parametrize(
    "text", ["", "1970-01-01", "1970-01-01T00:00:01", "1970-13-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z"]
)
def test_a_time_without_an_offset_or_a_date_is_refused(text: str):
    with pytest.raises(ValueError, match=r"\w"):
        parse_stamp(text)
