"""The differ: our books against one complete picture of the broker, as typed differences. Decides what differs.

What to do about it is the policy's business (`reconcile`). It never sees a failed, partial or older picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from quant_trading_system.core.broker import BrokerOrder, BrokerPosition, Execution
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import BrokerOrderId, Symbol
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.status import TERMINAL, Status

CASH_TOLERANCE_USD = Decimal("0.005")
"""The broker shows cents; half of one is rounding."""


class DifferenceKind(StrEnum):
    MISSING_FILL = "missing_fill"  # the broker executed, we did not book
    STATUS_GAP = "status_gap"  # one order, two opinions
    ORPHAN_ORDER = "orphan_order"  # open at the broker, not in our books
    MISSING_ORDER = "missing_order"  # live in our books, named by the broker once, not shown now
    PHANTOM_POSITION = "phantom_position"  # held at the broker, nothing in our books
    QUANTITY_GAP = "quantity_gap"
    SIGN_FLIP = "sign_flip"
    CASH_GAP = "cash_gap"


class Difference(Struct, frozen=True, kw_only=True):
    """One difference. `key` names its subject: the same one is recognised in the next pass by kind, key and `gap`.

    For positions `quantity` is what the broker shows, in signed shares, and `price` its price in USD; for cash `price`
    is the broker's cash.
    """

    kind: DifferenceKind
    key: str
    symbol: Symbol | None
    ours: str
    brokers: str
    gap: Decimal = ZERO
    order: BrokerOrder | None = None
    execution: Execution | None = None
    quantity: Decimal = ZERO
    price: Decimal = ZERO


class OurBooks(Struct, frozen=True, kw_only=True):
    """What we believe: net signed shares, orders, cash in USD, and which executions are booked."""

    positions: Mapping[Symbol, Decimal]
    orders: Sequence[Order]
    cash_usd: Decimal | None
    is_booked: Callable[[tuple[BrokerOrderId, Decimal]], bool]
    cumulative: Callable[[BrokerOrderId], Decimal] = lambda _order: ZERO


def diff(ours: OurBooks, snapshot: BrokerSnapshot) -> tuple[Difference, ...]:
    """Everything that differs: orders first, so that fills find theirs, then fills, then what these do not explain."""
    missing = [
        fill for fill in snapshot.executions if not ours.is_booked((fill.broker_order_id, fill.cumulative_quantity))
    ]
    return (
        *_order_differences(ours, snapshot),
        *_fill_differences(ours, snapshot, missing),
        *_position_differences(ours, snapshot, missing),
        *_cash_difference(ours, snapshot, missing),
    )


def _order_differences(ours: OurBooks, snapshot: BrokerSnapshot) -> Iterator[Difference]:
    by_client = {order.client_order_id: order for order in ours.orders}
    by_broker = {order.broker_order_id: order for order in ours.orders if order.broker_order_id is not None}
    open_ids = {shown.broker_order_id for shown in snapshot.open_orders}
    closed = [shown for shown in snapshot.closed_orders if shown.broker_order_id not in open_ids]
    for shown in (*snapshot.open_orders, *closed):
        order = by_client.get(shown.client_order_id) or by_broker.get(shown.broker_order_id)
        if order is not None and _has_news(order, shown):
            yield _order_difference(DifferenceKind.STATUS_GAP, shown, ours=_say(order))
        elif order is None and shown.broker_order_id in open_ids:
            yield _order_difference(DifferenceKind.ORPHAN_ORDER, shown, ours="none")
    shown_ids = open_ids | {shown.broker_order_id for shown in closed}
    for order in ours.orders:
        if _should_be_shown(order, snapshot) and order.broker_order_id not in shown_ids:
            yield Difference(
                kind=DifferenceKind.MISSING_ORDER,
                key=order.client_order_id,
                symbol=order.symbol,
                ours=_say(order),
                brokers="not shown",
            )


def _fill_differences(ours: OurBooks, snapshot: BrokerSnapshot, missing: Sequence[Execution]) -> Iterator[Difference]:
    """Fills that the ledger lacks, and fills that it has and a live order was not told of (after a restart)."""
    live = {order.broker_order_id: order for order in ours.orders if not order.is_final}
    untold = [
        fill
        for fill in snapshot.executions
        if (order := live.get(fill.broker_order_id)) is not None
        and fill.cumulative_quantity > order.base_filled
        and fill.cumulative_quantity not in order.executions
    ]
    wanted = {(fill.broker_order_id, fill.cumulative_quantity): fill for fill in (*missing, *untold)}
    for fill in sorted(wanted.values(), key=lambda each: (each.venue_ns, each.cumulative_quantity)):
        yield Difference(
            kind=DifferenceKind.MISSING_FILL,
            key=f"{fill.broker_order_id}/{plain(fill.cumulative_quantity)}",
            symbol=fill.symbol,
            ours="not booked" if fill in missing else "booked, the order was not told",
            brokers=f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}",
            execution=fill,
        )


def _position_differences(
    ours: OurBooks, snapshot: BrokerSnapshot, missing: Sequence[Execution]
) -> Iterator[Difference]:
    shown: dict[Symbol, BrokerPosition] = {position.symbol: position for position in snapshot.positions}
    expected = dict(ours.positions)
    for fill in missing:
        expected[fill.symbol] = expected.get(fill.symbol, ZERO) + fill.quantity * fill.side.sign
    for symbol in sorted(expected.keys() | shown.keys()):
        believed = expected.get(symbol, ZERO)
        position = shown.get(symbol)
        held = ZERO if position is None else position.quantity
        if held == believed:
            continue
        yield Difference(
            kind=_position_kind(ours.positions.get(symbol, ZERO), held),
            key=symbol,
            symbol=symbol,
            ours=plain(believed),
            brokers=plain(held),
            gap=held - believed,
            quantity=held,
            price=ZERO if position is None else position.current_price or position.average_entry_price,
        )


def _position_kind(believed: Decimal, held: Decimal) -> DifferenceKind:
    if believed == ZERO:
        return DifferenceKind.PHANTOM_POSITION
    return DifferenceKind.SIGN_FLIP if believed * held < ZERO else DifferenceKind.QUANTITY_GAP


def _cash_difference(ours: OurBooks, snapshot: BrokerSnapshot, missing: Sequence[Execution]) -> Iterator[Difference]:
    if ours.cash_usd is None:
        return
    expected = ours.cash_usd - sum((fill.quantity * fill.price * fill.side.sign for fill in missing), ZERO)
    shown = snapshot.account.cash_usd
    if abs(shown - expected) > CASH_TOLERANCE_USD:
        yield Difference(
            kind=DifferenceKind.CASH_GAP,
            key="cash",
            symbol=None,
            ours=plain(expected),
            brokers=plain(shown),
            gap=shown - expected,
            price=shown,
        )


def _order_difference(kind: DifferenceKind, shown: BrokerOrder, *, ours: str) -> Difference:
    return Difference(
        kind=kind,
        key=shown.broker_order_id,
        symbol=shown.symbol,
        ours=ours,
        brokers=f"{shown.status}, {plain(shown.filled_quantity)} filled",
        order=shown,
    )


def _has_news(order: Order, shown: BrokerOrder) -> bool:
    """Whether the broker's picture tells what we do not know, and is not older than what we know."""
    if order.broker_order_id is None or order.status is Status.UNKNOWN:
        return True
    if shown.updated_ns < order.broker_updated_ns:
        return False
    if order.contradiction == (shown.status, shown.updated_ns):  # refused and said before: no news any more
        return shown.filled_quantity > order.filled_quantity
    return shown.status != order.broker_status or shown.filled_quantity > order.filled_quantity


def _should_be_shown(order: Order, snapshot: BrokerSnapshot) -> bool:
    return (
        order.broker_order_id is not None
        and order.status not in TERMINAL
        and order.status_mono_ns < snapshot.started_mono_ns
    )


def _say(order: Order) -> str:
    return f"{order.status.name} ({order.broker_status or 'no word'}), {plain(order.filled_quantity)} filled"
