"""What the market feed says, or no longer says, and what may be traded by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import QuoteSeen, StatusSeen
from quant_trading_system.core.types import Direction, TradingState
from tests.support.floor import REVERSION, SYMBOL, Floor, failed, scripted_floor


@pytest.mark.fault("D1")
@pytest.mark.invariant("I22")
def test_a_feed_that_falls_silent_while_connected_stops_new_exposure_within_its_limit_and_recovers():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    order = floor.buy_resting(strategy=REVERSION)
    floor.quotes = floor.prints = False
    seconds = 0
    while floor.state() is TradingState.ACTIVE:
        assert seconds < 20, "the limit of 15 s and 5 s more"
        floor.advance(1)
        seconds += 1
    assert floor.causes == {"feed_silent"}
    floor.advance(1)
    assert floor.status_of(order) == "CANCELED"
    floor.quotes = floor.prints = True
    floor.advance(2)
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.fault("D1")
@pytest.mark.invariant("I22")
def test_a_feed_that_is_connected_and_never_says_anything_is_silent_too():
    floor = scripted_floor()
    floor.quotes = floor.prints = False
    floor.advance(15)
    assert floor.engine.feed_age_s is None
    assert floor.state() is TradingState.ACTIVE
    floor.advance(5)
    assert floor.causes == {"feed_silent"}
    floor.quotes = floor.prints = True
    floor.advance(2)
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.fault("D1")
def test_silence_is_normal_when_the_market_is_closed():
    floor = scripted_floor()
    floor.skip_to(floor.now_ns + 7 * 3600 * 1_000_000_000)
    floor.quotes = floor.prints = False
    floor.advance(60)
    assert floor.causes == set()


def crossed(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, bid_price=quote.ask_price + 0.05)


def not_a_number(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, bid_price=math.nan)


def negative(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, bid_price=-quote.bid_price)


def one_sided(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, ask_price=0.0)


def wide(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, bid_price=quote.bid_price - 1.0)


def ten_times_off(quote: QuoteSeen) -> QuoteSeen:
    return structs.replace(quote, bid_price=quote.bid_price * 10, ask_price=quote.ask_price * 10)


@pytest.mark.requirement("R092")
@pytest.mark.requirement("R131")
@pytest.mark.fault("D3")
@pytest.mark.control("P15")
@pytest.mark.invariant("I21")
@pytest.mark.parametrize("spoil", [crossed, not_a_number, negative, one_sided, wide])
def test_a_quote_that_makes_no_sense_buys_nothing(spoil: Callable[[QuoteSeen], QuoteSeen]):
    floor = scripted_floor()
    floor.spoil = spoil
    floor.decide(Direction.LONG)
    floor.advance(120)
    assert floor.decisions
    assert all("market_data" in failed(decision) for decision in floor.decisions)
    assert floor.posted == []


@pytest.mark.fault("D3")
@pytest.mark.control("P14")
def test_quotes_that_are_ten_times_off_and_agree_with_each_other_buy_nothing():
    floor = scripted_floor()
    floor.advance(100)
    floor.spoil = ten_times_off
    floor.decide(Direction.LONG)
    floor.advance(120)
    assert all("price_band" in failed(decision) for decision in floor.decisions)
    assert len(floor.decisions) == 3
    assert floor.posted == []


@pytest.mark.requirement("R128")
@pytest.mark.fault("D3")
@pytest.mark.control("P15")
@pytest.mark.invariant("I21")
def test_a_quote_that_stood_for_more_than_a_minute_is_stale_though_the_feed_speaks():
    floor = scripted_floor()
    floor.advance(50)
    floor.quotes = False
    floor.decide(Direction.LONG)
    assert failed(floor.decisions[-1]) == {"market_data"}
    assert "quote is" in floor.decisions[-1].reason
    assert floor.posted == []


@pytest.mark.requirement("R091")
@pytest.mark.fault("D5")
@pytest.mark.control("P6")
@pytest.mark.invariant("I24")
def test_a_halted_symbol_is_not_traded_until_it_resumes_and_is_quoted_anew():
    floor = scripted_floor()
    floor.advance(61)
    floor.tell(halt(floor, "H"))
    floor.decide(Direction.LONG)
    assert "instrument" in failed(floor.decisions[-1])
    floor.tell(halt(floor, "T"))
    floor.advance(61)
    assert floor.positions() == {SYMBOL: Decimal(47)}


def halt(floor: Floor, code: str) -> StatusSeen:
    return StatusSeen(
        symbol=SYMBOL,
        venue_at=to_datetime(floor.now_ns),
        seen_ns=floor.now_ns,
        mono_ns=floor.mono_ns,
        status_code=code,
    )
