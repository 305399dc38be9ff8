"""What makes the daemon compare its books with the broker's: the grid, and each event that leaves a doubt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from quant_trading_system.core.events import OrderUpdated, StreamDown, StreamUp, TimerFired
from quant_trading_system.core.records import ReconciliationRecord
from quant_trading_system.core.types import Direction, Stream, TradingState
from tests.support.floor import SYMBOL, Floor, failed, scripted_floor


def passes(floor: Floor) -> list[str]:
    """Results of every pass so far."""
    return [record.result for record in floor.records if isinstance(record, ReconciliationRecord)]


def holding_floor() -> Floor:
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.broker_positions()
    return floor


def last_update(floor: Floor) -> OrderUpdated:
    return [event for event in floor.told if isinstance(event, OrderUpdated)][-1]


def the_grid_comes_round(floor: Floor) -> None:
    floor.tell(TimerFired(name="reconcile", **floor.stamps()))


def trade_updates_return(floor: Floor) -> None:
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="cut", **floor.stamps()))
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, symbols=floor.symbols, **floor.stamps()))


def a_word_nobody_knows(floor: Floor) -> None:
    floor.tell(structs.replace(last_update(floor), word="levitated", execution=None, **floor.stamps()))


def a_move_that_the_table_does_not_allow(floor: Floor) -> None:
    update = last_update(floor)
    canceled = structs.replace(update.order, status="canceled", updated_ns=floor.now_ns)
    floor.tell(structs.replace(update, word="canceled", order=canceled, execution=None, **floor.stamps()))


@pytest.mark.requirement("R116")
@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(the_grid_comes_round, marks=pytest.mark.requirement("R115")),
        trade_updates_return,
        a_word_nobody_knows,
        a_move_that_the_table_does_not_allow,
    ],
)
def test_the_books_are_compared_at_once(happens: Callable[[Floor], None]):
    floor = holding_floor()
    before = len(passes(floor))
    happens(floor)
    assert len(passes(floor)) > before
    assert passes(floor)[-1] in {"clean", "differences"}
    floor.must_agree()


@pytest.mark.requirement("R120")
def test_a_pass_that_fails_is_not_repeated_inside_the_period_the_next_tick_tries_again_and_trading_degrades_meanwhile():
    floor = holding_floor()
    floor.advance(15)
    before = len(passes(floor))
    floor.reconciles = False
    floor.advance(45)
    assert passes(floor)[before:] == ["failed"] * 3, "one try a period of 15 s"
    assert len(floor.alerted("reconciliation_failed")) == 3
    floor.advance(15)
    assert floor.engine.view().state is TradingState.REDUCING
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.broker_positions() == {}, "what reduces exposure goes on"
    floor.decide(Direction.LONG)
    assert "reconciliation" in failed(floor.decisions[-1])
    floor.reconciles = True
    floor.advance(15)
    assert passes(floor)[-1] in {"clean", "differences"}
    assert floor.engine.view().reconciliation_age_s is not None
    assert (floor.engine.view().reconciliation_age_s or 0) <= 15
    assert SYMBOL not in floor.engine.view().locks
