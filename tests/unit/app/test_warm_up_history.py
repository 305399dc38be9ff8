"""How far back the warm-up asks: whole sessions, enough of them, over weekends and holidays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quant_trading_system.app.steps.market_data import history_start_ns
from quant_trading_system.core.clock import to_new_york


@pytest.mark.parametrize(
    ("now", "bars", "from_open_of"),
    [
        ("2024-07-02T15:00", 120, "2024-07-01"),  # Tuesday, in session: Monday
        ("2024-07-01T14:00", 120, "2024-06-28"),  # Monday: Friday
        ("2024-07-05T14:00", 120, "2024-07-02"),  # after the holiday and the half day before it: not enough minutes
        ("2024-07-05T14:00", 100, "2024-07-03"),
        ("2024-07-02T15:00", 500, "2024-06-27"),  # 1,000 minutes: three sessions
    ],
)
def test_the_history_begins_with_the_open_of_a_session_that_leaves_enough_minutes(now, bars, from_open_of):
    now_ns = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()) * 10**9
    start = to_new_york(history_start_ns(now_ns, bars))
    assert f"{start:%Y-%m-%d %H:%M}" == f"{from_open_of} 09:30"
