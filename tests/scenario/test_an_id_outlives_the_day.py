"""An order keeps its id over midnight, a crash and every question: the id names the intent, not the day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.core.clock import to_datetime, to_nanos
from quant_trading_system.core.effects import AskOrder, Effect
from quant_trading_system.core.types import NANOS_PER_MINUTE, Direction, Nanos
from tests.support.floor import Floor, scripted_floor

AFTER_MIDNIGHT = to_nanos(datetime(2026, 1, 7, 0, 5, tzinfo=UTC))
NEXT_MORNING = Nanos(to_nanos(datetime(2026, 1, 7, 14, 40, tzinfo=UTC)))


def asked_about(floor: Floor) -> list[str]:
    """Ids of the orders the engine asks the broker about from now on."""
    asked: list[str] = []
    perform = floor._perform

    def noting(effect: Effect) -> None:
        if isinstance(effect, AskOrder):
            asked.append(effect.client_order_id)
        perform(effect)

    floor._perform = noting  # type: ignore[method-assign]
    return asked


@pytest.mark.requirement("R095")
@pytest.mark.requirement("R093")
def test_an_order_of_unknown_fate_is_asked_about_under_its_one_id_before_and_after_midnight_and_after_a_crash():
    floor = scripted_floor()
    floor.on_post = lambda approved, _submit: floor.in_doubt(approved)
    floor.answers_lookups = False
    floor.decide(Direction.LONG)
    approved = floor.sent[0]
    thread, sent = approved.intent.client_order_id, payload(approved.intent)
    floor.skip_to(AFTER_MIDNIGHT)
    assert to_datetime(floor.now_ns).date().isoformat() == "2026-01-07"
    asked = asked_about(floor)
    floor.advance(120)
    assert set(asked) == {thread}
    heir = floor.crash()
    heir.answers_lookups = False
    asked_by_heir = asked_about(heir)
    heir.start()
    heir.advance(30)
    assert set(asked_by_heir) == {thread}
    assert [order.client_order_id for order in heir.engine.view().open_orders] == [thread]
    assert payload(approved.intent) == sent
    assert heir.posted == []


@pytest.mark.requirement("R095")
def test_numbers_go_on_over_midnight_and_no_id_comes_twice():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.skip_to(Nanos(NEXT_MORNING - NANOS_PER_MINUTE))
    floor.skip_to(NEXT_MORNING)
    floor.advance(30)
    floor.decide(Direction.EXIT)
    floor.advance(1)
    ids = [approved.intent.client_order_id for approved in floor.sent]
    assert len(ids) == len(set(ids)) == 2
    assert [id_.rpartition("-")[2] for id_ in ids] == ["1", "2"]
    assert {id_.rpartition("-")[0] for id_ in ids} == {ids[0].rpartition("-")[0]}, "nothing of the date is in it"
