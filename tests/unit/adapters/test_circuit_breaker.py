"""The circuit breaker: when it opens, whom it lets through, and that one probe decides."""

from __future__ import annotations

import pytest

from quant_trading_system.adapters.alpaca.breaker import BreakerState, CircuitBreaker
from quant_trading_system.adapters.alpaca.failures import CircuitOpen
from tests.unit.adapters.builders import HandClock


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.seen: list[BreakerState] = []
        self.breaker = CircuitBreaker(
            "trading", clock=self.clock, failures=5, open_seconds=60, on_change=lambda _target, s: self.seen.append(s)
        )

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.admit().fail()


@pytest.mark.requirement("R193")
def test_it_opens_after_five_failures_in_a_row_and_says_so():
    bench = Bench()
    bench.fail(4)
    bench.breaker.admit().succeed()
    bench.fail(4)
    assert bench.breaker.state is BreakerState.CLOSED
    bench.fail(1)
    assert bench.seen == [BreakerState.OPEN]
    with pytest.raises(CircuitOpen, match="trading failed 5 times in a row; next try in 60 s"):
        bench.breaker.admit()


@pytest.mark.requirement("R193")
def test_half_open_lets_one_probe_through_and_no_second():
    bench = Bench()
    bench.fail(5)
    bench.clock.advance(60)
    probe = bench.breaker.admit()
    for _ in range(10):
        with pytest.raises(CircuitOpen, match="probed"):
            bench.breaker.admit()
    probe.succeed()
    assert bench.seen == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]
    bench.breaker.admit()


def test_a_failed_probe_opens_it_for_the_full_time_again():
    bench = Bench()
    bench.fail(5)
    bench.clock.advance(60)
    bench.breaker.admit().fail()
    bench.clock.advance(59)
    with pytest.raises(CircuitOpen):
        bench.breaker.admit()
    bench.clock.advance(1)
    bench.breaker.admit()
    assert bench.breaker.state is BreakerState.HALF_OPEN


def test_a_cancelled_probe_does_not_keep_it_shut():
    bench = Bench()
    bench.fail(5)
    bench.clock.advance(60)
    bench.breaker.admit().release()
    bench.breaker.admit().succeed()
    assert bench.breaker.state is BreakerState.CLOSED


def test_cancels_pass_an_open_breaker_and_their_failure_does_not_hold_it_open():
    bench = Bench()
    bench.fail(5)
    bench.clock.advance(59)
    bench.breaker.bypass().fail()
    bench.clock.advance(1)
    bench.breaker.admit()
    assert bench.breaker.state is BreakerState.HALF_OPEN


def test_a_cancel_that_worked_closes_it():
    bench = Bench()
    bench.fail(5)
    bench.breaker.bypass().succeed()
    assert bench.breaker.state is BreakerState.CLOSED


def test_a_permit_counts_once():
    bench = Bench()
    for _ in range(4):
        permit = bench.breaker.admit()
        permit.fail()
        permit.fail()
        permit.release()
    assert bench.breaker.state is BreakerState.CLOSED


@pytest.mark.invariant("I15")
def test_a_read_probes_every_five_seconds_so_that_a_healed_broker_is_found_soon():
    bench = Bench()
    bench.fail(5)
    for _ in range(20):
        bench.clock.advance(4.9)
        with pytest.raises(CircuitOpen):
            bench.breaker.admit_read()
        bench.clock.advance(0.1)
        bench.breaker.admit_read().fail()
        with pytest.raises(CircuitOpen):
            bench.breaker.admit()
    bench.clock.advance(5)
    bench.breaker.admit_read().succeed()
    bench.breaker.admit()
    assert bench.breaker.state is BreakerState.CLOSED
