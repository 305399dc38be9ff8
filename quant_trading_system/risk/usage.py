"""How much of each limit is used at a moment, for `control limits`, the dashboard and metrics. Refuses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.core.views import LimitView, RiskView
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.risk.rules.base import amount, ratio


def measure_usage(view: RiskView, limits: RiskLimits) -> tuple[LimitView, ...]:
    """One line a limit, in the order of the controls; what cannot be measured now says so."""
    return tuple(line for part in PARTS for line in part(view, limits))


def _ages(view: RiskView, limits: RiskLimits) -> Iterator[LimitView]:
    age_s, limit_s = view.reconciliation_age_s, limits.reconciliation_age_seconds_max
    yield LimitView(
        control="P4",
        name="reconciliation",
        limit=f"{limit_s:.0f} s",
        measured="unknown" if age_s is None else f"{age_s:.1f} s",
        usage=None if age_s is None else age_s / limit_s,
    )


def _exposures(view: RiskView, limits: RiskLimits) -> Iterator[LimitView]:
    equity, exposure = view.money.last_equity_usd, view.exposure
    for name, measured, fraction in (
        ("gross_exposure", exposure.gross_usd, limits.gross_exposure_fraction),
        ("net_exposure", abs(exposure.net_usd), limits.net_exposure_fraction),
    ):
        yield _line("P20", name, measured, None if equity is None else equity * fraction, "USD")
    money = view.money
    if money.broker_buying_power_usd is None or money.own_buying_power_usd is None:
        yield _line("P22", "buying_power", None, None, "USD")
        return
    free = min(money.broker_buying_power_usd, money.own_buying_power_usd)
    reserved = exposure.reserved_buying_power_usd
    yield _line("P22", "buying_power", reserved, (free + reserved) * limits.buying_power_fraction, "USD")


def _orders(view: RiskView, limits: RiskLimits) -> Iterator[LimitView]:
    open_total = Decimal(view.exposure.open_orders_total)
    yield _line("P23", "open_orders", open_total, Decimal(limits.open_orders_total_max), "")
    for name, minutes, limit in (
        ("orders_per_minute", 1, limits.orders_per_minute_max),
        ("orders_per_hour", 60, limits.orders_per_hour_max),
        ("orders_per_day", 24 * 60, limits.orders_per_day_max),
    ):
        since_ns = view.venue_ns - minutes * NANOS_PER_MINUTE
        sent = sum(order.sent_ns > since_ns for order in view.recent)
        yield _line("P24", name, Decimal(sent), Decimal(limit), "")
    today = to_new_york(view.venue_ns).date()
    traded = sum(
        (
            order.quantity * (order.price or ZERO)
            for order in view.recent
            if order.quantity and to_new_york(order.sent_ns).date() == today
        ),
        ZERO,
    )
    equity = view.money.last_equity_usd
    yield _line("P28", "turnover", traded, None if equity is None else equity * limits.turnover_fraction_max, "USD")


def _losses(view: RiskView, limits: RiskLimits) -> Iterator[LimitView]:
    money = view.money
    yield _percent("P29", "daily_loss", money.day_loss_ratio, limits.daily_loss_hard_fraction)
    yield _percent("P30", "drawdown", money.drawdown_ratio, limits.drawdown_hard_fraction)
    yield _percent("P30", "intraday_drawdown", money.intraday_drawdown_ratio, limits.intraday_drawdown_hard_fraction)
    equity, floor = money.equity_usd, money.equity_floor_usd
    yield LimitView(
        control="P41",
        name="equity_floor",
        limit="unknown" if floor is None else f"at least {amount(floor, 'USD')}",
        measured="unknown" if equity is None else amount(equity, "USD"),
        usage=None if floor is None or equity is None else ratio(floor, equity),
    )
    yield _line("P42", "positions", Decimal(view.exposure.positions), Decimal(limits.positions_max), "")


PARTS: tuple[Callable[[RiskView, RiskLimits], Iterator[LimitView]], ...] = (_ages, _exposures, _orders, _losses)


def _line(control: str, name: str, measured: Decimal | None, limit: Decimal | None, unit: str) -> LimitView:
    return LimitView(
        control=control,
        name=name,
        limit="unknown" if limit is None else amount(limit, unit),
        measured="unknown" if measured is None else amount(measured, unit),
        usage=None if measured is None or limit is None else ratio(measured, limit),
    )


def _percent(control: str, name: str, measured: Decimal | None, limit: Decimal) -> LimitView:
    return LimitView(
        control=control,
        name=name,
        limit=f"{limit * 100}%",
        measured="unknown" if measured is None else f"{measured * 100:.3f}%",
        usage=None if measured is None else ratio(measured, limit),
    )
