"""The generated market: the same for the same seed, its history what was streamed, its shape a market's."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.conditions import OFFICIAL_OPEN
from quant_trading_system.simulator.corporate_actions import AdjustmentFactors, parse_adjustment
from quant_trading_system.simulator.events import (
    DAILY_BAR,
    MINUTE_BAR,
    UPDATED_BAR,
    MarketEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimImbalance,
    SimLuld,
    SimQuote,
    SimTrade,
)
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.market.generated_days import DayModel
from quant_trading_system.simulator.market.minute_bars import bars_of_trades
from quant_trading_system.simulator.market.mishaps import MishapRates
from quant_trading_system.simulator.market.source import DAY, MINUTE

START_NS = new_york_ns(date(2026, 11, 25), 9, 30)
SYMBOLS = ("AAPL", "JPM", "SPY")
NO_MISHAPS = MishapRates(late=0, corrected=0, canceled=0)
MANY_MISHAPS = MishapRates(late=0.3, corrected=0.3, canceled=0.3)
CLOSE_NS = new_york_ns(date(2026, 11, 25), 16)


def market(now_ns=START_NS, *, seed=1, symbols=SYMBOLS, **options):
    made = GeneratedMarket(seed=seed, start_ns=START_NS, symbols=symbols, **options)
    made.begin(Nanos(now_ns))
    return made


def play(made, until_ns):
    return list(made.events_until(Nanos(until_ns)))


def bars_told(events, symbol, kind=MINUTE_BAR):
    return [event for event in events if isinstance(event, SimBar) and event.symbol == symbol and event.kind == kind]


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
        told = [bar for bar in bars_told(first_minutes, symbol) if bar.ts_ns >= START_NS]
        assert len(told) == 30
        assert [(b.open, b.high, b.low, b.close, b.volume, b.trade_count, b.ts_ns) for b in told] == [
            (b.open, b.high, b.low, b.close, b.volume, b.trade_count, b.ts_ns) for b in built
        ]
        assert all(bar.low <= bar.vwap <= bar.high for bar in told)


def test_history_is_what_was_streamed(first_minutes):
    made = market()
    play(made, minutes_after(30))
    for symbol in SYMBOLS:
        told = [bar for bar in bars_told(first_minutes, symbol) if bar.ts_ns >= START_NS]
        assert list(made.bars(symbol, MINUTE, START_NS, minutes_after(30)))[:30] == told
        trades = [e for e in first_minutes if isinstance(e, SimTrade) and e.symbol == symbol]
        assert list(made.trades(symbol, START_NS, minutes_after(31))) == trades
        quotes = [e for e in first_minutes if isinstance(e, SimQuote) and e.symbol == symbol]
        assert list(made.quotes(symbol, START_NS, minutes_after(31))) == quotes


def test_a_day_that_was_history_is_the_day_that_would_have_been_streamed():
    session = calendar.sessions_before(date(2026, 11, 25), 1)[0]
    made = market(session.pre_market_ns - 1, rates=NO_MISHAPS)
    told = bars_told(play(made, session.post_market_end_ns), "JPM")
    past = market(rates=NO_MISHAPS)
    assert list(past.bars("JPM", MINUTE, session.pre_market_ns, session.post_market_end_ns - 1)) == told
    (day,) = past.bars("JPM", DAY, new_york_ns(session.day), session.close_ns)
    regular = [bar for bar in told if session.contains(bar.ts_ns)]
    (closing,) = [bar for bar in told if bar.ts_ns == session.close_ns]
    assert (day.open, day.close) == (regular[0].open, closing.close)
    assert (day.high, day.low) == (max(b.high for b in regular), min(b.low for b in regular))
    assert day.volume == sum(b.volume for b in regular) + closing.volume
    assert day.trade_count == sum(b.trade_count for b in regular) + 1
    assert past.last_close("JPM", date(2026, 11, 25)) == closing.close


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
    minutes = made.bars("SPY", MINUTE, two_sessions[0].open_ns, START_NS - 1)
    assert sum(session.contains(bar.ts_ns) for bar in minutes for session in two_sessions) == 780


def test_half_days_are_half_as_long():
    made = market(new_york_ns(date(2026, 11, 27), 9, 25))
    bars = bars_told(play(made, new_york_ns(date(2026, 11, 27), 20)), "AAPL")
    half_day = calendar.session_on(date(2026, 11, 27))
    assert half_day is not None
    assert sum(half_day.contains(bar.ts_ns) for bar in bars) == 210
    assert max(bar.ts_ns for bar in bars) < new_york_ns(date(2026, 11, 27), 17)
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
    bars = [list(made.bars(s, MINUTE, minutes_after(1), minutes_after(388))) for s in SYMBOLS]
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
        elif isinstance(event, SimTrade) and OFFICIAL_OPEN not in event.conditions:
            quote = touch[event.symbol]
            total += 1
            at_touch += event.price in (quote.bid_price, quote.ask_price)
    assert at_touch > 0.85 * total


def test_many_symbols_speak_less_each():
    many = market(symbols=tuple(f"SYN{number:03d}" for number in range(100)))
    count = len(play(many, minutes_after(10))) / 600
    assert 20 < count < 120, "messages a venue second, of all symbols"


DIGEST = """
from hashlib import blake2b
from quant_trading_system.simulator.market.both import BothMarkets
from quant_trading_system.simulator.market.crypto import CryptoMarket
from quant_trading_system.simulator.market.generated import GeneratedMarket
equities = GeneratedMarket(seed=4, start_ns={start}, symbols=("AAPL", "XOM"))
market = BothMarkets(equities, CryptoMarket(seed=4, start_ns={start}, pairs=("BTC/USD", "SOL/USD")))
market.begin({start})
market.set_crypto_audience(True)
told = blake2b()
for event in market.events_until({start} + 120_000_000_000):
    told.update(repr(event).encode())
told.update(repr(market.bars("XOM", "day", 0, {start})).encode())
told.update(repr(market.bars("SOL/USD", "day", {start} - 10**16, {start})).encode())
print(told.hexdigest())
"""


def test_another_process_makes_the_same_market():
    def told(hash_seed):
        code = DIGEST.format(start=START_NS)
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout

    assert len(told("1")) > 100
    assert told("1") == told("2")


# --- outside regular hours ------------------------------------------------------------------------------------------


def test_before_the_open_and_after_the_close_there_is_a_thin_wide_market():
    made = market(new_york_ns(date(2026, 11, 25), 3))
    told = play(made, new_york_ns(date(2026, 11, 25), 21))
    trades = [event for event in told if isinstance(event, SimTrade) and event.symbol == "AAPL"]
    early = [trade for trade in trades if trade.ts_ns < START_NS]
    late = [trade for trade in trades if trade.ts_ns > CLOSE_NS + 60 * NANOS_PER_SECOND]
    assert 30 < len(early) < 2_000
    assert 20 < len(late) < 2_000
    assert all("T" in trade.conditions for trade in (*early, *late))
    assert not any("T" in trade.conditions for trade in trades if START_NS <= trade.ts_ns < CLOSE_NS)
    assert new_york_ns(date(2026, 11, 25), 4) <= early[0].ts_ns
    assert late[-1].ts_ns < new_york_ns(date(2026, 11, 25), 20)

    def spread(first_ns, last_ns):
        quotes = [e for e in told if isinstance(e, SimQuote) and e.symbol == "AAPL" and first_ns <= e.ts_ns < last_ns]
        return np.mean([quote.ask_price - quote.bid_price for quote in quotes])

    assert spread(0, START_NS) > 3 * spread(minutes_after(100), minutes_after(200))


def test_the_night_leads_from_one_close_to_the_next_open():
    made = market(new_york_ns(date(2026, 11, 25), 15, 59))
    told = [e for e in play(made, new_york_ns(date(2026, 11, 27), 9, 31)) if isinstance(e, SimTrade)]
    for symbol in SYMBOLS:
        prices = [trade.price for trade in told if trade.symbol == symbol]
        assert max(abs(b / a - 1) for a, b in pairwise(prices)) < 0.02


def test_hours_that_nobody_watches_are_not_told_and_their_latest_values_are_known():
    evening_ns = new_york_ns(date(2026, 11, 25), 18)
    watched, unwatched = market(minutes_after(380)), market(minutes_after(380))
    unwatched.set_extended_audience(False)
    regular = [e for e in play(watched, evening_ns) if e.ts_ns < CLOSE_NS + 30 * NANOS_PER_SECOND]
    told = play(unwatched, evening_ns)
    assert [e for e in told if isinstance(e, SimQuote)] == [e for e in regular if isinstance(e, SimQuote)]
    assert max(e.ts_ns for e in told) < CLOSE_NS + 30 * NANOS_PER_SECOND
    for symbol in SYMBOLS:
        assert unwatched.latest_trade(symbol) == watched.latest_trade(symbol)
        assert unwatched.latest_quote(symbol) == watched.latest_quote(symbol)
        assert unwatched.latest_bar(symbol) == watched.latest_bar(symbol)


def test_an_audience_that_comes_in_the_evening_hears_what_follows():
    evening_ns = new_york_ns(date(2026, 11, 25), 18)
    watched, joined = market(minutes_after(388)), market(minutes_after(388))
    joined.set_extended_audience(False)
    play(joined, evening_ns)
    joined.set_extended_audience(True)
    play(watched, evening_ns)
    until_ns = evening_ns + 1_800 * NANOS_PER_SECOND
    following = play(watched, until_ns)
    assert following
    assert play(joined, until_ns) == following
    assert joined.latest_quote("SPY") == watched.latest_quote("SPY")


# --- auctions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_day():
    made = market(START_NS - 5 * 60 * NANOS_PER_SECOND, rates=NO_MISHAPS)
    return made, play(made, CLOSE_NS + 120 * NANOS_PER_SECOND)


def test_a_session_opens_and_closes_with_an_auction_print_and_the_official_price(whole_day):
    made, told = whole_day
    for symbol, tape_mark, code in (("AAPL", "@", "Q"), ("JPM", " ", "N")):
        trades = [event for event in told if isinstance(event, SimTrade) and event.symbol == symbol]
        regular = [trade for trade in trades if trade.ts_ns >= START_NS]
        assert regular[0].conditions == (tape_mark, "O")
        assert regular[0].exchange == code
        (official,) = [trade for trade in trades if "Q" in trade.conditions]
        assert (official.price, official.size) == (regular[0].price, regular[0].size)
        (closing,) = [trade for trade in trades if "6" in trade.conditions]
        (official_close,) = [trade for trade in trades if "M" in trade.conditions]
        assert CLOSE_NS < closing.ts_ns < official_close.ts_ns < CLOSE_NS + 3 * NANOS_PER_SECOND
        day = made.bars(symbol, DAY, new_york_ns(date(2026, 11, 25)), CLOSE_NS)[0]
        assert (day.open, day.close) == (regular[0].price, closing.price)
        assert closing.size > 0.02 * day.volume
        (held,) = made.auctions(symbol, date(2026, 11, 25), date(2026, 11, 25))
        assert [(t.conditions, t.price, t.ts_ns) for t in (*held.opening, *held.closing)] == [
            (("O",), regular[0].price, regular[0].ts_ns),
            (("Q",), official.price, official.ts_ns),
            (("6",), closing.price, closing.ts_ns),
            (("M",), official_close.price, official_close.ts_ns),
        ]


def test_auctions_are_told_when_they_have_been_held():
    made = market(minutes_after(5))
    (today,) = made.auctions("SPY", date(2026, 11, 25), date(2026, 11, 27))
    assert today.opening
    assert today.closing == ()
    assert len(made.auctions("SPY", date(2026, 11, 16), date(2026, 11, 24))) == 7
    assert market(START_NS - 1).auctions("SPY", date(2026, 11, 25), date(2026, 11, 25)) == []


def test_imbalances_are_told_before_the_auctions_and_come_near_their_prices(whole_day):
    _, told = whole_day
    for symbol in SYMBOLS:
        said = [event for event in told if isinstance(event, SimImbalance) and event.symbol == symbol]
        opening, closing = ([e for e in said if e.ts_ns < START_NS], [e for e in said if e.ts_ns > START_NS])
        assert len(opening) >= 3
        assert len(closing) >= 10
        (print_,) = [e for e in told if isinstance(e, SimTrade) and e.symbol == symbol and "6" in e.conditions]
        assert closing[0].ts_ns == CLOSE_NS - 600 * NANOS_PER_SECOND
        assert abs(closing[-1].price - print_.price) <= 0.02


# --- bands, running days, odd lots, mishaps -------------------------------------------------------------------------


def test_bands_are_told_at_the_open_and_doubled_near_the_close(whole_day):
    made, told = whole_day
    for symbol in SYMBOLS:
        said = [event for event in told if isinstance(event, SimLuld) and event.symbol == symbol]
        (day,) = made.bars(symbol, DAY, new_york_ns(date(2026, 11, 25)), CLOSE_NS)
        assert said[0].ts_ns == START_NS
        assert (said[0].limit_up, said[0].limit_down) == (round(day.open * 1.05, 2), round(day.open * 0.95, 2))
        (doubled,) = [event for event in said if event.ts_ns == CLOSE_NS - 25 * 60 * NANOS_PER_SECOND]
        middle = (doubled.limit_up + doubled.limit_down) / 2
        assert (doubled.limit_up - middle) / middle == pytest.approx(0.10, abs=0.001)


def test_the_running_day_is_told_every_minute(whole_day):
    _, told = whole_day
    days = bars_told(told, "JPM", DAILY_BAR)
    assert len(days) == 390
    minutes = [bar for bar in bars_told(told, "JPM") if START_NS <= bar.ts_ns < CLOSE_NS]
    for count in (1, 17, 390):
        day, so_far = days[count - 1], minutes[:count]
        assert (day.open, day.close) == (so_far[0].open, so_far[-1].close)
        assert (day.high, day.low) == (max(b.high for b in so_far), min(b.low for b in so_far))
        assert (day.volume, day.trade_count) == (sum(b.volume for b in so_far), sum(b.trade_count for b in so_far))


def test_small_prints_are_marked_as_odd_lots_and_set_no_price(first_minutes):
    trades = [event for event in first_minutes if isinstance(event, SimTrade)]
    odd = [trade for trade in trades if "I" in trade.conditions]
    assert 0.1 < len(odd) / len(trades) < 0.4
    assert all(trade.size < 100 for trade in odd)
    assert all(trade.size >= 100 for trade in trades if "I" not in trade.conditions)


@pytest.fixture(scope="module")
def unlucky_minutes():
    made = market(rates=MANY_MISHAPS)
    return made, play(made, minutes_after(31))


def test_late_prints_corrections_and_cancels_are_followed_by_updated_bars(unlucky_minutes):
    _, told = unlucky_minutes
    kinds = (SimCorrection, SimCancelError)
    assert all(any(type(event) is kind for event in told) for kind in kinds)
    late = [event for event in told if isinstance(event, SimTrade) and "Z" in event.conditions]
    assert late
    for symbol in SYMBOLS:
        first = {bar.ts_ns: bar for bar in bars_told(told, symbol)}
        updated = bars_told(told, symbol, UPDATED_BAR)
        assert len(updated) > 15
        for bar in updated:
            before = first[bar.ts_ns]
            assert (before.open, before.high, before.low, before.close) == (bar.open, bar.high, bar.low, bar.close)
            assert (before.volume, before.trade_count) != (bar.volume, bar.trade_count)


def test_a_late_print_is_said_after_its_time_and_changes_no_latest_price():
    made = market(rates=MishapRates(late=1.0, corrected=0, canceled=0))
    heard_ns = START_NS
    late = 0
    for event in made.events_until(Nanos(minutes_after(5))):
        if isinstance(event, SimTrade) and "Z" in event.conditions:
            late += 1
            assert event.ts_ns < heard_ns
            assert made.latest_trade(event.symbol) != event
        elif not isinstance(event, SimBar):
            assert event.ts_ns >= heard_ns
            heard_ns = event.ts_ns
    assert late > 5


def test_history_shows_what_became_of_prints_and_its_bars_agree(unlucky_minutes):
    made, told = unlucky_minutes
    for symbol in SYMBOLS:
        final = bars_of_trades(made.trades(symbol, START_NS, minutes_after(30) - 1))
        bars = made.bars(symbol, MINUTE, START_NS, minutes_after(30) - 1)
        assert [(b.volume, b.trade_count, b.open, b.close) for b in bars] == [
            (b.volume, b.trade_count, b.open, b.close) for b in final
        ]
        corrections = [e for e in told if isinstance(e, SimCorrection) and e.symbol == symbol]
        by_id = {trade.trade_id: trade for trade in made.trades(symbol, START_NS, minutes_after(30) - 1)}
        for correction in corrections[:5]:
            assert by_id[correction.original_id].update == "incorrect"
            assert by_id[correction.corrected_id].update == "corrected"
            assert by_id[correction.corrected_id].size == correction.corrected_size


def test_before_it_is_put_right_history_shows_a_print_as_it_was_told(unlucky_minutes):
    _, told = unlucky_minutes
    correction = next(event for event in told if isinstance(event, SimCorrection))
    made = market(rates=MANY_MISHAPS)
    play(made, correction.ts_ns - 1)
    by_id = {trade.trade_id: trade for trade in made.trades(correction.symbol, START_NS, correction.ts_ns)}
    assert by_id[correction.original_id].update == ""
    assert by_id[correction.original_id].size == correction.original_size
    assert correction.corrected_id not in by_id


def test_mishaps_are_rare_unless_asked_for():
    made = market(symbols=tuple(f"SYN{number:03d}" for number in range(40)), activity=0.2)
    told = play(made, minutes_after(60))
    count = sum(isinstance(event, SimBar) and event.kind == UPDATED_BAR for event in told)
    assert 0 < count < 20, "of 2,400 minutes"


# --- corporate actions ----------------------------------------------------------------------------------------------


def test_payers_go_ex_once_a_quarter_and_are_worth_the_dividend_less():
    made = market(symbols=("XOM", "TSLA"))
    history = made.corporate_actions(None, date(2026, 1, 1), date(2026, 11, 24))
    paid = [action for action in history if action.ex_date.year == 2026]
    assert [action.symbol for action in paid] == ["XOM"] * len(paid)
    assert {action.kind for action in history} == {"cash_dividend"}
    assert {(action.ex_date.month - 1) // 3 for action in paid} == {0, 1, 2, 3}
    model = DayModel(seed=1, anchor=date(2026, 11, 25), activity=1.0)
    for action in paid:
        session = calendar.session_on(action.ex_date)
        assert session is not None
        assert action.cash is not None
        close, worth, _ = (math.exp(value) for value in model.overnight("XOM", session))
        assert worth == pytest.approx(close - float(action.cash), abs=1e-9)
        assert made.last_close("XOM", action.ex_date) == pytest.approx(close, abs=0.006)


def test_actions_are_known_when_they_are_declared_and_not_before():
    every = market(new_york_ns(date(2027, 6, 1), 12), symbols=("XOM",))
    first, *_ = every.corporate_actions(["XOM"], date(2026, 12, 20), date(2027, 5, 30))
    assert first.declared_date is not None
    assert first.declared_date < first.ex_date
    before = market(new_york_ns(first.declared_date) - 1, symbols=("XOM",))
    on_the_day = market(new_york_ns(first.declared_date), symbols=("XOM",))
    assert before.corporate_actions(["XOM"], first.ex_date, first.ex_date) == []
    assert on_the_day.corporate_actions(["XOM"], first.ex_date, first.ex_date) == [first]


def a_split():
    """A world with a split, and the split."""
    for seed in range(200):
        made = GeneratedMarket(seed=seed, start_ns=START_NS, symbols=("SPY",))
        made.begin(Nanos(new_york_ns(date(2028, 6, 1))))
        for action in made.corporate_actions(None, date(2026, 11, 25), date(2028, 6, 1)):
            if action.kind == "forward_split":
                return made, action
    raise AssertionError("expected a split in one of two hundred worlds")


def test_a_split_divides_the_price_and_adjustment_makes_it_whole():
    made, split = a_split()
    bars = {new_york_date(bar.ts_ns): bar for bar in made.bars("SPY", DAY, START_NS, new_york_ns(date(2028, 6, 1)))}
    days = sorted(bars)
    before = days[days.index(split.ex_date) - 1]
    ratio = float(split.share_ratio)
    assert bars[before].close / bars[split.ex_date].open == pytest.approx(ratio, rel=0.05)
    factors = AdjustmentFactors(
        made.corporate_actions(["SPY"], date(2020, 1, 1), date(2028, 6, 1)),
        kinds=parse_adjustment("split"),
        close_before=lambda day: made.last_close("SPY", day),
    )
    assert bars[before].close * factors.at(before).price / bars[split.ex_date].open == pytest.approx(1, rel=0.05)
    assert factors.at(before).volume == ratio
    assert factors.at(split.ex_date).price == 1


def test_the_history_of_a_new_world_has_no_split():
    for seed in range(20):
        made = market(seed=seed, symbols=("SPY", "META", "QQQ"))
        assert all(
            a.kind == "cash_dividend" for a in made.corporate_actions(None, date(2025, 1, 1), date(2026, 11, 25))
        )
