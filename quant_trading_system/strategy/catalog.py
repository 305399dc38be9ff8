"""Decides which kinds of strategies there are, and makes them from their settings."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from quant_trading_system.core.types import StrategyId
from quant_trading_system.strategy import mean_reversion, momentum
from quant_trading_system.strategy.base import Strategy
from quant_trading_system.strategy.parameters import Parameter

_CLASSES: Mapping[str, type[momentum.Momentum] | type[mean_reversion.MeanReversion]] = MappingProxyType(
    {each.kind: each for each in (momentum.Momentum, mean_reversion.MeanReversion)}
)
KINDS = tuple(_CLASSES)
PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {"momentum": momentum.PARAMETERS, "mean_reversion": mean_reversion.PARAMETERS}
)
"""What each kind takes, for settings, documents and messages."""


def build(kind: str, *, id: StrategyId, parameters: Mapping[str, object], is_short_allowed: bool) -> Strategy:
    """A strategy ready for its first bar.

    Raises:
        ValueError: an unknown kind or parameter, or a value out of bounds; the message names it.
    """
    if kind not in _CLASSES:
        close = get_close_matches(kind, KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(KINDS)}"
        raise ValueError(f"strategy {id}: unknown kind {kind!r}{hint}")
    return _CLASSES[kind](id=id, parameters=parameters, is_short_allowed=is_short_allowed)
