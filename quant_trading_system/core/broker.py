"""What the broker says, in our words: orders, executions, positions, account, clock. Raw status words are kept."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    Nanos,
    Side,
    Symbol,
)


class BrokerOrder(Struct, frozen=True, kw_only=True):
    """One order as the broker shows it. Type, time in force and status are the broker's words, known to us or not."""

    broker_order_id: BrokerOrderId
    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    order_type: str
    time_in_force: str
    quantity: Decimal | None
    notional_usd: Decimal | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: str
    submitted_ns: Nanos
    updated_ns: Nanos
    replaced_by: BrokerOrderId | None = None
    replaces: BrokerOrderId | None = None
    order_class: str = ""
    legs: tuple[BrokerOrder, ...] = ()
    """Shown in the answer to a POST alone; lists show legs as orders of their own, without a word of their parent."""


class Execution(Struct, frozen=True, kw_only=True):
    """One fill. Its identity across stream and activities is (broker_order_id, cumulative_quantity)."""

    execution_id: ExecutionId
    broker_order_id: BrokerOrderId
    client_order_id: ClientOrderId | None
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    venue_ns: Nanos


class Activity(Struct, frozen=True, kw_only=True):
    """What the broker booked on the account besides fills. `kind` and `sub_kind` are its words, known to us or not.

    `quantity` is in signed shares, `net_amount_usd` signed, both 0 where the activity has none.
    """

    activity_id: str
    kind: str
    sub_kind: str
    symbol: Symbol | None
    quantity: Decimal
    net_amount_usd: Decimal
    group_id: str
    text: str
    venue_ns: Nanos
    reverses: str = ""
    """The activity that this one takes back: the broker shows it as canceled."""


class BrokerPosition(Struct, frozen=True, kw_only=True):
    """Signed shares the broker holds for us, and its average price."""

    symbol: Symbol
    asset_id: str
    quantity: Decimal
    average_entry_price: Decimal
    current_price: Decimal | None
    market_value_usd: Decimal | None = None
    """The broker's own valuation; it knows what a contract of another class is worth."""


class BrokerAccount(Struct, frozen=True, kw_only=True):
    """Money as the broker shows it, in USD."""

    account_number: str
    status: str
    cash_usd: Decimal
    equity_usd: Decimal
    last_equity_usd: Decimal
    buying_power_usd: Decimal
    multiplier: Decimal
    blocked: bool
    shorting_enabled: bool


class ClockReading(Struct, frozen=True, kw_only=True):
    """The broker's own clock: venue time, and whether it says the regular session is open."""

    venue_ns: Nanos
    is_open: bool
    next_open_ns: Nanos
    next_close_ns: Nanos
