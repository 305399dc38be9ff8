"""One sentence for each limit of the gate and the guards: what it holds back, and its control. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RISK_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "daily_loss_soft_fraction": "P29. Loss of the day, of the equity at the last close: reduce only.",
        "daily_loss_hard_fraction": "P29. Loss of the day, of the equity at the last close: HALTED until reset.",
        "daily_loss_hard_usd": "P29. The same as an amount; the tighter of the two wins. Unset: the fraction alone.",
        "drawdown_soft_fraction": "P30. Fall from the highest equity ever recorded: reduce only.",
        "drawdown_hard_fraction": "P30. Fall from the highest equity ever recorded: HALTED until reset.",
        "intraday_drawdown_soft_fraction": "P30. Fall from the session's highest equity: reduce only.",
        "intraday_drawdown_hard_fraction": "P30. Fall from the session's highest equity: HALTED until reset.",
        "equity_floor_usd": "P41. Below it HALTED until reset. Unset: half of the first equity recorded.",
        "gross_exposure_fraction": "P20. Longs and shorts together, of the equity; 1 means no leverage.",
        "net_exposure_fraction": "P20. Longs less shorts, of the equity.",
        "buying_power_fraction": "P22. Of the lower of the broker's buying power and our own reckoning.",
        "turnover_fraction_max": "P28. Bought and sold in a day, of the equity.",
        "position_size_usd_max": "P19. Largest position of one symbol, beside the class's fraction. Unset: that alone.",
        "positions_max": "P42. Symbols held at once.",
        "order_quantity_shares_max": "P11. Shares of one order.",
        "order_quantity_volume_fraction": "P11. Shares of one order, of the symbol's 20-day average volume.",
        "units_tolerance_fraction": "P12. Quantity times price may differ so far from what the strategy meant.",
        "price_collar_fraction": "P13. A limit may be so far beyond the fresh mid.",
        "price_collar_ticks": "P13. The same in ticks; the wider of the two counts.",
        "last_close_collar_fraction": "P14. A limit may be so far from the last close, from 25 USD up.",
        "last_close_collar_low_price_fraction": "P14. The same below 25 USD.",
        "spread_fraction_max": "P15. Widest spread that is traded on, of the price.",
        "spread_ticks_max": "P15. The same in ticks; the wider of the two counts.",
        "quote_age_seconds_max": "P15. Age of the quote, or of the feed's last message while the quote stands.",
        "standing_quote_age_seconds_max": "P15. Age of a quote that stands, whatever else the feed says.",
        "trade_age_seconds_max": "P15. Age of the last trade.",
        "duplicate_window_seconds": "P17. Equal orders within it, none of them final, are a mistake.",
        "orders_per_minute_max": "P24. New and replacing orders in a venue minute.",
        "orders_per_hour_max": "P24. New and replacing orders in a venue hour.",
        "orders_per_day_max": "P24. New and replacing orders in a session.",
        "orders_per_minute_per_strategy_max": "P24. Of one strategy, in a venue minute.",
        "open_orders_symbol_max": "P23. Open orders of one symbol.",
        "open_orders_total_max": "P23. Open orders of all symbols.",
        "exit_cooldown_minutes": "P44. A symbol is left alone for so long after an exit.",
        "session_start_offset_minutes": "P5. No new exposure so soon after the open.",
        "session_end_offset_minutes": "P5. No new exposure so shortly before the close.",
        "price_usd_min": "P6. Cheaper shares are not bought.",
        "average_volume_shares_min": "P6. 20-day average volume of what is bought, in shares.",
        "average_volume_usd_min": "P6. 20-day average volume of what is bought, in USD.",
        "is_short_allowed": "P7. Whether a SHORT signal may open a short; else it means flat.",
        "reconciliation_age_seconds_max": "P4. No new exposure when the last good pass is older: 3 periods of 15 s.",
        "lease_margin_seconds": "P2. The single-writer lease must last so much longer.",
        "clock_skew_seconds_max": "P35. Our clock may differ so much from the broker's Date.",
        "loop_lag_seconds_max": "P36. No new exposure while the event loop lags more.",
        "disk_free_bytes_min": "P36. No new exposure while the state directory's disk has less.",
        "commit_p99_seconds_max": "P36. No new exposure while the slowest hundredth of commits takes longer.",
        "quiet_seconds": "How long a cause must be gone before REDUCING ends by itself.",
        "incidents_per_session_max": "So many times a session; the next one is HALTED.",
    }
)
