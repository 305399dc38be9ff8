"""Builds what the gate may look at for one intent: worst-case exposure, both buying powers. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import ClientOrderId, Side, StrategyId, Symbol
from quant_trading_system.core.views import ExposureView, MoneyView, RiskView
from quant_trading_system.engine.desk import Desk, reserved_price, signed_range


def build_risk_view(
    desk: Desk, symbol: Symbol, *, strategy: StrategyId, side: Side, without: Collection[ClientOrderId] = ()
) -> RiskView:
    """Picture for the gate, in which the orders `without` do not exist: the one judged again, stops that will go."""
    return RiskView(
        mode=desk.config.mode,
        venue_ns=desk.venue_ns,
        mono_ns=desk.mono_ns,
        state=desk.guards.state,
        causes=tuple((cause.cause, cause.detail) for cause in desk.guards.causes()),
        latches=desk.kill.latches(),
        lease_held=desk.lease_held,
        lease_deadline_mono_ns=desk.lease_deadline_mono_ns,
        reconciliation_age_s=None if desk.good_pass_mono_ns is None else desk.age_s(desk.good_pass_mono_ns),
        streams_up=dict(desk.streams_up),
        symbol_lock=desk.symbol_locks.get(symbol),
        strategy_lock=desk.strategy_locks.get(strategy),
        session=desk.session(),
        price=desk.market.price(symbol, desk.mono_ns),
        instrument=desk.instruments.get(symbol),
        exposure=build_exposure(desk, symbol, without=without),
        money=build_money(desk, without=without),
        recent=tuple(order for order in desk.orders.recent(desk.venue_ns) if order.client_order_id not in without),
        live_opposite_orders=sum(
            1
            for order in desk.orders.live(symbol)
            if order.side is side.opposite and order.client_order_id not in without
        ),
        is_stopping=desk.is_stopping,
    )


def build_exposure(desk: Desk, symbol: Symbol, *, without: Collection[ClientOrderId] = ()) -> ExposureView:
    """Positions plus every live order taken in the bad direction (invariant I5).

    A symbol without any mark counts with the price of its orders; a held symbol without mark makes the total infinite,
    which refuses every order that adds risk. An entry with its legs counts as one open order (P23).
    """
    buys: dict[Symbol, Decimal] = {}
    sells: dict[Symbol, Decimal] = {}
    prices: dict[Symbol, Decimal] = {}
    per_symbol = 0
    total = 0
    has_unknown = False
    reserved_usd = ZERO
    for order in desk.orders.live():
        if order.client_order_id in without:
            continue
        total += not order.is_dormant
        per_symbol += order.symbol == symbol and not order.is_dormant
        has_unknown = has_unknown or (order.symbol == symbol and order.is_unknown)
        price = reserved_price(order.limit_price, order.reference_price)
        for claimed, side, quantity in order.claims():
            side_sums = buys if side is Side.BUY else sells
            side_sums[claimed] = side_sums.get(claimed, ZERO) + quantity
            prices[claimed] = max(prices.get(claimed, ZERO), price)
            reserved_usd += quantity * price if side is Side.BUY else ZERO
    positions = desk.ledger.positions()
    gross = net = symbol_usd = ZERO
    for held in sorted(set(positions) | set(buys) | set(sells)):
        position = positions.get(held, ZERO)
        price_now = desk.mark(held) or prices.get(held) or Decimal("Infinity")
        worst = signed_range(position, buys.get(held, ZERO), sells.get(held, ZERO))
        worst_usd = worst * price_now if worst else ZERO
        gross += worst_usd
        if worst_usd.is_finite():  # infinities of two signs have no sum
            net += worst_usd if position + buys.get(held, ZERO) >= 0 else -worst_usd
        if held == symbol:
            symbol_usd = worst_usd
    return ExposureView(
        position=positions.get(symbol, ZERO),
        open_buy=buys.get(symbol, ZERO),
        open_sell=sells.get(symbol, ZERO),
        has_unknown_order=has_unknown,
        open_orders_symbol=per_symbol,
        open_orders_total=total,
        positions=len({held for held, quantity in positions.items() if quantity} | set(buys)),
        symbol_usd=symbol_usd,
        gross_usd=gross,
        net_usd=net if gross.is_finite() else gross,
        reserved_buying_power_usd=reserved_usd,
    )


def build_money(desk: Desk, *, without: Collection[ClientOrderId] = ()) -> MoneyView:
    """Both buying powers in USD: the broker's less what was sent since, and our own: cash that is not reserved."""
    reserved = newer = ZERO
    for order in desk.orders.live():
        bought = sum((quantity for _, side, quantity in order.claims() if side is Side.BUY), ZERO)
        if not bought or order.client_order_id in without:
            continue
        cost = bought * reserved_price(order.limit_price, order.reference_price)
        reserved += cost
        if desk.account_mono_ns is None or order.created_mono_ns >= desk.account_mono_ns:
            newer += cost
    account = desk.account
    cash = desk.ledger.cash_usd
    guards = desk.guards
    return MoneyView(
        equity_usd=desk.equity_usd(),
        last_equity_usd=None if account is None else account.last_equity_usd,
        cash_usd=cash,
        broker_buying_power_usd=None if account is None else account.buying_power_usd - newer,
        own_buying_power_usd=None if cash is None else cash - reserved,
        capital_usd=desk.capital_usd(),
        account_age_s=None if desk.account_mono_ns is None else desk.age_s(desk.account_mono_ns),
        day_pnl_usd=guards.day_pnl_usd,
        day_loss_ratio=guards.day_loss_ratio,
        drawdown_ratio=guards.drawdown_ratio,
        intraday_drawdown_ratio=guards.intraday_drawdown_ratio,
        equity_floor_usd=guards.equity_floor_usd,
    )
