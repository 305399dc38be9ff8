"""What can be traded. Decides the list of the generated market and what is said of every symbol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import msgspec

from quant_trading_system.simulator.chance import asset_id

US_EQUITY: Final = "us_equity"
CRYPTO: Final = "crypto"


class SimAsset(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `GET /v2/assets` (reference 5.3)."""

    id: str
    symbol: str
    name: str
    exchange: str
    asset_class: str = US_EQUITY
    status: str = "active"
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True
    borrow_status: str | None = "easy_to_borrow"  # None: crypto has none
    fractionable: bool = True
    margin_requirement: int = 30  # percent
    attributes: tuple[str, ...] = ()
    cusip: str | None = None
    min_order_size: Decimal | None = None  # crypto alone, coins
    min_trade_increment: Decimal | None = None  # crypto alone, coins
    price_increment: Decimal | None = None  # crypto alone, USD

    @property
    def is_crypto(self) -> bool:
        return self.asset_class == CRYPTO


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
    dividend_yield: float  # of the price, a year; 0 for those that pay none


def _profile(
    name: str,
    exchange: str,
    sector: str,
    price: float,
    beta: float,
    own: float,
    volume_m: float,
    spread_bps: float,
    dividend_yield: float,
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
        dividend_yield=dividend_yield,
    )


PROFILES: dict[str, Profile] = {
    "SPY": _profile("SPDR S&P 500 ETF Trust", "ARCA", "broad", 585.0, 1.0, 0.0008, 55, 0.3, 0.012),
    "QQQ": _profile("Invesco QQQ Trust", "NASDAQ", "technology", 505.0, 1.2, 0.0012, 38, 0.4, 0.006),
    "AAPL": _profile("Apple Inc.", "NASDAQ", "technology", 228.0, 1.1, 0.009, 48, 0.6, 0.0045),
    "MSFT": _profile("Microsoft Corporation", "NASDAQ", "technology", 425.0, 1.0, 0.008, 21, 0.8, 0.0075),
    "GOOGL": _profile("Alphabet Inc. Class A", "NASDAQ", "technology", 172.0, 1.1, 0.010, 27, 0.9, 0.0045),
    "AMZN": _profile("Amazon.com, Inc.", "NASDAQ", "consumer", 198.0, 1.2, 0.011, 39, 0.9, 0),
    "NVDA": _profile("NVIDIA Corporation", "NASDAQ", "technology", 141.0, 1.7, 0.018, 210, 0.8, 0.0003),
    "META": _profile("Meta Platforms, Inc.", "NASDAQ", "technology", 562.0, 1.2, 0.013, 13, 1.2, 0.0035),
    "TSLA": _profile("Tesla, Inc.", "NASDAQ", "consumer", 334.0, 1.8, 0.024, 95, 1.2, 0),
    "JPM": _profile("JPMorgan Chase & Co.", "NYSE", "finance", 243.0, 1.0, 0.008, 9, 1.2, 0.021),
    "XOM": _profile("Exxon Mobil Corporation", "NYSE", "energy", 119.0, 0.7, 0.009, 15, 1.0, 0.033),
    "JNJ": _profile("Johnson & Johnson", "NYSE", "health", 155.0, 0.5, 0.006, 7, 1.3, 0.032),
    # What the public recordings of Alpaca's answers trade besides: they can be replayed in a world that nobody shaped.
    "GOOG": _profile("Alphabet Inc. Class C", "NASDAQ", "technology", 173.5, 1.1, 0.010, 18, 0.9, 0.0045),
    "NFLX": _profile("Netflix, Inc.", "NASDAQ", "consumer", 890.0, 1.2, 0.014, 3.5, 1.5, 0),
    "CRM": _profile("Salesforce, Inc.", "NYSE", "technology", 330.0, 1.2, 0.013, 6, 1.4, 0.005),
    "F": _profile("Ford Motor Company", "NYSE", "consumer", 11.0, 1.3, 0.013, 50, 9.0, 0.054),
    "GDX": _profile("VanEck Gold Miners ETF", "ARCA", "energy", 38.0, 0.6, 0.013, 18, 2.6, 0.014),
    "BYND": _profile("Beyond Meat, Inc.", "NASDAQ", "consumer", 6.0, 1.6, 0.030, 2.2, 17.0, 0),
    "LSF": _profile("Laird Superfood, Inc.", "AMEX", "consumer", 8.5, 1.1, 0.035, 0.1, 60.0, 0),
    "AIV": _profile("Apartment Investment and Management Company", "NYSE", "finance", 8.7, 0.9, 0.012, 0.9, 12.0, 0),
    "BRZU": _profile("Direxion Daily MSCI Brazil Bull 2X ETF", "ARCA", "finance", 60.0, 1.4, 0.022, 0.1, 9.0, 0.04),
    "FB": _profile("ProShares S&P 500 Dynamic Buffer ETF", "BATS", "broad", 44.0, 0.6, 0.001, 0.02, 12.0, 0),
}
DEFAULT_SYMBOLS: tuple[str, ...] = tuple(PROFILES)
DIVIDEND_YIELD_MAX = 0.04  # of companies that nobody knows; two in five of them pay none


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoProfile:
    """How a pair of the generated market behaves. A tick is 1/`ticks_per_usd`, a unit of size 1/`units_per_coin`."""

    name: str
    price_usd: float
    deviation_year: float  # of the logarithm
    ticks_per_usd: int
    units_per_coin: int
    trades_per_minute: float
    silent_share: float  # of minutes without a trade
    trade_usd: float  # mean size of a trade
    spread_bps: float


def _crypto(
    name: str, price: float, deviation: float, ticks: int, units: int, trades: float, silent: float, spread_bps: float
) -> CryptoProfile:
    return CryptoProfile(
        name=f"{name} / US Dollar",
        price_usd=price,
        deviation_year=deviation,
        ticks_per_usd=ticks,
        units_per_coin=units,
        trades_per_minute=trades,
        silent_share=silent,
        trade_usd=2_500.0,
        spread_bps=spread_bps,
    )


CRYPTO_PROFILES: dict[str, CryptoProfile] = {
    "BTC/USD": _crypto("Bitcoin", 95_000.0, 0.50, 1_000, 1_000_000, 9, 0.05, 4.0),
    "ETH/USD": _crypto("Ethereum", 3_300.0, 0.65, 1_000, 100_000, 8, 0.08, 5.0),
    "SOL/USD": _crypto("Solana", 190.0, 0.85, 1_000, 10_000, 6, 0.15, 7.0),
    "LTC/USD": _crypto("Litecoin", 105.0, 0.75, 1_000, 10_000, 4, 0.35, 9.0),
    "DOGE/USD": _crypto("Dogecoin", 0.36, 0.95, 1_000_000, 100, 6, 0.20, 9.0),
}
DEFAULT_CRYPTO: tuple[str, ...] = tuple(CRYPTO_PROFILES)
CRYPTO_INCREMENT: Final = Decimal("0.000000001")  # of prices and quantities (reference 2.7, 5.3)

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
        round(max(0.0, (draws[2] - 0.4) / 0.6) * DIVIDEND_YIELD_MAX, 4),
    )


def listing_of(symbol: str) -> str:
    """The exchange that lists an equity; that of symbols nobody knows is New York's."""
    known = PROFILES.get(symbol)
    return known.exchange if known else "NYSE"


def is_pair(symbol: str) -> bool:
    """Whether a symbol is a crypto pair; no equity has a slash."""
    return "/" in symbol


def crypto_profile_of(pair: str) -> CryptoProfile:
    """How a pair behaves; one that nobody knows gets plausible numbers of its own."""
    known = CRYPTO_PROFILES.get(pair)
    if known is not None:
        return known
    draws = [int(part, 16) / 0xFFFF for part in asset_id(pair).split("-")[1:4]]
    price = round(10.0 ** (3.0 * draws[0]), 3)
    return _crypto(pair.partition("/")[0], price, 0.6 + 0.6 * draws[1], 10_000, 10_000, 3, 0.2 + 0.5 * draws[2], 12.0)


def cusip_of(symbol: str) -> str:
    """An identifier in the form of a CUSIP, with its check digit; made up, the same in every world."""
    digits = int.from_bytes(blake2b(symbol.encode(), digest_size=8, person=b"cusip").digest(), "big") % 10**8
    body = f"{digits:08d}"
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(body))
    return f"{body}{-sum(number // 10 + number % 10 for number in doubled) % 10}"


def assets_of(symbols: Iterable[str]) -> dict[str, SimAsset]:
    """The asset rows of some symbols, in alphabetical order."""
    return {symbol: _asset(symbol) for symbol in sorted(symbols)}


def _asset(symbol: str) -> SimAsset:
    if is_pair(symbol):
        return _crypto_asset(symbol)
    known = PROFILES.get(symbol)
    return SimAsset(
        id=asset_id(symbol),
        symbol=symbol,
        name=known.name if known else f"{symbol} common stock",
        exchange=listing_of(symbol),
        attributes=("fractional_eh_enabled",),
        cusip=cusip_of(symbol),
    )


def _crypto_asset(pair: str) -> SimAsset:
    """As recorded on 2026-09-18 (reference 5.3); the smallest order is worth about a dollar."""
    profile = crypto_profile_of(pair)
    return SimAsset(
        id=asset_id(pair),
        symbol=pair,
        name=profile.name,
        exchange="CRYPTO",
        asset_class=CRYPTO,
        marginable=False,
        shortable=False,
        easy_to_borrow=False,
        borrow_status=None,
        margin_requirement=100,
        attributes=("fractional_eh_enabled",),
        min_order_size=Decimal(f"{1.0 / profile.price_usd:.9f}").normalize(),
        min_trade_increment=CRYPTO_INCREMENT,
        price_increment=CRYPTO_INCREMENT,
    )
