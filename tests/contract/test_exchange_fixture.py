"""Anybody's test can have an exchange: the fixture, as a bot's author uses it, with a bot that blocks."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.server.threaded import ThreadedExchange, threaded_exchange
from tests.tidy.source import ROOT


def bought(exchange: ThreadedExchange, symbol: str = "AAPL") -> requests.Response:
    return requests.post(
        f"{exchange.url}/v2/orders",
        json={"symbol": symbol, "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"},
        headers={"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret_key},
        timeout=5,
    )


def test_a_bot_that_blocks_trades_and_the_test_moves_time_and_reads_the_books(alpaca_exchange):
    assert bought(alpaca_exchange).status_code == 200
    assert alpaca_exchange.ledger()["positions"] == []
    alpaca_exchange.step(1)
    assert [position["symbol"] for position in alpaca_exchange.ledger()["positions"]] == ["AAPL"]
    assert alpaca_exchange.ws_url.startswith("ws://127.0.0.1:")


@pytest.mark.alpaca_exchange(symbols=("MSFT",), cash="5000", start="2024-11-29T12:59")
def test_a_mark_makes_the_world_of_one_test(alpaca_exchange):
    assert Decimal(alpaca_exchange.ledger()["cash"]) == 5000
    assert alpaca_exchange.clock()["eastern"].startswith("2024-11-29T12:59")
    assert bought(alpaca_exchange).status_code == 422
    alpaca_exchange.jump_to("2024-11-29T13:00:01")
    assert alpaca_exchange.clock()["is_open"] is False


def test_faults_and_speed_are_set_from_outside_its_thread(alpaca_exchange):
    alpaca_exchange.set_faults({"kind": "error_503", "where": "POST /v2/orders"})
    assert bought(alpaca_exchange).status_code == 503
    alpaca_exchange.set_faults()
    assert bought(alpaca_exchange).status_code == 200
    alpaca_exchange.set_speed(50)
    assert alpaca_exchange.clock()["speed"] == 50


def test_what_keeps_an_exchange_from_starting_is_raised_where_it_was_asked_for(tmp_path):
    with pytest.raises(DataFileError, match="no market data here"), threaded_exchange(data=tmp_path):
        pass


def test_the_fixture_works_in_somebody_elses_project_as_documented(pytester: pytest.Pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest('pytest_plugins = ["quant_trading_system.simulator.pytest_plugin"]')
    pytester.makepyfile(
        """
        import pytest, requests

        @pytest.mark.alpaca_exchange(cash="777")
        def test_cash(alpaca_exchange):
            headers = {"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "sim"}
            account = requests.get(alpaca_exchange.url + "/v2/account", headers=headers, timeout=5).json()
            assert account["cash"] == "777"
        """
    )
    pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider").assert_outcomes(passed=1)
