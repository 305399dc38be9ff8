"""Venue time: speed, steps, jumps, and nights that nobody waits for."""

from __future__ import annotations

from datetime import date

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND as SECOND
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.clock import AFTER_CLOSE_SECONDS, BEFORE_OPEN_SECONDS, VenueClock
from quant_trading_system.simulator.instants import new_york_ns

MONDAY = date(2026, 11, 23)
OPEN_NS = new_york_ns(MONDAY, 9, 30)
CLOSE_NS = new_york_ns(MONDAY, 16)
TUESDAY_OPEN_NS = new_york_ns(date(2026, 11, 24), 9, 30)


def clock_at(venue_ns, speed=60.0, session_closing_after=calendar.session_closing_after):
    return VenueClock(venue_ns=venue_ns, mono_ns=0, speed=speed, session_closing_after=session_closing_after)


def test_venue_time_runs_as_many_times_as_fast_as_the_speed_says():
    clock = clock_at(OPEN_NS)
    assert clock.venue_ns(0) == OPEN_NS
    assert clock.venue_ns(SECOND) == OPEN_NS + 60 * SECOND


def test_another_speed_goes_on_from_where_venue_time_stands():
    clock = clock_at(OPEN_NS)
    clock.set_speed(2.0, mono_ns=SECOND)
    assert clock.venue_ns(3 * SECOND) == OPEN_NS + 64 * SECOND


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_speed_that_is_no_speed_is_refused(speed):
    with pytest.raises(ValueError, match="speed"):
        clock_at(OPEN_NS, speed=speed)


def test_the_night_is_skipped_after_the_close_has_been_seen():
    clock = clock_at(CLOSE_NS, speed=1.0)
    assert clock.venue_ns((AFTER_CLOSE_SECONDS - 1) * SECOND) == CLOSE_NS + (AFTER_CLOSE_SECONDS - 1) * SECOND
    assert clock.venue_ns(AFTER_CLOSE_SECONDS * SECOND) == TUESDAY_OPEN_NS - BEFORE_OPEN_SECONDS * SECOND
    later_ns = (AFTER_CLOSE_SECONDS + BEFORE_OPEN_SECONDS) * SECOND
    assert clock.venue_ns(later_ns) == TUESDAY_OPEN_NS


def test_a_start_on_a_weekend_trades_at_once():
    clock = clock_at(new_york_ns(date(2026, 11, 21), 15), speed=1.0)
    assert clock.venue_ns(0) == OPEN_NS - BEFORE_OPEN_SECONDS * SECOND


def test_a_start_before_the_bell_of_a_trading_day_is_waited_out():
    start_ns = new_york_ns(MONDAY, 8)
    assert clock_at(start_ns, speed=1.0).venue_ns(SECOND) == start_ns + SECOND


def test_the_clock_runs_on_after_the_last_session_of_a_recording():
    clock = clock_at(CLOSE_NS, speed=1.0, session_closing_after=lambda ns: None)
    assert clock.venue_ns(3_600 * SECOND) == CLOSE_NS + 3_600 * SECOND


def test_jumps_and_steps_go_forward_only():
    clock = clock_at(OPEN_NS, speed=1.0)
    assert clock.jump_to(OPEN_NS + 10 * SECOND, mono_ns=0) == OPEN_NS + 10 * SECOND
    assert clock.step(5, mono_ns=SECOND) == OPEN_NS + 16 * SECOND
    with pytest.raises(ValueError, match=r"9\.000 s ago"):
        clock.jump_to(OPEN_NS + 7 * SECOND, mono_ns=SECOND)
    with pytest.raises(ValueError, match="step"):
        clock.step(-1, mono_ns=SECOND)


@pytest.mark.parametrize("move", ["jump_to", "step"])
def test_closed_hours_that_were_asked_for_are_played_until_the_next_session(move):
    clock = clock_at(CLOSE_NS - 60 * SECOND, speed=1.0)
    evening_ns = new_york_ns(MONDAY, 18)
    reached_ns = (
        clock.jump_to(evening_ns, mono_ns=0)
        if move == "jump_to"
        else clock.step((evening_ns - CLOSE_NS) // SECOND + 60, mono_ns=0)
    )
    assert reached_ns == evening_ns
    assert clock.venue_ns(3_600 * SECOND) == evening_ns + 3_600 * SECOND
    night_ns = TUESDAY_OPEN_NS - evening_ns
    assert clock.venue_ns(night_ns) == TUESDAY_OPEN_NS
    seen_ns = night_ns + (23_400 + AFTER_CLOSE_SECONDS) * SECOND
    assert clock.venue_ns(seen_ns) == new_york_ns(date(2026, 11, 25), 9, 30) - BEFORE_OPEN_SECONDS * SECOND


def test_a_clock_that_plays_all_hours_skips_nothing():
    clock = VenueClock(
        venue_ns=CLOSE_NS,
        mono_ns=0,
        speed=60.0,
        session_closing_after=calendar.session_closing_after,
        skips_closed_hours=False,
    )
    assert clock.venue_ns(3_600 * SECOND) == CLOSE_NS + 60 * 3_600 * SECOND
    assert not clock.has_skipped(CLOSE_NS + SECOND)


def test_it_knows_which_hours_nobody_watched():
    clock = clock_at(CLOSE_NS, speed=1.0)
    clock.venue_ns(AFTER_CLOSE_SECONDS * SECOND)
    assert clock.has_skipped(new_york_ns(MONDAY, 18))
    assert not clock.has_skipped(CLOSE_NS + SECOND)
    assert not clock.has_skipped(TUESDAY_OPEN_NS)


def test_venue_time_never_goes_back():
    clock = clock_at(CLOSE_NS - 60 * SECOND, speed=1_000.0)
    readings = [clock.venue_ns(mono_ns) for mono_ns in range(0, 300 * SECOND, SECOND // 3)]
    assert readings == sorted(readings)
