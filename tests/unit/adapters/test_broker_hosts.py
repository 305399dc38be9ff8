"""Which hosts may be spoken to, and that keys do not show."""

from __future__ import annotations

import copy
import pickle

import pytest

from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.hosts import (
    LIVE,
    PAPER,
    Endpoints,
    check_endpoints,
    check_url,
    exchange_endpoints,
)
from quant_trading_system.core.errors import SafetyRefusal


@pytest.mark.parametrize("endpoints", [PAPER, LIVE, exchange_endpoints("http://127.0.0.1:8090/")])
def test_the_brokers_hosts_and_loopback_are_allowed(endpoints: Endpoints):
    check_endpoints(endpoints)
    assert endpoints.market_stream_url.endswith("/v2/iex")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example", "https://paper-api.alpaca.markets.evil.example", "https://127.0.0.1.evil.example",
        "https://user@evil.example", "http://10.0.0.5:8090", "http://0.0.0.0", "https://", "", "api.alpaca.markets",
        "https://data.sandbox.alpaca.markets", "http://paper-api.alpaca.markets", "ws://stream.data.alpaca.markets",
        "ftp://localhost",
    ],
)  # fmt: skip
def test_strangers_and_open_lines_are_refused(url: str):
    with pytest.raises(SafetyRefusal):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "ws://127.9.9.9:1", "http://[::1]:1", "wss://api.alpaca.markets"]
)
def test_these_are_allowed(url: str):
    must_pass = check_url
    must_pass(url)


def test_the_exchange_has_one_listener_for_everything():
    assert exchange_endpoints("http://127.0.0.1:8090") == Endpoints(
        trading_url="http://127.0.0.1:8090",
        data_url="http://127.0.0.1:8090",
        stream_url="ws://127.0.0.1:8090",
        trade_stream_url="ws://127.0.0.1:8090/stream",
    )


@pytest.mark.invariant("I35")
def test_keys_do_not_show():
    keys = Credentials("key-id-1", "very-secret")
    shown = f"{keys!r} {keys} {[keys]}"
    assert "very-secret" not in shown
    assert "key-id-1" not in shown
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(keys)
