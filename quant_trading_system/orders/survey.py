"""What the orders at the broker say of the database: whose they are, and which of ours it does not know.

Decides that an order under a token of ours which the database does not know was lost by the database, not sent by a
stranger: every intent is committed before its bytes leave, so a database that lacks one was taken back (fault F13).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal

from msgspec import Struct

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.events import RestoredBook, RestoredOrder
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import ClientOrderId, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.orders.ids import instance_part, parse, strategy_part


class Survey(Struct, frozen=True, kw_only=True):
    """`foreign`: made by this program with another database. `ours`: under a token of this database."""

    foreign: tuple[BrokerOrder, ...]
    ours: tuple[BrokerOrder, ...]

    def unknown(self, known: Collection[ClientOrderId]) -> tuple[BrokerOrder, ...]:
        """Those of ours that the database does not know."""
        return tuple(order for order in self.ours if order.client_order_id not in known)


def survey(shown: Sequence[BrokerOrder], *, tokens: Collection[str]) -> Survey:
    """Sort what the broker shows by who made it; what a person or another program sent is in neither part."""
    parts = {instance_part(token) for token in tokens}
    foreign: list[BrokerOrder] = []
    ours: list[BrokerOrder] = []
    for order in {order.broker_order_id: order for order in shown}.values():
        parsed = parse(order.client_order_id)
        if parsed is not None:
            (ours if parsed.instance in parts else foreign).append(order)
    return Survey(foreign=tuple(foreign), ours=tuple(ours))


def sequence_of_order(order: BrokerOrder) -> int:
    """The sequence number that an order of this program bears."""
    parsed = parse(order.client_order_id)
    assert parsed is not None, f"{order.client_order_id} is an id of this program"
    return parsed.sequence


def taken_back(
    lost: Sequence[BrokerOrder], *, strategies: Sequence[StrategyId], books: Sequence[RestoredBook]
) -> tuple[RestoredOrder, ...]:
    """Orders of ours that the database lost, as the broker knows them, the oldest first.

    They count as working until the first pass shows what became of them; their fills come with that pass.
    """
    held = {(book.strategy, book.symbol): book.quantity for book in books}
    return tuple(_taken_back(order, strategies, held) for order in sorted(lost, key=lambda order: order.submitted_ns))


def _taken_back(
    order: BrokerOrder, strategies: Sequence[StrategyId], held: dict[tuple[StrategyId, Symbol], Decimal]
) -> RestoredOrder:
    parsed = parse(order.client_order_id)
    assert parsed is not None, f"{order.client_order_id} is an id of this program"
    quantity = order.quantity if order.quantity is not None else order.filled_quantity
    owner = next((each for each in strategies if strategy_part(each) == parsed.strategy), None)
    if owner is not None:
        allocations: tuple[Allocation, ...] = (Allocation(owner, quantity * order.side.sign),)
    else:
        allocations = _shared(order.symbol, quantity * order.side.sign, strategies, held)
    for each in allocations:
        key = (each.strategy, order.symbol)
        done = each.quantity * order.filled_quantity / quantity if quantity else ZERO
        held[key] = held.get(key, ZERO) + done
    return RestoredOrder(
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        strategy=owner or StrategyId(parsed.strategy),
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        time_in_force=order.time_in_force,
        reference_price=order.limit_price or order.stop_price or order.filled_average_price or ZERO,
        allocations=allocations,
        decision_id="",
        status="WORKING",
        filled_quantity=ZERO,
        filled_value_usd=ZERO,
        created_ns=order.submitted_ns,
    )


def _shared(
    symbol: Symbol,
    signed: Decimal,
    strategies: Sequence[StrategyId],
    held: Mapping[tuple[StrategyId, Symbol], Decimal],
) -> tuple[Allocation, ...]:
    """How strategies shared an order is lost with the database: it closes what they hold, then is cut evenly."""
    left = signed
    parts: dict[StrategyId, Decimal] = {}
    for strategy in sorted(strategies, key=lambda each: -abs(held.get((each, symbol), ZERO))):
        quantity = held.get((strategy, symbol), ZERO)
        if left and quantity * signed < ZERO:
            parts[strategy] = max(left, -quantity) if left < ZERO else min(left, -quantity)
            left -= parts[strategy]
    even = (left / len(strategies)).to_integral_value(ROUND_DOWN)
    for strategy in strategies:
        parts[strategy] = parts.get(strategy, ZERO) + even
        left -= even
    parts[strategies[0]] += left
    return tuple(Allocation(strategy, quantity) for strategy, quantity in parts.items() if quantity)
