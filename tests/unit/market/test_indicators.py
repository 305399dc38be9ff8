"""Indicator values are those of the definitions, live and rebuilt alike."""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
from pathlib import Path

import pytest

from quant_trading_system.core.values import Bar
from quant_trading_system.market.indicators import FAMILIES, IndicatorSet, bars_per_year, make_indicator
from quant_trading_system.market.talib_loader import load_streams
from tests.unit.market.feed import IBM, bar, history, market, ns, trade

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "reference" / "strategy_vectors" / "indicators.json"
NAMES = {
    "rsi_7": "rsi_7_talib_wilder",
    "rsi_14": "rsi_14_talib_wilder",
    "rsi_21": "rsi_21_talib_wilder",
    "rsi_cutler_14": "rsi_14_simple_mean_last_14",
    "sma_20": "sma_20",
    "sma_50": "sma_50",
    "ema_20": "ema_20_talib_sma_seed",
    "atr_14": "atr_14_talib",
    "zscore_20": "zscore_20_ddof0",
    "stdev_return_6": "stdev_return_6_ddof1",
}


def run(names, closes) -> IndicatorSet:
    indicators = IndicatorSet(names, bar_seconds=60)
    bars: list[Bar] = []
    for minute, close in enumerate(closes):
        bars.append(bar(minute, close))
        indicators.update(bars[-1], bars)
    return indicators


def walk(count: int, *, seed: int = 1, price: float = 180.0) -> list[float]:
    chance = random.Random(seed)
    closes = []
    for _ in range(count):
        price = round(price * (1 + chance.gauss(0, 0.0005)), 2)
        closes.append(price)
    return closes


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")
def test_the_values_of_the_published_vectors_hold():
    document = json.loads(VECTORS.read_text(encoding="utf-8"))
    for case in document["cases"]:
        indicators = IndicatorSet(NAMES, bar_seconds=60)
        bars: list[Bar] = []
        columns = zip(*(case[name] for name in ("open", "high", "low", "close", "volume")), strict=True)
        for minute, values in enumerate(columns):
            bars.append(Bar(IBM, ns(60 * minute), *values))
            indicators.update(bars[-1], bars)
        for name, key in NAMES.items():
            assert indicators.values[name] == pytest.approx(case["expected"][key], rel=document["tolerance"]), name
        spread = (case["expected"]["bb_upper_20_2_ddof0"] - case["expected"]["bb_lower_20_2_ddof0"]) / 4
        assert run(["bb_std_20"], case["close"]).values["bb_std_20"] == pytest.approx(spread, rel=1e-8)


def test_a_value_is_absent_until_its_bars_are_there():
    first = {"sma_3": 3, "ema_3": 3, "rsi_3": 10, "rsi_cutler_3": 4, "bb_mean_3": 3, "bb_std_3": 3, "zscore_3": 3}
    first |= {"atr_3": 4, "stdev_return_3": 4, "vol_annual_3": 4}
    assert {name.rsplit("_", 1)[0] for name in first} == set(FAMILIES)
    closes = walk(12)
    for name, bars_needed in first.items():
        assert make_indicator(name, bar_seconds=60).bars_needed == bars_needed, name
        assert name not in run([name], closes[: bars_needed - 1]).values
        assert name in run([name], closes[:bars_needed]).values


def test_annual_volatility_counts_the_bars_of_a_year():
    closes = walk(40)
    returns = [after / before - 1 for before, after in zip(closes[-21:], closes[-20:], strict=False)]
    expected = statistics.stdev(returns) * math.sqrt(252 * 390)
    assert run(["vol_annual_20"], closes).values["vol_annual_20"] == pytest.approx(expected)
    assert (bars_per_year(900), bars_per_year(86_400)) == (252 * 26, 252)


def test_a_flat_market_has_no_z_score_and_an_rsi_of_fifty():
    values = run(["zscore_20", "rsi_14", "rsi_cutler_14", "bb_std_20"], [180.01] * 60).values
    assert values == {"rsi_14": 50.0, "rsi_cutler_14": 50.0, "bb_std_20": 0.0}


def test_a_market_that_only_rises_has_an_rsi_of_a_hundred():
    values = run(["rsi_3", "rsi_cutler_3"], [50.0] * 11 + [51.0, 52.0, 53.0]).values
    assert values == {"rsi_3": 100.0, "rsi_cutler_3": 100.0}


def test_a_year_of_minutes_leaves_no_residue_in_a_window():
    closes = [*walk(20_000), *[180.01] * 20]
    values = run(["zscore_20", "bb_std_20", "rsi_cutler_14"], closes).values
    assert values["bb_std_20"] == pytest.approx(0.0, abs=1e-6)
    assert "zscore_20" not in values
    assert values["rsi_cutler_14"] == 50.0


def test_live_values_equal_those_of_the_same_bars_from_history():
    names = ("sma_10", "sma_30", "rsi_cutler_14", "rsi_14", "zscore_20", "vol_annual_20", "ema_20")
    closes = walk(70)
    live, restored = market(indicators=names), market(indicators=names)
    for minute, close in enumerate(closes):
        live.on_trade(trade(60 * minute + 1, close))
    live.on_time(ns(60 * 71 + 1), 0)
    restored.on_history(history(*(bar(minute, close) for minute, close in enumerate(closes))))
    assert dict(live.values(IBM)) == dict(restored.values(IBM))
    assert live.is_warm(IBM)
    assert restored.is_warm(IBM)


def test_a_market_is_warm_when_its_slowest_indicator_is():
    book = market(indicators=("sma_2", "sma_5"))
    book.on_history(history(*(bar(minute) for minute in range(4))))
    assert not book.is_warm(IBM)
    book.on_trade(trade(241))
    book.on_trade(trade(300))
    assert book.is_warm(IBM)


def test_indicators_are_up_to_date_when_a_bar_is_shown():
    book = market(indicators=("sma_2",))
    book.on_history(history(bar(0, 100.0), bar(1, 101.0)))
    book.on_trade(trade(121, 103.0))
    assert book.on_trade(trade(180, 50_000.0 / 500)) is not None
    assert book.values(IBM)["sma_2"] == 102.0


@pytest.mark.parametrize("name", ["sma", "sma_x", "SMA_10", "sma_1", "sma_1001", "vwap_20", "sma_10_20", ""])
def test_an_unknown_indicator_is_refused_by_name(name):
    with pytest.raises(ValueError, match="found '" + name):
        make_indicator(name, bar_seconds=60)


def test_the_loader_leaves_no_placeholders_behind():
    load_streams.cache_clear()
    assert load_streams().__name__ == "talib.stream"
    assert all(sys.modules.get(name, True) is not None for name in ("pandas", "polars"))
