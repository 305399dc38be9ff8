"""Every example of docs/pnl.md is what the ledger computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.types import BrokerOrderId, ExecutionId, Nanos, Side, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.ledger.books import Ledger

DOCUMENT = Path(__file__).parents[3] / "docs" / "pnl.md"
MOMENTUM, IBM = StrategyId("momentum"), Symbol("IBM")
START_USD = Decimal(10_000)

Row = list[str]


def rows(heading: str) -> list[Row]:
    """The lines of the table under a heading, without its head."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def executions(text: str) -> Iterator[Execution]:
    for number, each in enumerate(text.split(", "), 1):
        found = re.fullmatch(r"([+-])([\d.]+) @ ([\d.]+)", each)
        assert found is not None, f"fills are written like +100 @ 10, found {each!r}"
        quantity = Decimal(found[2])
        yield Execution(
            execution_id=ExecutionId(f"e{number}"),
            broker_order_id=BrokerOrderId(f"b{number}"),
            client_order_id=None,
            symbol=IBM,
            side=Side.BUY if found[1] == "+" else Side.SELL,
            quantity=quantity,
            price=Decimal(found[3]),
            cumulative_quantity=quantity,
            venue_ns=Nanos(number),
        )


def after(fills: str) -> Ledger:
    """The ledger once momentum's fills are booked."""
    ledger = Ledger()
    ledger.set_cash(START_USD)
    for fill in executions(fills):
        ledger.apply(fill, (Allocation(MOMENTUM, fill.quantity * fill.side.sign),), fill.quantity)
    return ledger


@pytest.mark.requirement("R122")
@pytest.mark.parametrize("row", rows("One book"), ids=lambda row: row[0])
def test_a_book_of_the_document_is_the_ledgers(row: Row):
    _, fills, shares, cost, average, realised = row
    ledger = after(fills)
    book = ledger.books(IBM)[MOMENTUM]
    assert (book.quantity, book.cost_usd, book.average_price, book.realised_usd) == tuple(
        map(Decimal, (shares, cost, average, realised))
    )
    assert ledger.realised(MOMENTUM) == Decimal(realised)
    assert ledger.cash_usd is not None
    assert ledger.cash_usd - START_USD == book.realised_usd - book.cost_usd


@pytest.mark.requirement("R122")
@pytest.mark.parametrize("row", rows("Marked to the market"), ids=lambda row: row[0])
def test_a_mark_of_the_document_gives_the_equity_that_it_says(row: Row):
    _, fills, mark, cash, unrealised, equity = row
    ledger, marks = after(fills), {IBM: Decimal(mark)}
    assert ledger.cash_usd == Decimal(cash)
    assert ledger.unrealised(MOMENTUM, marks) == Decimal(unrealised)
    assert ledger.equity(marks) == Decimal(equity) == START_USD + ledger.realised() + Decimal(unrealised)


@pytest.mark.requirement("R122")
def test_the_document_shows_longs_and_shorts_closed_in_part_in_full_and_through_zero():
    shown = " ".join(row[0] for row in rows("One book"))
    for situation in ("long", "short", "a part", "all", "through zero", "gain", "loss"):
        assert situation in shown
