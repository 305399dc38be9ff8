"""What shapes the server around an exchange: who may ask, how often, and which date's manners it has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from quant_trading_system.simulator.rulebook import Rulebook
from quant_trading_system.simulator.server.auth import Credentials
from quant_trading_system.simulator.server.data_plan import DataPlan
from quant_trading_system.simulator.server.data_stream import DEFAULT_LIMITS, LOGIN_SECONDS_MAX, DataStreamRules
from quant_trading_system.simulator.server.outbox import Limits
from quant_trading_system.simulator.server.profiles import Profile
from quant_trading_system.simulator.server.trade_stream import CONNECTIONS_MAX, TradeStreamRules

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
    has_old_login_notice: bool = True
    trade_connections_max: int = CONNECTIONS_MAX
    frees_client_ids: bool = False  # those of orders that are final may be used again
    stream_symbols_max: int = 0
    stream_limits: Limits = DEFAULT_LIMITS
    stream_reap_seconds: float = 0.0
    stream_deflate: bool = True
    login_seconds_max: float = LOGIN_SECONDS_MAX
    data_plan: DataPlan = field(default_factory=DataPlan)

    def trade_stream_rules(self) -> TradeStreamRules:
        return TradeStreamRules(
            connections_max=self.trade_connections_max,
            reap_seconds=self.stream_reap_seconds,
            is_text=self.trade_frames is TradeFrames.TEXT,
            has_notice=self.has_old_login_notice and self.profile is not Profile.LEGACY_2021,
            may_deflate=self.stream_deflate,
        )

    def data_stream_rules(self) -> DataStreamRules:
        return DataStreamRules(
            symbols_max=self.stream_symbols_max,
            limits=self.stream_limits,
            login_seconds_max=self.login_seconds_max,
            reap_seconds=self.stream_reap_seconds,
            may_deflate=self.stream_deflate,
        )

    @property
    def rulebook(self) -> Rulebook:
        return replace(self.profile.rulebook, frees_client_ids=self.frees_client_ids)


def is_data_path(path: str) -> bool:
    """Whether a path belongs to the market-data interface, which has a budget and a form of errors of its own."""
    return path.startswith(DATA_PREFIXES)
