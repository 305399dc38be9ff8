"""Start-up step 6: one violating order per control through the real gate. A control that lets it pass is named.

The orders are made here, judged by the gate with the limits in force, and go nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import structs

from quant_trading_system.core.money import ZERO
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
from quant_trading_system.core.values import Instrument, OrderIntent
from quant_trading_system.core.views import (
    ExposureView,
    MoneyView,
    PriceView,
    RecentOrder,
    RiskView,
    SessionView,
)
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.limits import RiskLimits

SYMBOL = Symbol("SELF")
STRATEGY = StrategyId("selftest")
PRICE = Decimal(100)
EQUITY_USD = Decimal(1_000_000)
NOON_NS = Nanos(1_381_161_600 * NANOS_PER_SECOND)  # 2013-10-07T16:00Z, inside a session
NOW_MONO_NS = MonoNanos(1_000 * NANOS_PER_SECOND)
ENORMOUS = 10**9

Case = tuple[OrderIntent, RiskView]


def controls_that_pass(gate: RiskGate, limits: RiskLimits) -> tuple[int, list[str]]:
    """Try every control once.

    Returns:
        How many controls were tried, and the names of those that did not refuse their violation. A control for which no
        violation is known counts as one that passes: nobody has seen it refuse.
    """
    cases = violations(limits)
    names = [result.name for result in gate.review(calm_intent(), calm_view()).controls]
    passed = [
        name
        for name in names
        if name not in cases or any(_lets_pass(gate, name, *violate()) for violate in cases[name])
    ]
    return len(names), passed


def _lets_pass(gate: RiskGate, name: str, intent: OrderIntent, view: RiskView) -> bool:
    decision = gate.review(intent, view)
    refused = {result.name for result in decision.refusals}
    return decision.approved is not None or name not in refused


def calm_intent() -> OrderIntent:
    """One share at the mid: an order to which no control with default limits objects."""
    return OrderIntent(
        client_order_id=ClientOrderId("selftest-1"),
        strategy=STRATEGY,
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal(1),
        order_type=OrderType.LIMIT,
        limit_price=PRICE,
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        reference_price=PRICE,
        declared_notional_usd=PRICE,
        allocations=(),
        decision_id="selftest",
        decided_ns=NOON_NS,
        decided_mono_ns=NOW_MONO_NS,
        reason="self-test",
    )


def calm_view() -> RiskView:
    """A quiet noon: everything known, fresh, open and far from its limits."""
    return RiskView(
        mode=Mode.LIVE,
        venue_ns=NOON_NS,
        mono_ns=NOW_MONO_NS,
        state=TradingState.ACTIVE,
        causes=(),
        latches=dict.fromkeys(Store, Latch.CLEAR),
        lease_held=True,
        lease_deadline_mono_ns=MonoNanos(NOW_MONO_NS + 30 * NANOS_PER_SECOND),
        reconciliation_age_s=1.0,
        streams_up=dict.fromkeys(Stream, True),
        symbol_lock=None,
        strategy_lock=None,
        session=_calm_session(),
        price=_calm_price(),
        instrument=_calm_instrument(),
        exposure=_calm_exposure(),
        money=_calm_money(),
        recent=(),
        live_opposite_orders=0,
        is_stopping=False,
    )


def _calm_session() -> SessionView:
    hours = 3_600 * NANOS_PER_SECOND
    return SessionView(
        date="2013-10-07",
        is_open_by_calendar=True,
        is_open_by_broker=True,
        open_ns=Nanos(NOON_NS - 2 * hours),
        close_ns=Nanos(NOON_NS + 4 * hours),
        window_start_ns=Nanos(NOON_NS - 2 * hours),
        window_end_ns=Nanos(NOON_NS + 3 * hours),
        next_open_ns=None,
    )


def _calm_price() -> PriceView:
    return PriceView(
        symbol=SYMBOL,
        bid=99.99,
        ask=100.01,
        bid_size=500.0,
        ask_size=500.0,
        quote_age_s=0.1,
        last_trade=100.0,
        trade_age_s=0.1,
        feed_age_s=0.1,
        last_close=100.0,
        vwap_30min=100.0,
        is_halted=False,
    )


def _calm_instrument() -> Instrument:
    return Instrument(
        symbol=SYMBOL,
        asset_id="selftest",
        instrument_class=InstrumentClass.STOCK,
        tradable=True,
        active=True,
        fractionable=False,
        shortable=False,
        average_volume_shares=float(ENORMOUS),
        average_volume_usd=float(ENORMOUS) * 100,
    )


def _calm_exposure() -> ExposureView:
    return ExposureView(
        position=ZERO,
        open_buy=ZERO,
        open_sell=ZERO,
        has_unknown_order=False,
        open_orders_symbol=0,
        open_orders_total=0,
        positions=0,
        symbol_usd=ZERO,
        gross_usd=ZERO,
        net_usd=ZERO,
        reserved_buying_power_usd=ZERO,
    )


def _calm_money() -> MoneyView:
    return MoneyView(
        equity_usd=EQUITY_USD,
        last_equity_usd=EQUITY_USD,
        cash_usd=EQUITY_USD,
        broker_buying_power_usd=EQUITY_USD,
        own_buying_power_usd=EQUITY_USD,
        capital_usd=EQUITY_USD,
        account_age_s=1.0,
        day_pnl_usd=ZERO,
        day_loss_ratio=ZERO,
        drawdown_ratio=ZERO,
        intraday_drawdown_ratio=ZERO,
        equity_floor_usd=EQUITY_USD / 2,
    )


def violations(limits: RiskLimits) -> dict[str, tuple[Callable[[], Case], ...]]:
    """By name of the control: cases it must refuse."""
    stock = limits.classes[InstrumentClass.STOCK]
    order_max = min(stock.order_value_usd, stock.order_value_fraction * EQUITY_USD)
    return {
        "kill_latch": tuple(
            _view_case(latches={**dict.fromkeys(Store, Latch.CLEAR), store: latch})
            for store in Store
            for latch in (Latch.ENGAGED, Latch.MISSING, Latch.UNREADABLE)
        ),
        "trading_state": (_view_case(state=TradingState.HALTED), _view_case(state=TradingState.REDUCING)),
        "lease": (_view_case(lease_held=False), _view_case(lease_deadline_mono_ns=NOW_MONO_NS)),
        "reconciliation": (
            _view_case(reconciliation_age_s=None),
            _view_case(reconciliation_age_s=limits.reconciliation_age_seconds_max + 1),
            _view_case(streams_up={**dict.fromkeys(Stream, True), Stream.TRADE_UPDATES: False}),
        ),
        "session": (
            _session_case(is_open_by_broker=False),
            _session_case(is_open_by_calendar=False),
            _session_case(window_end_ns=NOON_NS),
        ),
        "instrument": (_view_case(instrument=None), _instrument_case(tradable=False), _instrument_case(active=False)),
        "symbol_lock": (_view_case(symbol_lock="drift"), _exposure_case(has_unknown_order=True)),
        "strategy_lock": (_view_case(strategy_lock="off"),),
        "long_only": (_intent_case(side=Side.SELL),),
        "order_type": (_intent_case(order_type=OrderType.MARKET, limit_price=None),),
        "time_in_force": (_intent_case(time_in_force=TimeInForce.GTC),),
        "order_value": (_sized_case(order_max / PRICE * 2 + 1),),
        "order_quantity": (_sized_case(Decimal(limits.order_quantity_shares_max + 1)),),
        "units": (_intent_case(declared_notional_usd=PRICE * 2),),
        "price_collar": (_intent_case(limit_price=PRICE * 2),),
        "price_band": (_price_case(vwap_30min=50.0, last_close=50.0),),
        "market_data": (
            _view_case(price=None),
            _price_case(bid=None, ask=None),
            _price_case(quote_age_s=limits.standing_quote_age_seconds_max + 1),
        ),
        "increments": (_intent_case(limit_price=PRICE + Decimal("0.001")),),
        "duplicate": (_view_case(recent=(_recent(0, quantity=Decimal(1), is_final=False),)),),
        "self_cross": (_view_case(live_opposite_orders=1),),
        "position_size": (_exposure_case(position=Decimal(ENORMOUS)),),
        "exposure": (_exposure_case(gross_usd=EQUITY_USD * 10, net_usd=EQUITY_USD * 10),),
        "buying_power": (_money_case(own_buying_power_usd=ZERO), _money_case(broker_buying_power_usd=ZERO)),
        "open_orders": (_exposure_case(open_orders_total=ENORMOUS), _exposure_case(open_orders_symbol=ENORMOUS)),
        "order_rate": (
            _view_case(recent=tuple(_recent(number) for number in range(limits.orders_per_minute_max + 1))),
        ),
        "turnover": (_view_case(recent=(_recent(0, quantity=EQUITY_USD),)),),
        "daily_loss": (
            _money_case(day_loss_ratio=Decimal(1), day_pnl_usd=-EQUITY_USD),
            _money_case(day_loss_ratio=None),
        ),
        "drawdown": (_money_case(drawdown_ratio=Decimal(1)), _money_case(intraday_drawdown_ratio=Decimal(1))),
        "equity_floor": (_money_case(equity_usd=EQUITY_USD / 4), _money_case(equity_usd=None)),
        "positions": (_exposure_case(positions=ENORMOUS),),
        "exit_cooldown": (_view_case(recent=(_recent(0, side=Side.SELL),)),),
    }


def _view_case(**changes: object) -> Callable[[], Case]:
    return lambda: (calm_intent(), structs.replace(calm_view(), **changes))


def _intent_case(**changes: object) -> Callable[[], Case]:
    return lambda: (structs.replace(calm_intent(), **changes), calm_view())


def _sized_case(quantity: Decimal) -> Callable[[], Case]:
    whole = quantity.to_integral_value()
    return _intent_case(quantity=whole, declared_notional_usd=whole * PRICE)


def _session_case(**changes: object) -> Callable[[], Case]:
    return _view_case(session=structs.replace(_calm_session(), **changes))


def _price_case(**changes: object) -> Callable[[], Case]:
    return _view_case(price=structs.replace(_calm_price(), **changes))


def _instrument_case(**changes: object) -> Callable[[], Case]:
    return _view_case(instrument=structs.replace(_calm_instrument(), **changes))


def _exposure_case(**changes: object) -> Callable[[], Case]:
    return _view_case(exposure=structs.replace(_calm_exposure(), **changes))


def _money_case(**changes: object) -> Callable[[], Case]:
    return _view_case(money=structs.replace(_calm_money(), **changes))


def _recent(
    number: int, *, side: Side = Side.BUY, quantity: Decimal = Decimal(1), is_final: bool = True
) -> RecentOrder:
    return RecentOrder(
        client_order_id=ClientOrderId(f"selftest-recent-{number}"),
        strategy=STRATEGY,
        symbol=SYMBOL,
        side=side,
        quantity=quantity,
        price=PRICE,
        sent_ns=Nanos(NOON_NS - NANOS_PER_SECOND // 2),  # inside the shortest window that can be set
        is_final=is_final,
    )
