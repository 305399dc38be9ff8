"""Data that cannot be right is not believed, and what is not known is None."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.types import Symbol
from quant_trading_system.market.state import Market
from tests.unit.market.feed import IBM, SPY, bar, feed_bar, history, market, mono, ns, quote, status, trade

UNLISTED = Symbol("X")
NAN = float("nan")
INFINITE = float("inf")


def seen(book: Market, seconds: float = 0.0):
    price = book.price(IBM, mono(seconds))
    assert price is not None
    return price


def test_before_the_first_message_nothing_is_known():
    price = seen(market())
    assert (price.bid, price.ask, price.mid, price.last_trade, price.last_close, price.vwap_30min) == (None,) * 6
    assert (price.quote_age_s, price.trade_age_s, price.feed_age_s) == (None,) * 3
    assert market().mark(IBM) is None
    assert market().symbol_age_s(IBM, mono(1)) is None


def test_a_symbol_that_is_not_listed_has_no_price_and_its_messages_are_counted():
    book = market()
    book.on_bar(feed_bar(0, symbol=UNLISTED))
    book.on_quote(quote(1, symbol=UNLISTED))
    book.on_trade(trade(1, symbol=UNLISTED))
    book.on_status(status(1, "H", symbol=UNLISTED))
    assert book.price(UNLISTED, mono(1)) is None
    assert book.mark(UNLISTED) is None
    assert book.unlisted_messages == 4
    assert book.feed_age_s(mono(2)) == 1.0, "the feed spoke all the same"


def test_the_reference_symbol_is_listed_once():
    assert market().symbols == (IBM, SPY)
    assert Market(symbols=[SPY, IBM], reference_symbol=SPY, indicators=()).symbols == (SPY, IBM)


@pytest.mark.requirement("R128")
def test_ages_are_monotonic_and_per_symbol():
    book = market()
    book.on_quote(quote(1, mono_s=10))
    book.on_trade(trade(1, mono_s=12))
    book.on_quote(quote(1, symbol=SPY, mono_s=15))
    price = seen(book, 20)
    assert (price.quote_age_s, price.trade_age_s, price.feed_age_s) == (10.0, 8.0, 5.0)
    assert book.symbol_age_s(IBM, mono(20)) == 8.0
    assert book.feed_age_s(mono(20)) == 5.0


@pytest.mark.fault("D3")
@pytest.mark.requirement("R131")
@pytest.mark.parametrize(
    ("bid", "ask"), [(NAN, 100.0), (100.0, NAN), (-1.0, 100.0), (99.0, -5.0), (INFINITE, INFINITE), (99.0, INFINITE)]
)
def test_a_quote_that_is_no_price_is_refused_and_the_one_before_grows_older(bid, ask):
    book = market()
    book.on_quote(quote(1))
    book.on_quote(quote(3, bid, ask))
    price = seen(book, 4)
    assert (price.bid, price.ask, price.quote_age_s) == (99.99, 100.01, 3.0)
    assert book.rejected_quotes == 1


@pytest.mark.fault("D3")
@pytest.mark.parametrize(("bid", "ask"), [(0.0, 100.01), (99.99, 0.0), (100.05, 100.01), (0.0, 0.0)])
def test_a_crossed_or_one_sided_quote_is_taken_and_has_no_mid(bid, ask):
    book = market()
    book.on_quote(quote(1))
    book.on_quote(quote(2, bid, ask))
    price = seen(book, 2)
    assert (price.bid, price.ask) == (bid or None, ask or None)
    assert price.mid is None
    assert book.rejected_quotes == 0


@pytest.mark.requirement("R130")
@pytest.mark.fault("D3")
def test_a_quote_that_jumps_by_more_than_thirty_percent_leaves_no_price_until_a_second_says_the_same():
    book = market()
    book.on_quote(quote(1))
    book.on_quote(quote(2, 9.99, 10.01))
    assert seen(book, 2).mid is None
    assert book.mark(IBM) == 100.0
    assert book.rejected_quotes == 1
    book.on_quote(quote(3, 10.0, 10.02))
    assert seen(book, 3).mid == 10.01
    assert book.mark(IBM) == 10.01


@pytest.mark.requirement("R130")
def test_a_quote_that_goes_back_to_where_it_was_unmasks_the_jump_as_an_error():
    book = market()
    book.on_quote(quote(1))
    book.on_quote(quote(2, 9.99, 10.01))
    book.on_quote(quote(3, 99.98, 100.0))
    book.on_quote(quote(4, 9.99, 10.01))
    assert seen(book, 4).mid is None, "two errors with a good quote between do not confirm each other"


@pytest.mark.requirement("R130")
def test_a_print_confirms_a_jump_of_the_quote():
    book = market()
    book.on_quote(quote(1))
    book.on_quote(quote(2, 9.99, 10.01))
    book.on_trade(trade(3, 10.0))
    assert (seen(book, 3).mid, seen(book, 3).last_trade) == (10.0, 10.0)


@pytest.mark.requirement("R130")
@pytest.mark.fault("D3")
def test_a_print_that_is_ten_times_off_is_refused_until_a_second_says_the_same():
    book = market()
    book.on_trade(trade(1, 100.0))
    book.on_trade(trade(2, 1_000.0))
    assert (seen(book, 2).last_trade, book.rejected_prints) == (100.0, 1)
    book.on_trade(trade(3, 1_001.0))
    assert seen(book, 3).last_trade == 1_001.0


def test_the_first_print_of_the_day_is_compared_with_the_last_close():
    book = market()
    book.set_last_close(IBM, 100.0)
    book.on_trade(trade(1, 10.0))
    assert (seen(book).last_trade, book.rejected_prints) == (None, 1)
    book.on_trade(trade(2, 101.0))
    assert seen(book).last_trade == 101.0


@pytest.mark.fault("D3")
@pytest.mark.requirement("R131")
@pytest.mark.parametrize(
    ("price", "size"), [(NAN, 1.0), (0.0, 1.0), (-3.0, 1.0), (100.0, 0.0), (100.0, NAN), (INFINITE, 1)]
)
def test_a_print_that_is_no_trade_is_refused(price, size):
    book = market()
    book.on_trade(trade(1, price, size=size))
    assert (seen(book, 1).last_trade, book.rejected_prints) == (None, 1)
    book.on_trade(trade(2, 100.0))
    book.on_trade(trade(3, price, size=size))
    assert (seen(book, 3).last_trade, seen(book, 3).trade_age_s, book.rejected_prints) == (100.0, 1.0, 2)


def test_a_last_close_must_be_a_price():
    with pytest.raises(ValueError, match="last close of IBM"):
        market().set_last_close(IBM, NAN)


def test_a_position_is_marked_at_mid_else_last_print_else_last_close():
    book = market()
    book.on_history(history(bar(-5, 97.0)))
    assert book.mark(IBM) == 97.0
    book.on_trade(trade(1, 98.0))
    assert book.mark(IBM) == 98.0
    book.on_quote(quote(2))
    assert book.mark(IBM) == 100.0
    book.on_quote(quote(3, 100.05, 100.01))
    assert book.mark(IBM) == 98.0


@pytest.mark.fault("D5")
@pytest.mark.parametrize(("halt", "resume"), [("H", "T"), ("P", "T"), ("2", "3")])
def test_a_halt_lasts_until_trading_resumes_and_then_wants_a_fresh_quote(halt, resume):
    book = market()
    book.on_quote(quote(1))
    book.on_status(status(2, halt))
    assert seen(book, 2).is_halted
    book.on_status(status(3, "Q"))
    book.on_quote(quote(4))
    assert seen(book, 4).is_halted
    book.on_status(status(5, resume))
    price = seen(book, 5)
    assert (price.is_halted, price.mid) == (False, None)
    book.on_quote(quote(6))
    assert seen(book, 6).mid == 100.0


def test_a_resumption_lost_in_a_gap_is_noticed_by_prints_a_minute_later():
    book = market()
    book.on_trade(trade(1))
    book.on_status(status(2, "H"))
    book.on_trade(trade(70))
    assert seen(book, 70).is_halted, "without a gap only the venue says that it is over"
    book.on_gap()
    book.on_time(ns(80), mono(80))
    book.on_trade(trade(81))
    assert not seen(book, 81).is_halted


def test_after_a_gap_no_quote_is_known_to_stand_but_positions_keep_their_mark():
    book = market()
    book.on_quote(quote(1))
    book.on_gap()
    assert (seen(book, 2).mid, seen(book, 2).quote_age_s) == (None, None)
    assert book.mark(IBM) == 100.0


ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.fault("D3")
@given(st.lists(st.tuples(st.booleans(), ANY_NUMBER, ANY_NUMBER), max_size=30))
def test_no_sequence_of_numbers_makes_a_price_that_is_none(messages):
    book = market(indicators=("sma_2", "zscore_5", "vol_annual_2", "rsi_2", "rsi_cutler_2"))
    for second, (is_quote, one, other) in enumerate(messages):
        if is_quote:
            book.on_quote(quote(20 * second, one, other))
        else:
            book.on_trade(trade(20 * second, one, size=other))
    price = seen(book, 1_000)
    for value in (price.bid, price.ask, price.mid, price.last_trade, price.vwap_30min, book.mark(IBM)):
        assert value is None or 0.0 < value < float("inf")
    assert all(0.0 < each.low <= each.close <= each.high for each in book.bars(IBM))
