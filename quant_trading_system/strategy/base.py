"""What a strategy is: named inputs in, at most one signal a bar out. Decides how often a strategy may speak."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from quant_trading_system.core.types import Direction, StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal

CONFIDENCE_MIN = 0.6
"""A signal below it is not given (strategies.md 2.1)."""

ASKED_DIRECTION = "asked_direction"
"""Input that keeps what the rule said where shorts are off: -1 for SHORT."""


class Strategy(Protocol):
    """One strategy with its parameters. Deterministic: equal bars, values and holdings give equal signals.

    `indicators` are the names it wants values of; `bars_needed` closed bars must exist before it can say anything.
    """

    @property
    def id(self) -> StrategyId: ...

    @property
    def kind(self) -> str: ...

    @property
    def indicators(self) -> tuple[str, ...]: ...

    @property
    def bars_needed(self) -> int: ...

    @property
    def parameters(self) -> Mapping[str, str]: ...

    @property
    def protective_stop_fraction(self) -> Decimal | None:
        """Loss, as a fraction of what was paid, at which the broker sells its shares; the setting goes before it."""
        ...

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        """Judge one closed bar of one symbol. `values` are of that bar; `holding` is the strategy's signed shares."""
        ...

    def on_stopped_out(self, symbol: Symbol) -> None:
        """Its protective stop traded what it held of `symbol`."""
        ...


class Cooldown:
    """After a signal a symbol is silent until `bars` further bars have arrived. Counted in bars, so a replay agrees."""

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._left: dict[Symbol, int] = {}

    def is_silent(self, symbol: Symbol) -> bool:
        """Count one bar of `symbol`; say whether it must still be silent. Call exactly once a bar."""
        left = self._left.get(symbol, 0)
        if left > 1:
            self._left[symbol] = left - 1
            return True
        self._left.pop(symbol, None)
        return False

    def begin(self, symbol: Symbol) -> None:
        if self._bars:
            self._left[symbol] = self._bars

    @property
    def left(self) -> Mapping[Symbol, int]:
        """Bars each silent symbol still has to wait for."""
        return dict(self._left)


def make_signal(
    bar: Bar,
    *,
    strategy: StrategyId,
    direction: Direction,
    strength: float,
    confidence: float,
    reason: str,
    inputs: dict[str, float],
    is_short_allowed: bool,
) -> Signal | None:
    """A signal with its inputs, or None below the confidence asked of every signal. Without shorts SHORT means flat."""
    if confidence < CONFIDENCE_MIN:
        return None
    if direction is Direction.SHORT and not is_short_allowed:
        direction = Direction.EXIT
        reason = f"SHORT, taken as flat because shorts are off: {reason}"
        inputs = {**inputs, ASKED_DIRECTION: -1.0}
    return Signal(
        strategy=strategy,
        symbol=bar.symbol,
        direction=direction,
        strength=strength,
        confidence=confidence,
        reason=reason,
        bar_start_ns=bar.start_ns,
        close=bar.close,
        inputs=inputs,
    )
