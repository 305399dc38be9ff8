"""The session's report: counts of what happened, money as text, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quant_trading_system.app.report import SessionTally, build_report, write_report
from quant_trading_system.core.errors import OperatorError
from quant_trading_system.core.types import Direction
from tests.support.floor import REVERSION, Floor, scripted_floor


def traded_floor() -> Floor:
    """A day with one order that filled and one that was refused."""
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.ask("pause")
    floor.decide(Direction.LONG, strategy=REVERSION)
    return floor


def report_of(floor: Floor) -> dict[str, object]:
    tally = SessionTally()
    for record in floor.records:
        tally.keep(record)
    return build_report(floor.engine.view(), tally, account="PA1", stop_reason="--duration")


@pytest.mark.requirement("R219")
def test_the_report_counts_decisions_orders_and_fills_and_shows_positions_with_their_books():
    report = report_of(traded_floor())
    assert report["decisions"] == {"approved": 1, "refused": 1}
    assert report["orders"] == {"FILLED": 1}
    assert report["fills"] == 1
    assert report["positions"] == [
        {"symbol": "AAPL", "qty": "47", "avg_entry_price": "100.01", "books": {"momentum": "47"}}
    ]
    assert (report["account"], report["stopped_because"], report["trading_state"]) == ("PA1", "--duration", "REDUCING")


@pytest.mark.requirement("R123")
def test_no_amount_in_the_report_is_a_float():
    report = report_of(traded_floor())
    amounts = {key: value for key, value in report.items() if key.endswith(("_usd", "_ratio"))}
    assert amounts
    assert all(isinstance(value, str) for value in amounts.values())


def test_the_report_is_written_whole_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "report.json"
    write_report(path, report_of(traded_floor()))
    assert json.loads(path.read_text())["fills"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.invariant("I40")
def test_a_report_that_cannot_be_written_says_where_and_why(tmp_path: Path):
    with pytest.raises(OperatorError, match=r"--output .*missing/report\.json: cannot be written: No such file"):
        write_report(tmp_path / "missing" / "report.json", {})
