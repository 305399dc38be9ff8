"""Measures how long a strategy thinks, and passes on what it says. Changes nothing: the engine reads no clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal

from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal
from quant_trading_system.strategy.base import Strategy


class TimedStrategy:
    """A strategy whose evaluations are timed; `on_signal` hears of every signal and the seconds it took."""

    def __init__(
        self,
        strategy: Strategy,
        on_evaluated: Callable[[str, float], None],
        on_signal: Callable[[Signal, float], None] = lambda _signal, _seconds: None,
    ) -> None:
        self._strategy = strategy
        self._on_evaluated = on_evaluated
        self._on_signal = on_signal

    @property
    def id(self) -> StrategyId:
        return self._strategy.id

    @property
    def kind(self) -> str:
        return self._strategy.kind

    @property
    def indicators(self) -> tuple[str, ...]:
        return self._strategy.indicators

    @property
    def bars_needed(self) -> int:
        return self._strategy.bars_needed

    @property
    def parameters(self) -> Mapping[str, str]:
        return self._strategy.parameters

    @property
    def protective_stop_fraction(self) -> Decimal | None:
        return self._strategy.protective_stop_fraction

    def on_stopped_out(self, symbol: Symbol) -> None:
        self._strategy.on_stopped_out(symbol)

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        started_s = time.perf_counter()
        try:
            signal = self._strategy.on_bar(bar, values, holding)
        finally:
            seconds = time.perf_counter() - started_s
            self._on_evaluated(self._strategy.id, seconds)
        if signal is not None:
            self._on_signal(signal, seconds)
        return signal
