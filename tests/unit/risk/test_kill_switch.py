"""The kill switch blocks unless every store says CLEAR."""

from __future__ import annotations

import pytest

from quant_trading_system.core.types import Latch, Store
from quant_trading_system.risk.kill import KillSwitch


def cleared() -> KillSwitch:
    switch = KillSwitch()
    for store in Store:
        switch.observe(store, Latch.CLEAR)
    return switch


@pytest.mark.invariant("I10")
def test_a_store_that_was_not_heard_counts_as_missing():
    switch = KillSwitch()
    assert switch.blocks
    assert not switch.is_engaged
    assert {switch.latch(store) for store in Store} == {Latch.MISSING}


@pytest.mark.fault("E11")
@pytest.mark.parametrize("store", Store)
@pytest.mark.parametrize("latch", [Latch.ENGAGED, Latch.MISSING, Latch.UNREADABLE])
def test_one_store_is_enough_to_block(store, latch):
    switch = cleared()
    assert not switch.blocks
    switch.observe(store, latch, "why")
    assert switch.blocks
    assert switch.is_engaged is (latch is Latch.ENGAGED)
    assert switch.reason == ("why" if latch is Latch.ENGAGED else "")


def test_what_was_seen_does_not_change_afterwards():
    switch = cleared()
    before = switch.latches()
    switch.observe(Store.REDIS, Latch.ENGAGED)
    assert before[Store.REDIS] is Latch.CLEAR
