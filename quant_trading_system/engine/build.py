"""Composes the engine from its configuration: the same stages for backtest, sim, paper and live."""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.engine.config import EngineConfig
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.engine import Engine
from quant_trading_system.engine.trading import VOLATILITY
from quant_trading_system.ledger.books import Ledger
from quant_trading_system.market.state import Market
from quant_trading_system.orders.manager import OrderManager, OrderSettings
from quant_trading_system.portfolio.portfolio import Portfolio
from quant_trading_system.portfolio.sizing import SizingMethod
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.guards import Guards
from quant_trading_system.strategy.base import Strategy
from quant_trading_system.strategy.catalog import build


def build_engine(
    config: EngineConfig,
    *,
    next_sequence: int = 1,
    observe: Callable[[Strategy], Strategy] = lambda strategy: strategy,
    order_settings: OrderSettings | None = None,
) -> Engine:
    """An engine that has seen nothing yet.

    Args:
        next_sequence: of the first client order id.
        observe: may wrap each strategy to measure it; what it says must stay the same.
        order_settings: limits of the order manager; by default those of production.
    """
    strategies = {
        each.id: observe(
            build(each.kind, id=each.id, parameters=each.parameters, is_short_allowed=config.limits.is_short_allowed)
        )
        for each in config.strategies
    }
    indicators = {VOLATILITY, *(name for strategy in strategies.values() for name in strategy.indicators)}
    desk = Desk(
        config,
        calendar=SessionCalendar(),
        market=Market(
            symbols=config.symbols,
            reference_symbol=config.reference_symbol,
            indicators=sorted(indicators),
            bar_seconds=config.bar_seconds,
        ),
        strategies=strategies,
        portfolio=Portfolio(
            weights={each.id: each.weight for each in config.strategies},
            sizing={each.id: SizingMethod(each.sizing) for each in config.strategies},
            drift_band_fraction=config.drift_band_fraction,
        ),
        gate=RiskGate(config.limits),
        guards=Guards(config.limits),
        orders=OrderManager(
            account=config.account, instance=config.instance, next_sequence=next_sequence, settings=order_settings
        ),
        ledger=Ledger(),
        protective_stops={
            each.id: fraction
            for each in config.strategies
            if (fraction := each.protective_stop_fraction or strategies[each.id].protective_stop_fraction) is not None
        },
    )
    return Engine(desk)
