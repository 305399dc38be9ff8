"""What the exchange says: market messages and order events. Nothing here decides anything.

Market messages are made hundreds of thousands of times a day: structs without garbage-collector tracking, floats
alone. Money in order events is Decimal.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from quant_trading_system.simulator.orders import SimOrder

REGULAR_TRADE = ("@",)


class SimTrade(msgspec.Struct, frozen=True, gc=False):
    """One print. Price in USD, size in shares; `trade_id` is unique within a symbol's day.

    `update` is set in history alone: what a print became after it was reported (canceled, incorrect, corrected).
    """

    symbol: str
    price: float
    size: float
    ts_ns: int
    exchange: str
    trade_id: int
    conditions: tuple[str, ...] = REGULAR_TRADE
    taker_side: str = ""  # crypto alone: B or S
    update: str = ""


class SimQuote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer, prices in USD, sizes in shares."""

    symbol: str
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    ts_ns: int


MINUTE_BAR = "b"
UPDATED_BAR = "u"
DAILY_BAR = "d"


class SimBar(msgspec.Struct, frozen=True, gc=False):
    """One bar, stamped with its beginning; a daily bar with New York midnight. `kind` is the stream's letter."""

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    ts_ns: int
    trade_count: int
    vwap: float
    kind: str = MINUTE_BAR


class SimStatus(msgspec.Struct, frozen=True, gc=False):
    """A trading status message: code and reason are of the symbol's tape (reference 9.5)."""

    symbol: str
    code: str
    message: str
    reason_code: str
    reason_message: str
    ts_ns: int


class SimLuld(msgspec.Struct, frozen=True, gc=False):
    """Limit-up-limit-down bands, USD."""

    symbol: str
    limit_up: float
    limit_down: float
    indicator: str
    ts_ns: int


class SimCorrection(msgspec.Struct, frozen=True, gc=False):
    """A print was reported wrongly: what it was said to be, and what it is."""

    symbol: str
    exchange: str
    original_id: int
    original_price: float
    original_size: float
    original_conditions: tuple[str, ...]
    corrected_id: int
    corrected_price: float
    corrected_size: float
    corrected_conditions: tuple[str, ...]
    ts_ns: int


class SimCancelError(msgspec.Struct, frozen=True, gc=False):
    """A print is taken back: `action` is C for a cancel, E for an error."""

    symbol: str
    trade_id: int
    exchange: str
    price: float
    size: float
    action: str
    ts_ns: int


class SimImbalance(msgspec.Struct, frozen=True, gc=False):
    """An order imbalance message: the price at which it stands."""

    symbol: str
    price: float
    ts_ns: int


class SimOrderbook(msgspec.Struct, frozen=True, gc=False):
    """Levels of a crypto pair as (price, size), best first; size 0 removes one, `is_reset` replaces the whole book."""

    symbol: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    is_reset: bool
    ts_ns: int


MarketEvent = (
    SimTrade | SimQuote | SimBar | SimStatus | SimLuld | SimCorrection | SimCancelError | SimImbalance | SimOrderbook
)


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
    previous_execution_id: str | None = None  # of trade_bust and trade_correct: the execution that they take back


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill, as the books keep it; or what takes one back: its quantity is negative then.

    A bust is one that takes back; a correction is one that takes back and one with what is right, both naming the
    execution that they are about.
    """

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
    fee_qty: Decimal = Decimal(0)  # of a crypto buy: what is kept of the coins (reference 2.15)
    previous_execution_id: str | None = None  # what a bust or a correction is about
