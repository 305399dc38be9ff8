"""What a question for market data may ask, from when to when, and the words in which a wrong one is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.instants import NEW_YORK, new_york_ns
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.data_plan import SIP, DataPlan
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.paging import STAMP_NS_END, Window

MONDAY = date(2024, 6, 3)
NOW_NS = Nanos(new_york_ns(MONDAY, 10, 30))
MINUTE_NS = 60_000_000_000


def window(**values: str) -> Window:
    return DataQuery(values).window(zone=NEW_YORK, newest_ns=NOW_NS)


def refusal_of(**values: str) -> str:
    with pytest.raises(Refusal) as raised:
        window(**values)
    assert (raised.value.http_status, raised.value.code) == (400, None)
    return raised.value.message


def test_a_range_is_today_until_now_unless_it_is_named():
    assert (window().start_ns, window().end_ns) == (new_york_ns(MONDAY), NOW_NS)
    assert (window().limit, window().is_descending) == (1_000, False)


def test_a_date_alone_is_the_whole_new_york_day_also_where_the_clocks_change():
    of_friday = window(start="2024-05-31", end="2024-05-31")
    assert of_friday.start_ns == new_york_ns(date(2024, 5, 31))
    assert of_friday.end_ns == new_york_ns(date(2024, 6, 1)) - 1
    of_long_day = window(start="2023-11-05", end="2023-11-05")
    assert of_long_day.end_ns - of_long_day.start_ns + 1 == 25 * 60 * MINUTE_NS


def test_nothing_behind_now_is_asked_of_the_market():
    assert window(end="2030-01-01").end_ns == NOW_NS
    assert window(start="2024-06-03T09:30:00-04:00", end="9999-12-31T23:59:59-12:00").end_ns == NOW_NS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start": "0"}, "Invalid format for parameter start: error parsing '0' as RFC3339 or 2006-01-02 time:"
                         ' parsing time "0" as "2006-01-02": cannot parse "0" as "2006"'),
        ({"end": "2024-13-01"}, "Invalid format for parameter end: error parsing '2024-13-01' as RFC3339 or"
                                ' 2006-01-02 time: parsing time "2024-13-01": month out of range'),
        ({"end": "2024-02-30"}, "Invalid format for parameter end: error parsing '2024-02-30' as RFC3339 or"
                                ' 2006-01-02 time: parsing time "2024-02-30": day out of range'),
        ({"start": "2025-04-21T15:49:12"},
         "Invalid format for parameter start: error parsing '2025-04-21T15:49:12' as RFC3339 or 2006-01-02 time:"
         ' parsing time "2025-04-21T15:49:12": extra text: "T15:49:12"'),
        ({"limit": "many"}, "Invalid format for parameter limit: error binding string parameter:"
                            ' strconv.ParseInt: parsing "many": invalid syntax'),
        ({"limit": "9" * 5_000}, "Invalid format for parameter limit: error binding string parameter:"
                                 f' strconv.ParseInt: parsing "{"9" * 5_000}": value out of range'),
        ({"limit": "10001"}, "invalid limit: larger than the allowed maximum of 10000"),
        ({"limit": "0"}, "invalid limit: smaller than the allowed minimum of 1"),
        ({"start": "2024-06-03", "end": "2024-06-02"}, "end should not be before start"),
        ({"end": "2024-06-02"}, "end should not be before start"),
        ({"sort": "up"}, "invalid sort: up"),
        ({"page_token": "!"}, "invalid page token"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_in_the_recorded_words(values, message):
    assert refusal_of(**values) == message


def window_or_status(**values: str) -> Window | int:
    try:
        return window(**values)
    except Refusal as refusal:
        return refusal.http_status


def is_told(asked: Window) -> bool:
    return 0 <= asked.start_ns < STAMP_NS_END and asked.end_ns <= NOW_NS


@given(st.dictionaries(st.sampled_from(["start", "end", "limit", "sort", "page_token"]), st.text(max_size=30)))
def test_any_text_in_a_parameter_is_a_window_or_a_refusal(values):
    asked = window_or_status(**values)
    assert asked == 400 if isinstance(asked, int) else is_told(asked)


@given(st.datetimes(), st.sampled_from(["Z", "+14:00", "-12:00"]))
def test_every_instant_of_the_calendar_can_be_asked_for(moment, offset):
    asked = window_or_status(start=f"{moment:%Y-%m-%dT%H:%M:%S}{offset}")
    assert asked == 400 if isinstance(asked, int) else is_told(asked)


def test_the_free_plan_sees_consolidated_data_a_quarter_of_an_hour_late():
    plan, newest_ns = DataPlan(has_recent_sip=False), NOW_NS - 15 * MINUTE_NS
    assert plan.window(DataQuery({}), NOW_NS, SIP).end_ns == newest_ns
    assert plan.window(DataQuery({}), NOW_NS, "iex").end_ns == NOW_NS
    assert plan.window(DataQuery({"end": "2024-06-03T10:15:00-04:00"}), NOW_NS, SIP).end_ns == newest_ns
    for end in ("2024-06-03T10:15:01-04:00", "2024-06-03", "2030-01-01"):
        with pytest.raises(Refusal) as raised:
            plan.window(DataQuery({"end": end}), NOW_NS, SIP)
        assert raised.value.http_status == 403
        assert raised.value.body() == {"message": "subscription does not permit querying recent SIP data"}
    assert plan.latest_feed(DataQuery({})) == "iex"
    with pytest.raises(Refusal):
        plan.latest_feed(DataQuery({"feed": "sip"}))


def test_a_plan_with_real_time_data_sees_everything_until_now():
    assert DataPlan().window(DataQuery({"end": "2030-01-01"}), NOW_NS, SIP).end_ns == NOW_NS
    assert DataPlan().latest_feed(DataQuery({})) == "sip"
