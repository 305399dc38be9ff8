"""What the engine is built from. Values only: the shell reads settings and files, the engine is given these."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.types import Mode, StrategyId, Symbol
from quant_trading_system.risk.healing import HealingLimits
from quant_trading_system.risk.limits import RiskLimits


class StrategyConfig(Struct, frozen=True, kw_only=True):
    """One strategy: what it is, its share of the capital, how it sizes, and its parameters."""

    id: StrategyId
    kind: str
    weight: Decimal
    sizing: str
    parameters: dict[str, object]
    protective_stop_fraction: Decimal | None = None
    """Loss of a position, as a fraction of what was paid, at which the broker sells it; None: no stop is declared."""


class EngineConfig(Struct, frozen=True, kw_only=True):
    """Everything that shapes the engine's behaviour; two engines of equal config decide alike."""

    mode: Mode
    account: str
    instance: str
    symbols: tuple[Symbol, ...]
    reference_symbol: Symbol | None
    strategies: tuple[StrategyConfig, ...]
    limits: RiskLimits
    capital_usd: Decimal | None = None
    former_instances: tuple[str, ...] = ()
    """Tokens the database had before it was restored: orders under them are ours."""
    is_dry_run: bool = False
    kill_cancels_stops: bool = False
    """Whether the kill switch cancels protective stops, too (R049)."""
    bar_seconds: int = 60
    drift_band_fraction: Decimal = Decimal("0.01")
    signal_seconds_max: float = 300.0
    """Venue seconds after which an entry that did not happen is forgotten (strategies.md 2.1: time to live 300 s)."""
    entry_order_seconds_max: float = 20.0
    """Monotonic seconds an order of a strategy may rest unfilled before it is cancelled and decided anew."""
    feed_silence_seconds_max: float = 15.0
    """Monotonic seconds without any market data, in session, after which the feed counts as silent (fault D1)."""
    broker_clock_seconds_max: float = 60.0
    """Monotonic age at which the broker's clock reading no longer says that the market is open."""
    equity_record_seconds: float = 15.0
    """Venue-independent spacing of rows of the equity curve, in monotonic seconds."""
    healing: HealingLimits = HealingLimits()
    """How often the daemon may mend itself in 24 hours, by kind."""
