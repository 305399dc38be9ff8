"""The sequence number at the end of an id of ours; anything else has none."""

from __future__ import annotations

import pytest

from quant_trading_system.persistence.intents import sequence_of


@pytest.mark.parametrize(
    ("client_order_id", "sequence"),
    [
        ("qts-abcdefgh-1a2b-momentum-1", 1),
        ("qts-abcdefgh-1a2b-momentum-zz", 1295),
        ("qts-abcdefgh-1a2b-mean-reversion-10", 36),
        ("by-hand-", None),
        ("904837e3-3b76-47ec-b432-046db621571b", None),
        ("qts-abcdefgh-1a2b-momentum-zzzzzzzzzzzzz", None),
        ("qts-abcdefgh-1a2b-momentum-٣", None),
    ],
)
def test_a_sequence_is_read_where_there_is_one(client_order_id: str, sequence: int | None):
    assert sequence_of(client_order_id) == sequence
