"""Mean reversion: a close far from its mean comes back. Decides when to enter, and when it is back.

Definitions: strategies.md 2.1. z is the close's distance from the mean of the window, itself included, in population
deviations. Beyond `entry` against the move, within `exit` of the mean out.
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
    "window": whole(20, 5, 1_000, "bars of mean and deviation"),
    "entry": real(2.0, 0.5, 6.0, "deviations from the mean at which to enter"),
    "exit": real(0.5, 0.0, 3.0, "deviations within which a holding is closed"),
    "cooldown_bars": whole(5, 0, 1_000, "bars of silence after a signal"),
}
CONFIDENCE_MAX = 0.9


class MeanReversion:
    """Bollinger bands of 20 bars and two deviations, by default."""

    kind = "mean_reversion"
    protective_stop_fraction: Decimal | None = None

    def __init__(self, *, id: StrategyId, parameters: Mapping[str, object], is_short_allowed: bool) -> None:
        values = read_parameters(parameters, PARAMETERS, of=f"strategy {id}")
        if values["exit"] >= values["entry"]:
            raise ValueError(
                f"strategy {id}: exit: expected less than entry, {values['entry']:g}, found {values['exit']:g}"
            )
        window = int(values["window"])
        self.id = id
        self.parameters = describe(values, PARAMETERS)
        self.indicators = (f"zscore_{window}", f"bb_mean_{window}", f"bb_std_{window}")
        self.bars_needed = window
        self._entry = values["entry"]
        self._exit = values["exit"]
        self._is_short_allowed = is_short_allowed
        self._cooldown = Cooldown(int(values["cooldown_bars"]))

    def on_bar(self, bar: Bar, values: Mapping[str, float], holding: Decimal) -> Signal | None:
        """LONG far below the mean, SHORT far above, EXIT of a holding near it. A flat window says nothing."""
        if self._cooldown.is_silent(bar.symbol):
            return None
        z, mean, deviation = (values.get(name) for name in self.indicators)
        if z is None or mean is None or deviation is None:
            return None
        verdict = self._judge(z, holding)
        if verdict is None:
            return None
        direction, strength, confidence = verdict
        signal = make_signal(
            bar,
            strategy=self.id,
            direction=direction,
            strength=strength,
            confidence=confidence,
            reason=f"close {bar.close:.4f} is {z:+.2f} deviations from mean {mean:.4f}",
            inputs={
                "z": z,
                "mean": mean,
                "deviation": deviation,
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

    def _judge(self, z: float, holding: Decimal) -> tuple[Direction, float, float] | None:
        size = abs(z)
        if size > self._entry:
            direction = Direction.LONG if z < 0.0 else Direction.SHORT
            return direction, min(1.0, size / 3.0), min(CONFIDENCE_MAX, 0.5 + size / 10.0)
        # Without a holding there is nothing to close, and a signal would only begin a silence that hides an entry.
        if size < self._exit and holding:
            return Direction.EXIT, 1.0, CONFIDENCE_MAX
        return None
