"""Executions that are not what they were booked as, and fills that only a status tells. Decides by evidence.

The list of executions alone proves nothing, because it may lag. That one is gone, or has other numbers, is believed
where the order's own picture or the position at the broker says the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from decimal import Decimal

from msgspec import structs

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import BrokerOrderId, ExecutionId, Symbol
from quant_trading_system.orders.differences import Difference, DifferenceKind, OurBooks
from quant_trading_system.orders.order import Order

PRICE_TOLERANCE_USD = Decimal("0.00005")
"""Stream and activities may round a price differently; half of the smallest tick is no correction."""

Held = Callable[[Symbol], Decimal]
Numbers = Mapping[Decimal, tuple[Decimal, Decimal]]


def distinct(executions: Sequence[Execution]) -> tuple[Execution, ...]:
    """The list with one identity an execution: a correction may tell the quantity of now for a fill of before.

    Where two of an order bring it to the same quantity, its fills are counted up anew, in the order of their times.
    """
    keys = [(fill.broker_order_id, fill.cumulative_quantity) for fill in executions]
    doubled = [order_id for (order_id, _), count in Counter(keys).items() if count > 1]
    if not doubled:
        return tuple(executions)
    counted = {id_: _counted_up([fill for fill in executions if fill.broker_order_id == id_]) for id_ in doubled}
    return tuple(
        counted[fill.broker_order_id][fill.execution_id] if fill.broker_order_id in counted else fill
        for fill in executions
    )


def _counted_up(fills: Sequence[Execution]) -> dict[ExecutionId, Execution]:
    end = max(fill.cumulative_quantity for fill in fills)
    at = end - sum((fill.quantity for fill in fills), ZERO)
    counted = {}
    for fill in sorted(fills, key=lambda each: (each.venue_ns, each.execution_id)):
        at += fill.quantity
        counted[fill.execution_id] = structs.replace(fill, cumulative_quantity=at)
    return counted


def changed_orders(
    ours: OurBooks, snapshot: BrokerSnapshot, expected: Mapping[Symbol, Decimal], held: Held
) -> list[Difference]:
    """Orders of which the broker has other executions than we booked; `expected` counts what is listed and missing."""
    pictures = {order.broker_order_id: order for order in (*snapshot.closed_orders, *snapshot.open_orders)}
    listed: dict[BrokerOrderId, list[Execution]] = {}
    for fill in snapshot.executions:
        listed.setdefault(fill.broker_order_id, []).append(fill)
    untold = {shown.symbol for _, shown, _ in _untold(ours, snapshot)}
    found = []
    for order_id, booked in ours.whole_orders.items():
        theirs = listed.get(order_id, [])
        if not _differs(_numbers(booked), _numbers(theirs)):
            continue
        symbol = booked[0].symbol
        missing = [fill for fill in theirs if not ours.is_booked((order_id, fill.cumulative_quantity))]
        settled = expected.get(symbol, ZERO) - _signed(booked) - _signed(missing) + _signed(theirs)
        agrees = symbol not in untold and settled == held(symbol)  # fills that nobody told move a position, too
        if not _is_borne_out(booked, theirs, pictures.get(order_id), agrees):
            continue
        found.append(
            Difference(
                kind=DifferenceKind.CHANGED_EXECUTION,
                key=order_id,
                symbol=symbol,
                ours=_say(booked),
                brokers=_say(theirs),
                gap=_worth(theirs) - _worth(booked),
                executions=tuple(sorted(theirs, key=lambda fill: fill.cumulative_quantity)),
            )
        )
    return found


def inferred_fills(
    ours: OurBooks, snapshot: BrokerSnapshot, expected: Mapping[Symbol, Decimal], held: Held, *, without: Set[str]
) -> list[Execution]:
    """Fills that an order's picture shows, the position confirms, and no execution tells."""
    rests: dict[Symbol, list[Execution]] = {}
    for order, shown, told in _untold(ours, snapshot):
        if shown.broker_order_id not in without:
            fill = _inferred(order, shown, told, shown.filled_quantity - told)
            rests.setdefault(shown.symbol, []).append(fill)
    found = []
    for symbol, fills in rests.items():
        missing = held(symbol) - expected.get(symbol, ZERO)
        together = _signed(fills) == missing
        found += fills if together else [fill for fill in fills if _signed([fill]) == missing][:1]
    return found


def _untold(ours: OurBooks, snapshot: BrokerSnapshot) -> Iterator[tuple[Order, BrokerOrder, Decimal]]:
    """Orders of ours whose picture shows more filled than their executions, and how much these tell."""
    known = {order.broker_order_id: order for order in ours.orders if order.broker_order_id is not None}
    listed: dict[BrokerOrderId, Decimal] = {}
    for fill in snapshot.executions:
        listed[fill.broker_order_id] = listed.get(fill.broker_order_id, ZERO) + fill.quantity
    for shown in (*snapshot.closed_orders, *snapshot.open_orders):
        order = known.get(shown.broker_order_id)
        if order is not None:
            told = max(order.executed_quantity, listed.get(shown.broker_order_id, ZERO))
            if shown.filled_quantity > told:
                yield order, shown, told


def _inferred(order: Order, shown: BrokerOrder, told: Decimal, rest: Decimal) -> Execution:
    """What the status tells of a fill: its shares, and the price that makes the average."""
    price = shown.filled_average_price or shown.limit_price or order.reference_price
    if shown.filled_average_price is not None and told == order.executed_quantity:
        value = shown.filled_average_price * shown.filled_quantity - order.filled_value_usd
        price = value / rest if value > ZERO else price
    return Execution(
        execution_id=ExecutionId(f"{shown.broker_order_id}:{plain(shown.filled_quantity)}"),
        broker_order_id=shown.broker_order_id,
        client_order_id=shown.client_order_id,
        symbol=shown.symbol,
        side=shown.side,
        quantity=rest,
        price=price.quantize(Decimal("0.000001")),
        cumulative_quantity=shown.filled_quantity,
        venue_ns=shown.updated_ns,
    )


def _numbers(fills: Sequence[Execution]) -> Numbers:
    return {fill.cumulative_quantity: (fill.quantity, fill.price) for fill in fills}


def _differs(ours: Numbers, theirs: Numbers) -> bool:
    """Whether something we booked is gone or has other numbers; what was added is a missing fill."""
    for cumulative, (quantity, price) in ours.items():
        told = theirs.get(cumulative)
        if told is None or told[0] != quantity or abs(told[1] - price) > PRICE_TOLERANCE_USD:
            return True
    return False


def _is_borne_out(
    booked: Sequence[Execution], theirs: Sequence[Execution], picture: BrokerOrder | None, position_agrees: bool
) -> bool:
    has = sum((fill.quantity for fill in theirs), ZERO)
    had = sum((fill.quantity for fill in booked), ZERO)
    if has == had:
        return True  # as many shares at another price: only the list can say so
    return position_agrees or (picture is not None and picture.filled_quantity == has)


def _signed(fills: Sequence[Execution]) -> Decimal:
    return sum((fill.quantity * fill.side.sign for fill in fills), ZERO)


def _worth(fills: Sequence[Execution]) -> Decimal:
    return sum((fill.quantity * fill.price * fill.side.sign for fill in fills), ZERO)


def _say(fills: Sequence[Execution]) -> str:
    return "; ".join(f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}" for fill in fills) or "no execution"
