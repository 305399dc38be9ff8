"""What the writer keeps and what it drops while the database is away. No server: nothing is ever written here."""

from __future__ import annotations

import pytest

from quant_trading_system.persistence import writer as writer_module
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.writer import BehindWriter
from tests.support.stores import a_decision, a_fill, an_equity, an_order
from tests.support.virtual_loop import run_virtual


@pytest.fixture
def overflows() -> list[tuple[int, bool]]:
    return []


@pytest.fixture
def small_writer(monkeypatch: pytest.MonkeyPatch, overflows: list[tuple[int, bool]]) -> BehindWriter:
    monkeypatch.setattr(writer_module, "DROP_ABOVE", 3)
    monkeypatch.setattr(writer_module, "RECORDS_MAX", 5)
    db = Database("postgresql://u@/d?host=/nowhere")
    return BehindWriter(db, on_overflow=lambda count, critical: overflows.append((count, critical)))


def test_history_is_dropped_first_and_counted(small_writer: BehindWriter, overflows: list[tuple[int, bool]]):
    assert all(small_writer.put(an_equity()) for _ in range(3))
    assert not small_writer.put(a_decision(client_order_id=None))
    assert small_writer.put(a_fill())
    assert small_writer.put(an_order())
    assert (small_writer.depth, small_writer.dropped, overflows) == (5, 1, [(1, False)])


def test_losing_an_order_is_told_apart_from_losing_history(
    small_writer: BehindWriter, overflows: list[tuple[int, bool]]
):
    small_writer.put_all([a_fill() for _ in range(5)])
    assert not small_writer.put(an_order())
    assert overflows == [(1, True)]


def test_a_flush_without_a_database_gives_up_in_time_and_keeps_everything(small_writer: BehindWriter):
    small_writer.put(a_fill())
    assert run_virtual(small_writer.flush(2.0)) is False
    assert small_writer.depth == 1
    assert small_writer.is_up is False


def test_a_database_that_was_never_connected_is_unavailable_not_a_crash():
    async def ask() -> None:
        async with Database("postgresql://u@/d?host=/nowhere").session():
            raise AssertionError("there is no connection")

    with pytest.raises(StoreUnavailable, match="not connected"):
        run_virtual(ask())
