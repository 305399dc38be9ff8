"""Bars of history before the first message: strategies judge the first live bar instead of waiting half an hour."""

from __future__ import annotations

import pytest

from quant_trading_system.core.events import HistorySeen
from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.core.values import Bar
from tests.support.floor import MORNING, SYMBOL, Floor

BARS_ASKED = 120  # data.warm_up_bars, by default


def rising(minute: int) -> float:
    """A market that momentum wants to hold: up four cents a minute, to and fro."""
    return round(100 + 0.04 * minute + (0.08 if minute % 2 else -0.08), 2)


def earlier_bars(before_ns: Nanos) -> tuple[Bar, ...]:
    """The minutes before the start, as the broker's history tells them."""
    return tuple(
        Bar(
            SYMBOL,
            Nanos(before_ns - (BARS_ASKED - minute) * NANOS_PER_MINUTE),
            rising(minute),
            rising(minute),
            rising(minute),
            rising(minute),
            1_000.0,
            10,
        )
        for minute in range(BARS_ASKED)
    )


def floor_with(history: tuple[Bar, ...]) -> Floor:
    floor = Floor(start_ns=MORNING)
    if history:
        floor.tell(HistorySeen(symbol=SYMBOL, bars=history, **floor.stamps()))
    floor.start()
    return floor


@pytest.mark.requirement("R035")
def test_with_history_every_strategy_is_warm_before_it_starts_and_buys_at_its_first_bars():
    floor = floor_with(earlier_bars(MORNING))
    assert [view.warm_symbols for view in floor.engine.view().strategies] == [1, 1]
    floor.bars([rising(minute) for minute in range(BARS_ASKED, BARS_ASKED + 8)])
    assert [decision.outcome for decision in floor.decisions][:1] == ["approved"]
    assert floor.books()["momentum"] > 0
    floor.must_agree()


@pytest.mark.requirement("R035")
def test_without_history_nobody_is_warm_and_nothing_is_decided_in_the_same_minutes():
    floor = floor_with(())
    assert [view.warm_symbols for view in floor.engine.view().strategies] == [0, 0]
    floor.bars([rising(minute) for minute in range(BARS_ASKED, BARS_ASKED + 8)])
    assert floor.decisions == []
