"""What can be traded. Decides the list of the generated market and what is said of every symbol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.chance import asset_id


class SimAsset(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `GET /v2/assets` (reference 5.3)."""

    id: str
    symbol: str
    name: str
    exchange: str
    asset_class: str = "us_equity"
    status: str = "active"
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True
    borrow_status: str = "easy_to_borrow"
    fractionable: bool = True
    margin_requirement: int = 30  # percent
    attributes: tuple[str, ...] = ()
    min_order_size: Decimal | None = None  # crypto alone, coins
    min_trade_increment: Decimal | None = None  # crypto alone, coins
    price_increment: Decimal | None = None  # crypto alone, USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a symbol of the generated market behaves: price in USD, daily deviation as a fraction, spread in bps."""

    name: str
    exchange: str
    sector: str
    price_usd: float
    beta: float
    own_deviation: float
    volume_day: float  # shares
    spread_bps: float


def _profile(
    name: str, exchange: str, sector: str, price: float, beta: float, own: float, volume_m: float, spread_bps: float
) -> Profile:
    return Profile(
        name=name,
        exchange=exchange,
        sector=sector,
        price_usd=price,
        beta=beta,
        own_deviation=own,
        volume_day=volume_m * 1e6,
        spread_bps=spread_bps,
    )


PROFILES: dict[str, Profile] = {
    "SPY": _profile("SPDR S&P 500 ETF Trust", "ARCA", "broad", 585.0, 1.0, 0.0008, 55, 0.3),
    "QQQ": _profile("Invesco QQQ Trust", "NASDAQ", "technology", 505.0, 1.2, 0.0012, 38, 0.4),
    "AAPL": _profile("Apple Inc.", "NASDAQ", "technology", 228.0, 1.1, 0.009, 48, 0.6),
    "MSFT": _profile("Microsoft Corporation", "NASDAQ", "technology", 425.0, 1.0, 0.008, 21, 0.8),
    "GOOGL": _profile("Alphabet Inc. Class A", "NASDAQ", "technology", 172.0, 1.1, 0.010, 27, 0.9),
    "AMZN": _profile("Amazon.com, Inc.", "NASDAQ", "consumer", 198.0, 1.2, 0.011, 39, 0.9),
    "NVDA": _profile("NVIDIA Corporation", "NASDAQ", "technology", 141.0, 1.7, 0.018, 210, 0.8),
    "META": _profile("Meta Platforms, Inc.", "NASDAQ", "technology", 562.0, 1.2, 0.013, 13, 1.2),
    "TSLA": _profile("Tesla, Inc.", "NASDAQ", "consumer", 334.0, 1.8, 0.024, 95, 1.2),
    "JPM": _profile("JPMorgan Chase & Co.", "NYSE", "finance", 243.0, 1.0, 0.008, 9, 1.2),
    "XOM": _profile("Exxon Mobil Corporation", "NYSE", "energy", 119.0, 0.7, 0.009, 15, 1.0),
    "JNJ": _profile("Johnson & Johnson", "NYSE", "health", 155.0, 0.5, 0.006, 7, 1.3),
}
DEFAULT_SYMBOLS: tuple[str, ...] = tuple(PROFILES)
SECTORS = ("technology", "consumer", "finance", "energy", "health")


def profile_of(symbol: str) -> Profile:
    """How a symbol behaves in the generated market; one that nobody knows gets plausible numbers of its own."""
    known = PROFILES.get(symbol)
    if known is not None:
        return known
    draws = [int(part, 16) / 0xFFFF for part in asset_id(symbol).split("-")[1:4]]
    return _profile(
        f"{symbol} (synthetic)",
        "NYSE",
        SECTORS[round(draws[0] * (len(SECTORS) - 1))],
        round(20.0 + 180.0 * draws[1], 2),
        0.6 + draws[2],
        0.006 + 0.010 * draws[0],
        2 + 8 * draws[1],
        1.0 + 3.0 * draws[2],
    )


def assets_of(symbols: Iterable[str]) -> dict[str, SimAsset]:
    """The asset rows of some symbols, in alphabetical order."""
    return {symbol: _asset(symbol) for symbol in sorted(symbols)}


def _asset(symbol: str) -> SimAsset:
    known = PROFILES.get(symbol)
    return SimAsset(
        id=asset_id(symbol),
        symbol=symbol,
        name=known.name if known else f"{symbol} common stock",
        exchange=known.exchange if known else "NYSE",
        attributes=("fractional_eh_enabled",),
    )
