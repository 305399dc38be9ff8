"""Crypto around the clock: the same for the same seed, played or answered; bars even where nobody traded."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.assets import DEFAULT_CRYPTO, assets_of
from quant_trading_system.simulator.events import DAILY_BAR, MINUTE_BAR, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.instants import EPOCH, new_york_ns, to_ns
from quant_trading_system.simulator.market import order_book
from quant_trading_system.simulator.market.both import BothMarkets
from quant_trading_system.simulator.market.crypto import CryptoMarket
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.market.source import DAY, MINUTE

START_NS = new_york_ns(date(2026, 11, 27), 9, 30)  # a Friday
SUNDAY_NS = new_york_ns(date(2026, 11, 29), 3)
HOUR_NS = 60 * NANOS_PER_MINUTE


def crypto(*, seed=1, now_ns=START_NS, pairs=DEFAULT_CRYPTO, **options):
    made = CryptoMarket(seed=seed, start_ns=START_NS, pairs=pairs, **options)
    made.pass_to(now_ns)
    made.set_audience(True)
    return made


def play(made, until_ns):
    events = []
    while made.next_ns(until_ns) is not None:
        events.append(made.take())
    made.pass_to(until_ns)
    return events


@pytest.fixture(scope="module")
def sunday_hour():
    return play(crypto(now_ns=SUNDAY_NS), SUNDAY_NS + HOUR_NS)


def of(events, kind, pair):
    return [event for event in events if type(event) is kind and event.symbol == pair]


def test_it_trades_on_a_sunday_night(sunday_hour):
    assert {event.symbol for event in sunday_hour} == set(DEFAULT_CRYPTO)
    assert all(of(sunday_hour, SimTrade, pair) for pair in DEFAULT_CRYPTO)


def test_the_same_seed_makes_the_same_market_however_time_is_cut(sunday_hour):
    cut = crypto(now_ns=SUNDAY_NS)
    steps = range(7, 3_607, 7)
    pieces = [event for second in steps for event in play(cut, SUNDAY_NS + min(second, 3_600) * NANOS_PER_SECOND)]
    pieces += play(cut, SUNDAY_NS + HOUR_NS)
    assert pieces == sunday_hour
    assert play(crypto(seed=2, now_ns=SUNDAY_NS), SUNDAY_NS + NANOS_PER_MINUTE) != sunday_hour[:50]


def test_a_pair_moves_the_same_whoever_else_is_there(sunday_hour):
    alone = play(crypto(now_ns=SUNDAY_NS, pairs=("SOL/USD",)), SUNDAY_NS + HOUR_NS)
    assert of(alone, SimTrade, "SOL/USD") == of(sunday_hour, SimTrade, "SOL/USD")
    assert of(alone, SimQuote, "SOL/USD") == of(sunday_hour, SimQuote, "SOL/USD")


@pytest.mark.parametrize("pair", DEFAULT_CRYPTO)
def test_bars_are_what_the_trades_make_or_where_nobody_traded_the_middles_of_quotes(sunday_hour, pair):
    bars = [b for b in of(sunday_hour, SimBar, pair) if b.kind == MINUTE_BAR and b.ts_ns >= SUNDAY_NS]
    assert len(bars) == 60
    for bar in bars:
        within = range(bar.ts_ns, bar.ts_ns + NANOS_PER_MINUTE)
        trades = [trade for trade in of(sunday_hour, SimTrade, pair) if trade.ts_ns in within]
        prices = [trade.price for trade in trades] or [
            (q.bid_price + q.ask_price) / 2 for q in of(sunday_hour, SimQuote, pair) if q.ts_ns in within
        ]
        told = (bar.open, bar.high, bar.low, bar.close)
        assert told == pytest.approx((prices[0], max(prices), min(prices), prices[-1]), rel=1e-9)
        assert bar.trade_count == len(trades)
        assert bar.volume == pytest.approx(sum(trade.size for trade in trades), abs=1e-9)
    assert any(bar.volume == 0 for bar in bars) or pair == "BTC/USD"


def test_what_nobody_watched_is_answered_as_it_would_have_been_told(sunday_hour):
    unwatched = CryptoMarket(seed=1, start_ns=START_NS, pairs=DEFAULT_CRYPTO)
    unwatched.pass_to(SUNDAY_NS + HOUR_NS)
    assert play(unwatched, SUNDAY_NS + HOUR_NS) == []
    for pair in DEFAULT_CRYPTO:
        assert list(unwatched.trades(pair, SUNDAY_NS + 1, SUNDAY_NS + HOUR_NS)) == of(sunday_hour, SimTrade, pair)
        assert list(unwatched.quotes(pair, SUNDAY_NS + 1, SUNDAY_NS + HOUR_NS)) == of(sunday_hour, SimQuote, pair)
        told = [b for b in of(sunday_hour, SimBar, pair) if b.kind == MINUTE_BAR and b.ts_ns >= SUNDAY_NS]
        assert list(unwatched.bars(pair, MINUTE, SUNDAY_NS, SUNDAY_NS + HOUR_NS - 1)) == told
        assert unwatched.latest_trade(pair) == of(sunday_hour, SimTrade, pair)[-1]
        assert unwatched.latest_quote(pair) == of(sunday_hour, SimQuote, pair)[-1]


def test_increments_keep_a_clients_book_equal_to_the_whole_one(sunday_hour):
    made = crypto(now_ns=SUNDAY_NS + HOUR_NS)
    for pair in DEFAULT_CRYPTO:
        messages = of(sunday_hour, SimOrderbook, pair)
        assert messages[0].is_reset
        assert sum(message.is_reset for message in messages) == 1
        book = messages[0]
        for message in messages[1:]:
            book = order_book.apply(book, message)
            assert book.bids[0][0] < book.asks[0][0]
        whole = made.orderbook(pair)
        assert whole is not None
        assert (book.bids, book.asks) == (whole.bids, whole.asks)
        assert len(whole.bids) == len(whole.asks) == order_book.LEVELS


def test_books_are_told_where_somebody_streams_them_and_begin_whole():
    made = crypto(now_ns=SUNDAY_NS)
    made.set_audience(True, is_streamed=False)
    told = play(made, SUNDAY_NS + 2 * NANOS_PER_MINUTE)
    assert of(told, SimTrade, "BTC/USD")
    assert of(told, SimOrderbook, "BTC/USD") == []
    made.set_audience(True)
    first, *_ = of(play(made, SUNDAY_NS + 4 * NANOS_PER_MINUTE), SimOrderbook, "BTC/USD")
    assert first.is_reset


def test_a_day_begins_at_the_midnight_of_its_zone_and_holds_its_minutes():
    made = crypto(now_ns=SUNDAY_NS)
    days = made.bars("ETH/USD", DAY, SUNDAY_NS - 3 * 24 * HOUR_NS, SUNDAY_NS)
    assert [datetime.fromtimestamp(bar.ts_ns // 10**9, UTC).hour for bar in days] == [6, 6, 6]  # Chicago, in winter
    minutes = made.bars("ETH/USD", MINUTE, days[1].ts_ns, days[2].ts_ns - 1)
    assert len(minutes) == 1_440
    assert (days[1].open, days[1].close) == (minutes[0].open, minutes[-1].close)
    assert days[1].high == max(bar.high for bar in minutes)
    assert days[1].volume == pytest.approx(sum(bar.volume for bar in minutes))
    assert days[1].trade_count == sum(bar.trade_count for bar in minutes)
    utc = crypto(now_ns=SUNDAY_NS, day_zone="UTC").bars("ETH/USD", DAY, SUNDAY_NS - 24 * HOUR_NS, SUNDAY_NS)
    assert all((bar.ts_ns - to_ns(EPOCH)) % (24 * HOUR_NS) == 0 for bar in utc)


def test_running_days_are_told_every_minute(sunday_hour):
    days = [bar for bar in of(sunday_hour, SimBar, "BTC/USD") if bar.kind == DAILY_BAR]
    assert len(days) == 60
    assert [bar.trade_count for bar in days] == sorted(bar.trade_count for bar in days)


def test_a_year_of_days_lies_before_the_start_and_pairs_move_together():
    made = crypto()
    bars = {
        pair: made.bars(pair, DAY, START_NS - 366 * 24 * HOUR_NS, START_NS - 24 * HOUR_NS) for pair in DEFAULT_CRYPTO
    }
    returns = {p: [math.log(b.close / a.close) for a, b in pairwise(of_)] for p, of_ in bars.items()}
    assert all(len(of_pair) >= 360 for of_pair in returns.values())
    assert statistics.correlation(returns["BTC/USD"], returns["ETH/USD"]) > 0.3
    assert 0.3 < statistics.stdev(returns["BTC/USD"]) * math.sqrt(365) < 0.8


def test_an_audience_that_comes_later_is_told_only_what_follows(sunday_hour):
    made = CryptoMarket(seed=1, start_ns=START_NS, pairs=DEFAULT_CRYPTO)
    at_ns = SUNDAY_NS + 90 * NANOS_PER_SECOND
    play(made, at_ns)
    made.set_audience(True)
    told = play(made, SUNDAY_NS + HOUR_NS)
    assert of(told, SimTrade, "BTC/USD") == [t for t in of(sunday_hour, SimTrade, "BTC/USD") if t.ts_ns > at_ns]


def test_beside_equities_messages_come_in_order_and_symbols_find_their_market():
    def both():
        equities = GeneratedMarket(seed=1, start_ns=START_NS, symbols=("AAPL",))
        made = BothMarkets(equities, CryptoMarket(seed=1, start_ns=START_NS, pairs=("BTC/USD",)))
        made.begin(START_NS)
        made.set_crypto_audience(True)
        return made

    made = both()
    told = list(made.events_until(Nanos(START_NS + HOUR_NS)))
    stamps = [event.ts_ns for event in told if not isinstance(event, SimBar)]
    assert stamps == sorted(stamps)
    assert {event.symbol for event in told} == {"AAPL", "BTC/USD"}
    cut = both()
    assert told == [
        event for second in range(1, 3_601) for event in cut.events_until(Nanos(START_NS + second * NANOS_PER_SECOND))
    ]
    assert made.symbols == ("AAPL", "BTC/USD")
    assert made.orderbook("AAPL") is None
    assert made.auctions("BTC/USD", date(2026, 11, 27), date(2026, 11, 27)) == []
    latest = made.latest_trade("BTC/USD")
    assert latest is not None
    assert latest.taker_side in ("B", "S")


def test_while_an_equity_is_played_a_pair_costs_what_it_costs_at_that_moment():
    equities = GeneratedMarket(seed=1, start_ns=START_NS, symbols=("AAPL",))
    made = BothMarkets(equities, CryptoMarket(seed=1, start_ns=START_NS, pairs=("BTC/USD",)))
    made.begin(START_NS)
    seen = {}
    for event in made.events_until(Nanos(START_NS + 5 * NANOS_PER_MINUTE)):
        if isinstance(event, SimQuote):
            seen[event.ts_ns] = made.latest_quote("BTC/USD")
    reference = CryptoMarket(seed=1, start_ns=START_NS, pairs=("BTC/USD",))
    for stamp_ns in sorted(seen)[::50]:
        reference.pass_to(stamp_ns)
        assert seen[stamp_ns] == reference.latest_quote("BTC/USD")
    assert len(set(map(str, seen.values()))) > 50


def test_assets_say_that_pairs_are_crypto_without_margin():
    asset = assets_of(("BTC/USD", "AAPL"))["BTC/USD"]
    assert asset.is_crypto
    assert (asset.exchange, asset.margin_requirement, asset.shortable, asset.marginable) == (
        "CRYPTO",
        100,
        False,
        False,
    )
    assert asset.min_order_size is not None
    assert asset.price_increment is not None
