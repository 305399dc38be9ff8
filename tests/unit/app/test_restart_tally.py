"""The restart report: read off the records of a start, the worst first, and corrected when a doubt is settled."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from quant_trading_system.app.restart_report import LINES_MAX, RestartTally, missed_sessions, shown_lines
from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.events import Restored, RestoredOrder
from quant_trading_system.core.records import DriftRecord
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.types import ClientOrderId, MonoNanos, Nanos, Side, StrategyId, Symbol, TradingState
from quant_trading_system.core.values import Allocation
from quant_trading_system.core.views import CauseView
from quant_trading_system.persistence.lease_sessions import Holder
from tests.support.stores import NOON_NS, STAMPED, a_fill, an_order
from tests.unit.dashboard.builders import VIEW

CALENDAR = SessionCalendar()
QUIET = structs.replace(VIEW, causes=(), locks={}, strategies=())
HOLDER = Holder(holder="h", host="vm", pid=7, since="2013-10-07T15:00:00Z", epoch=3, age_s=62.5)


def an_open_order(number: int, status: str = "WORKING") -> RestoredOrder:
    row = an_order(client_order_id=ClientOrderId(f"qts-abcdefgh-1a2b-momentum-{number}"), status=status)
    fields = {name: getattr(row, name) for name in RestoredOrder.__struct_fields__ if hasattr(row, name)}
    return RestoredOrder(**fields)


def a_tally(*orders: RestoredOrder, **changes: Any) -> RestartTally:
    restored = Restored(
        orders=orders,
        books=(),
        known_executions=(),
        cash_usd=None,
        guards=None,
        next_sequence=1,
        locks=(),
        disabled_strategies=(),
        last_stop_ns=Nanos(NOON_NS),
        is_first_start=False,
        venue_ns=Nanos(NOON_NS),
        seen_ns=Nanos(NOON_NS),
        mono_ns=MonoNanos(1),
    )
    given: dict[str, Any] = {"previous": HOLDER, "restored": restored, "why_restored": "", "wall_ns": NOON_NS}
    return RestartTally(**{**given, **changes})


def told(tally: RestartTally, view: Any = QUIET) -> tuple[str, ...]:
    return tally.conclude(view, venue_ns=Nanos(NOON_NS + 1), calendar=CALENDAR).lines


def test_where_nothing_happened_that_is_said():
    lines = told(a_tally())
    assert lines[0] == "down for 62.5 s, since 2013-10-07T15:58:57+00:00 (pid 7 on vm)"
    assert lines[-1].startswith("sessions in which nobody traded")


@pytest.mark.requirement("R037")
def test_the_worst_is_told_first():
    tally = a_tally(an_open_order(1), an_open_order(2, "UNKNOWN"), why_restored="its lease is of epoch 1")
    tally.keep(
        an_order(status="FILLED", filled_quantity=Decimal("12.5"), filled_value_usd=Decimal("2276.5"), is_final=True)
    )
    tally.keep(a_fill())
    tally.keep(
        a_fill(allocations=(Allocation(StrategyId("external"), Decimal("2.5")),), symbol=Symbol("XOM"), side=Side.SELL)
    )
    tally.keep(
        DriftRecord(**STAMPED, kind="quantity_gap", symbol=Symbol("BAC"), ours="0", brokers="5", action="Adjust")
    )
    halted = CauseView(
        cause="kill", detail="by hand", state=TradingState.HALTED, since_ns=Nanos(NOON_NS), is_latched=True
    )
    lines = told(tally, structs.replace(QUIET, causes=(halted,), locks={"BAC": "drift"}))
    assert [line.split(":")[0] for line in lines[1:9]] == [
        "the database was restored",
        "order of unknown fate",
        "still HALTED",
        "BAC is locked",
        "quantity gap BAC",
        "traded by somebody else",
        "buy 12.5 IBM (qts-abcdefgh-1a2b-momentum-1)",
        "booked",
    ]
    assert "WORKING → FILLED, 12.5 filled at 182.12" in lines[7]
    assert lines[6] == "traded by somebody else: sell 2.5 XOM at 182.1234 in 1 fills"


def test_an_order_of_unknown_fate_is_told_again_when_its_fate_is_known():
    tally = a_tally(an_open_order(1, "UNKNOWN"))
    assert "order of unknown fate: buy 12.5 IBM" in told(tally)[1]
    assert not tally.keep(a_fill())
    assert tally.keep(an_order(status="DROPPED", is_final=True))
    assert "fate found: buy 12.5 IBM" in tally.report.lines[1]
    assert not tally.keep(an_order(status="FILLED", is_final=True))  # it is no question any more


def test_sessions_between_two_moments_are_named():
    friday = to_nanos(datetime(2026, 1, 2, 20, 0, tzinfo=UTC))
    monday_noon = Nanos(friday + 68 * 3_600 * 1_000_000_000)
    assert missed_sessions(CALENDAR, friday, monday_noon) == ("2026-01-02", "2026-01-05")
    assert (
        missed_sessions(CALENDAR, Nanos(friday + 2 * 3_600 * 1_000_000_000), Nanos(friday + 3_600 * 1_000_000_000 * 40))
        == ()
    )


def test_the_terminal_is_shown_a_few_lines():
    assert shown_lines(["a"]) == ["a"]
    shown = shown_lines([str(number) for number in range(40)])
    assert len(shown) == LINES_MAX + 1
    assert shown[-1].startswith("and 28 more")
