"""Venue time: nothing before it is known, then the broker's, at the broker's speed, and never back."""

from __future__ import annotations

import pytest

from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.types import NANOS_PER_SECOND


class Hands:
    """This machine's two clocks, turned by hand, in nanoseconds."""

    def __init__(self) -> None:
        self.mono_ns = 50 * NANOS_PER_SECOND
        self.wall_ahead_ns = 1_000 * NANOS_PER_SECOND

    def __call__(self, seconds: float) -> None:
        self.mono_ns += int(seconds * NANOS_PER_SECOND)

    def clock(self, *, follows_venue: bool = False) -> SystemClock:
        return SystemClock(
            follows_venue=follows_venue,
            wall_now_ns=lambda: self.mono_ns + self.wall_ahead_ns,
            mono_now_ns=lambda: self.mono_ns,
        )


@pytest.fixture
def turn() -> Hands:
    """Turn this machine's clocks by seconds."""
    return Hands()


def test_without_an_anchor_venue_time_is_wall_time(turn: Hands):
    clock = turn.clock()
    assert clock.venue_ns() == clock.wall_ns() == 1_050 * NANOS_PER_SECOND
    turn(1)
    assert clock.venue_ns() == 1_051 * NANOS_PER_SECOND


def test_a_clock_that_follows_a_venue_says_nothing_before_it_was_told(turn: Hands):
    clock = turn.clock(follows_venue=True)
    turn(5)
    assert clock.venue_ns() == 0


def test_from_its_anchor_on_venue_time_runs_at_the_venues_speed(turn: Hands):
    clock = turn.clock(follows_venue=True)
    clock.anchor(2_000 * NANOS_PER_SECOND, mono_ns=clock.mono_ns(), speed=60.0)
    turn(2)
    assert clock.venue_ns() == 2_120 * NANOS_PER_SECOND
    assert clock.mono_ns() == 52 * NANOS_PER_SECOND
    assert clock.speed == 60.0


@pytest.mark.invariant("I33")
def test_a_venue_that_jumps_ahead_is_followed_and_one_that_falls_back_is_waited_for(turn: Hands):
    clock = turn.clock(follows_venue=True)
    clock.anchor(2_000 * NANOS_PER_SECOND, mono_ns=clock.mono_ns(), speed=1.0)
    turn(10)
    assert clock.venue_ns() == 2_010 * NANOS_PER_SECOND
    clock.anchor(9_000 * NANOS_PER_SECOND, mono_ns=clock.mono_ns(), speed=1.0)
    assert clock.venue_ns() == 9_000 * NANOS_PER_SECOND
    clock.anchor(8_995 * NANOS_PER_SECOND, mono_ns=clock.mono_ns(), speed=1.0)
    turn(3)
    assert clock.venue_ns() == 9_000 * NANOS_PER_SECOND
    turn(3)
    assert clock.venue_ns() == 9_001 * NANOS_PER_SECOND


@pytest.mark.fault("H1")
@pytest.mark.invariant("I33")
@pytest.mark.parametrize("jump_s", [172_800, -172_800, 3_600, -3_600])
def test_a_wall_clock_that_jumps_and_comes_back_never_moves_an_anchored_venue_time(turn: Hands, jump_s: int):
    clock = turn.clock(follows_venue=True)
    clock.anchor(2_000 * NANOS_PER_SECOND, mono_ns=clock.mono_ns(), speed=1.0)
    turn.wall_ahead_ns += jump_s * NANOS_PER_SECOND
    turn(1)
    assert clock.venue_ns() == 2_001 * NANOS_PER_SECOND
    turn.wall_ahead_ns -= jump_s * NANOS_PER_SECOND
    turn(1)
    assert clock.venue_ns() == 2_002 * NANOS_PER_SECOND


def test_a_clock_that_stands_or_runs_backward_is_a_bug():
    with pytest.raises(AssertionError):
        SystemClock().anchor(0, mono_ns=0, speed=0.0)
