"""What shapes the server around an exchange: who may ask, how often, and which date's manners it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from quant_trading_system.simulator.server.auth import Credentials
from quant_trading_system.simulator.server.data_plan import DataPlan
from quant_trading_system.simulator.server.data_stream import DEFAULT_LIMITS, LOGIN_SECONDS_MAX
from quant_trading_system.simulator.server.outbox import Limits
from quant_trading_system.simulator.server.profiles import Profile

__all__ = ["Profile", "ServerSettings", "TradeFrames", "is_data_path"]

REQUESTS_PER_MINUTE_DEFAULT = 200  # Alpaca's limit for an account
DATA_PREFIXES = ("/v2/stocks/", "/v1beta3/", "/v1/corporate-actions", "/v1beta1/")
SPEED_DEFAULT = 60.0
SPEED_MAX = 100_000.0


class TradeFrames(StrEnum):
    """How trade_updates frames leave: paper hosts send JSON in binary frames, live ones in text (reference 7.1)."""

    BINARY = "binary"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The listener's side of an exchange; the world behind it is shaped elsewhere."""

    credentials: Credentials = field(default_factory=lambda: Credentials(key_id="PKSIM", secret_key="sim"))  # noqa: S106
    requests_per_minute: int = REQUESTS_PER_MINUTE_DEFAULT
    has_rate_limit_headers: bool = True  # both were seen (reference 1.4)
    profile: Profile = Profile.CURRENT
    trade_frames: TradeFrames = TradeFrames.BINARY
    stream_symbols_max: int = 0
    stream_limits: Limits = DEFAULT_LIMITS
    login_seconds_max: float = LOGIN_SECONDS_MAX
    data_plan: DataPlan = field(default_factory=DataPlan)


def is_data_path(path: str) -> bool:
    """Whether a path belongs to the market-data interface, which has a budget and a form of errors of its own."""
    return path.startswith(DATA_PREFIXES)
