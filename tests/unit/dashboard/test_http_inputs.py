"""What a request may carry: every field has a rule, and a refusal names the field."""

from __future__ import annotations

import json

import pytest

from quant_trading_system.dashboard import inputs, openapi
from quant_trading_system.dashboard.guard import METHODS, Buckets, Guard, host_name
from quant_trading_system.dashboard.problems import Problem
from quant_trading_system.dashboard.route_table import ROUTES, Auth
from quant_trading_system.dashboard.routes import make_app
from tests.unit.dashboard.builders import TOKEN, FakePort, new_york


@pytest.mark.parametrize(
    ("kind", "raw", "status", "field"),
    [
        (inputs.CommandBody, b"{", 400, ""),
        (inputs.CommandBody, b"\xff\xfe", 400, ""),
        (inputs.CommandBody, b"[" * 5_000, 422, ""),
        (inputs.CommandBody, b"[]", 422, ""),
        (inputs.CommandBody, b"null", 422, ""),
        (inputs.CommandBody, b'{"operator":1}', 422, "operator"),
        (inputs.CommandBody, b'{"operator":""}', 422, "operator"),
        (inputs.CommandBody, b'{"operator":"   "}', 422, "operator"),
        (inputs.CommandBody, json.dumps({"operator": "x" * 65}).encode(), 422, "operator"),
        (inputs.CommandBody, b'{"operator":"a\\nb"}', 422, "operator"),
        (inputs.CommandBody, b'{"reason":"a\\u0000b"}', 422, "reason"),
        (inputs.CommandBody, json.dumps({"reason": "x" * 501}).encode(), 422, "reason"),
        (inputs.CommandBody, b'{"symbol":"IBM"}', 422, "symbol"),
        (inputs.PauseBody, b'{"cancel":"yes"}', 422, "cancel"),
        (inputs.PauseBody, b'{"cancel":1}', 422, "cancel"),
        (inputs.ResetBody, b"{}", 422, "operator"),
        (inputs.ResetBody, b'{"operator":"a"}', 422, "reason"),
        (inputs.ResetBody, b'{"operator":"a","reason":" "}', 422, "reason"),
        (inputs.ResetBody, b'{"operator":"a","reason":"b","force":true}', 422, "force"),
        (inputs.UnlockBody, b'{"symbol":"A B","reason":"x"}', 422, "symbol"),
        (inputs.UnlockBody, b'{"symbol":"","reason":"x"}', 422, "symbol"),
        (inputs.EnableBody, b'{"reason":"x"}', 422, "strategy"),
    ],
)
def test_a_bad_body_is_refused_naming_its_field(kind, raw, status, field):
    with pytest.raises(Problem) as refused:
        inputs.parse_body(raw, kind)
    assert (refused.value.status, refused.value.field) == (status, field)


def test_an_empty_body_is_an_empty_object():
    assert inputs.parse_body(b"", inputs.CommandBody) == inputs.CommandBody()


@pytest.mark.parametrize(
    ("kind", "query", "field"),
    [
        (inputs.NoQuery, {"x": "1"}, "x"),
        (inputs.ListQuery, {"limit": "0"}, "limit"),
        (inputs.ListQuery, {"limit": "501"}, "limit"),
        (inputs.ListQuery, {"limit": "ten"}, "limit"),
        (inputs.ListQuery, {"limit": "1e9"}, "limit"),
        (inputs.OrdersQuery, {"status": "dead"}, "status"),
        (inputs.DecisionsQuery, {"symbol": "IBM; DROP"}, "symbol"),
        (inputs.DecisionsQuery, {"order": "a b"}, "order"),
        (inputs.EventsQuery, {"page": "other"}, "page"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(kind, query, field):
    with pytest.raises(Problem) as refused:
        inputs.parse_query(query, list(query), kind)
    assert (refused.value.status, refused.value.field) == (422, field)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(Problem, match="2 times") as refused:
        inputs.parse_query({"limit": "1"}, ["limit", "limit"], inputs.ListQuery)
    assert refused.value.field == "limit"


@pytest.mark.parametrize(
    "text", ["2013-10-07T09:45", "2013-10-07 09:45", "2013-10-07T13:45Z", "2013-10-07T09:45:00.000-04:00"]
)
def test_a_time_without_offset_is_new_york_time(text):
    assert inputs.parse_time(text) == new_york("2013-10-07T09:45")


@pytest.mark.parametrize("text", ["", "yesterday", "09:45", "2013-13-01T00:00", "9" * 40, "0001-01-01T00:00+14:00x"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Problem) as refused:
        inputs.parse_time(text)
    assert refused.value.field == "at"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:8080", "::1"),
        ("evil.example:80@localhost", ""),
        ("user@localhost", ""),
        ("localhost:port", ""),
        ("localhost:99999", ""),
        ("localhost/x", ""),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_a_host_header_is_read_strictly(host, expected):
    assert host_name(host) == expected


def test_bare_ipv6_hosts_are_understood_and_malformed_ones_never_allowed():
    assert Guard(token=TOKEN, allowed_hosts=["::1", "[::1]:8080"]).hosts == {"::1"}
    with pytest.raises(AssertionError, match="malformed"):
        Guard(token=TOKEN, allowed_hosts=["localhost:port"])


def test_a_bucket_refills_with_time_and_forgets_strangers():
    now_s = [0.0]
    buckets = Buckets(per_second=1, burst=2, monotonic_s=lambda: now_s[0])
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    assert buckets.take("b")
    now_s[0] = 1.0
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    for number in range(1_500):
        buckets.take(str(number))
    assert buckets.take("a")


# the inventory of routes

COMMANDS = {"pause", "resume", "cancel-all", "kill", "reset", "unlock", "enable"}


def test_every_route_declares_who_may_use_it():
    assert {(route.method, route.auth) for route in ROUTES} == {("GET", Auth.OPEN), ("POST", Auth.TOKEN)}
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_the_server_serves_the_declared_routes_and_no_other():
    app = make_app(FakePort(), token=TOKEN)
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert {(method, path) for method, path in served if method != "HEAD"} == {(r.method, r.path) for r in ROUTES}
    assert {method for method, _ in served} <= METHODS


def test_the_commands_are_those_of_the_interface():
    assert {route.path.rpartition("/")[2] for route in ROUTES if route.method == "POST"} == COMMANDS


def test_openapi_describes_every_route_of_the_api():
    document = openapi.document("0.1.0")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES if route.is_api}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert ("security" in operation) == (method == "post")
    pointers = [text.split('"')[0] for text in json.dumps(document).split("#/components/schemas/")[1:]]
    assert set(pointers) <= set(document["components"]["schemas"])
    reset = document["components"]["schemas"]["ResetBody"]
    assert set(reset["required"]) == {"operator", "reason"}
    assert reset["additionalProperties"] is False
