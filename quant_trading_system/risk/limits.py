"""The limits of the gate and the guards: defaults, and how far a setting may move each (controls.md)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from types import MappingProxyType

import msgspec
from msgspec import Struct

from quant_trading_system.core.money import plain
from quant_trading_system.core.types import InstrumentClass

Number = Decimal | int | float


class ClassLimits(Struct, frozen=True, kw_only=True):
    """Limits of one instrument class: fractions are of the account's equity at the last close (controls P10, P19)."""

    order_value_fraction: Decimal
    order_value_usd: Decimal
    position_fraction: Decimal


def _class_limits(order_fraction: str, order_usd: int, position_fraction: str) -> ClassLimits:
    return ClassLimits(
        order_value_fraction=Decimal(order_fraction),
        order_value_usd=Decimal(order_usd),
        position_fraction=Decimal(position_fraction),
    )


CLASS_DEFAULTS = MappingProxyType(
    {
        InstrumentClass.STOCK: _class_limits("0.05", 15_000, "0.10"),
        InstrumentClass.BROAD_FUND: _class_limits("0.25", 100_000, "0.25"),
        InstrumentClass.LEVERAGED_FUND: _class_limits("0.05", 15_000, "0.10"),
        InstrumentClass.CRYPTO: _class_limits("0.02", 5_000, "0.05"),
    }
)
CLASS_CEILINGS = MappingProxyType(
    {
        InstrumentClass.STOCK: _class_limits("0.20", 1_000_000, "0.20"),
        InstrumentClass.BROAD_FUND: _class_limits("1.00", 1_000_000, "1.00"),
        InstrumentClass.LEVERAGED_FUND: _class_limits("0.50", 1_000_000, "0.50"),
        InstrumentClass.CRYPTO: _class_limits("0.20", 250_000, "0.20"),
    }
)


class RiskLimits(Struct, frozen=True, kw_only=True):
    """Every limit with its default. Windows and cooldowns run in venue time, ages and latencies in monotonic time."""

    daily_loss_soft_fraction: Decimal = Decimal("0.01")
    daily_loss_hard_fraction: Decimal = Decimal("0.02")
    daily_loss_hard_usd: Decimal | None = None
    drawdown_soft_fraction: Decimal = Decimal("0.05")
    drawdown_hard_fraction: Decimal = Decimal("0.10")
    intraday_drawdown_soft_fraction: Decimal = Decimal("0.015")
    intraday_drawdown_hard_fraction: Decimal = Decimal("0.03")
    equity_floor_usd: Decimal | None = None
    """Unset: half of the first equity ever recorded."""

    gross_exposure_fraction: Decimal = Decimal(1)
    net_exposure_fraction: Decimal = Decimal(1)
    buying_power_fraction: Decimal = Decimal("0.95")
    turnover_fraction_max: Decimal = Decimal(2)
    position_size_usd_max: Decimal | None = None
    positions_max: int = 16
    order_quantity_shares_max: int = 10_000
    order_quantity_volume_fraction: Decimal = Decimal("0.005")
    """Of the symbol's 20-day average volume."""
    units_tolerance_fraction: Decimal = Decimal("0.01")

    price_collar_fraction: Decimal = Decimal("0.005")
    price_collar_ticks: int = 5
    last_close_collar_fraction: Decimal = Decimal("0.08")
    last_close_collar_low_price_fraction: Decimal = Decimal("0.12")
    """Below 25 USD."""
    spread_fraction_max: Decimal = Decimal("0.005")
    spread_ticks_max: int = 10
    quote_age_seconds_max: float = 2.0
    """Since the quote, or since the feed's last message of any symbol while the quote stands."""
    standing_quote_age_seconds_max: float = 60.0
    trade_age_seconds_max: float = 60.0

    duplicate_window_seconds: float = 10.0
    orders_per_minute_max: int = 20
    orders_per_hour_max: int = 200
    orders_per_day_max: int = 1_000
    orders_per_minute_per_strategy_max: int = 10
    open_orders_symbol_max: int = 4
    open_orders_total_max: int = 30
    exit_cooldown_minutes: float = 15.0
    protective_stop_seconds_max: float = 5.0
    """From the first share without its declared stop at the broker to the exit (control P34)."""

    session_start_offset_minutes: int = 5
    session_end_offset_minutes: int = 10
    price_usd_min: Decimal = Decimal(5)
    average_volume_shares_min: float = 1e6
    average_volume_usd_min: float = 2e7
    is_short_allowed: bool = False

    reconciliation_age_seconds_max: float = 45.0
    """Three periods of the 15 s grid."""
    lease_margin_seconds: float = 2.0
    clock_skew_seconds_max: float = 1.0
    loop_lag_seconds_max: float = 0.25
    disk_free_bytes_min: int = 1_000_000_000
    commit_p99_seconds_max: float = 0.05
    quiet_seconds: float = 300.0
    """How long a cause must be gone before REDUCING ends by itself."""
    incidents_per_session_max: int = 3

    classes: dict[InstrumentClass, ClassLimits] = msgspec.field(default_factory=lambda: dict(CLASS_DEFAULTS))


def _range(low: str, high: str) -> tuple[Decimal, Decimal]:
    return Decimal(low), Decimal(high)


RANGES = MappingProxyType(
    {
        "daily_loss_soft_fraction": _range("0.0001", "0.05"),
        "daily_loss_hard_fraction": _range("0.0001", "0.05"),
        "daily_loss_hard_usd": _range("0.01", "1000000"),
        "drawdown_soft_fraction": _range("0.0001", "0.20"),
        "drawdown_hard_fraction": _range("0.0001", "0.20"),
        "intraday_drawdown_soft_fraction": _range("0.0001", "0.06"),
        "intraday_drawdown_hard_fraction": _range("0.0001", "0.06"),
        "equity_floor_usd": _range("0", "1000000000"),
        "gross_exposure_fraction": _range("0", "1.5"),
        "net_exposure_fraction": _range("0", "1.5"),
        "buying_power_fraction": _range("0", "0.95"),
        "turnover_fraction_max": _range("0", "5"),
        "position_size_usd_max": _range("0.01", "1000000000"),
        "positions_max": _range("1", "100"),
        "order_quantity_shares_max": _range("1", "100000"),
        "order_quantity_volume_fraction": _range("0", "0.01"),
        "units_tolerance_fraction": _range("0", "0.05"),
        "price_collar_fraction": _range("0", "0.02"),
        "price_collar_ticks": _range("0", "20"),
        "last_close_collar_fraction": _range("0", "0.20"),
        "last_close_collar_low_price_fraction": _range("0", "0.20"),
        "spread_fraction_max": _range("0", "0.01"),
        "spread_ticks_max": _range("1", "20"),
        "quote_age_seconds_max": _range("0.1", "5"),
        "standing_quote_age_seconds_max": _range("0.1", "60"),
        "trade_age_seconds_max": _range("0.1", "120"),
        "duplicate_window_seconds": _range("1", "600"),
        "orders_per_minute_max": _range("1", "100"),
        "orders_per_hour_max": _range("1", "2000"),
        "orders_per_day_max": _range("1", "10000"),
        "orders_per_minute_per_strategy_max": _range("1", "100"),
        "open_orders_symbol_max": _range("1", "10"),
        "open_orders_total_max": _range("1", "200"),
        "exit_cooldown_minutes": _range("1", "1440"),  # none at all would switch the control off (R084)
        "protective_stop_seconds_max": _range("1", "30"),
        "session_start_offset_minutes": _range("0", "180"),
        "session_end_offset_minutes": _range("0", "180"),
        "price_usd_min": _range("1", "1000000"),
        "average_volume_shares_min": _range("0", "1000000000"),
        "average_volume_usd_min": _range("0", "1000000000000"),
        "reconciliation_age_seconds_max": _range("15", "60"),
        "lease_margin_seconds": _range("1", "30"),
        "clock_skew_seconds_max": _range("0.01", "2"),
        "loop_lag_seconds_max": _range("0.01", "1"),
        "disk_free_bytes_min": _range("100000000", "1000000000000000"),
        "commit_p99_seconds_max": _range("0.001", "1"),
        "quiet_seconds": _range("60", "86400"),
        "incidents_per_session_max": _range("1", "10"),
    }
)
"""Compiled floor and ceiling of each setting; they change by a release alone (I20)."""

NOT_ABOVE = (
    ("orders_per_minute_max", "orders_per_hour_max"),
    ("orders_per_hour_max", "orders_per_day_max"),
    ("orders_per_minute_per_strategy_max", "orders_per_minute_max"),
    ("open_orders_symbol_max", "open_orders_total_max"),
    ("quote_age_seconds_max", "standing_quote_age_seconds_max"),
)
BELOW = (
    ("daily_loss_soft_fraction", "daily_loss_hard_fraction"),
    ("drawdown_soft_fraction", "drawdown_hard_fraction"),
    ("intraday_drawdown_soft_fraction", "intraday_drawdown_hard_fraction"),
)


def ceiling(name: str) -> Decimal:
    """Compiled ceiling of one limit, in the limit's own unit."""
    return RANGES[name][1]


def problems(limits: RiskLimits) -> list[str]:
    """Say of every limit that may not be so: which, its value, and what would be allowed."""
    found = []
    for name, (low, high) in RANGES.items():
        found.extend(_out_of_range(name, getattr(limits, name), low, high))
    found.extend(_order_problems(limits))
    for instrument_class in InstrumentClass:
        found.extend(_class_problems(instrument_class, limits.classes.get(instrument_class)))
    return found


def version(limits: RiskLimits) -> str:
    """Short hash of the limits' content; equal content has an equal version whatever the digits look like."""
    lines = [f"{name}={_canonical(getattr(limits, name))}" for name in limits.__struct_fields__ if name != "classes"]
    for instrument_class, entry in sorted(limits.classes.items()):
        lines.extend(
            f"{instrument_class}.{name}={_canonical(getattr(entry, name))}" for name in entry.__struct_fields__
        )
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]


def _order_problems(limits: RiskLimits) -> list[str]:
    found = []
    for pairs, may_be_equal in ((BELOW, False), (NOT_ABOVE, True)):
        for lower, upper in pairs:
            low, high = _number(getattr(limits, lower)), _number(getattr(limits, upper))
            if not (low.is_finite() and high.is_finite()) or low < high or (may_be_equal and low == high):
                continue
            relation = "must not be above" if may_be_equal else "must be below"
            found.append(f"{lower}: {low} {relation} {upper} ({high})")
    return found


def _class_problems(instrument_class: InstrumentClass, entry: ClassLimits | None) -> list[str]:
    if entry is None:
        return [f"classes.{instrument_class}: missing"]
    high = CLASS_CEILINGS[instrument_class]
    return [
        text
        for name in ClassLimits.__struct_fields__
        for text in _out_of_range(
            f"classes.{instrument_class}.{name}", getattr(entry, name), Decimal(0), getattr(high, name)
        )
    ]


def _out_of_range(name: str, value: Number | None, low: Decimal, high: Decimal) -> list[str]:
    if value is None:
        return []
    number = _number(value)
    if not number.is_finite():
        return [f"{name}: {value} is not a finite number"]
    if number > high:
        return [f"{name}: {value} is above its ceiling {plain(high)}"]
    if number < low:
        return [f"{name}: {value} is below its floor {plain(low)}"]
    return []


def _number(value: Number) -> Decimal:
    return Decimal(str(value))


def _canonical(value: Number | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return plain(_number(value))
