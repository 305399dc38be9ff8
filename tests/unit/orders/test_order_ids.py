"""Client order ids name account, database, strategy and sequence, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.types import StrategyId
from quant_trading_system.orders.ids import client_order_id, instance_part, is_foreign, is_ours, parse


def make(strategy: str = "momentum", sequence: int = 1, *, account: str = "PA1", instance: str = "test0001") -> str:
    return client_order_id(account=account, instance=instance, strategy=StrategyId(strategy), sequence=sequence)


@pytest.mark.requirement("R093")
@pytest.mark.invariant("I3")
def test_an_id_is_a_function_of_what_it_names():
    assert make() == make()
    others = {make("other"), make(sequence=2), make(account="PA2"), make(instance="test0002")}
    assert len({make()} | others) == 5


def test_an_id_reads_as_what_it_is():
    assert make("mean-reversion", 36).startswith("qts-test0001-")
    parsed = parse(make("mean-reversion", 36))
    assert parsed is not None
    assert (parsed.instance, parsed.strategy, parsed.sequence) == ("test0001", "mean-reversion", 36)


@given(
    strategy=st.text(min_size=1, max_size=60),
    sequence=st.integers(1, 36**8),
    account=st.text(max_size=30),
    instance=st.text(min_size=1, max_size=40),
)
def test_any_name_makes_an_id_of_at_most_48_characters_that_can_be_read_back(strategy, sequence, account, instance):
    text = make(strategy, sequence, account=account, instance=instance)
    assert len(text) <= 48
    parsed = parse(text)
    assert parsed is not None
    assert parsed.sequence == sequence
    assert parsed.instance == instance_part(instance)
    assert is_ours(text, instance)
    assert not is_foreign(text, instance)


def test_long_names_that_begin_alike_stay_apart():
    assert make("a" * 40 + "1") != make("a" * 40 + "2")


@pytest.mark.fault("K1")
def test_another_databases_orders_are_recognised():
    assert is_foreign(make(instance="test0002"), "test0001")
    assert not is_foreign("by-hand", "test0001")
    assert not is_ours("by-hand", "test0001")


@pytest.mark.parametrize("text", ["", "qts-", "qts-test0001-abcd-momentum-", "qts-test0001-zzzz-momentum-1", "x-y-z"])
def test_what_we_did_not_make_is_not_read(text):
    assert parse(text) is None
