"""The generated market: the same for the same seed, its history what was streamed, its shape a market's."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.market.minute_bars import bars_of_trades
from quant_trading_system.simulator.market.source import DAY, MINUTE

START_NS = new_york_ns(date(2026, 11, 25), 9, 30)
SYMBOLS = ("AAPL", "JPM", "SPY")


def market(now_ns=START_NS, *, seed=1, symbols=SYMBOLS):
    made = GeneratedMarket(seed=seed, start_ns=START_NS, symbols=symbols)
    made.begin(Nanos(now_ns))
    return made


def play(made, until_ns):
    return list(made.events_until(Nanos(until_ns)))


def minutes_after(count):
    return START_NS + count * NANOS_PER_MINUTE


@pytest.fixture(scope="module")
def first_minutes():
    return play(market(), minutes_after(30))


def test_the_same_seed_makes_the_same_market_however_time_is_cut(first_minutes):
    cut = market()
    pieces = [event for second in range(1, 1801) for event in play(cut, START_NS + second * NANOS_PER_SECOND)]
    assert pieces == first_minutes
    assert play(market(seed=2), minutes_after(1)) != play(market(), minutes_after(1))


def test_a_caller_that_stops_in_the_middle_loses_nothing(first_minutes):
    stopped = market()
    events: list[MarketEvent] = []
    while len(events) < len(first_minutes):
        for count, event in enumerate(stopped.events_until(Nanos(minutes_after(30))), start=1):
            events.append(event)
            if count == 97:
                break
    assert events == first_minutes


def test_a_symbol_moves_the_same_whoever_else_is_there():
    alone = [e for e in play(market(symbols=("AAPL",)), minutes_after(2)) if not isinstance(e, SimBar)]
    among = [e for e in play(market(), minutes_after(2)) if e.symbol == "AAPL" and not isinstance(e, SimBar)]
    assert alone == among


def test_a_market_resumed_in_the_middle_goes_on_as_the_first_did(first_minutes):
    at_ns = minutes_after(10) + 17 * NANOS_PER_SECOND
    first = market()
    head = play(first, at_ns)
    resumed = market(at_ns)
    assert resumed.latest_quote("AAPL") == first.latest_quote("AAPL")
    assert resumed.latest_trade("SPY") == first.latest_trade("SPY")
    assert resumed.latest_bar("JPM") == first.latest_bar("JPM")
    assert head + play(resumed, minutes_after(30)) == first_minutes


def test_streamed_bars_are_what_the_streamed_trades_make(first_minutes):
    for symbol in SYMBOLS:
        built = bars_of_trades(e for e in first_minutes if isinstance(e, SimTrade) and e.symbol == symbol)
        told = [e for e in first_minutes if isinstance(e, SimBar) and e.symbol == symbol]
        assert len(told) == 30
        assert [(b.open, b.high, b.low, b.close, b.volume, b.trade_count, b.ts_ns) for b in told] == [
            (b.open, b.high, b.low, b.close, b.volume, b.trade_count, b.ts_ns) for b in built
        ]
        assert all(bar.low <= bar.vwap <= bar.high for bar in told)


def test_history_is_what_was_streamed(first_minutes):
    made = market()
    play(made, minutes_after(30))
    for symbol in SYMBOLS:
        told = [e for e in first_minutes if isinstance(e, SimBar) and e.symbol == symbol]
        assert list(made.bars(symbol, MINUTE, START_NS, minutes_after(30)))[:30] == told
        trades = [e for e in first_minutes if isinstance(e, SimTrade) and e.symbol == symbol]
        assert list(made.trades(symbol, START_NS, minutes_after(31))) == trades
        quotes = [e for e in first_minutes if isinstance(e, SimQuote) and e.symbol == symbol]
        assert list(made.quotes(symbol, START_NS, minutes_after(31))) == quotes


def test_a_day_that_was_history_is_the_day_that_would_have_been_streamed():
    session = calendar.sessions_before(date(2026, 11, 25), 1)[0]
    made = market(session.open_ns)
    told = [e for e in play(made, session.close_ns) if isinstance(e, SimBar) and e.symbol == "JPM"]
    past = market()
    assert list(past.bars("JPM", MINUTE, session.open_ns, session.close_ns - 1)) == told
    (day,) = past.bars("JPM", DAY, new_york_ns(session.day), session.close_ns)
    assert (day.open, day.close) == (told[0].open, told[-1].close)
    assert (day.high, day.low) == (max(b.high for b in told), min(b.low for b in told))
    assert day.volume == sum(b.volume for b in told)
    assert past.last_close("JPM", date(2026, 11, 25)) == told[-1].close


def test_nothing_of_the_future_is_told():
    made = market()
    now_ns = minutes_after(3) + 5 * NANOS_PER_SECOND
    play(made, now_ns)
    far_ns = START_NS + 10 * 86_400 * NANOS_PER_SECOND
    assert max(trade.ts_ns for trade in made.trades("AAPL", START_NS, far_ns)) <= now_ns
    *_, forming = made.bars("AAPL", MINUTE, START_NS, far_ns)
    assert forming.ts_ns == minutes_after(3)
    seen = list(made.trades("AAPL", minutes_after(3), far_ns))
    assert (forming.trade_count, forming.close) == (len(seen), seen[-1].price)
    *_, today = made.bars("AAPL", DAY, 0, far_ns)
    assert new_york_date(today.ts_ns) == date(2026, 11, 25)
    assert today.close == seen[-1].price


def test_there_are_a_year_of_daily_bars_and_minutes_of_days_before_the_start():
    made = market()
    daily = made.bars("SPY", DAY, 0, START_NS)
    assert len(daily) >= 250
    assert all(a.ts_ns < b.ts_ns for a, b in pairwise(daily))
    assert all(0 < b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in daily)
    two_sessions = calendar.sessions_before(date(2026, 11, 25), 2)
    assert len(made.bars("SPY", MINUTE, two_sessions[0].open_ns, START_NS - 1)) == 780


def test_half_days_are_half_as_long():
    made = market(new_york_ns(date(2026, 11, 27), 9, 25))
    bars = [e for e in play(made, new_york_ns(date(2026, 11, 27), 18)) if isinstance(e, SimBar) and e.symbol == "AAPL"]
    assert len(bars) == 210
    assert play(made, new_york_ns(date(2026, 11, 28), 18)) == []


@pytest.fixture(scope="module")
def year():
    made = market(symbols=("AAPL", "MSFT", "JNJ", "SPY"))
    return {symbol: made.bars(symbol, DAY, 0, START_NS) for symbol in made.symbols}


def test_symbols_move_together_those_of_one_sector_more(year):
    returns = {symbol: np.diff(np.log([bar.close for bar in bars])) for symbol, bars in year.items()}
    related = np.corrcoef([returns[symbol] for symbol in ("AAPL", "MSFT", "JNJ", "SPY")])
    assert related[0, 1] > related[0, 2] > 0.1
    assert related[0, 3] > 0.5
    deviation = returns["AAPL"].std() * np.sqrt(252)
    assert 0.1 < deviation < 0.6


def test_volume_is_u_shaped_and_spreads_are_widest_at_the_open():
    made = market(new_york_ns(date(2026, 11, 25), 15, 59))
    bars = [list(made.bars(s, MINUTE, START_NS, minutes_after(388))) for s in SYMBOLS]
    volume = np.array([[bar.volume for bar in of_symbol] for of_symbol in bars]).sum(axis=0)
    assert volume[:15].mean() > 1.5 * volume[150:250].mean()
    assert volume[-15:].mean() > 1.2 * volume[150:250].mean()

    def spread(from_minute):
        quotes = made.quotes("JPM", minutes_after(from_minute), minutes_after(from_minute + 3))
        return np.mean([quote.ask_price - quote.bid_price for quote in quotes])

    assert spread(0) > 1.5 * spread(200)


def test_quotes_are_never_crossed_and_trades_print_at_the_touch(first_minutes):
    touch = {}
    for event in first_minutes:
        if isinstance(event, SimQuote):
            assert 0 < event.bid_price < event.ask_price
            assert event.bid_size >= 100
            touch[event.symbol] = event
        elif isinstance(event, SimTrade):
            assert event.price == round(event.price, 2)
    at_touch = total = 0
    for event in first_minutes:
        if isinstance(event, SimQuote):
            touch[event.symbol] = event
        elif isinstance(event, SimTrade):
            quote = touch[event.symbol]
            total += 1
            at_touch += event.price in (quote.bid_price, quote.ask_price)
    assert at_touch > 0.85 * total


def test_many_symbols_speak_less_each():
    many = market(symbols=tuple(f"SYN{number:03d}" for number in range(100)))
    count = len(play(many, minutes_after(10))) / 600
    assert 20 < count < 120, "messages a venue second, of all symbols"
