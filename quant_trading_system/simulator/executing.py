"""Makes the execution that tells of a fill. Decides its fields alone: what it does to money is the books' business."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.fees import fee_of
from quant_trading_system.simulator.instants import activity_prefix
from quant_trading_system.simulator.matching import Fill
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.orders import SimOrder


def execution_of(
    order: SimOrder, fill: Fill, *, number: int, chance: Chance, fee_bps: Decimal, now_ns: Nanos
) -> Execution:
    """The execution of a fill that the order counts already; `number` counts the executions of the account."""
    leaves = order.remaining(fill.price)
    fee = fee_of(
        asset_class=order.asset_class,
        side=order.side,
        qty=fill.qty,
        price=fill.price,
        rate_bps=fee_bps,
        filled_before=order.filled_qty - fill.qty,
    )
    return Execution(
        sequence=number,
        execution_id=chance.uuid("execution", number),
        order_id=order.id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=fill.qty,
        price=fill.price,
        fee=fee.usd,
        fee_qty=fee.qty,
        timestamp_ns=now_ns,
        cum_qty=order.filled_qty,
        leaves_qty=leaves,
        order_status="filled" if leaves == ZERO else "partially_filled",
        activity_id=f"{activity_prefix(now_ns)}::{chance.uuid('activity', number)}",
    )
