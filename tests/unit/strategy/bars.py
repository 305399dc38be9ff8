"""Runs a strategy over closes the way the engine does: market first, then the strategy, bar by bar."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.events import HistorySeen
from quant_trading_system.core.types import MonoNanos, Nanos, StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal
from quant_trading_system.market.state import Market
from quant_trading_system.strategy.base import Strategy
from quant_trading_system.strategy.catalog import build

IBM = Symbol("IBM")
MINUTE_NS = 60 * 10**9


def make(kind: str, *, shorts: bool = False, **parameters: object) -> Strategy:
    return build(kind, id=StrategyId(kind), parameters=parameters, is_short_allowed=shorts)


def bar_of(index: int, close: float, *, symbol: Symbol = IBM) -> Bar:
    return Bar(symbol, Nanos(index * MINUTE_NS), close, close, close, close, 1_000.0, 10)


def judge(strategy: Strategy, closes: Sequence[float], *, holding: Decimal = Decimal(0)) -> Signal | None:
    """What the strategy says of the last close, having been asked about no other."""
    return play(strategy, closes, ask_from=len(closes) - 1, holding=holding)[-1]


def play(
    strategy: Strategy, closes: Sequence[float], *, ask_from: int = 0, holding: Decimal = Decimal(0)
) -> list[Signal | None]:
    """What the strategy says at every close from `ask_from` on."""
    market = Market(symbols=[IBM], reference_symbol=None, indicators=strategy.indicators)
    said = []
    for index, close in enumerate(closes):
        bar = bar_of(index, close)
        market.on_history(
            HistorySeen(venue_ns=Nanos(0), seen_ns=Nanos(0), mono_ns=MonoNanos(0), symbol=IBM, bars=(bar,))
        )
        if index >= ask_from:
            said.append(strategy.on_bar(bar, market.values(IBM), holding))
    return said
