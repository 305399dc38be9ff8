"""Bars are built from prints, closed once, and never shown to a strategy when they miss prints."""

from __future__ import annotations

from quant_trading_system.core.values import Bar
from tests.unit.market.feed import IBM, OPEN_NS, SPY, bar, feed_bar, history, market, mono, ns, trade


def starts(bars) -> list[int]:
    """Minutes after the open at which bars start."""
    return [(each.start_ns - OPEN_NS) // (60 * 10**9) for each in bars]


def test_the_first_print_of_a_newer_minute_closes_the_bar():
    book = market()
    for second, price, size in ((1, 100.0, 10), (20, 100.5, 20), (40, 99.5, 30), (59.999, 100.2, 40)):
        assert book.on_trade(trade(second, price, size=size)) is None
    closed = book.on_trade(trade(60, 101.0))
    assert closed == Bar(IBM, ns(0), 100.0, 100.5, 99.5, 100.2, 100.0, 4)
    assert list(book.bars(IBM)) == [closed]


def test_time_closes_a_bar_one_second_after_its_end_and_only_once():
    book = market()
    book.on_trade(trade(5))
    assert book.on_time(ns(60.9), mono(60.9)) == []
    assert starts(book.on_time(ns(61), mono(61))) == [0]
    assert book.on_time(ns(62), mono(62)) == []
    assert book.on_trade(trade(63)) is None


def test_time_closes_bars_in_the_order_of_the_symbols():
    book = market()
    book.on_trade(trade(5, symbol=SPY))
    book.on_trade(trade(6, symbol=IBM))
    assert [each.symbol for each in book.on_time(ns(61), mono(61))] == [IBM, SPY]


def test_a_minute_without_prints_has_no_bar():
    book = market()
    book.on_trade(trade(5))
    book.on_trade(trade(185))
    book.on_time(ns(241), mono(241))
    assert starts(book.bars(IBM)) == [0, 3]


def test_a_late_print_of_a_closed_minute_is_counted_and_changes_nothing():
    book = market()
    book.on_trade(trade(5))
    closed = book.on_trade(trade(65, 101.0))
    assert book.on_trade(trade(59, 150.0 - 45.0)) is None
    assert book.late_prints == 1
    assert book.bars(IBM)[-1] == closed
    price = book.price(IBM, mono(65))
    assert price is not None
    assert price.last_trade == 101.0


def test_a_late_print_after_time_closed_the_minute_is_counted_too():
    book = market()
    book.on_trade(trade(5))
    book.on_time(ns(61), mono(61))
    book.on_trade(trade(59))
    assert (book.late_prints, len(book.bars(IBM))) == (1, 1)


def test_an_odd_lot_counts_as_volume_and_moves_no_price():
    book = market()
    book.on_trade(trade(1, 100.0, size=100))
    book.on_trade(trade(2, 110.0, size=7, conditions=("@", "I")))
    closed = book.on_trade(trade(60, 100.1))
    assert closed is not None
    assert (closed.high, closed.close, closed.volume, closed.trades) == (100.0, 100.0, 107.0, 2)


def test_a_minute_of_odd_lots_alone_has_no_bar():
    book = market()
    book.on_trade(trade(1, 100.0, size=7, conditions=("I",)))
    assert book.on_time(ns(61), mono(61)) == []
    assert list(book.bars(IBM)) == []


def test_official_prices_do_not_count_their_shares_again():
    book = market()
    book.on_trade(trade(1, 100.0, size=100))
    book.on_trade(trade(2, 100.0, size=9_000, conditions=("Q",)))
    closed = book.on_trade(trade(60))
    assert closed is not None
    assert closed.volume == 100.0


def test_the_feeds_bar_closes_ours_without_waiting_a_second():
    book = market()
    book.on_trade(trade(5, 100.0))
    closed = book.on_bar(feed_bar(0, 100.4))
    assert closed is not None
    assert closed.close == 100.0, "ours is complete, so ours is shown"
    assert book.on_time(ns(61), mono(61)) == []


def test_the_feeds_bar_takes_the_place_of_ours_when_we_joined_in_mid_minute():
    book = market()
    book.on_gap()
    book.on_time(ns(30), mono(30))
    book.on_trade(trade(31, 100.0, size=10))
    assert book.on_time(ns(61), mono(61)) == []
    closed = book.on_bar(feed_bar(0, 100.4, volume=5_000.0))
    assert closed is not None
    assert (closed.close, closed.volume) == (100.4, 5_000.0)
    assert book.incomplete_bars == 1


def test_a_bar_that_misses_prints_is_dropped_when_the_feeds_own_does_not_come():
    book = market()
    book.on_trade(trade(5))
    book.on_gap()
    book.on_time(ns(31), mono(31))
    book.on_trade(trade(40))
    assert book.on_trade(trade(61)) is None
    assert starts(book.on_time(ns(121), mono(121))) == [1], "the next minute is whole again"


def test_the_feeds_bar_fills_a_minute_lost_in_a_gap():
    book = market()
    book.on_trade(trade(5))
    assert starts(book.on_time(ns(61), mono(61))) == [0]
    book.on_gap()
    closed = book.on_bar(feed_bar(1))
    assert closed is not None
    assert starts(book.bars(IBM)) == [0, 1]
    assert book.on_trade(trade(119)) is None
    assert book.late_prints == 1


def test_the_same_minute_never_closes_twice():
    book = market()
    book.on_trade(trade(5))
    assert book.on_bar(feed_bar(0)) is not None
    assert book.on_bar(feed_bar(0, 100.4)) is None
    assert book.on_time(ns(61), mono(61)) == []
    assert starts(book.bars(IBM)) == [0]


def test_a_nonsensical_feed_bar_is_refused():
    book = market()
    for broken in (
        feed_bar(0, float("nan")),
        feed_bar(0, 100.0, high=99.0),
        feed_bar(0, 100.0, volume=0.0),
        feed_bar(0, 100.0, low=-1.0),
    ):
        assert book.on_bar(broken) is None
    assert (book.rejected_bars, len(book.bars(IBM))) == (4, 0)


def test_bars_of_another_length_are_built_from_prints_alone():
    book = market(bar_seconds=300)
    book.on_trade(trade(5))
    assert book.on_bar(feed_bar(0)) is None
    assert book.on_trade(trade(299)) is None
    closed = book.on_trade(trade(300))
    assert closed is not None
    assert closed.start_ns == ns(0)


def test_history_is_put_before_what_was_seen_live():
    book = market()
    book.on_trade(trade(185, 103.0))
    book.on_time(ns(241), mono(241))
    book.on_history(history(bar(0, 100.0), bar(1, 101.0), bar(3, 999.0)))
    assert starts(book.bars(IBM)) == [0, 1, 3]
    assert book.bars(IBM)[-1].close == 103.0


def test_history_that_overlaps_changes_nothing():
    book = market(indicators=("sma_2",))
    book.on_history(history(bar(0, 100.0), bar(1, 101.0)))
    before = dict(book.values(IBM))
    book.on_history(history(bar(0, 50.0), bar(1, 50.0)))
    assert dict(book.values(IBM)) == before == {"sma_2": 100.5}


def test_prints_of_a_minute_that_history_closed_are_late():
    book = market()
    book.on_trade(trade(65))
    book.on_history(history(bar(0), bar(1)))
    book.on_trade(trade(66))
    assert book.late_prints == 1
    assert book.on_time(ns(121), mono(121)) == []


def test_the_close_of_the_session_before_is_the_last_bar_before_the_night():
    book = market()
    book.on_history(history(bar(-1_050, 98.0), bar(-1_049, 99.0)))
    book.on_trade(trade(5, 100.0))
    book.on_trade(trade(65, 101.0))
    price = book.price(IBM, mono(65))
    assert price is not None
    assert price.last_close == 99.0


def test_the_vwap_covers_the_last_thirty_minutes_of_closed_bars():
    book = market()
    book.on_trade(trade(5, 90.0, size=1_000))
    for minute in range(1, 32):
        book.on_trade(trade(60 * minute + 5, 100.0, size=100))
    book.on_trade(trade(60 * 32 + 5, 110.0, size=600))
    book.on_time(ns(60 * 33 + 1), mono(0))
    price = book.price(IBM, mono(0))
    assert price is not None
    assert price.vwap_30min is not None
    assert abs(price.vwap_30min - (29 * 100 * 100.0 + 600 * 110.0) / (29 * 100 + 600)) < 1e-9
