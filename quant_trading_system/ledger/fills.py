"""Which executions are booked, and to whom: an execution counts once, whoever reports it (I13).

The identity of an execution is its order and the quantity it brought it to; the broker's own ids differ between stream
and activities. The newest are kept with their numbers, so that the broker may take one back or tell it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import BrokerOrderId
from quant_trading_system.core.values import Allocation

KEPT_MAX = 5_000
"""Executions kept with their numbers: more than a day's; an older one can be undone by its position alone."""

ExecutionKey = tuple[BrokerOrderId, Decimal]


class BookedFill(Struct, frozen=True, kw_only=True):
    """An execution as it was booked. `is_inferred`: from the order's status, until the execution itself is told."""

    execution: Execution
    parts: tuple[Allocation, ...]
    is_inferred: bool = False

    @property
    def key(self) -> ExecutionKey:
        return self.execution.broker_order_id, self.execution.cumulative_quantity

    @property
    def start(self) -> Decimal:
        """Shares of the order that were filled before it."""
        return self.execution.cumulative_quantity - self.execution.quantity

    @property
    def cash_usd(self) -> Decimal:
        execution = self.execution
        return -execution.quantity * execution.price * execution.side.sign


class Fills:
    """Every execution that is booked, by order."""

    def __init__(self) -> None:
        self._cumulatives: dict[BrokerOrderId, set[Decimal]] = {}
        self._kept: dict[ExecutionKey, BookedFill] = {}
        self._of_order: dict[BrokerOrderId, list[ExecutionKey]] = {}
        self._undone: set[ExecutionKey] = set()

    def add(self, fill: BookedFill) -> None:
        self.know(fill.key)
        self._kept[fill.key] = fill
        self._of_order.setdefault(fill.key[0], []).append(fill.key)
        if len(self._kept) > KEPT_MAX:
            self._let_go(next(iter(self._kept)))

    def know(self, key: ExecutionKey) -> None:
        """Count an execution as booked whose numbers are not known any more."""
        self._cumulatives.setdefault(key[0], set()).add(key[1])

    def remove(self, key: ExecutionKey) -> BookedFill:
        """Forget one whose numbers are known; told again it counts again."""
        fill = self._kept[key]
        self._let_go(key)
        self._cumulatives[key[0]].discard(key[1])
        self._undone.add(key)
        return fill

    def note_undone(self, keys: Iterable[ExecutionKey]) -> None:
        """Executions that an earlier life booked and took back: the journal has a row of each."""
        self._undone.update(keys)

    def was_undone(self, key: ExecutionKey) -> bool:
        return key in self._undone

    def is_booked(self, key: ExecutionKey) -> bool:
        return key[1] in self._cumulatives.get(key[0], ())

    def get(self, key: ExecutionKey) -> BookedFill | None:
        return self._kept.get(key)

    def of_order(self, broker_order_id: BrokerOrderId) -> list[BookedFill]:
        """The executions of an order whose numbers are known, by cumulative quantity."""
        found = [self._kept[key] for key in self._of_order.get(broker_order_id, ())]
        return sorted(found, key=lambda fill: fill.execution.cumulative_quantity)

    def inferred_over(self, execution: Execution) -> BookedFill | None:
        """The inferred execution that stands for the shares of a real one."""
        start = execution.cumulative_quantity - execution.quantity
        for fill in self.of_order(execution.broker_order_id):
            if fill.is_inferred and fill.start < execution.cumulative_quantity and start < fill.key[1]:
                return fill
        return None

    def cumulative(self, broker_order_id: BrokerOrderId) -> Decimal:
        """Largest cumulative quantity booked of one order, in shares."""
        return max(self._cumulatives.get(broker_order_id, ()), default=ZERO)

    def whole_orders_since(self, venue_ns: int) -> Mapping[BrokerOrderId, Sequence[BookedFill]]:
        """The orders all of whose executions happened after a venue time, with their executions."""
        found: dict[BrokerOrderId, Sequence[BookedFill]] = {}
        for order, keys in self._of_order.items():
            fills = [self._kept[key] for key in keys]
            is_whole = len(fills) == len(self._cumulatives.get(order, ()))
            if is_whole and all(fill.execution.venue_ns > venue_ns for fill in fills):
                found[order] = fills
        return found

    def _let_go(self, key: ExecutionKey) -> None:
        del self._kept[key]
        keys = self._of_order[key[0]]
        keys.remove(key)
        if not keys:
            del self._of_order[key[0]]
