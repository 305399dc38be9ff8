"""Settings: read from every source, checked all at once, never half applied."""

from __future__ import annotations

from quant_trading_system.app.settings.keys import BrokerKeys
from quant_trading_system.app.settings.load import Loaded, load, show, state_directory
from quant_trading_system.app.settings.messages import origin_of
from quant_trading_system.app.settings.root import Settings, to_limits, to_strategies

__all__ = [
    "BrokerKeys",
    "Loaded",
    "Settings",
    "load",
    "origin_of",
    "show",
    "state_directory",
    "to_limits",
    "to_strategies",
]
