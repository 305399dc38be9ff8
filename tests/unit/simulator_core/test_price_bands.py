"""Limit-up-limit-down bands and trade conditions, by the plans that lay them down."""

from __future__ import annotations

from datetime import date

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.conditions import (
    EXCHANGES,
    QUOTE_CONDITIONS,
    TAPES,
    TRADE_CONDITIONS,
    counts_in_volume,
    sets_price,
    tape_of,
)
from quant_trading_system.simulator.market.luld import BandKeeper, bands, bands_of_session, is_doubled, tier_of


def session_of(day):
    session = calendar.session_on(day)
    assert session is not None, f"expected a session on {day}"
    return session


TODAY = session_of(date(2026, 11, 25))
HALF_DAY = session_of(date(2026, 11, 27))
IN_2013 = session_of(date(2013, 10, 7))
IN_2012 = session_of(date(2012, 10, 8))


@pytest.mark.parametrize(
    ("reference", "tier", "previous_close", "doubled", "expected"),
    [
        (100.0, 1, 100.0, False, (105.0, 95.0)),
        (100.0, 2, 100.0, False, (110.0, 90.0)),
        (100.0, 1, 100.0, True, (110.0, 90.0)),
        (2.0, 1, 2.0, False, (2.4, 1.6)),
        (2.0, 2, 3.0, False, (2.4, 1.6)),
        (0.50, 2, 0.50, False, (0.65, 0.35)),  # 0.15 USD is less than three quarters
        (0.12, 2, 0.12, False, (0.21, 0.03)),  # and here it is more
    ],
)
def test_bands_lie_a_share_of_the_reference_away_by_tier_and_price(reference, tier, previous_close, doubled, expected):
    assert bands(reference, tier=tier, previous_close=previous_close, doubled=doubled) == pytest.approx(
        expected, abs=0.0051
    )


def minutes(session, count):
    return session.open_ns + count * NANOS_PER_MINUTE


def test_bands_are_doubled_in_the_last_25_minutes_and_no_longer_after_the_open():
    def doubled(stamp_ns, session=TODAY, tier=1, previous_close=100.0):
        return is_doubled(stamp_ns, session, tier=tier, previous_close=previous_close)

    assert not doubled(minutes(TODAY, 0))
    assert not doubled(minutes(TODAY, 365) - 1)
    assert doubled(minutes(TODAY, 365))
    assert not doubled(minutes(TODAY, 380), tier=2)
    assert doubled(minutes(TODAY, 380), tier=2, previous_close=2.5)
    assert doubled(minutes(HALF_DAY, 185), session=HALF_DAY)
    assert doubled(minutes(IN_2013, 14), session=IN_2013, tier=2)
    assert not doubled(minutes(IN_2013, 15), session=IN_2013)
    assert doubled(minutes(IN_2013, 380), session=IN_2013, tier=2)


def test_the_reference_moves_with_the_mean_of_five_minutes_when_it_has_left_it_by_a_hundredth():
    keeper = BandKeeper("SPY", TODAY, previous_close=100.0)
    keeper.open(100.0, TODAY.open_ns)
    assert keeper.minute(100.9, minutes(TODAY, 1)) is None
    moved = keeper.minute(101.2, minutes(TODAY, 2))
    assert moved is not None
    assert (moved.limit_up, moved.limit_down) == (round(101.05 * 1.05, 2), round(101.05 * 0.95, 2))
    for minute in range(3, 8):
        assert keeper.minute(101.1, minutes(TODAY, minute)) is None


def test_a_session_known_whole_says_what_a_keeper_says_minute_by_minute():
    for session in (TODAY, IN_2013, HALF_DAY):
        for step in (0.0, 0.02):
            prices = [100.0 + step * minute for minute in range(390)]
            keeper = BandKeeper("SPY", session, previous_close=100.0)
            said = [keeper.open(100.0, session.open_ns)]
            said += [keeper.minute(price, minutes(session, n)) for n, price in enumerate(prices, start=1)]
            whole = bands_of_session("SPY", session, prices, opening=100.0, previous_close=100.0)
            assert whole == [message for message in said if message is not None]
            assert len(whole) > 1


def test_there_were_no_bands_before_the_plan():
    assert bands_of_session("SPY", IN_2012, [100.0], opening=100.0, previous_close=100.0) == []


def test_known_companies_are_of_tier_1_and_others_of_either():
    assert tier_of("AAPL") == 1
    assert {tier_of(f"SYN{number:03d}") for number in range(40)} == {1, 2}


@pytest.mark.parametrize(
    ("conditions", "volume", "price"),
    [
        (("@",), True, True),
        ((" ", "I"), True, False),
        (("@", "T"), True, True),
        (("@", "O"), True, True),
        ((" ", "6"), True, True),
        ((" ", "M"), False, False),
        (("@", "Q"), False, False),
        (("@", "Z"), True, False),
        (("@", "B"), True, True),
        ((" ", "B"), True, False),
    ],
)
def test_conditions_say_what_a_print_counts_for(conditions, volume, price):
    assert (counts_in_volume(conditions), sets_price(conditions)) == (volume, price)


def test_every_tape_has_its_tables():
    assert [tape_of(listing) for listing in ("NYSE", "ARCA", "NASDAQ")] == list(TAPES)
    for tape in TAPES:
        assert {"I", "O", "Q", "6", "M", "T", "Z"} <= TRADE_CONDITIONS[tape].keys()
        assert "R" in QUOTE_CONDITIONS[tape]
    assert EXCHANGES["V"] == "IEX"
