"""Momentum: a fast mean above a slow one is worth holding, unless the market has run too far. Decides direction.

Definitions: strategies.md 2.1. Fast mean F, slow mean S, d = |F - S| / S, R = RSI on plain means (Cutler). F equal to S
says nothing. A strength near zero is possible there; `strength_min` keeps crossings that mean nothing from trading.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from quant_trading_system.core.types import Direction, StrategyId, Symbol
from quant_trading_system.core.values import Bar, Signal
from quant_trading_system.strategy.base import Cooldown, make_signal
from quant_trading_system.strategy.parameters import describe, read_parameters, real, whole

PARAMETERS: Final = {
    "fast": whole(10, 2, 500, "bars of the fast mean"),
    "slow": whole(30, 3, 1_000, "bars of the slow mean"),
    "rsi": whole(14, 2, 500, "bars of the RSI"),
    "oversold": real(30.0, 1.0, 50.0, "RSI below which a rising market is cheap"),
    "overbought": real(70.0, 50.0, 99.0, "RSI above which a falling market is dear"),
    "strength_min": real(0.001, 0.0, 1.0, "strength below which a signal is not given; ten times the means' distance"),
    "cooldown_bars": whole(5, 0, 1_000, "bars of silence after a signal"),
}


class Momentum:
    """Means of 10 and 30 bars with RSI 14, by default."""

    kind = "momentum"
    protective_stop_fraction: Decimal | None = None

    def __init__(self, *, id: StrategyId, parameters: Mapping[str, object], is_short_allowed: bool) -> None:
        values = read_parameters(parameters, PARAMETERS, of=f"strategy {id}")
        fast, slow, rsi = int(values["fast"]), int(values["slow"]), int(values["rsi"])
        if fast >= slow:
            raise ValueError(f"strategy {id}: fast: expected fewer bars than slow, {slow}, found {fast}")
        self.id = id
        self.parameters = describe(values, PARAMETERS)
        self.indicators = (f"sma_{fast}", f"sma_{slow}", f"rsi_cutler_{rsi}")
        self.bars_needed = max(slow, rsi + 1)
        self._oversold = values["oversold"]
        self._overbought = values["overbought"]
        self._strength_min = values["strength_min"]
        self._is_short_allowed = is_short_allowed
        self._cooldown = Cooldown(int(values["cooldown_bars"]))

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        """LONG in a rising market, SHORT in a falling one; the holding does not matter."""
        if self._cooldown.is_silent(bar.symbol):
            return None
        fast, slow, rsi = (values.get(name) for name in self.indicators)
        if fast is None or slow is None or rsi is None:
            return None
        distance = abs((fast - slow) / slow)
        verdict = self._judge(fast, slow, rsi, distance)
        if verdict is None:
            return None
        direction, strength, confidence = verdict
        if strength < self._strength_min:
            return None
        signal = make_signal(
            bar,
            strategy=self.id,
            direction=direction,
            strength=strength,
            confidence=confidence,
            reason=f"fast mean {fast:.4f} {'above' if fast > slow else 'below'} slow {slow:.4f}, RSI {rsi:.1f}",
            inputs={
                "fast": fast,
                "slow": slow,
                "rsi": rsi,
                "distance": distance,
                "strength": strength,
                "confidence": confidence,
                "close": bar.close,
            },
            is_short_allowed=self._is_short_allowed,
        )
        if signal is not None:
            self._cooldown.begin(bar.symbol)
        return signal

    def on_stopped_out(self, symbol: Symbol) -> None:
        """Silent for as long as after a signal of its own."""
        self._cooldown.begin(symbol)

    def _judge(self, fast: float, slow: float, rsi: float, distance: float) -> tuple[Direction, float, float] | None:
        """Direction, strength and confidence by the table of strategies.md 2.1."""
        if fast > slow and rsi < self._overbought:
            if rsi < self._oversold:
                return Direction.LONG, min(1.0, 10.0 * distance + (self._oversold - rsi) / 50.0), 0.8
            return Direction.LONG, min(0.8, 10.0 * distance), 0.6
        if fast < slow and rsi > self._oversold:
            if rsi > self._overbought:
                return Direction.SHORT, min(1.0, 10.0 * distance + (rsi - self._overbought) / 50.0), 0.8
            return Direction.SHORT, min(0.8, 10.0 * distance), 0.6
        return None
