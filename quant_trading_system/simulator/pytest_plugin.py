"""The exchange as a pytest fixture, for the tests of anyone's Alpaca bot. Decides what a test may say of its exchange.

In conftest.py: pytest_plugins = ["quant_trading_system.simulator.pytest_plugin"]

def test_my_bot_buys(alpaca_exchange):
    bot = MyBot(TradingClient("PKSIM", "sim", url_override=alpaca_exchange.url))
    bot.run_once()
    alpaca_exchange.step(1)  # venue time stands until it is told to move
    assert alpaca_exchange.ledger()["positions"]

@pytest.mark.alpaca_exchange(symbols=("AAPL",), cash="5000", start="2024-11-29T12:59")
def test_before_an_early_close(alpaca_exchange): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from quant_trading_system.simulator.server.threaded import ThreadedExchange

MARKER = "alpaca_exchange"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(data, symbols, start, seed, cash, speed): the world of this test's exchange"
    )


@pytest.fixture
def alpaca_exchange(request: pytest.FixtureRequest) -> Iterator[ThreadedExchange]:
    """An Alpaca-compatible exchange on a free port of loopback, in a thread, with books of its own."""
    from quant_trading_system.simulator.server.threaded import threaded_exchange

    marker = request.node.get_closest_marker(MARKER)
    with threaded_exchange(**(marker.kwargs if marker else {})) as exchange:
        yield exchange
