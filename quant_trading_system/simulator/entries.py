"""What changes the books besides executions: transfers, fees, corporate actions. Nothing here decides anything."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.numbers import ZERO


class NonTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A non-trade activity as Alpaca tells of it (reference 6.1), and what it does to the books.

    `qty` is what is told and may be about shares that moved elsewhere; `position_qty` and `position_cost` are what this
    entry itself adds to the position of `symbol`, signed. A fee that was taken with its execution moves neither.
    """

    id: str  # YYYYMMDD000000000::uuid
    activity_type: str
    day: date
    created_at_ns: int
    net_amount: Decimal = ZERO  # USD as told
    cash: Decimal = ZERO  # USD that this entry adds to the account; not what was booked before
    sub_type: str | None = None
    symbol: str | None = None
    cusip: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    per_share_amount: Decimal | None = None
    description: str = ""
    group_id: str | None = None
    position_qty: Decimal = ZERO
    position_cost: Decimal = ZERO


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """A cash dividend that is owed to those who held the shares when the ex-date began."""

    action_id: str
    symbol: str
    cusip: str
    qty: Decimal  # signed: who was short pays
    cash: Decimal  # USD a share
    pay_day: date


class Void(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that is taken back, and what is right instead where something is (reference 7.3)."""

    execution_id: str
    reversal: Execution
    correction: Execution | None = None


class DayStart(msgspec.Struct, frozen=True, kw_only=True):
    """Everything held from here on was held over night."""

    starts_ns: int
