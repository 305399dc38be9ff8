"""Recorded days: merged by time, quiet outside regular hours, never ahead of venue time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.datafiles import DataDirectory, DataFileError
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.market.minute_bars import bars_of_trades
from quant_trading_system.simulator.market.recorded import RecordedMarket
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
        ("Trade", "IBM", 1.0),
        ("Trade", "SPY", 1.0),
        ("Trade", "IBM", 30.0),
        ("Quote", "IBM", 45.0),
        ("Bar", "IBM", 0.0),
        ("Bar", "SPY", 0.0),
        ("Trade", "IBM", 60.0),
    ]
    bar = made.latest_bar("IBM")
    assert bar is not None
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count) == (181.5, 181.7, 181.5, 181.7, 400, 2)
    assert bar.vwap == 181.65


def test_a_minute_ends_though_nothing_follows(data):
    made = market(data)
    list(made.events_until(Nanos(CLOSE_NS - 1)))
    (bar,) = made.events_until(Nanos(CLOSE_NS))
    assert (bar.symbol, bar.close, bar.ts_ns) == ("IBM", 182.0, CLOSE_NS - NANOS_PER_MINUTE)


def test_what_lies_outside_regular_hours_is_known_and_not_streamed(data):
    made = market(data, new_york_ns(MONDAY, 7))
    assert list(made.events_until(Nanos(OPEN_NS))) == []
    latest = made.latest_trade("IBM")
    assert latest is not None
    assert latest.price == 181.0
    told = list(made.events_until(Nanos(new_york_ns(MONDAY, 20))))
    assert max(event.ts_ns for event in told) < CLOSE_NS
    latest = made.latest_trade("IBM")
    assert latest is not None
    assert latest.price == 183.0


def test_days_without_files_are_no_sessions_and_the_last_close_is_the_end(data):
    made = market(data)
    assert made.start_ns == OPEN_NS
    assert made.end_ns == new_york_ns(THURSDAY, 16)
    following = made.session_closing_after(CLOSE_NS)
    assert following is not None
    assert following.day == THURSDAY
    assert made.session_closing_after(following.close_ns) is None
    told = list(made.events_until(Nanos(new_york_ns(THURSDAY, 16))))
    assert kinds(told)[-2:] == [
        ("Trade", "IBM", 3 * 86_400 + 1_800.0),
        ("Bar", "IBM", 3 * 86_400 + 1_800.0),
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
        (bar,) = [event for event in events if isinstance(event, SimBar) and event.symbol == symbol]
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
