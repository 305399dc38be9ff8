"""How long a stream stays away after a failure."""

from __future__ import annotations

import random

import pytest

from quant_trading_system.adapters.alpaca.streaming import Backoff, StreamSettings

SETTINGS = StreamSettings()


@pytest.mark.requirement("R103")
@pytest.mark.fault("G2")
def test_waits_are_spread_over_a_ceiling_that_doubles_to_a_minute():
    many = [Backoff(random.Random(seed), SETTINGS) for seed in range(400)]
    longest, means = [], []
    for _ in range(9):
        waits = [backoff.next_s() for backoff in many]
        longest.append(max(waits))
        means.append(sum(waits) / len(waits))
    ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    for found, mean, ceiling in zip(longest, means, ceilings, strict=True):
        assert 0.95 * ceiling <= found <= ceiling
        assert mean == pytest.approx(ceiling / 2, rel=0.15)


def test_a_stable_connection_starts_anew():
    backoff = Backoff(random.Random(1), SETTINGS)
    for _ in range(10):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= SETTINGS.backoff_first_s


def test_the_least_wait_is_kept():
    backoff = Backoff(random.Random(1), SETTINGS)
    assert all(backoff.next_s(at_least_s=90.0) >= 90.0 for _ in range(50))


def test_the_same_seed_waits_the_same():
    one, two = (Backoff(random.Random(7), SETTINGS) for _ in range(2))
    assert [one.next_s() for _ in range(5)] == [two.next_s() for _ in range(5)]
