"""Ids are version 4 UUIDs as the standard library writes them, and a function of seed and purpose."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.simulator.chance import Chance, uuid4_text


@given(st.binary(min_size=16, max_size=16))
def test_sixteen_octets_are_written_as_the_standard_library_writes_a_version_4_uuid(octets):
    assert uuid4_text(octets) == str(UUID(bytes=octets, version=4))


def test_an_id_is_a_function_of_seed_purpose_and_number():
    assert Chance(1).uuid("order", 7) == Chance(1).uuid("order", 7)
    others = {Chance(2).uuid("order", 7), Chance(1).uuid("client", 7), Chance(1).uuid("order", 8)}
    assert len({Chance(1).uuid("order", 7), *others}) == 4
