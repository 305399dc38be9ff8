"""Only what strategies need is streamed and computed, and each bar costs one step of each indicator."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.engine.config import StrategyConfig
from quant_trading_system.engine.trading import VOLATILITY
from quant_trading_system.market.indicators import OfCloses
from tests.support.floor import SYMBOL, Floor

FAST = StrategyConfig(
    id=StrategyId("momentum"),
    kind="momentum",
    weight=Decimal(1),
    sizing="fixed_fraction",
    parameters={"fast": 3, "slow": 5, "rsi": 4},
)


@pytest.mark.requirement("R127")
def test_indicators_that_no_strategy_asked_for_are_not_computed():
    floor = Floor(strategies=[FAST])
    floor.start()
    floor.bars([100.0 + minute / 10 for minute in range(26)])
    computed = set(floor.engine._desk.market.values(SYMBOL))
    assert computed == {"sma_3", "sma_5", "rsi_cutler_4", VOLATILITY}


@pytest.mark.requirement("R127")
def test_the_feed_is_asked_for_the_symbols_that_are_traded_and_no_other():
    floor = Floor(symbols=("AAPL", "MSFT"), strategies=[FAST])
    assert floor.engine.streamed_symbols == (Symbol("AAPL"), Symbol("MSFT"))


@pytest.mark.requirement("R127")
def test_a_new_bar_is_one_step_of_each_indicator_not_the_whole_history_again(monkeypatch: pytest.MonkeyPatch):
    floor = Floor(strategies=[FAST])
    floor.start()
    floor.bars([100.0 + minute / 10 for minute in range(26)])
    steps: list[str] = []
    update, start_on = OfCloses.update, OfCloses.start_on

    def counted_update(self, bar):
        steps.append("step")
        return update(self, bar)

    def counted_start(self, values):
        steps.append("start")
        return start_on(self, values)

    monkeypatch.setattr(OfCloses, "update", counted_update)
    monkeypatch.setattr(OfCloses, "start_on", counted_start)
    floor.bars([103.0, 103.1])
    assert set(steps) == {"step"}
    assert len(steps) <= 2 * 3
