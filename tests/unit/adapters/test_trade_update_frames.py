"""Frames of trade_updates as events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from quant_trading_system.adapters.alpaca.failures import Unreadable
from quant_trading_system.adapters.alpaca.updates import parse_envelope, parse_update
from quant_trading_system.core.events import OrderUpdated
from quant_trading_system.core.types import MonoNanos, Nanos
from tests.unit.adapters.builders import order_fields


def update(event: str, order: dict[str, Any] | None = None, **fields: Any) -> OrderUpdated:
    body = {
        "at": "2025-11-21T14:30:00.050Z",
        "event_id": "01JD",
        "event": event,
        "timestamp": "2025-11-21T14:30:00.034510123Z",
        "order": order_fields(**(order or {})),
        **fields,
    }
    return parse_update(msgspec.json.encode(body), seen_ns=Nanos(5), mono_ns=MonoNanos(6))


def test_a_fill_carries_its_execution_and_the_quantity_so_far():
    seen = update(
        "partial_fill", {"filled_qty": "7", "status": "partially_filled"}, price="190.05", qty="4", execution_id="e-2",
        position_qty="7",
    )  # fmt: skip
    assert seen.execution is not None
    assert (seen.execution.execution_id, seen.execution.quantity, seen.execution.price) == (
        "e-2", Decimal(4), Decimal("190.05"),
    )  # fmt: skip
    assert seen.execution.cumulative_quantity == Decimal(7)
    assert (seen.word, seen.event_id, seen.seen_ns, seen.mono_ns) == ("partial_fill", "01JD", 5, 6)
    assert seen.venue_ns % 1_000_000_000 == 34_510_123


def test_new_has_an_execution_id_and_yet_no_execution():
    assert update("new", execution_id="e-1").execution is None


def test_a_fill_without_an_id_is_known_by_order_and_quantity_so_far():
    seen = update("fill", {"id": "o-1", "filled_qty": "10"}, price="190", qty="10", execution_id=None)
    assert seen.execution is not None
    assert seen.execution.execution_id == "o-1:10"


@pytest.mark.fault("A14")
@pytest.mark.parametrize("word", ["trade_bust", "trade_correct", "restated", "an_event_of_2027"])
def test_words_nobody_acts_on_are_passed_on(word: str):
    seen = update(word, price="190", qty="-4", previous_execution_id="e-2")
    assert (seen.word, seen.execution) == (word, None)


def test_a_missing_timestamp_falls_back_to_the_order():
    seen = update("new", timestamp=None, at=None)
    assert seen.venue_ns == seen.order.updated_ns


@pytest.mark.parametrize("lost", [{"price": None, "qty": "4"}, {"price": "190"}, {"price": "NaN", "qty": "4"}])
def test_a_fill_that_does_not_say_how_much_at_what_price_is_unreadable(lost: dict[str, Any]):
    with pytest.raises(Unreadable):
        update("fill", {"filled_qty": "10"}, **lost)


@given(some.binary(max_size=80))
def test_junk_is_unreadable_and_nothing_worse(data: bytes):
    for parse in (parse_envelope, lambda d: parse_update(d, seen_ns=Nanos(0), mono_ns=MonoNanos(0))):
        try:
            parse(data)
        except Unreadable as error:
            assert str(error)  # noqa: PT017 - valid input is rare and allowed
