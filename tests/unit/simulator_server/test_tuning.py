"""Parameters of the exchange are set by name, bad ones are refused by name, and the page lists what there is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from click.testing import CliRunner

from quant_trading_system.cli.exchange import exchange
from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.server.control import _ROUTES
from quant_trading_system.simulator.server.testing import running_exchange
from quant_trading_system.simulator.server.tuning import TuningError, parameters, parse_wish, tuned
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.tidy.source import ROOT

DEFAULTS = ExchangeSettings(start_ns=Nanos(0))
PAGE = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")


def test_a_parameter_is_set_with_the_kind_of_value_that_it_has():
    settings = tuned(
        DEFAULTS,
        {
            "multiplier": "2",
            "shorting_enabled": "false",
            "crypto_fee_bps": "12.5",
            "latency.fill.mean_ms": "20",
            "latency.fill.log_deviation": "0.5",
            "fills.impact_temporary": "0",
        },
    )
    assert (settings.multiplier, settings.shorting_enabled, settings.crypto_fee_bps) == (2, False, Decimal("12.5"))
    assert (settings.latency.fill.mean_ms, settings.latency.fill.log_deviation) == (20.0, 0.5)
    assert settings.fills.impact_temporary == 0.0
    assert settings.latency.cancel == DEFAULTS.latency.cancel


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("multiplier", "multiplier: expected NAME=VALUE"),
        ("cash=5", "cash: unknown parameter; known are multiplier"),
        ("multiplier=3", "multiplier: expected 1, 2 or 4, found 3"),
        ("multiplier=2.5", "multiplier: expected a whole number"),
        ("shorting_enabled=1", "shorting_enabled: expected true or false"),
        ("latency.fill.mean_ms=soon", "latency.fill.mean_ms: expected a number"),
        ("latency.fill.mean_ms=nan", "latency.fill.mean_ms: expected a number"),
        ("fills.improvement_probability=2", "fills.improvement_probability: expected 0 to 1"),
    ],
)
def test_a_bad_parameter_is_refused_by_name_and_rule(wish, says):
    with pytest.raises(TuningError, match=says):
        parse_wish(wish)
    answer = CliRunner().invoke(exchange, ["--set", wish])
    assert answer.exit_code == 2
    assert says in answer.output


def test_the_page_lists_every_parameter_with_its_default_and_no_other():
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 4]
    listed = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert listed == {name: str(value).lower() for name, value in parameters(DEFAULTS).items()}


def test_the_page_lists_every_request_of_the_control_interface():
    for method, path, _, does in _ROUTES:
        assert f"| `{method} /simulator/v1{path}` | {does} |\n" in PAGE


@pytest.mark.asyncio
async def test_a_running_exchange_obeys_its_parameters():
    async with running_exchange(tuning={"multiplier": "1", "shorting_enabled": "false"}) as running:
        account = running.exchange.account()
        assert (account.multiplier, account.buying_power, account.shorting_enabled) == (1, Decimal(100_000), False)
