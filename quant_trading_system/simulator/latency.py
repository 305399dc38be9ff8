"""How long each step of an order takes. Decides it by the seed, the step and the order alone."""

from __future__ import annotations

import math

from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.instants import NANOS_PER_MS
from quant_trading_system.simulator.schedule import Action
from quant_trading_system.simulator.settings import Hop, LatencySettings


class Latency:
    """Delays in venue time. The same order's same step takes as long in every run, and after a restart."""

    def __init__(self, settings: LatencySettings, chance: Chance) -> None:
        self._chance = chance
        self._hops = {
            Action.ACKNOWLEDGE: settings.acknowledge,
            Action.MATCH: settings.fill,
            Action.CANCEL: settings.cancel,
            Action.REPLACE: settings.replace,
        }

    def delay_ns(self, action: Action, order_sequence: int) -> int:
        hop = self._hops[action]
        drawn_ms = self._draw_ms(hop, action.value, order_sequence)
        return round(min(max(drawn_ms, hop.min_ms), hop.max_ms) * NANOS_PER_MS)

    def _draw_ms(self, hop: Hop, purpose: str, number: int) -> float:
        if hop.log_deviation is None:
            return self._chance.exponential(purpose, number, mean=hop.mean_ms)
        spread = hop.log_deviation * self._chance.normal(purpose, number)
        return hop.mean_ms * math.exp(spread - hop.log_deviation**2 / 2)  # minus half the variance: keeps the mean
