"""Pictures of the engine for the outside, and the hash by which two runs are compared. Changes nothing."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import HealingAction, Side, StrategyId, Stream, Symbol
from quant_trading_system.core.views import EngineView, HealingView, PositionView, StrategyView, SymbolDataView
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.risk_view import build_money, build_risk_view


def build_view(desk: Desk) -> EngineView:
    """The whole engine at this moment."""
    equity = desk.equity_usd()
    symbols = desk.config.symbols
    anchor = symbols[0] if symbols else Symbol("")
    risk_view = build_risk_view(desk, anchor, strategy=StrategyId(""), side=Side.BUY)
    gross = risk_view.exposure.gross_usd
    return EngineView(
        mode=desk.config.mode,
        venue_ns=desk.venue_ns,
        seen_ns=desk.seen_ns,
        state=desk.guards.state,
        causes=desk.guards.causes(),
        latches={store.value: latch.value for store, latch in desk.kill.latches().items()},
        session=desk.session(),
        streams_up={stream.value: is_up for stream, is_up in desk.streams_up.items()},
        stream_last_message_age_s={Stream.MARKET_DATA.value: desk.market.feed_age_s(desk.mono_ns)},
        reconciliation_age_s=risk_view.reconciliation_age_s,
        reconciliations=desk.reconciliations,
        drifts=desk.drifts,
        money=build_money(desk),
        cash_usd=desk.ledger.cash_usd,
        gross_exposure_usd=gross,
        exposure_ratio=None if not equity or not gross.is_finite() else (gross / equity).quantize(Decimal("0.000001")),
        positions=_positions(desk),
        open_orders=tuple(order.view() for order in desk.orders.live()),
        unknown_orders=sum(1 for order in desk.orders.live() if order.is_unknown),
        strategies=_strategies(desk),
        limits=desk.gate.usage(risk_view),
        locks={str(symbol): reason for symbol, reason in desk.symbol_locks.items()},
        data=_data(desk),
        limits_version=desk.gate.limits_version,
        is_stopping=desk.is_stopping,
        events_handled=desk.events_handled,
        healing=_healing(desk),
    )


def _positions(desk: Desk) -> tuple[PositionView, ...]:
    views = []
    for symbol, quantity in sorted(desk.ledger.positions().items()):
        mark = desk.mark(symbol)
        books = desk.ledger.books(symbol)
        average = desk.ledger.average_price(symbol)
        views.append(
            PositionView(
                symbol=symbol,
                quantity=quantity,
                average_entry_price=average,
                mark_price=mark,
                market_value_usd=None if mark is None else quantity * mark,
                unrealized_usd=None if mark is None else quantity * (mark - average),
                realized_usd=sum((book.realised_usd for book in books.values()), ZERO),
                broker_quantity=_broker_quantity(desk, symbol),
                mark_age_s=desk.market.symbol_age_s(symbol, desk.mono_ns),
                books=tuple((strategy, book.quantity) for strategy, book in sorted(books.items()) if book.quantity),
            )
        )
    return tuple(views)


def _broker_quantity(desk: Desk, symbol: Symbol) -> Decimal | None:
    """What the last pass showed; None where shares moved since, or nothing was shown yet."""
    if desk.account is None or symbol in desk.moved_symbols:
        return None
    return desk.broker_positions.get(symbol, ZERO)


def _strategies(desk: Desk) -> tuple[StrategyView, ...]:
    views = []
    for config in desk.config.strategies:
        strategy = desk.strategies[config.id]
        realised = unrealised = ZERO
        for symbol in desk.ledger.symbols():
            book = desk.ledger.books(symbol).get(config.id)
            if book is None:
                continue
            realised += book.realised_usd
            mark = desk.mark(symbol)
            if mark is not None:
                unrealised += book.quantity * mark - book.cost_usd
        views.append(
            StrategyView(
                strategy=config.id,
                kind=config.kind,
                is_enabled=config.id not in desk.strategy_locks,
                disabled_reason=desk.strategy_locks.get(config.id, ""),
                symbols=desk.config.symbols,
                warm_symbols=sum(1 for symbol in desk.config.symbols if desk.market.is_warm(symbol)),
                realized_usd=realised,
                unrealized_usd=unrealised,
                last_signal_ns=desk.last_signal_ns.get(config.id),
                parameters=dict(strategy.parameters),
            )
        )
    return tuple(views)


def _healing(desk: Desk) -> tuple[HealingView, ...]:
    budget, mono_ns = desk.healing, desk.mono_ns
    return tuple(
        HealingView(action=action.value, used=budget.used(action, mono_ns), limit=budget.limit(action))
        for action in HealingAction
    )


def _data(desk: Desk) -> tuple[SymbolDataView, ...]:
    held = desk.ledger.positions()
    return tuple(
        SymbolDataView(
            symbol=symbol,
            age_s=desk.market.symbol_age_s(symbol, desk.mono_ns),
            is_traded=symbol in held,
            bars=len(desk.market.bars(symbol)),
        )
        for symbol in desk.market.symbols
    )


def state_hash(desk: Desk) -> str:
    """SHA-256 over books, cash, orders, targets, guards, locks and the last bar of each symbol."""
    books = [
        (symbol, strategy, str(book.quantity), str(book.cost_usd), str(book.realised_usd))
        for symbol in sorted(desk.ledger.symbols())
        for strategy, book in sorted(desk.ledger.books(symbol).items())
    ]
    orders = sorted(
        (order.client_order_id, order.status.name, str(order.filled_quantity)) for order in desk.orders.all_recent()
    )
    targets = [
        (strategy, symbol, str(desk.portfolio.target(strategy, symbol)))
        for strategy in sorted(desk.strategies)
        for symbol in desk.config.symbols
    ]
    bars = [
        (symbol, *((bar.start_ns, bar.close) for bar in list(desk.market.bars(symbol))[-1:]))
        for symbol in desk.market.symbols
    ]
    guards = {key: str(value) for key, value in desk.guards.durable_state().items()}
    locks = (sorted(desk.symbol_locks.items()), sorted(desk.strategy_locks.items()))
    content = msgspec.json.encode(
        (books, str(desk.ledger.cash_usd), orders, targets, sorted(guards.items()), locks, bars, desk.healing.state())
    )
    return hashlib.sha256(content).hexdigest()
