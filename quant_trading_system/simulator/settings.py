"""What shapes an exchange. Decides nothing; every bound has its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.rulebook import TODAY, Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Venue time that one step of an order takes.

    Exponential with the given mean; where `log_deviation` is set, lognormal with that deviation of the logarithm and
    the same mean. Cut to the bounds.
    """

    mean_ms: float
    min_ms: float = 1.0
    max_ms: float = 50.0
    log_deviation: float | None = None

    def __post_init__(self) -> None:
        assert 0 < self.min_ms <= self.max_ms, f"min_ms: expected more than 0, at most the max, found {self.min_ms}"
        assert self.mean_ms > 0, f"mean_ms: expected more than 0, found {self.mean_ms}"
        assert self.log_deviation is None or self.log_deviation > 0, "log_deviation: expected more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings:
    """Each hop of an order's way; small, so that they vanish at speed 60 as they do in life (reference 2.14)."""

    acknowledge: Hop = Hop(mean_ms=4.0)
    fill: Hop = Hop(mean_ms=8.0)
    cancel: Hop = Hop(mean_ms=4.0)
    replace: Hop = Hop(mean_ms=4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSettings:
    """How orders meet the market beyond what Alpaca's paper account documents (reference 2.14).

    The defaults let an order that the displayed size covers fill as on a paper account: at the touch.
    Queue: Rigtorp, "Estimating order queue position" (2013). Impact: square-root law, Tóth et al. (2011); linear
    permanent part, Almgren et al., "Direct estimation of equity market impact" (2005), gamma 0.314.
    """

    queue_depth_ratio: float = 1.0  # mean size of a level that is not shown, in sizes of the touch on its side
    queue_cancel_power: float = 1.0  # of the shares ahead and behind, when cancels are shared out between them
    improvement_probability: float = 0.0  # that an order at the touch fills inside the spread
    improvement_fraction_max: float = 0.5  # of the spread; the fraction is uniform from 0
    impact_temporary: float = 1.0  # Y of Y * deviation of a day * sqrt(shares beyond those shown / shares of a day)
    impact_permanent: float = 0.314  # gamma of gamma * deviation * shares / shares of a day
    impact_half_life_seconds: float = 1_800.0

    def __post_init__(self) -> None:
        assert self.queue_depth_ratio >= 0, "queue_depth_ratio: expected 0 or more"
        assert self.queue_cancel_power > 0, "queue_cancel_power: expected more than 0"
        assert 0 <= self.improvement_probability <= 1, "improvement_probability: expected 0 to 1"
        assert 0 <= self.improvement_fraction_max <= 1, "improvement_fraction_max: expected 0 to 1"
        assert self.impact_temporary >= 0, "impact_temporary: expected 0 or more"
        assert self.impact_permanent >= 0, "impact_permanent: expected 0 or more"
        assert self.impact_half_life_seconds > 0, "impact_half_life_seconds: expected more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """The account, its rules, and the venue's manners.

    `start_ns`, `seed` and `cash` shape a world: a journal made with others is refused.
    """

    start_ns: Nanos
    seed: int = 0
    cash: Decimal = Decimal(100_000)
    account_number: str = "PA3SIMULATED"
    rulebook: Rulebook = TODAY
    multiplier: int = 4  # 1: cash account; 2: margin account over night; 4: and four times by day (reference 2.13)
    shorting_enabled: bool = True
    crypto_fee_bps: Decimal = Decimal(25)  # the lowest tier, taker (reference 2.15)
    partial_fill_probability: float = 0.1  # Alpaca's paper account (reference 2.14)
    tells_held_legs: bool = False  # events for held legs that end with their group; Alpaca sends none (reference 2.10)
    latency: LatencySettings = field(default_factory=LatencySettings)
    fills: FillSettings = field(default_factory=FillSettings)

    def __post_init__(self) -> None:
        assert self.cash > 0, f"cash_usd: expected more than 0, found {self.cash}"
        assert self.multiplier in (1, 2, 4), f"multiplier: expected 1, 2 or 4, found {self.multiplier}"
        assert 0 <= self.crypto_fee_bps < 10_000, f"crypto_fee_bps: expected 0 to 9999, found {self.crypto_fee_bps}"
        assert 0 <= self.partial_fill_probability <= 1, "partial_fill_probability: expected 0 to 1"
