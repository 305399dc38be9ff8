"""Faults of bodies change the field that they name and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quant_trading_system.simulator.server.fault_bodies import empty_lists, halve_lists, spoil
from quant_trading_system.simulator.server.faults import parse_plan

BARS = {"bars": {"A": [{"c": 1.5}, {"c": 2}], "B": [{"c": 3}]}, "next_page_token": "x", "currency": "USD"}


def spoilt(body: Any, *rules: dict[str, Any]) -> Any:
    return json.loads(spoil(json.dumps(body).encode(), parse_plan({"faults": list(rules)})[0]))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("a", {"a": 1, "b": {"a": 1}}, {"a": 0, "b": {"a": 1}}),
        ("b.a", {"a": 1, "b": {"a": 1}}, {"a": 1, "b": {"a": 0}}),
        ("a", [{"a": 1}, {"a": 2}], [{"a": 0}, {"a": 0}]),
        ("1.a", [{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 0}]),
        ("7.a", [{"a": 1}], [{"a": 1}]),
        ("*.a", {"x": {"a": 1}, "y": 5}, {"x": {"a": 0}, "y": 5}),
        ("l.0.a", {"l": [{"a": 1}, {"a": 2}]}, {"l": [{"a": 0}, {"a": 2}]}),
        ("l.a", {"l": [{"a": 1}, {"a": 2}]}, {"l": [{"a": 0}, {"a": 0}]}),
        ("l.*.a", {"l": {"x": [{"a": 1}], "y": [{"a": 2}]}}, {"l": {"x": [{"a": 0}], "y": [{"a": 0}]}}),
        ("a.b", {"a": "text"}, {"a": "text"}),
        ("a", "text", "text"),
    ],
)
def test_a_path_leads_to_its_fields(path, body, expected):
    assert spoilt(body, {"kind": "set_field", "field": path, "value": 0}) == expected


def test_a_field_that_is_not_there_is_set_but_not_made_wrong():
    assert spoilt({}, {"kind": "set_field", "field": "a", "value": [1.5, None]}) == {"a": [1.5, None]}
    for kind in ("unknown_value", "null_field", "missing_field", "wrong_echo"):
        assert spoilt({"b": 1}, {"kind": kind, "field": "a"}) == {"b": 1}


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [("symbol", "AAPL", "AAPLX"), ("side", "sell", "buy"), ("qty", "1.5", "2.5"), ("position_qty", "-1", "0")],
)
def test_an_echo_is_wrong_in_its_own_form(name, value, wrong):
    assert spoilt({name: value}, {"kind": "wrong_echo", "field": name}) == {name: wrong}


def test_a_wrong_id_is_an_id_and_the_same_every_time():
    order_id = "904837e3-3b76-47ec-b432-046db621571b"
    first, again = (spoilt({"id": order_id}, {"kind": "wrong_echo", "field": "id"})["id"] for _ in range(2))
    assert first == again != order_id
    assert len(first) == len(order_id)


def test_stamps_are_moved_and_keep_their_form():
    body = {"t": "2024-06-03T23:59:59.5Z", "u": "2024-06-03T09:30:00-04:00", "d": "2024-06-03", "n": 5}
    moved = spoilt(body, {"kind": "clock_skew", "skew_seconds": 1, "scope": "stamps"})
    assert moved == {"t": "2024-06-04T00:00:00.5Z", "u": "2024-06-03T09:30:01-04:00", "d": "2024-06-03", "n": 5}
    assert spoilt(body, {"kind": "clock_skew", "skew_seconds": 1, "scope": "date"}) == body
    eastern = spoilt(body, {"kind": "offset_stamps"})
    assert eastern == {**body, "t": "2024-06-03T19:59:59.5-04:00"}


def test_rules_act_one_after_the_other():
    rules = {"kind": "extra_field", "field": "x"}, {"kind": "missing_field", "field": "x"}
    assert spoilt({"a": {"b": 1}}, *rules) == {"a": {"b": 1, "x": {"since": "tomorrow"}}}


def test_lists_are_halved_and_emptied_wherever_they_stand():
    assert json.loads(halve_lists(json.dumps(BARS).encode())) == {
        "bars": {"A": [{"c": 1.5}], "B": []}, "next_page_token": None, "currency": "USD",
    }  # fmt: skip
    assert json.loads(empty_lists(json.dumps(BARS).encode())) == {
        "bars": {}, "next_page_token": None, "currency": "USD",
    }  # fmt: skip
    assert empty_lists(b"[1]") == halve_lists(b"[1]") == b"[]"
    assert json.loads(empty_lists(b'{"assets":[1],"name":"x"}')) == {"assets": [], "name": "x"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_what_is_no_json_stays_as_it_is(body):
    rules, _ = parse_plan({"faults": [{"kind": "null_field", "field": "a"}, {"kind": "clock_skew"}]})
    assert spoil(body, rules) == body == halve_lists(body) == empty_lists(body)
