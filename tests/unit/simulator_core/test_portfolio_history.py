"""The account's equity over time: grids, bases of profit, cash flows and what is kept."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.calendar import session_on
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.portfolio_history import SAMPLES_MAX, EquityLine, History, HistoryQuery
from quant_trading_system.simulator.refusals import Refusal
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor

MINUTE = 60
OPEN_S = OPEN_NS // NANOS_PER_SECOND
DAY_NS = 86_400 * NANOS_PER_SECOND


def history(floor: Floor, **fields: object) -> History:
    found = floor.exchange.portfolio_history(HistoryQuery(**fields))  # type: ignore[arg-type]
    lengths = {len(found.stamps_s), len(found.equity), len(found.profit_loss), len(found.profit_loss_fraction)}
    assert len(lengths) == 1, "arrays of one length"
    assert all(len(row) == len(found.stamps_s) for row in found.cashflow.values())
    return found


def traded() -> Floor:
    """100 shares since the first second; the price goes up by a dollar in each of three minutes."""
    floor = Floor()
    floor.hold(100)
    for price in (101.0, 102.0, 103.0):
        floor.until(floor.exchange.now_ns // (MINUTE * NANOS_PER_SECOND) * MINUTE * NANOS_PER_SECOND)
        floor.trade(price)
        floor.wait(MINUTE)
    return floor


def test_minutes_are_labelled_with_their_beginning_and_show_their_end():
    found = history(traded(), period="1D", timeframe="1Min")
    assert found.stamps_s[:3] == [OPEN_S, OPEN_S + 60, OPEN_S + 120]
    assert found.equity[:3] == [100_099.0, 100_199.0, 100_299.0]
    assert found.profit_loss[:3] == [99.0, 199.0, 299.0]
    assert found.profit_loss_fraction[1] == 0.002
    assert (found.base_value, found.base_value_asof) == (100_000, None)


@pytest.mark.parametrize(("timeframe", "points"), [("1Min", 391), ("5Min", 79), ("15Min", 27), ("1H", 7)])
def test_market_hours_run_from_open_to_close_both_included(timeframe, points):
    floor = traded()
    floor.until(CLOSE_NS + 3600 * NANOS_PER_SECOND)
    found = history(floor, period="1D", timeframe=timeframe)
    assert len(found.stamps_s) == points, "as recorded: 391 minutes, 27 quarters"
    assert found.stamps_s[0] == OPEN_S
    assert found.equity[-1] == 100_299.0


def test_extended_hours_run_from_four_to_eight_and_continuous_ones_around_the_clock():
    floor = traded()
    floor.until(OPEN_NS + DAY_NS - NANOS_PER_SECOND)
    monday = {"start_ns": OPEN_NS, "end_ns": CLOSE_NS + 10 * 3600 * NANOS_PER_SECOND, "timeframe": "1H"}
    extended = history(floor, intraday_reporting="extended_hours", **monday)
    begins = {(stamp - new_york_ns(date(2026, 11, 23)) // NANOS_PER_SECOND) // 3600 for stamp in extended.stamps_s}
    assert begins == set(range(9, 21)), "from when the account began"
    around = history(floor, intraday_reporting="continuous", **monday)
    assert len(around.stamps_s) > len(extended.stamps_s)


def test_daily_points_show_closes_and_each_days_own_profit():
    floor = traded()
    floor.until(CLOSE_NS)
    for price in (110.0, 120.0):
        floor.until(floor.exchange.now_ns + DAY_NS)
        floor.trade(price)
    found = history(floor, period="1W", timeframe="1D")
    assert found.equity == [100_299.0, 100_299.0, 100_999.0]
    assert found.profit_loss == [299.0, 0.0, 700.0]
    monday = session_on(date(2026, 11, 23))
    assert monday is not None
    assert found.stamps_s[0] * NANOS_PER_SECOND == monday.post_market_end_ns
    assert found.stamps_s[-1] == floor.exchange.now_ns // NANOS_PER_SECOND, "today's is labelled with now"
    against_base = history(floor, period="1W", timeframe="1D", pnl_reset="no_reset")
    assert against_base.profit_loss == [299.0, 299.0, 999.0]


def test_intraday_profit_begins_anew_each_day_unless_told_otherwise():
    floor = traded()
    floor.until(OPEN_NS + DAY_NS)
    floor.trade(104.0)
    floor.wait(90)
    fields = {"period": "2D", "timeframe": "1Min"}
    assert history(floor, **fields).profit_loss[-1] == 100.0
    assert history(floor, pnl_reset="no_reset", **fields).profit_loss[-1] == 399.0
    today = history(floor, period="1D", timeframe="1Min")
    assert (today.base_value, today.base_value_asof) == (100_299.0, date(2026, 11, 23))


def test_cash_flows_are_told_in_the_window_they_fell_in():
    floor = traded()
    floor.exchange.transfer(D(50))
    floor.wait(MINUTE)
    found = history(floor, period="1D", timeframe="1Min", cashflow_types=("ALL",))
    assert sum(found.cashflow["CSD"]) == 50
    assert found.cashflow["CSD"][3] == 50
    named = history(floor, period="1D", timeframe="1Min", cashflow_types=("CSW", "CSD"))
    assert (sum(named.cashflow["CSW"]), sum(named.cashflow["CSD"])) == (0, 50)
    assert history(floor, period="1D").cashflow == {}


@pytest.mark.parametrize(("period", "timeframe"), [("1D", "1Min"), ("6D", "1Min"), ("1W", "15Min"), ("1M", "1D")])
def test_the_timeframe_follows_from_the_period(period, timeframe):
    assert history(traded(), period=period).timeframe == timeframe


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"period": "1D", "start_ns": 1, "end_ns": 2}, "only two of start, end and period"),
        ({"period": "1Y"}, "invalid period: 1Y"),
        ({"period": "0D"}, "invalid period: 0D"),
        ({"period": "9999A"}, "invalid period: 9999A"),
        ({"timeframe": "2Min"}, "invalid timeframe: 2Min"),
        ({"period": "2M", "timeframe": "1Min"}, "only available for periods of 30 days"),
        ({"intraday_reporting": "never"}, "intraday_reporting must be one of"),
        ({"pnl_reset": "never"}, "pnl_reset must be one of"),
        ({"start_ns": 5, "end_ns": 5}, "start must be before end"),
    ],
)
def test_questions_without_sense_are_refused(fields, text):
    with pytest.raises(Refusal, match=text) as caught:
        history(traded(), **fields)
    assert caught.value.http_status == 422


@pytest.mark.parametrize("end_ns", [-(10**18), 0, OPEN_NS - 10 * DAY_NS])
def test_before_there_was_an_account_there_is_nothing(end_ns):
    assert history(traded(), end_ns=end_ns).stamps_s == []


def test_what_is_kept_has_a_bound_and_forgets_the_oldest():
    line = EquityLine()
    for minute in range(3 * SAMPLES_MAX):
        line.add(minute, float(minute))
    assert len(line) < 2 * SAMPLES_MAX
    assert line.at(3 * SAMPLES_MAX) == 3 * SAMPLES_MAX - 1
    assert line.at(0) is None


def test_an_equity_that_does_not_move_takes_no_room():
    floor = Floor()
    floor.until(CLOSE_NS)
    assert len(floor.exchange._office.history.line) == 1
