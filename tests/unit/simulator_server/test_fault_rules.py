"""A rule has the fields of its kind, waits for its moment, and can be given in one line."""

from __future__ import annotations

import json

import pytest

from quant_trading_system.simulator.server.fault_kinds import KINDS, Kind
from quant_trading_system.simulator.server.fault_rules import REQUIRED_FIELDS
from quant_trading_system.simulator.server.faults import FaultPlan, FaultPlanError, FaultRule, parse_flag, parse_plan

ORDER = {"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
TEN_NS = 1_717_423_200_000_000_000  # 2024-06-03T10:00 in New York
MINUTE_NS = 60_000_000_000
NEEDED: dict[str, object] = {
    "status": 418,
    "field": "status",
    "value": 1,
    "order": ORDER,
    "symbol": "AAPL",
    "amount_usd": "5",
    "action": {"kind": "forward_split"},
}


class Time:
    """Both clocks of a plan."""

    def __init__(self) -> None:
        self.mono_s = 50.0
        self.venue_ns = TEN_NS - MINUTE_NS

    def plan(self, *rules: dict[str, object]) -> FaultPlan:
        plan = FaultPlan(lambda: self.mono_s, lambda: self.venue_ns)
        plan.replace(parse_plan({"faults": list(rules)})[0])
        return plan


def rule_of(**item: object) -> FaultRule:
    return parse_plan({"faults": [item]})[0][0]


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_takes_what_it_needs_and_tells_it_again(kind):
    item = {"kind": kind.value, **{name: NEEDED[name] for name in REQUIRED_FIELDS.get(kind, ())}}
    rule = rule_of(**item)
    again = rule_of(**json.loads(json.dumps(rule.as_json())))
    assert again == rule
    assert rule.kind is kind


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind in REQUIRED_FIELDS])
def test_a_kind_that_needs_a_field_says_so(kind):
    with pytest.raises(FaultPlanError, match=f"^faults\\[0\\]\\.{REQUIRED_FIELDS[kind][0]}: missing; {kind} needs it"):
        rule_of(kind=kind.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", 200), ("body", "xml"), ("code", -1), ("message", ""), ("carried_out", "yes"), ("rate_headers", 1),
        ("answer", "third"), ("point", "tail"), ("location", 5), ("size_bytes", 0), ("field", ""), ("scope", "some"),
        ("skew_seconds", 0.5), ("hides", ["everything"]), ("hides", []), ("flags", {"trading_blocked": "yes"}),
        ("flags", {"mood": "bad"}), ("silent", None), ("qty", "1e5"), ("price", "many"), ("order", []),
        ("trading_status", "asleep"), ("amount_usd", True), ("step_seconds", -1), ("event", 5), ("after_seconds", -1),
        ("times", 4), ("how", "nan"), ("copies", 1), ("latency_ms", 0), ("latency_ms", 600_001),
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_named(field, value):
    kind = next(kind for kind in Kind if field in KINDS[kind].fields)
    needed = {name: NEEDED[name] for name in REQUIRED_FIELDS.get(kind, ())}
    with pytest.raises(FaultPlanError) as caught:
        rule_of(kind=kind.value, **{**needed, field: value})
    assert str(caught.value).startswith(f"faults[0].{field}: ")


@pytest.mark.parametrize(("kind", "code"), [("close_stream", 999), ("stream_error", 1000), ("close_stream", 5_000)])
def test_a_code_fits_into_what_carries_it(kind, code):
    with pytest.raises(FaultPlanError, match=r"faults\[0\]\.code"):
        rule_of(kind=kind, code=code)


@pytest.mark.parametrize(
    ("at_time", "word"), [("noon", "expected a time"), (5, "expected a time"), ("2024-13-01", "month")]
)
def test_a_moment_is_a_time(at_time, word):
    with pytest.raises(FaultPlanError, match=word):
        rule_of(kind="latency", at_time=at_time)


# --- time


def test_every_seconds_fires_first_after_that_time_and_then_no_oftener():
    time = Time()
    plan = time.plan({"kind": "disconnect_stream", "every_seconds": 3_600})
    fired_at = []
    for _ in range(10):
        if plan.cuts_stream("stream:trade_updates", at_frame=False):
            fired_at.append(time.mono_s)
        time.mono_s += 1_000
    assert fired_at == [4_050.0, 8_050.0]


def test_before_its_moment_a_rule_counts_no_occasions():
    time = Time()
    plan = time.plan({"kind": "error_500", "at_time": "2024-06-03T10:00", "at": 2})
    where = "GET /v2/account"
    assert [plan.fires(Kind.ERROR_500, where) for _ in range(3)] == [None] * 3
    time.venue_ns = TEN_NS
    assert [plan.fires(Kind.ERROR_500, where) is not None for _ in range(3)] == [False, True, False]


def test_a_deed_is_done_once_at_its_moment_and_by_no_request():
    time = Time()
    plan = time.plan(
        {"kind": "external_order", "at_time": "2024-06-03T10:01", "order": ORDER},
        {"kind": "bust", "at_time": "2024-06-03T10:00"},
    )
    assert plan.next_deed_ns == TEN_NS
    assert plan.fire_each("GET /v2/orders", {Kind.BUST, Kind.EXTERNAL_ORDER}) == []
    time.venue_ns = TEN_NS + MINUTE_NS
    assert [firing.rule.kind for firing in plan.due_deeds()] == [Kind.BUST, Kind.EXTERNAL_ORDER]
    assert plan.due_deeds() == []
    assert [rule["fired"] for rule in json.loads(json.dumps(plan.as_json()))["faults"]] == [1, 1]


def test_a_deed_whose_moment_has_passed_is_not_done():
    time = Time()
    time.venue_ns = TEN_NS
    plan = time.plan({"kind": "bust", "at_time": "2024-06-03T10:00"})
    assert plan.is_empty
    assert plan.due_deeds() == []


def test_what_one_rule_draws_does_not_depend_on_another():
    time = Time()
    rule: dict[str, object] = {"kind": "error_500", "where": "GET *", "probability": 0.5}
    alone = time.plan(rule)
    beside = time.plan(rule, {"kind": "latency", "probability": 0.5})
    kinds = {Kind.ERROR_500, Kind.LATENCY}
    drawn = [[Kind.ERROR_500 in plan.fire_all("GET /x", kinds) for _ in range(64)] for plan in (alone, beside)]
    assert drawn[0] == drawn[1]
    assert 16 < sum(drawn[0]) < 48


# --- in one line


@pytest.mark.parametrize(
    ("flag", "item"),
    [
        ("error_500", {"kind": "error_500"}),
        ("error_500@GET /v2/account", {"kind": "error_500", "where": "GET /v2/account"}),
        ("mute_stream@stream:market_data:at=3,for_seconds=1.5",
         {"kind": "mute_stream", "where": "stream:market_data", "at": 3, "for_seconds": 1.5}),
        ("error_404@GET /v2/orders:by_client_order_id:count=2",
         {"kind": "error_404", "where": "GET /v2/orders:by_client_order_id", "count": 2}),
        ("error_403:code=40310100,message=trade denied, sorry,body=json",
         {"kind": "error_403", "code": 40310100, "message": "trade denied, sorry", "body": "json"}),
        ("transfer:amount_usd=-5.25,at_time=2024-06-03T10:00",
         {"kind": "transfer", "amount_usd": -5.25, "at_time": "2024-06-03T10:00"}),
        ('external_order@*:order={"symbol":"SPY","qty":"1"},at=1',
         {"kind": "external_order", "where": "*", "order": {"symbol": "SPY", "qty": "1"}, "at": 1}),
        ("order_invisible:hides=list|stream", {"kind": "order_invisible", "hides": "list|stream"}),
    ],
)  # fmt: skip
def test_a_rule_is_read_from_one_line(flag, item):
    assert parse_flag(flag) == item
    parse_plan({"faults": [parse_flag(flag)]})


@pytest.mark.parametrize(
    "flag", ["", "@x", "error_500:at", "Error", "error_500@GET:at=0", "gremlins", "latency:body=html"]
)
def test_a_line_that_is_no_rule_is_refused(flag):
    with pytest.raises(FaultPlanError):
        parse_flag(flag)
