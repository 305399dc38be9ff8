"""Our books as their own records tell them: executions with what became of them, and entries that are no execution.

Decides nothing: adds up. A new life begins with the rows that were committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from quant_trading_system.core.records import CorrectionRecord, EntryRecord, FillRecord
from quant_trading_system.core.types import Side
from tests.simulation.checkers.seam import Row

ZERO = Decimal(0)
FillKey = tuple[str, Decimal]
"""(broker order id, cumulative quantity)."""
Numbers = tuple[Decimal, Decimal]
"""Signed shares, and USD that went out for them."""


class Journal:
    """Sums over records, by symbol and by order."""

    def __init__(self) -> None:
        self.fills: dict[FillKey, Numbers] = {}
        self.executed: dict[str, Decimal] = defaultdict(Decimal)
        """Shares by the broker's order id, unsigned."""

    def begin(self, fills: Iterable[Row], corrections: Iterable[Row]) -> None:
        """Take over what was committed; corrections in the order in which they were written."""
        self.fills.clear()
        self.executed.clear()
        for row in (*fills, *corrections):
            self._put((row["broker_order_id"], row["cumulative_quantity"]), _numbers(row))

    def knows(self, record: FillRecord) -> bool:
        """Whether this execution is in the books already."""
        return self.fills.get((record.broker_order_id, record.cumulative_quantity), (ZERO, ZERO))[0] != ZERO

    def take(self, record: FillRecord | CorrectionRecord | EntryRecord) -> tuple[str | None, Decimal, Decimal]:
        """Count one record. Returns its symbol, and by how much it changes the position and the cash."""
        if isinstance(record, EntryRecord):
            return record.symbol, record.quantity, record.cash_usd
        numbers = _numbers({name: getattr(record, name) for name in ("side", "quantity", "price")})
        quantity, spent_usd = self._put((record.broker_order_id, record.cumulative_quantity), numbers)
        return record.symbol, quantity, -spent_usd

    def _put(self, key: FillKey, numbers: Numbers) -> Numbers:
        before = self.fills.get(key, (ZERO, ZERO))
        self.fills[key] = numbers
        self.executed[key[0]] += abs(numbers[0]) - abs(before[0])
        return numbers[0] - before[0], numbers[1] - before[1]


def _numbers(row: Mapping[str, Any]) -> Numbers:
    signed = row["quantity"] * (1 if str(row["side"]) == Side.BUY.value else -1)
    return signed, signed * row["price"]
