"""What the exchange says: market messages and order events. Nothing here decides anything.

Market messages are made hundreds of thousands of times a day: structs without garbage-collector tracking, floats
alone. Money in order events is Decimal.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from quant_trading_system.simulator.orders import SimOrder


class SimTrade(msgspec.Struct, frozen=True, gc=False):
    """One print. Price in USD, size in shares; `trade_id` counts the prints of a symbol within its day."""

    symbol: str
    price: float
    size: float
    ts_ns: int
    exchange: str
    trade_id: int


class SimQuote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer, prices in USD, sizes in shares."""

    symbol: str
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    ts_ns: int


class SimBar(msgspec.Struct, frozen=True, gc=False):
    """One bar, stamped with its beginning; a daily bar with New York midnight."""

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    ts_ns: int
    trade_count: int
    vwap: float


class SimStatus(msgspec.Struct, frozen=True, gc=False):
    """A trading status message: halt (`H`) or resumption (`T`)."""

    symbol: str
    code: str
    message: str
    reason_code: str
    reason_message: str
    ts_ns: int


MarketEvent = SimTrade | SimQuote | SimBar | SimStatus


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message for `trade_updates`, in the order in which things happened.

    `order` is a copy taken after the event. `execution_id` is set on `new`, fills and what follows an acknowledgement;
    never on `pending_new` and `accepted` (reference 7.2, recorded 2026-09-18).
    """

    sequence: int  # counts all order events of the account, never repeats while the exchange runs
    event: str
    timestamp_ns: int
    order: SimOrder
    execution_id: str | None = None
    price: Decimal | None = None  # of this execution
    qty: Decimal | None = None  # of this execution
    position_qty: Decimal | None = None  # signed, after it


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill, as the books keep it."""

    sequence: int
    execution_id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    timestamp_ns: int
    cum_qty: Decimal  # of the order, this one included
    leaves_qty: Decimal  # of the order, after this one
    order_status: str  # partially_filled or filled
    activity_id: str  # YYYYMMDDHHMMSSmmm::uuid, New York time (reference 6.1)
