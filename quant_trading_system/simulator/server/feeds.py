"""The market-data streams that there are (reference 9.1). Decides which channels a path has, and what it carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.events import (
    DAILY_BAR,
    MINUTE_BAR,
    UPDATED_BAR,
    MarketEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimImbalance,
    SimLuld,
    SimOrderbook,
    SimQuote,
    SimStatus,
    SimTrade,
)

DELAY_NS = 15 * 60 * NANOS_PER_SECOND
STOCK_CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")
CRYPTO_CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks")
PRACTICE_CHANNELS = ("trades", "quotes", "bars")
OPTION_CHANNELS = ("trades", "quotes")
NEWS_CHANNELS = ("news",)
FOLLOWING_TRADES = ("corrections", "cancelErrors")  # they come with trades and cannot be asked for
SHOWN_WHEN_ASKED_FOR = frozenset({"imbalances"})  # the documented acknowledgement does not list it

_STOCK_SYMBOL = re.compile(r"\*|[A-Z][A-Z0-9./\-]{0,20}", re.ASCII)
_CRYPTO_SYMBOL = re.compile(r"\*|[A-Z0-9]{1,16}/[A-Z0-9]{1,16}", re.ASCII)


class Carries(Enum):
    """What is told on a feed."""

    STOCKS = auto()
    CRYPTO = auto()
    PRACTICE = auto()  # FAKEPACA alone
    NEWS = auto()
    NOTHING = auto()  # it exists and is silent
    REFUSED = auto()  # it exists and is no part of the plan: options


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One path of the data host."""

    path: str
    carries: Carries
    channels: tuple[str, ...]
    following: tuple[str, ...] = ()
    delay_ns: int = 0

    def is_symbol(self, symbol: object) -> bool:
        pattern = _CRYPTO_SYMBOL if self.carries is Carries.CRYPTO else _STOCK_SYMBOL
        return isinstance(symbol, str) and pattern.fullmatch(symbol) is not None


def _stocks(path: str, *, carries: Carries = Carries.STOCKS, delay_ns: int = 0) -> Feed:
    return Feed(path=path, carries=carries, channels=STOCK_CHANNELS, following=FOLLOWING_TRADES, delay_ns=delay_ns)


PRACTICE_PATH = "/v2/test"
_ALL = (
    _stocks("/v2/iex"),
    _stocks("/v2/sip"),
    _stocks("/v2/delayed_sip", delay_ns=DELAY_NS),
    # The overnight sessions are not played: the feeds are there and have nothing to tell.
    _stocks("/v1beta1/boats", carries=Carries.NOTHING),
    _stocks("/v1beta1/overnight", carries=Carries.NOTHING),
    Feed(path=PRACTICE_PATH, carries=Carries.PRACTICE, channels=PRACTICE_CHANNELS),
    *(
        Feed(path=f"/v1beta3/crypto/{place}", carries=Carries.CRYPTO, channels=CRYPTO_CHANNELS)
        for place in ("us", "us-1", "eu-1")
    ),
    Feed(path="/v1beta1/news", carries=Carries.NEWS, channels=NEWS_CHANNELS),
    *(
        Feed(path=f"/v1beta1/{name}", carries=Carries.REFUSED, channels=OPTION_CHANNELS)
        for name in ("indicative", "opra")
    ),
)
FEEDS = {feed.path: feed for feed in _ALL}

_CHANNELS: dict[type[MarketEvent], str] = {
    SimTrade: "trades",
    SimQuote: "quotes",
    SimStatus: "statuses",
    SimLuld: "lulds",
    SimCorrection: "corrections",
    SimCancelError: "cancelErrors",
    SimImbalance: "imbalances",
    SimOrderbook: "orderbooks",
}
BAR_CHANNELS = {MINUTE_BAR: "bars", UPDATED_BAR: "updatedBars", DAILY_BAR: "dailyBars"}


def channel_of(event: MarketEvent) -> str:
    """The channel that an event belongs to."""
    return BAR_CHANNELS[event.kind] if isinstance(event, SimBar) else _CHANNELS[event.__class__]


def asked_channel(channel: str) -> str:
    """The channel that a client asks for to get this one."""
    return "trades" if channel in FOLLOWING_TRADES else channel


def is_pair(symbol: str) -> bool:
    """Whether a symbol is a crypto pair."""
    return "/" in symbol
