"""An intent that the gate approves, and the picture it approves it by; each test changes what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from msgspec import structs

from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    ClientOrderId,
    InstrumentClass,
    Latch,
    Mode,
    MonoNanos,
    Nanos,
    OrderType,
    Side,
    Store,
    StrategyId,
    Stream,
    Symbol,
    TimeInForce,
    TradingState,
)
from quant_trading_system.core.values import Allocation, Instrument, OrderIntent
from quant_trading_system.core.views import (
    ExposureView,
    MoneyView,
    PriceView,
    RecentOrder,
    RiskView,
    SessionView,
)
from quant_trading_system.risk.gate import Decision, RiskGate
from quant_trading_system.risk.limits import RiskLimits

IBM = Symbol("IBM")
MOMENTUM = StrategyId("momentum")
NOON_NS = to_nanos(datetime(2013, 10, 7, 16, 0, tzinfo=UTC))
MONO_NS = MonoNanos(1_000 * NANOS_PER_SECOND)
MINUTE_NS = 60 * NANOS_PER_SECOND


def intent(**changes: object) -> OrderIntent:
    """Buy 10 IBM at 100.10, with the mid at 100.05."""
    made = OrderIntent(
        client_order_id=ClientOrderId("qts-test0001-abcd-momentum-1"),
        strategy=MOMENTUM,
        symbol=IBM,
        side=Side.BUY,
        quantity=Decimal(10),
        order_type=OrderType.LIMIT,
        limit_price=Decimal("100.10"),
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        reference_price=Decimal("100.05"),
        declared_notional_usd=Decimal("1000.50"),
        allocations=(Allocation(MOMENTUM, Decimal(10)),),
        decision_id="d1",
        decided_ns=NOON_NS,
        decided_mono_ns=MONO_NS,
        reason="crossed",
    )
    return structs.replace(made, **changes)


def selling(quantity: int = 10, **changes: object) -> OrderIntent:
    """Sell at 100.00."""
    return intent(
        side=Side.SELL,
        quantity=Decimal(quantity),
        limit_price=changes.pop("limit_price", Decimal("100.00")),
        declared_notional_usd=Decimal("100.05") * quantity,
        allocations=(Allocation(MOMENTUM, Decimal(-quantity)),),
        **changes,
    )


def price(**changes: object) -> PriceView:
    made = PriceView(
        symbol=IBM,
        bid=100.0,
        ask=100.1,
        bid_size=300,
        ask_size=300,
        quote_age_s=0.1,
        last_trade=100.05,
        trade_age_s=0.5,
        feed_age_s=0.05,
        last_close=99.0,
        vwap_30min=100.0,
        is_halted=False,
    )
    return structs.replace(made, **changes)


def session(**changes: object) -> SessionView:
    made = SessionView(
        date="2013-10-07",
        is_open_by_calendar=True,
        is_open_by_broker=True,
        open_ns=Nanos(NOON_NS - 150 * MINUTE_NS),
        close_ns=Nanos(NOON_NS + 240 * MINUTE_NS),
        window_start_ns=Nanos(NOON_NS - 145 * MINUTE_NS),
        window_end_ns=Nanos(NOON_NS + 230 * MINUTE_NS),
        next_open_ns=None,
    )
    return structs.replace(made, **changes)


def instrument(**changes: object) -> Instrument:
    made = Instrument(
        symbol=IBM,
        asset_id="a1",
        instrument_class=InstrumentClass.STOCK,
        tradable=True,
        active=True,
        fractionable=True,
        shortable=True,
        average_volume_shares=5e6,
        average_volume_usd=5e8,
    )
    return structs.replace(made, **changes)


def exposure(**changes: object) -> ExposureView:
    made = ExposureView(
        position=Decimal(0),
        open_buy=Decimal(0),
        open_sell=Decimal(0),
        has_unknown_order=False,
        open_orders_symbol=0,
        open_orders_total=0,
        positions=0,
        symbol_usd=Decimal(0),
        gross_usd=Decimal(0),
        net_usd=Decimal(0),
        reserved_buying_power_usd=Decimal(0),
    )
    return structs.replace(made, **changes)


def holding(quantity: int = 50, **changes: object) -> ExposureView:
    """A position of IBM at 100.05."""
    value = abs(quantity) * Decimal("100.05")
    return exposure(
        position=Decimal(quantity), positions=1, symbol_usd=value, gross_usd=value, net_usd=value, **changes
    )


def money(**changes: object) -> MoneyView:
    made = MoneyView(
        equity_usd=Decimal(100_000),
        last_equity_usd=Decimal(100_000),
        cash_usd=Decimal(100_000),
        broker_buying_power_usd=Decimal(100_000),
        own_buying_power_usd=Decimal(100_000),
        capital_usd=Decimal(100_000),
        account_age_s=5.0,
        day_pnl_usd=Decimal(0),
        day_loss_ratio=Decimal(0),
        drawdown_ratio=Decimal(0),
        intraday_drawdown_ratio=Decimal(0),
        equity_floor_usd=Decimal(50_000),
    )
    return structs.replace(made, **changes)


def view(**changes: object) -> RiskView:
    made = RiskView(
        mode=Mode.SIM,
        venue_ns=NOON_NS,
        mono_ns=MONO_NS,
        state=TradingState.ACTIVE,
        causes=(),
        latches=dict.fromkeys(Store, Latch.CLEAR),
        lease_held=True,
        lease_deadline_mono_ns=MonoNanos(MONO_NS + 8 * NANOS_PER_SECOND),
        reconciliation_age_s=5.0,
        streams_up=dict.fromkeys(Stream, True),
        symbol_lock=None,
        strategy_lock=None,
        session=session(),
        price=price(),
        instrument=instrument(),
        exposure=exposure(),
        money=money(),
        recent=(),
        live_opposite_orders=0,
        is_stopping=False,
    )
    return structs.replace(made, **changes)


def recent(seconds_ago: float = 5, **changes: object) -> RecentOrder:
    made = RecentOrder(
        client_order_id=ClientOrderId("qts-test0001-abcd-momentum-0"),
        strategy=StrategyId("other"),
        symbol=Symbol("BAC"),
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal(1),
        sent_ns=Nanos(NOON_NS - round(seconds_ago * NANOS_PER_SECOND)),
        is_final=True,
    )
    return structs.replace(made, **changes)


def review(order: OrderIntent, picture: RiskView, limits: RiskLimits | None = None) -> Decision:
    return RiskGate(limits or RiskLimits()).review(order, picture)


def refused_by(decision: Decision) -> set[str]:
    """Controls that said no."""
    return {f"{result.control} {result.name}" for result in decision.refusals}
