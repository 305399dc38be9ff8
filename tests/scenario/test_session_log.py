"""The log of a real session: an order can be followed from the signal to the fill by one id, and nothing is hidden."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from quant_trading_system.app.record_log import RecordLog
from quant_trading_system.app.timed_strategy import TimedStrategy
from quant_trading_system.core.types import Direction
from quant_trading_system.observability.logs import configure, get_logger
from tests.support.floor import MOMENTUM, SYMBOL, Floor, scripted_floor

Line = dict[str, object]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    configure("debug", "json", written, context={"run_id": "r1"}, environ={})
    yield written
    structlog.reset_defaults()


def logged_floor() -> tuple[Floor, RecordLog]:
    """A floor whose strategies are listened to as the daemon listens to its own."""
    floor, log = scripted_floor(), RecordLog(get_logger("daemon"))
    timed = {
        id_: TimedStrategy(script, lambda _id, _seconds: None, log.write_signal)
        for id_, script in floor.scripts.items()
    }
    floor.engine._desk.strategies.update(timed)
    return floor, log


def lines(floor: Floor, log: RecordLog, stream: io.StringIO) -> list[Line]:
    for record in floor.records:
        log.write(record)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def of(kind: str, found: list[Line]) -> list[Line]:
    return [line for line in found if line["event"] == kind]


@pytest.mark.requirement("R171")
def test_one_id_leads_from_the_decision_through_every_state_of_the_order_to_its_fill(stream):
    floor, log = logged_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    found = lines(floor, log, stream)
    thread = floor.sent[0].intent.client_order_id
    mine = [line for line in found if line.get("client_order_id") == thread]
    assert list(dict.fromkeys(line["event"] for line in mine)) == ["decision", "order", "fill"]
    assert list(dict.fromkeys(line["status"] for line in of("order", mine))) == [
        "READY",
        "SENDING",
        "WORKING",
        "FILLED",
    ]
    assert {line["decision_id"] for line in mine if "decision_id" in line} == {floor.decisions[0].decision_id}
    (fill,) = of("fill", mine)
    assert (fill["quantity"], fill["price"], fill["symbol"]) == ("47", "100.01", SYMBOL)
    assert fill["order_id"] == floor.fills[0].broker_order_id
    assert {line["run_id"] for line in found} == {"r1"}


@pytest.mark.requirement("R171")
@pytest.mark.requirement("R172")
def test_a_signal_is_a_line_of_its_own_with_the_hash_of_its_inputs_and_the_time_it_took(stream):
    floor, log = logged_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    found = lines(floor, log, stream)
    (signal,) = of("signal", found)
    assert (signal["strategy"], signal["symbol"], signal["direction"]) == (MOMENTUM, SYMBOL, "LONG")
    assert signal["inputs_hash"] == of("decision", found)[0]["inputs_hash"]
    assert isinstance(signal["decision_ms"], float)
    assert 0 <= signal["decision_ms"] < 1_000
    assert str(signal["bar_ts"]).startswith("2026-01-06T14:4")


def test_a_refusal_is_logged_with_its_reason_and_an_operators_act_with_its_name(stream):
    floor, log = logged_floor()
    assert floor.ask("pause", reason="drill").accepted
    floor.decide(Direction.LONG)
    found = lines(floor, log, stream)
    (refused,) = of("decision", found)
    assert refused["outcome"] == "refused"
    assert "trading_state" in str(refused["reason"])
    assert any(line["actor"] == "alice" and line["reason"] == "drill" for line in of("audit", found))
