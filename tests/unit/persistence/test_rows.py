"""Every record has a table whose columns are the schema's, and comes back from a row as it was."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from quant_trading_system.core.records import DecisionRecord, Record
from quant_trading_system.persistence.rows import PLANS, Way, clean, from_row, may_drop, to_json
from quant_trading_system.persistence.tables import metadata
from tests.support.stores import a_decision, a_fill, an_order, one_of_each


def test_every_record_type_has_its_tables():
    assert set(Record.__subclasses__()) == set(PLANS)
    assert {type(record) for record in one_of_each()} == set(PLANS)


@pytest.mark.requirement("R158")
def test_every_plan_fits_the_schema():
    for plan in (plan for plans in PLANS.values() for plan in plans):
        columns = {column.name: column for column in metadata.tables[plan.table].columns}
        required = {name for name, column in columns.items() if not column.nullable and name != "id"}
        assert set(plan.columns) <= set(columns), plan.table
        assert required <= set(plan.columns), plan.table
        if plan.way is not Way.APPEND:
            assert {column.name for column in metadata.tables[plan.table].primary_key} == set(plan.key)


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_its_row(record: Record):
    plan = PLANS[type(record)][0]
    row = dict(zip(plan.columns, plan.encode(record, 1), strict=True))
    assert from_row(type(record), row) == record


def test_the_drivers_exponents_are_not_shown():
    fill = a_fill(quantity=Decimal("1.0E+5"))
    row = {name: getattr(fill, name) for name in fill.__struct_fields__}
    assert str(from_row(type(fill), {**row, "allocations": to_json(fill.allocations)}).quantity) == "100000"


def test_the_character_nul_is_shown_not_refused():
    assert clean("a\0b") == "a�b"
    assert "\\u0000" not in to_json({"text": "a\0b"})


def test_a_decision_that_became_an_order_is_never_dropped():
    assert not may_drop(a_decision())
    assert may_drop(a_decision(client_order_id=None))


@pytest.mark.parametrize("record", [an_order(), a_fill()], ids=["order", "fill"])
def test_orders_and_fills_are_never_dropped(record: Record):
    assert not may_drop(record)


def test_numbers_that_json_cannot_hold_do_not_stop_a_decision():
    plan = PLANS[DecisionRecord][0]
    row = dict(zip(plan.columns, plan.encode(a_decision(inputs={"rsi": float("nan")}), 1), strict=True))
    assert msgspec.json.decode(row["inputs"]) == {"rsi": None}
