"""A strategy that says what a test tells it to, at the next closed bar. It is asked like any other."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from quant_trading_system.core.types import Direction, StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal
from quant_trading_system.strategy.base import make_signal


class ScriptedStrategy:
    """Implements `strategy.base.Strategy` over wishes, one a symbol; silent where it was told nothing."""

    kind = "scripted"
    indicators: tuple[str, ...] = ()
    bars_needed = 0
    protective_stop_fraction: Decimal | None = None

    def __init__(self, id: StrategyId, *, is_short_allowed: bool = False) -> None:
        self.id = id
        self.parameters: Mapping[str, str] = {}
        self.bars: list[Bar] = []
        self.holdings: list[Decimal] = []
        self.stopped_out: list[Symbol] = []
        self.error: Exception | None = None
        self._is_short_allowed = is_short_allowed
        self._wishes: dict[Symbol, Direction] = {}

    def wish(self, symbol: Symbol, direction: Direction) -> None:
        """Say it at the next bar of the symbol, once."""
        self._wishes[symbol] = direction

    def on_stopped_out(self, symbol: Symbol) -> None:
        self.stopped_out.append(symbol)

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        del values
        self.bars.append(bar)
        self.holdings.append(holding)
        if self.error is not None:
            raise self.error
        direction = self._wishes.pop(bar.symbol, None)
        if direction is None:
            return None
        return make_signal(
            bar,
            strategy=self.id,
            direction=direction,
            strength=1.0,
            confidence=0.9,
            reason=f"the script says {direction}",
            inputs={"close": bar.close},
            is_short_allowed=self._is_short_allowed,
        )
