"""The twelve kinds of difference between our books and the broker's, and those of orders. Decides which order differs.

Shares and cash are compared in `holdings`; what to do about a difference is the policy's business (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from quant_trading_system.core.broker import Activity, BrokerOrder, BrokerPosition, Execution
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import BrokerOrderId, Symbol
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.status import TABLE, TERMINAL, Status, meaning


class DifferenceKind(StrEnum):
    MISSING_FILL = "missing_fill"  # the broker executed, we did not book
    CHANGED_EXECUTION = "changed_execution"  # we booked, the broker took it back or has other numbers
    STATUS_GAP = "status_gap"  # one order, two opinions
    ORPHAN_ORDER = "orphan_order"  # open at the broker, not in our books
    MISSING_ORDER = "missing_order"  # live in our books, named by the broker once, not shown now
    PHANTOM_POSITION = "phantom_position"  # held at the broker, nothing in our books
    LOST_POSITION = "lost_position"  # held in our books, nothing at the broker
    QUANTITY_GAP = "quantity_gap"
    SIGN_FLIP = "sign_flip"
    CORPORATE_ACTION = "corporate_action"  # an activity says why there are other shares
    CASH_FLOW = "cash_flow"  # an activity says why there is other cash
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
    executions: tuple[Execution, ...] = ()
    """Of a changed execution: all that the broker has of its order now."""
    activities: tuple[Activity, ...] = ()
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    moved_to: Symbol | None = None
    is_settled: bool = True
    """The picture bears it out: it may be believed at once."""
    is_in_flux: bool = False
    """An order that is working could explain it by a fill that nobody told yet (fault C9)."""
    moved_no_cash: bool = False
    """Of shares: the cash is nearer to what we know than to what a fill of them would have left. No fill did it."""


class OurBooks(Struct, frozen=True, kw_only=True):
    """What we believe: net signed shares, orders, cash in USD, and which executions and activities are booked.

    `whole_orders` are the executions of each order all of whose executions the picture must show.
    """

    positions: Mapping[Symbol, Decimal]
    orders: Sequence[Order]
    cash_usd: Decimal | None
    is_booked: Callable[[tuple[BrokerOrderId, Decimal]], bool]
    whole_orders: Mapping[BrokerOrderId, Sequence[Execution]] = {}
    is_entered: Callable[[str], bool] = lambda _activity_id: True
    unexplained_usd: Decimal = ZERO


def order_differences(ours: OurBooks, snapshot: BrokerSnapshot) -> Iterator[Difference]:
    """Orders of which the picture tells news, or that only one side knows."""
    by_client = {order.client_order_id: order for order in ours.orders}
    by_broker = {order.broker_order_id: order for order in ours.orders if order.broker_order_id is not None}
    open_ids = {shown.broker_order_id for shown in snapshot.open_orders}
    closed = [shown for shown in snapshot.closed_orders if shown.broker_order_id not in open_ids]
    for shown in (*snapshot.open_orders, *closed):
        order = by_client.get(shown.client_order_id) or by_broker.get(shown.broker_order_id)
        if order is not None and _has_news(order, shown):
            yield _order_difference(
                DifferenceKind.STATUS_GAP, shown, ours=_say(order), is_settled=not _is_another_word(order, shown)
            )
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


def price_of(position: BrokerPosition | None) -> Decimal:
    """USD a share by the broker's picture; 0 where it holds nothing."""
    return ZERO if position is None else position.current_price or position.average_entry_price


def _order_difference(kind: DifferenceKind, shown: BrokerOrder, *, ours: str, is_settled: bool = True) -> Difference:
    return Difference(
        kind=kind,
        key=shown.broker_order_id,
        symbol=shown.symbol,
        ours=ours,
        brokers=f"{shown.status}, {plain(shown.filled_quantity)} filled",
        order=shown,
        is_settled=is_settled,
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


def _is_another_word(order: Order, shown: BrokerOrder) -> bool:
    """Whether the broker only calls by another word what we know: no shares moved, and the order may do what it may."""
    if order.broker_order_id is None or shown.filled_quantity != order.filled_quantity:
        return False
    return TABLE.get((order.status, meaning(shown.status))) is order.status and order.status not in TERMINAL


def _should_be_shown(order: Order, snapshot: BrokerSnapshot) -> bool:
    return (
        order.broker_order_id is not None
        and order.status not in TERMINAL
        and order.status_mono_ns < snapshot.started_mono_ns
    )


def _say(order: Order) -> str:
    return f"{order.status.name} ({order.broker_status or 'no word'}), {plain(order.filled_quantity)} filled"
