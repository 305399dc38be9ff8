"""The limits of a simulated daemon: the daemon is configured with them, and judges hold it to them. Decides nothing.

They are moved within their ceilings so that orders flow, and are in some worlds low enough to be met.
"""

from __future__ import annotations

from collections.abc import Mapping

LIMITS: Mapping[str, object] = {
    "quote_age_seconds_max": 5.0,
    "trade_age_seconds_max": 120.0,
    "exit_cooldown_minutes": 1.0,
    "turnover_fraction_max": 5,
    "session_start_offset_minutes": 0,
    "session_end_offset_minutes": 0,
    "commit_p99_seconds_max": 1.0,
    "loop_lag_seconds_max": 1.0,
    "quiet_seconds": 60.0,
    "incidents_per_session_max": 10,
    "daily_loss_soft_fraction": 0.04,
    "daily_loss_hard_fraction": 0.05,
}
RATES: Mapping[bool, Mapping[str, int]] = {
    False: {"orders_per_minute_per_strategy_max": 10, "orders_per_minute_max": 20, "orders_per_hour_max": 200},
    True: {"orders_per_minute_per_strategy_max": 1, "orders_per_minute_max": 1, "orders_per_hour_max": 6},
}
"""Orders that add exposure (control P24), by whether the world's limits are tight."""
HEALING: Mapping[bool, Mapping[str, int]] = {
    False: {"socket_cycles": 200, "store_reopenings": 10, "task_restarts": 3},
    True: {"socket_cycles": 2, "store_reopenings": 2, "task_restarts": 1},
}
"""How often a day the daemon may mend itself."""
