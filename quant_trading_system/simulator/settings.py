"""What shapes an exchange. Decides nothing; every bound has its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from quant_trading_system.core.types import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """The account, its rules, and the venue's manners.

    `start_ns`, `seed` and `cash` shape a world: a journal made with others is refused.
    """

    start_ns: Nanos
    seed: int = 0
    cash: Decimal = Decimal(100_000)
    account_number: str = "PA3SIMULATED"
    multiplier: int = 2  # 1: cash account; 2: margin account over night (reference 2.13)
    shorting_enabled: bool = False
    partial_fill_probability: float = 0.1  # Alpaca's paper account (reference 2.14)
    tells_held_legs: bool = False  # events for held legs that end with their group; Alpaca sends none (reference 2.10)
    # Venue time between a request and what it causes; small, so that they vanish at speed 60 as they do in life.
    ack_latency_ms_mean: float = 4.0
    fill_latency_ms_mean: float = 8.0
    latency_ms_min: float = 1.0
    latency_ms_max: float = 50.0

    def __post_init__(self) -> None:
        assert self.cash > 0, f"cash_usd: expected more than 0, found {self.cash}"
        assert self.multiplier in (1, 2), f"multiplier: expected 1 or 2, found {self.multiplier}"
        assert 0 <= self.partial_fill_probability <= 1, "partial_fill_probability: expected 0 to 1"
        assert 0 < self.latency_ms_min <= self.latency_ms_max, "latency_ms_min: expected more than 0, at most the max"
