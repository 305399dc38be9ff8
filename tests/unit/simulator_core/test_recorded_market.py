"""Recorded days: merged by time, quiet outside regular hours, never ahead of venue time."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.datafiles import DataDirectory, DataFileError, read_bars
from quant_trading_system.simulator.corporate_actions import AdjustmentFactors, parse_adjustment
from quant_trading_system.simulator.events import (
    DAILY_BAR,
    MINUTE_BAR,
    MarketEvent,
    SimBar,
    SimLuld,
    SimQuote,
    SimTrade,
)
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.minute_bars import bars_of_trades
from quant_trading_system.simulator.market.recorded import RecordedMarket
from quant_trading_system.simulator.market.recorded_actions import actions_of
from quant_trading_system.simulator.market.source import DAY, MINUTE
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.unit.simulator_core.desk_script import buy

SAMPLE = Path(__file__).parents[3].parent / "shared" / "market_data"
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample of real market data is not here")

MONDAY, TUESDAY, THURSDAY = date(2013, 10, 7), date(2013, 10, 8), date(2013, 10, 10)
OPEN_NS, CLOSE_NS = new_york_ns(MONDAY, 9, 30), new_york_ns(MONDAY, 16)


def write(root, name, header, rows):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def trades(root, symbol, day, *rows):
    write(root, f"trades/{symbol}/{day}.csv", "timestamp,price,size,exchange", rows)


def quotes(root, symbol, day, *rows):
    write(root, f"quotes/{symbol}/{day}.csv", "timestamp,bid_price,bid_size,ask_price,ask_size", rows)


@pytest.fixture
def data(tmp_path):
    trades(
        tmp_path,
        "IBM",
        "20131007",
        "2013-10-07T12:00:00.000Z,181.00,100,P",  # 08:00 in New York
        "2013-10-07T13:30:01.000Z,181.50,100,N",
        "2013-10-07T13:30:30.000Z,181.70,300,N",
        "2013-10-07T13:31:00.000Z,181.60,100,N",
        "2013-10-07T19:59:59.500Z,182.00,500,N",
        "2013-10-07T21:00:00.000Z,183.00,100,P",  # 17:00
    )
    quotes(
        tmp_path,
        "IBM",
        "20131007",
        "2013-10-07T13:30:01.000Z,181.49,200,181.51,100",
        "2013-10-07T13:30:45.000Z,181.59,200,181.61,100",
    )
    trades(tmp_path, "IBM", "20131010", "2013-10-10T14:00:00.000Z,185.00,100,N")
    trades(tmp_path, "SPY", "20131007", "2013-10-07T13:30:01.000Z,168.10,100,P")
    write(tmp_path, "daily_bars/IBM.csv", "date,open,high,low,close,volume", ["2013-10-04,183,185,182,184.10,1000"])
    write(
        tmp_path,
        "minute_bars/IBM/20131004.csv",
        "timestamp,open,high,low,close,volume",
        ["2013-10-04T19:59:00.000Z,184,184.2,183.9,184.1,700"],
    )
    return tmp_path


def market(root, now_ns=OPEN_NS):
    made = RecordedMarket(DataDirectory(root))
    made.begin(Nanos(now_ns))
    return made


def kinds(events):
    return [(type(event).__name__[3:], event.symbol, (event.ts_ns - OPEN_NS) / NANOS_PER_SECOND) for event in events]


def test_trades_quotes_and_bars_come_in_order_of_time(data):
    made = market(data)
    assert kinds(made.events_until(Nanos(OPEN_NS + 61 * NANOS_PER_SECOND))) == [
        ("Quote", "IBM", 1.0),
        ("Luld", "IBM", 1.0),
        ("Trade", "IBM", 1.0),
        ("Luld", "SPY", 1.0),
        ("Trade", "SPY", 1.0),
        ("Trade", "IBM", 30.0),
        ("Quote", "IBM", 45.0),
        ("Bar", "IBM", 0.0),
        ("Bar", "SPY", 0.0),
        ("Bar", "IBM", -34_200.0),  # the day so far
        ("Bar", "SPY", -34_200.0),
        ("Trade", "IBM", 60.0),
    ]
    bar = made.latest_bar("IBM")
    assert bar is not None
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count) == (181.5, 181.7, 181.5, 181.7, 400, 2)
    assert bar.vwap == 181.65


def test_a_minute_ends_though_nothing_follows(data):
    made = market(data)
    list(made.events_until(Nanos(CLOSE_NS - 1)))
    bar, day = made.events_until(Nanos(CLOSE_NS))
    assert isinstance(bar, SimBar)
    assert isinstance(day, SimBar)
    assert (bar.symbol, bar.close, bar.ts_ns) == ("IBM", 182.0, CLOSE_NS - NANOS_PER_MINUTE)
    assert (day.kind, day.open, day.close, day.volume, day.trade_count) == (DAILY_BAR, 181.5, 182.0, 1_000, 4)


def test_what_lies_outside_regular_hours_is_known_and_not_streamed_where_nobody_watches(data):
    made = market(data, new_york_ns(MONDAY, 7))
    made.set_extended_audience(False)
    assert list(made.events_until(Nanos(OPEN_NS))) == []
    latest = made.latest_trade("IBM")
    assert latest is not None
    assert latest.price == 181.0
    told = list(made.events_until(Nanos(new_york_ns(MONDAY, 20))))
    assert max(event.ts_ns for event in told) < CLOSE_NS
    latest = made.latest_trade("IBM")
    assert latest is not None
    assert latest.price == 183.0


def test_hours_outside_the_session_are_streamed_where_somebody_watches(data):
    made = market(data, new_york_ns(MONDAY, 7))
    early = list(made.events_until(Nanos(OPEN_NS)))
    assert kinds(early) == [("Trade", "IBM", -5_400.0), ("Bar", "IBM", -5_400.0)]
    assert isinstance(early[0], SimTrade)
    assert early[0].conditions == (" ", "T")
    late = list(made.events_until(Nanos(new_york_ns(MONDAY, 20))))
    assert ("Trade", "IBM", 27_000.0) in kinds(late)


def test_a_caller_that_stops_anywhere_loses_nothing(data):
    whole = list(market(data).events_until(Nanos(CLOSE_NS)))
    made = market(data)
    told: list[MarketEvent] = []
    while len(told) < len(whole):
        told.append(next(iter(made.events_until(Nanos(CLOSE_NS)))))
    assert told == whole


def test_the_first_and_last_trade_stand_for_auctions_where_no_print_stands_out(data):
    made = market(data)
    assert made.auctions("IBM", MONDAY, MONDAY) == []
    list(made.events_until(Nanos(OPEN_NS + 60 * NANOS_PER_SECOND)))
    (morning,) = made.auctions("IBM", MONDAY, THURSDAY)
    assert [(trade.conditions, trade.price) for trade in morning.opening] == [(("O",), 181.5)]
    assert morning.closing == ()
    list(made.events_until(Nanos(CLOSE_NS)))
    (day,) = made.auctions("IBM", MONDAY, MONDAY)
    assert [(trade.conditions, trade.price, trade.exchange) for trade in day.closing] == [(("6",), 182.0, "N")]


def test_the_biggest_print_behind_a_bell_is_the_auction(tmp_path):
    trades(
        tmp_path,
        "IBM",
        "20131007",
        "2013-10-07T13:30:00.100Z,181.90,400,P",
        "2013-10-07T13:30:16.000Z,182.00,138862,N",
        "2013-10-07T13:30:17.000Z,182.10,900000,D",  # off the exchanges: no auction is held there
        "2013-10-07T19:59:59.000Z,182.05,200,N",
        "2013-10-07T20:00:03.000Z,182.02,22,Q",
        "2013-10-07T20:01:04.000Z,182.01,151665,N",
        "2013-10-07T20:10:20.000Z,181.98,1800,Q",
    )
    made = market(tmp_path)
    told = [e for e in made.events_until(Nanos(new_york_ns(MONDAY, 17))) if isinstance(e, SimTrade)]
    assert [trade.conditions[1:] for trade in told] == [(), ("O",), (), (), ("T",), ("6",), ("T",)]
    (day,) = made.auctions("IBM", MONDAY, MONDAY)
    assert (day.opening[0].price, day.closing[0].price) == (182.00, 182.01)


def test_bands_follow_the_recorded_prices(tmp_path):
    rows = [f"2013-10-07T13:{minute}:01.000Z,{100 + max(0, minute - 33) * 0.5},100,N" for minute in range(30, 60)]
    trades(tmp_path, "IBM", "20131007", *rows)
    told = list(market(tmp_path).events_until(Nanos(OPEN_NS + 1_800 * NANOS_PER_SECOND)))
    bands = [event for event in told if isinstance(event, SimLuld)]
    assert (bands[0].limit_up, bands[0].limit_down, bands[0].indicator) == (110.0, 90.0, "A")  # doubled: before 09:45
    middles = [(band.limit_up + band.limit_down) / 2 for band in bands]
    assert len(middles) > 5
    assert all(b >= a for a, b in pairwise(middles))
    assert {band.indicator for band in bands[1:]} == {"B"}
    narrowed = next(band for band in bands if band.ts_ns == OPEN_NS + 15 * 60 * NANOS_PER_SECOND)
    assert narrowed.limit_up / narrowed.limit_down == pytest.approx(1.05 / 0.95, rel=1e-3)


def actions(root, symbol, *rows):
    write(root, f"corporate_actions/{symbol}.csv", "until,price_factor,split_factor,reference_price", rows)


def test_dividends_and_splits_follow_from_neighbouring_factors(data):
    actions(data, "IBM", "2013-10-01,0.99,0.5,1", "2013-10-03,0.99,0.5,200", "2013-10-04,1,0.5,100", "2050-12-31,1,1,0")
    made = market(data)
    dividend, split = made.corporate_actions(["IBM"], date(2013, 10, 1), date(2013, 10, 31))
    assert (dividend.kind, dividend.ex_date, dividend.cash) == ("cash_dividend", date(2013, 10, 4), Decimal("2.000"))
    assert dividend.record_date == date(2013, 10, 8)  # trades settled three days later
    assert (split.kind, split.ex_date, split.share_ratio) == ("forward_split", MONDAY, 2)
    assert made.corporate_actions(["SPY"], date(2013, 1, 1), date(2013, 12, 31)) == []


def test_an_action_of_the_future_is_not_told_before_it_is_declared(data):
    actions(data, "IBM", "2013-10-01,0.99,1,1", "2013-11-29,0.99,1,200", "2050-12-31,1,1,0")
    made = market(data)
    assert made.corporate_actions(None, date(2013, 1, 1), date(2014, 12, 31)) == []
    list(made.events_until(Nanos(new_york_ns(date(2013, 11, 20), 12))))
    (action,) = made.corporate_actions(None, date(2013, 1, 1), date(2014, 12, 31))
    assert action.ex_date == date(2013, 12, 2)


@needs_sample
def test_the_sample_knows_what_apple_and_google_did_to_their_shares():
    apple = {action.ex_date: action for action in actions_of(DataDirectory(SAMPLE), "AAPL")}
    assert apple[date(2014, 6, 9)].share_ratio == 7
    assert apple[date(2014, 5, 8)].cash == Decimal("3.290")
    (stock,) = actions_of(DataDirectory(SAMPLE), "GOOG")
    assert (stock.kind, stock.ex_date) == ("stock_dividend", date(2015, 4, 27))
    assert stock.rate == pytest.approx(Decimal("0.0027"), abs=Decimal("0.00001"))


@needs_sample
def test_adjusted_closes_of_the_sample_hold_together_over_a_split_and_a_dividend():
    directory = DataDirectory(SAMPLE)
    closes = {new_york_date(row.timestamp_ns): row.close for row in read_bars(directory.path("daily_bars", "AAPL"))}
    days = sorted(closes)
    factors = AdjustmentFactors(
        [action for action in actions_of(directory, "AAPL") if action.ex_date <= days[-1]],
        kinds=parse_adjustment("all"),
        close_before=lambda day: closes[days[bisect_left(days, day) - 1]],
    )
    # The table's own factors, on the day before the split and at the end of 2017.
    assert factors.at(date(2014, 6, 6)).price == pytest.approx(0.9011818 / 0.9608787 / 7, rel=1e-4)
    assert factors.at(date(2014, 6, 6)).volume == pytest.approx(7)
    assert factors.at(days[-1]).price == 1


@needs_sample
def test_the_samples_auctions_are_the_official_prices_of_the_day():
    made = market(SAMPLE, new_york_ns(MONDAY, 16, 10))
    official = {"AIG": 48.73, "BAC": 13.81, "IBM": 182.01, "SPY": 167.42}
    for symbol, close in official.items():
        (day,) = made.auctions(symbol, MONDAY, MONDAY)
        assert day.closing[0].price == close
        assert day.closing[0].size > 100_000


def test_days_without_files_are_no_sessions_and_the_last_close_is_the_end(data):
    made = market(data)
    assert made.start_ns == OPEN_NS
    assert made.end_ns == new_york_ns(THURSDAY, 16)
    following = made.session_closing_after(CLOSE_NS)
    assert following is not None
    assert following.day == THURSDAY
    assert made.session_closing_after(following.close_ns) is None
    told = list(made.events_until(Nanos(new_york_ns(THURSDAY, 16))))
    assert kinds(told)[-3:] == [
        ("Trade", "IBM", 3 * 86_400 + 1_800.0),
        ("Bar", "IBM", 3 * 86_400 + 1_800.0),
        ("Bar", "IBM", 3 * 86_400 - 34_200.0),  # the day so far
    ]


def test_a_start_behind_the_data_is_refused_with_the_days_there_are(data):
    made = RecordedMarket(DataDirectory(data))
    made.check_start(OPEN_NS)
    with pytest.raises(DataFileError, match="the data covers 2013-10-07 to 2013-10-10"):
        made.check_start(new_york_ns(date(2013, 10, 11), 9, 30))


def test_a_directory_without_trades_and_quotes_cannot_be_played(tmp_path):
    write(tmp_path, "daily_bars/IBM.csv", "date,open,high,low,close,volume", ["2013-10-04,183,185,182,184,1000"])
    with pytest.raises(DataFileError, match="no trades and no quotes"):
        RecordedMarket(DataDirectory(tmp_path))


def test_history_holds_earlier_days_and_today_so_far(data):
    made = market(data)
    list(made.events_until(Nanos(OPEN_NS + 30 * NANOS_PER_SECOND)))
    minutes = made.bars("IBM", MINUTE, 0, CLOSE_NS)
    assert [(bar.close, bar.volume) for bar in minutes] == [(184.1, 700), (181.0, 100), (181.7, 400)]
    daily = made.bars("IBM", DAY, 0, CLOSE_NS)
    assert [(bar.close, bar.volume) for bar in daily] == [(184.10, 1000), (181.7, 400)]
    assert made.last_close("IBM", MONDAY) == 184.10
    assert made.last_close("IBM", TUESDAY) == 182.0
    assert made.last_close("SPY", MONDAY) is None
    assert [trade.price for trade in made.trades("IBM", OPEN_NS, CLOSE_NS)] == [181.5, 181.7]
    assert [quote.bid_price for quote in made.quotes("IBM", OPEN_NS, CLOSE_NS)] == [181.49]


def test_a_bad_row_is_named_when_the_market_reaches_it(data):
    trades(data, "SPY", "20131007", "2013-10-07T13:30:01.000Z,168.10,100,P", "2013-10-07T13:30:02.000Z,-1,100,P")
    with pytest.raises(DataFileError, match=r"20131007\.csv, line 3, price"):
        list(market(data).events_until(Nanos(CLOSE_NS)))


def exchange_on(root, now_ns=OPEN_NS):
    return Exchange(
        settings=ExchangeSettings(start_ns=Nanos(now_ns), partial_fill_probability=0.0),
        market=RecordedMarket(DataDirectory(root)),
        journal=None,
    )


def test_the_exchange_is_finished_with_the_last_recorded_close(data):
    exchange = exchange_on(data)
    exchange.advance(Nanos(new_york_ns(THURSDAY, 16) - 1))
    assert not exchange.finished
    exchange.advance(Nanos(new_york_ns(THURSDAY, 16)))
    assert exchange.finished


def test_a_stopped_exchange_knows_quotes_and_bars_of_the_running_session(data):
    exchange = exchange_on(data, OPEN_NS + 50 * NANOS_PER_SECOND)
    order = exchange.submit(buy("IBM", "100"))
    exchange.advance(Nanos(OPEN_NS + 51 * NANOS_PER_SECOND))
    assert order.status == "filled"
    assert str(order.filled_avg_price) == "181.610000000"


@needs_sample
def test_a_real_minute_streams_every_row_and_trades_against_real_quotes():
    exchange = exchange_on(SAMPLE)
    order = exchange.submit(buy("IBM", "100"))
    unquoted = exchange.submit(buy("SPY", "10"))
    events = []
    for second in range(1, 76):
        exchange.advance(Nanos(OPEN_NS + second * NANOS_PER_SECOND))
        events += exchange.take_market_events()
    assert len(events) > 2_000
    streamed = [event for event in events if not isinstance(event, SimBar)]
    assert [event.ts_ns for event in streamed] == sorted(event.ts_ns for event in streamed)
    assert order.status == "filled"
    assert unquoted.status == "new"
    for symbol in ("AIG", "BAC", "IBM", "SPY"):
        bars = [event for event in events if isinstance(event, SimBar) and event.symbol == symbol]
        (bar,) = [event for event in bars if event.kind == MINUTE_BAR]
        minute = [
            event
            for event in events
            if isinstance(event, SimTrade) and event.symbol == symbol and event.ts_ns < OPEN_NS + NANOS_PER_MINUTE
        ]
        assert bars_of_trades(minute) == [bar]
    assert not [event for event in events if isinstance(event, SimQuote) and event.symbol == "SPY"]


@needs_sample
def test_the_history_of_the_real_sample_warms_strategies_up():
    made = market(SAMPLE)
    for symbol in ("AIG", "BAC", "IBM", "SPY"):
        assert len(made.bars(symbol, DAY, 0, OPEN_NS)) > 3_900
        assert made.last_close(symbol, MONDAY) is not None
    friday = made.bars("IBM", MINUTE, new_york_ns(date(2013, 10, 4), 9, 30), new_york_ns(date(2013, 10, 4), 15, 59))
    assert len(friday) > 380
