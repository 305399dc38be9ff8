"""The API's words: Alpaca's names, money as strings, times in UTC."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from quant_trading_system.dashboard import json_views, words
from tests.unit.dashboard.builders import (
    ALERT,
    DECISION,
    FILL,
    LIMITS,
    NOW,
    ORDER,
    ORDER_ROW,
    PASS,
    POSITION,
    VIEW,
    view,
)

ALPACA_POSITION = {"symbol", "qty", "side", "avg_entry_price", "market_value", "unrealized_pl", "cost_basis"}
ALPACA_ORDER = {
    *("id", "client_order_id", "symbol", "qty", "filled_qty", "filled_avg_price", "side", "type", "order_type"),
    *("time_in_force", "limit_price", "stop_price", "status", "created_at", "updated_at"),
}


@pytest.mark.requirement("R123")
def test_money_and_quantities_are_strings_without_exponent():
    row = json_views.position(msgspec.structs.replace(POSITION, quantity=Decimal("1E+2")))
    assert set(row) >= ALPACA_POSITION
    assert (row["qty"], row["market_value"], row["avg_entry_price"]) == ("100", "19000", "187.5")
    assert row["books"] == [{"strategy": "momentum", "qty": "120"}, {"strategy": "mean_reversion", "qty": "-20"}]
    assert row["agrees_with_broker"] is True


def test_a_short_position_says_so():
    row = json_views.position(msgspec.structs.replace(POSITION, quantity=Decimal(-5), unrealized_usd=Decimal(10)))
    assert (row["side"], row["qty"], row["cost_basis"]) == ("short", "-5", "-937.5")
    assert row["unrealized_plpc"] == "0.010667"


@pytest.mark.parametrize("row", [json_views.order(ORDER), json_views.order_row(ORDER_ROW)])
def test_orders_have_alpacas_names(row):
    assert set(row) >= ALPACA_ORDER


@pytest.mark.requirement("R161")
def test_times_are_utc_with_microseconds():
    assert json_views.time(NOW) == "2013-10-07T14:30:00.000000Z"
    assert json_views.time(0) is None
    assert json_views.time(None) is None


def test_what_cannot_be_a_number_is_null_not_infinity():
    infinite = view(gross_exposure_usd=Decimal("Infinity"))
    assert json_views.account(infinite, number="PA1")["gross_exposure"] is None
    assert json_views.age(float("inf")) is None
    decision = msgspec.structs.replace(DECISION, inputs={"rsi": float("nan")})
    assert json_views.decision(decision)["inputs"] == {"rsi": None}


def test_the_market_value_is_unknown_where_one_mark_is():
    unmarked = msgspec.structs.replace(POSITION, market_value_usd=None)
    assert json_views.account(view(positions=(POSITION, unmarked)), number="x")["position_market_value"] is None
    assert json_views.account(VIEW, number="x")["position_market_value"] == "19000"


def test_a_decision_shows_each_control_with_its_number_and_limit():
    row = json_views.decision(DECISION)
    assert [(c["control"], c["passed"], c["measured"], c["limit"]) for c in row["controls"]] == [
        ("P1", True, "CLEAR", "CLEAR"),
        ("P15", False, "none", "a quote"),
    ]


@pytest.mark.parametrize(
    ("latches", "expected"),
    [
        ({"a": "CLEAR", "b": "CLEAR"}, "CLEAR"),
        ({"a": "CLEAR", "b": "MISSING"}, "MISSING"),
        ({"a": "MISSING", "b": "UNREADABLE"}, "UNREADABLE"),
        ({"a": "ENGAGED", "b": "UNREADABLE"}, "ENGAGED"),
        ({}, "MISSING"),
    ],
)
def test_the_latch_is_the_worst_of_its_stores(latches, expected):
    assert json_views.latch_state(view(latches=latches)) == expected


@pytest.mark.parametrize("row", [DECISION, ORDER_ROW, FILL, ALERT, PASS])
def test_every_row_becomes_plain_json(row):
    assert json.loads(msgspec.json.encode(json_views.record(row)))


def test_limits_keep_their_words():
    assert json_views.limit(LIMITS[0])["usage"] == 0.25
    assert json_views.limit(LIMITS[3])["usage"] is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (300, "5 min"),
        (9_000, "2 h 30 min"),
        (4e5, "4 d 15 h"),
    ],
)
def test_a_span_reads_like_a_person_says_it(seconds, expected):
    assert words.span(seconds) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("12.345", "+$12.34"), ("-0.5", "−$0.50"), ("0", "$0.00"), ("1234567.891", "+$1,234,567.89"), ("NaN", "–")],
)
def test_money_reads_with_sign_and_separators(amount, expected):
    assert words.money(Decimal(amount), signed=True) == expected


@pytest.mark.parametrize(("amount", "expected"), [("187.5", "187.50"), ("0.1234", "0.1234"), ("1E+3", "1,000.00")])
def test_a_price_has_at_least_cents(amount, expected):
    assert words.price(Decimal(amount)) == expected
