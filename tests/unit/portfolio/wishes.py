"""Builders for sizing and plans. Every field has a default, so that what a test writes is what matters."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from quant_trading_system.core.types import Direction, Nanos, StrategyId, Symbol
from quant_trading_system.core.values import Signal
from quant_trading_system.core.views import PriceView
from quant_trading_system.portfolio.portfolio import Plan, Portfolio
from quant_trading_system.portfolio.sizing import SizingContext, SizingMethod

IBM = Symbol("IBM")
MOMENTUM = StrategyId("momentum")
REVERSION = StrategyId("reversion")
THIRD = StrategyId("third")


def signal(direction: Direction = Direction.LONG, *, strategy: StrategyId = MOMENTUM) -> Signal:
    return Signal(
        strategy=strategy,
        symbol=IBM,
        direction=direction,
        strength=0.5,
        confidence=0.8,
        reason="a test",
        bar_start_ns=Nanos(0),
        close=100.0,
        inputs={},
    )


def context(**fields) -> SizingContext:
    values = {
        "equity_usd": Decimal(50_000),
        "capital_usd": Decimal(50_000),
        "price": Decimal(100),
        "volatility": 0.30,
        "buying_power_usd": Decimal(100_000),
        "order_value_max_usd": Decimal(5_000),
        "position_value_max_usd": Decimal(4_750),
        "is_fractionable": False,
    }
    return SizingContext(**{**values, **fields})


def price(bid: float | None = 99.99, ask: float | None = 100.01, **fields) -> PriceView:
    values = {
        "symbol": IBM,
        "bid": bid,
        "ask": ask,
        "bid_size": 100.0,
        "ask_size": 100.0,
        "quote_age_s": 0.1,
        "last_trade": 100.0,
        "trade_age_s": 0.1,
        "feed_age_s": 0.0,
        "last_close": 99.0,
        "vwap_30min": 100.0,
        "is_halted": False,
    }
    return PriceView(**{**values, **fields})


def portfolio(*, band: str = "0.01", strategies: tuple[StrategyId, ...] = (MOMENTUM, REVERSION, THIRD)) -> Portfolio:
    return Portfolio(
        weights=dict.fromkeys(strategies, Decimal("0.333")),
        sizing=dict.fromkeys(strategies, SizingMethod.VOLATILITY_TARGET),
        drift_band_fraction=Decimal(band),
    )


def plan(
    book: Portfolio,
    books: Mapping[StrategyId, int | str | Decimal],
    *,
    seen: PriceView | None = None,
    equity: int = 100_000,
    order_max: int = 1_000_000,
    is_fractionable: bool = False,
) -> Plan:
    return book.plan(
        IBM,
        books={strategy: Decimal(held) for strategy, held in books.items()},
        price=price() if seen is None else seen,
        equity_usd=Decimal(equity),
        order_value_max_usd=Decimal(order_max),
        is_fractionable=is_fractionable,
    )
