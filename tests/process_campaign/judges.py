"""The judges: each compares the exchange's own books with committed rows, and names what must not be. Pure.

They know nothing of the daemon. Where trading goes on, the two sides are read one after the other, and each judge takes
them in the order in which its rule must hold: what the exchange has was committed before, what the database believes
exists a moment later.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from tests.process_campaign.books import LIVE_STATUSES, Ledger, Order, Rows

SENT_FIELDS = ("symbol", "side", "time_in_force", "client_order_id")
SENT_NUMBERS = ("qty", "limit_price", "stop_price")
DONE_STATUSES = frozenset({"FILLED", "CANCELED", "EXPIRED", "REPLACED"})


def find_duplicates(ledger: Ledger) -> list[str]:
    """More than one order of the exchange for one intent (I2)."""
    counted = Counter(order.client_order_id for order in ledger.orders if order.is_ours)
    return [f"duplicate: {number} orders at the exchange for {name}" for name, number in counted.items() if number > 1]


def find_unstored(ledger: Ledger, rows_after: Rows) -> list[str]:
    """An order at the exchange without its intent, or with other contents than were stored (I1, I7)."""
    found = []
    for order in ledger.orders:
        if not order.is_ours:
            continue
        stored = rows_after.intents.get(order.client_order_id)
        if stored is None:
            found.append(f"not stored: {order.client_order_id} is at the exchange, and no intent is")
        else:
            found += _differences(order, stored)
    return found


def find_phantoms(rows: Rows, ledger_after: Ledger) -> list[str]:
    """What the database calls live, filled or done, and the exchange does not have, or has less of."""
    ours = {order.client_order_id: order for order in ledger_after.orders}
    found = []
    for name, row in rows.orders.items():
        if row.is_external or row.status not in LIVE_STATUSES | DONE_STATUSES:
            continue
        order = ours.get(name)
        if order is None:
            found.append(f"phantom: {name} is {row.status} in the database, and the exchange has no such order")
        elif row.broker_order_id not in (None, order.broker_order_id):
            found.append(f"phantom: {name} is {row.broker_order_id}, and the exchange calls it {order.broker_order_id}")
        elif row.filled > order.filled:
            found.append(f"phantom: {name} has {row.filled} shares filled, and {order.filled} at the exchange")
        elif row.status == "FILLED" and order.status != "filled":
            found.append(f"phantom: {name} is FILLED in the database and {order.status} at the exchange")
    return found


def find_lost_fills(ledger: Ledger, rows_after: Rows) -> list[str]:
    """Shares executed at the exchange and not booked; to be asked once recovery had its time."""
    return [
        f"lost: {shares} shares of order {name} executed, {rows_after.booked.get(name, Decimal(0))} booked"
        for name, shares in ledger.executed.items()
        if rows_after.booked.get(name, Decimal(0)) < shares
    ]


def find_unclaimed(ledger: Ledger, rows_after: Rows) -> list[str]:
    """An executed order of ours that the database does not have as ours: its shares would be a person's."""
    found = []
    for order in ledger.orders:
        row = rows_after.orders.get(order.client_order_id)
        if order.is_ours and order.broker_order_id in ledger.executed and (row is None or row.is_external):
            found.append(f"unclaimed: {order.client_order_id} was executed, and is {'external' if row else 'missing'}")
    return found


def find_invented_fills(rows: Rows, ledger_after: Ledger) -> list[str]:
    """Shares booked twice, or that the exchange never executed."""
    found = [f"booked twice: a fill of order {name}" for name in rows.repeated_fills]
    for name, shares in rows.booked.items():
        executed = ledger_after.executed.get(name, Decimal(0))
        if shares > executed:
            found.append(f"invented: {shares} shares of order {name} booked, {executed} executed")
    return found


def find_unbalanced(rows: Rows) -> list[str]:
    """Positions that are not the sum of the fills of the same moment (I12)."""
    symbols = sorted({*rows.positions, *rows.traded})
    return [
        f"unbalanced: {symbol} {rows.positions.get(symbol, Decimal(0))}, fills sum to {rows.traded.get(symbol, 0)}"
        for symbol in symbols
        if rows.positions.get(symbol, Decimal(0)) != rows.traded.get(symbol, Decimal(0))
    ]


def find_unequal(rows: Rows, cash: Decimal | None, ledger: Ledger) -> list[str]:
    """Books that differ at a quiet moment: positions, cash."""
    symbols = sorted({*rows.positions, *ledger.positions})
    found = [
        f"unequal: {symbol} {rows.positions.get(symbol, 0)}, at the exchange {ledger.positions.get(symbol, 0)}"
        for symbol in symbols
        if rows.positions.get(symbol, Decimal(0)) != ledger.positions.get(symbol, Decimal(0))
    ]
    if cash != ledger.cash:
        found.append(f"unequal: cash {cash}, at the exchange {ledger.cash}")
    return found


def find_stale_writers(before: Rows, after: Rows, epoch: int) -> list[str]:
    """Intents stored after `before` under an older epoch than the one that was taken by then (I25)."""
    return [
        f"stale writer: {name} was stored under epoch {number}, after epoch {epoch} was taken"
        for name, number in after.epochs.items()
        if name not in before.epochs and number < epoch
    ]


def _differences(order: Order, stored: dict[str, object]) -> list[str]:
    found = [
        f"other bytes: {order.client_order_id} {name} {order.sent.get(name)}, stored {stored.get(name)}"
        for name in SENT_FIELDS
        if order.sent.get(name) != stored.get(name)
    ]
    for name in SENT_NUMBERS:
        shown, kept = to_number(order.sent.get(name)), to_number(stored.get(name))
        if shown != kept:
            found.append(f"other bytes: {order.client_order_id} {name} {shown}, stored {kept}")
    return found


def to_number(value: object) -> Decimal | None:
    """A number of JSON as it was written."""
    return None if value is None else Decimal(str(value))
