"""Decides which hosts the daemon may speak to, and where each interface of the broker lies.

Three host names of Alpaca and loopback addresses, nothing else; anything but loopback speaks TLS. The constants are
written down here, because the SDK stays out of the daemon; a contract test compares them with the SDK's.
"""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import urlsplit

from msgspec import Struct

from quant_trading_system.core.errors import SafetyRefusal

PAPER_TRADING_URL = "https://paper-api.alpaca.markets"
LIVE_TRADING_URL = "https://api.alpaca.markets"
DATA_URL = "https://data.alpaca.markets"
STREAM_URL = "wss://stream.data.alpaca.markets"
PAPER_TRADE_STREAM_URL = "wss://paper-api.alpaca.markets/stream"
LIVE_TRADE_STREAM_URL = "wss://api.alpaca.markets/stream"

ALLOWED_HOSTS = frozenset(
    {"paper-api.alpaca.markets", "api.alpaca.markets", "data.alpaca.markets", "stream.data.alpaca.markets"}
)
TLS_SCHEMES = frozenset({"https", "wss"})
PLAIN_SCHEMES = frozenset({"http", "ws"})


class Endpoints(Struct, frozen=True, kw_only=True):
    """Base URLs without a trailing slash. `stream_url` is the market data WebSocket's base, without path."""

    trading_url: str
    data_url: str
    stream_url: str
    trade_stream_url: str
    feed: str = "iex"

    @property
    def market_stream_url(self) -> str:
        return f"{self.stream_url}/v2/{self.feed}"


PAPER = Endpoints(
    trading_url=PAPER_TRADING_URL, data_url=DATA_URL, stream_url=STREAM_URL, trade_stream_url=PAPER_TRADE_STREAM_URL
)
LIVE = Endpoints(
    trading_url=LIVE_TRADING_URL, data_url=DATA_URL, stream_url=STREAM_URL, trade_stream_url=LIVE_TRADE_STREAM_URL
)


def exchange_endpoints(exchange_url: str, *, feed: str = "iex") -> Endpoints:
    """All interfaces of an embedded exchange, which has one listener for everything."""
    base = exchange_url.rstrip("/")
    stream = base.replace("http", "ws", 1)
    return Endpoints(trading_url=base, data_url=base, stream_url=stream, trade_stream_url=f"{stream}/stream", feed=feed)


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine, without asking a resolver."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> None:
    """Refuse a URL that would carry keys to a stranger, or in the clear.

    Raises:
        SafetyRefusal: the host is not on the list, or its scheme is not encrypted.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        if parts.scheme not in TLS_SCHEMES | PLAIN_SCHEMES:
            raise SafetyRefusal(f"broker URL {url} has the scheme {parts.scheme!r}, expected http, https, ws or wss")
        return
    if host not in ALLOWED_HOSTS:
        raise SafetyRefusal(
            f"broker URL {url} names the host {host!r}",
            fix=f"allowed are loopback addresses and {', '.join(sorted(ALLOWED_HOSTS))}",
        )
    if parts.scheme not in TLS_SCHEMES:
        raise SafetyRefusal(f"broker URL {url} is not encrypted", fix="use https or wss")


def check_endpoints(endpoints: Endpoints) -> None:
    """Refuse endpoints of which any is not allowed. See `check_url`."""
    for url in (endpoints.trading_url, endpoints.data_url, endpoints.stream_url, endpoints.trade_stream_url):
        check_url(url)


def tls_context(url: str) -> ssl.SSLContext | bool:
    """A verifying context of TLS 1.2 or newer for an encrypted URL; True (aiohttp's default) for a plain one."""
    if urlsplit(url).scheme not in TLS_SCHEMES:
        return True
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
