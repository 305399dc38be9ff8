"""Reads the broker's REST bodies into our words. Decides what is unreadable, never what it means.

Tolerant where the broker grows (unknown keys, unknown status words, decimals as text or number, absent optional
fields); strict where a guess would be a lie: a missing quantity or a side we do not know makes the whole answer
unreadable, because half a list must not pass for the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from quant_trading_system.adapters.alpaca.failures import Unreadable
from quant_trading_system.adapters.alpaca.stamps import parse_stamp
from quant_trading_system.core.broker import (
    Activity,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    ClockReading,
    Execution,
)
from quant_trading_system.core.clock import NEW_YORK, to_nanos
from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    Nanos,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
)

SHOWN_BYTES_MAX = 200  # of an error body that is no JSON
LEGS_MAX = 4  # of an option strategy; an order of shares has two
DIGITS_MAX = 18  # before the point; more is an error of somebody's, not money
CANCELED = "canceled"
Value = TypeVar("Value")
Word = TypeVar("Word", OrderType, TimeInForce)


class Refusal(Struct, frozen=True, kw_only=True):
    """An error body. `code` is None where the body had none or was no JSON object (`is_page`: a proxy's page)."""

    code: int | None
    message: str
    extra: dict[str, object] = {}
    is_page: bool = False


class Asset(Struct, frozen=True, kw_only=True):
    """The broker's entry of one instrument; `status` is its word."""

    asset_id: str
    symbol: Symbol
    exchange: str
    status: str
    tradable: bool
    fractionable: bool
    shortable: bool
    marginable: bool


class CalendarDay(Struct, frozen=True, kw_only=True):
    """The regular session of one New York date, by the broker's calendar."""

    day: date
    open_ns: Nanos
    close_ns: Nanos


class _Order(Struct, kw_only=True):
    id: str
    status: str
    side: str
    client_order_id: str | None = None
    symbol: str | None = None
    type: str | None = None
    order_type: str | None = None
    time_in_force: str | None = None
    qty: Decimal | None = None
    notional: Decimal | None = None
    filled_qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    submitted_at: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    order_class: str | None = None
    legs: list[Raw] | None = None


class _Leg(_Order, kw_only=True):
    legs: None = None  # a leg has none


class _Fill(Struct, kw_only=True):
    id: str
    order_id: str
    transaction_time: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    activity_type: str = "FILL"


class _Activity(Struct, kw_only=True):
    id: str
    activity_type: str
    activity_sub_type: str | None = None
    symbol: str | None = None
    qty: Decimal | None = None
    net_amount: Decimal | None = None
    date: str | None = None
    created_at: str | None = None
    group_id: str | None = None
    description: str | None = None
    status: str | None = None


class _Position(Struct, kw_only=True):
    symbol: str
    asset_id: str
    qty: Decimal
    avg_entry_price: Decimal
    side: str = "long"
    current_price: Decimal | None = None
    market_value: Decimal | None = None


class _Account(Struct, kw_only=True):
    account_number: str
    status: str
    cash: Decimal
    equity: Decimal
    last_equity: Decimal
    buying_power: Decimal
    multiplier: Decimal = Decimal(1)
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    shorting_enabled: bool = False


class _Clock(Struct, kw_only=True):
    timestamp: str
    is_open: bool
    next_open: str
    next_close: str


class _Day(Struct, kw_only=True):
    date: str
    open: str
    close: str


class _Asset(Struct, kw_only=True):
    id: str
    symbol: str
    status: str
    tradable: bool
    exchange: str = ""
    fractionable: bool = False
    shortable: bool = False
    marginable: bool = False


def parse_refusal(body: bytes) -> Refusal:
    """An error body, whatever it is: JSON with or without a code, an HTML page of a proxy, nothing."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        content = None
    if not isinstance(content, dict):
        text = " ".join(body[:SHOWN_BYTES_MAX].decode("utf-8", "replace").split())
        return Refusal(code=None, message=text or "empty body", is_page=True)
    code = content.pop("code", None)
    message = content.pop("message", "")
    return Refusal(code=code if type(code) is int else None, message=str(message), extra=content)


def parse_order(body: bytes | Raw) -> BrokerOrder:
    """One order. Raises `Unreadable`."""
    return guarded(lambda: _order(msgspec.json.decode(body, type=_Order)), "order")


def parse_orders(body: bytes) -> list[BrokerOrder]:
    """A list of orders; one that is unreadable makes the list unreadable."""
    return guarded(lambda: [_order(wire) for wire in msgspec.json.decode(body, type=list[_Order])], "orders")


def parse_fills(body: bytes) -> list[Execution]:
    """FILL activities."""
    return guarded(lambda: [_execution(wire) for wire in msgspec.json.decode(body, type=list[_Fill])], "activities")


def parse_activities(body: bytes) -> list[Activity]:
    """Activities that are no fills, whatever else the page holds. A canceled one is told as what takes it back."""
    return guarded(
        lambda: [
            _activity(wire)
            for wire in msgspec.json.decode(body, type=list[_Activity])
            if wire.activity_type != "FILL"  # a server may not know the category that was asked for
        ],
        "activities",
    )


def parse_positions(body: bytes) -> list[BrokerPosition]:
    return guarded(lambda: [_position(wire) for wire in msgspec.json.decode(body, type=list[_Position])], "positions")


def parse_account(body: bytes) -> BrokerAccount:
    return guarded(lambda: _account(msgspec.json.decode(body, type=_Account)), "account")


def parse_clock(body: bytes) -> ClockReading:
    return guarded(lambda: _clock(msgspec.json.decode(body, type=_Clock)), "clock")


def parse_calendar(body: bytes) -> list[CalendarDay]:
    return guarded(lambda: [_day(wire) for wire in msgspec.json.decode(body, type=list[_Day])], "calendar")


def parse_asset(body: bytes) -> Asset:
    return guarded(lambda: _asset(msgspec.json.decode(body, type=_Asset)), "asset")


def parse_assets(body: bytes) -> list[Asset]:
    return guarded(lambda: [_asset(wire) for wire in msgspec.json.decode(body, type=list[_Asset])], "assets")


def to_side(word: str) -> Side:
    """Our side of a broker's word; a short sale is a sale. Raises ValueError."""
    return Side.SELL if word == "sell_short" else Side(word)


def finite(amount: Decimal) -> Decimal:
    """The amount itself, unless it is no amount. Raises ValueError."""
    if not amount.is_finite() or amount.adjusted() >= DIGITS_MAX:
        raise ValueError(f"expected a number of at most {DIGITS_MAX} digits, found {str(amount)[:40]}")
    return amount


def guarded(parse: Callable[[], Value], what: str) -> Value:
    """Run a parser; whatever is wrong with its input becomes `Unreadable`, naming what was being read."""
    try:
        return parse()
    except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
        raise Unreadable(f"unreadable {what}: {error}") from error


def _order(wire: _Order) -> BrokerOrder:
    submitted = _first((wire.submitted_at, wire.created_at, wire.updated_at), "submitted_at")
    updated = _first((wire.updated_at, wire.submitted_at, wire.created_at), "updated_at")
    filled = wire.filled_qty if wire.filled_qty is not None else Decimal(0)
    return BrokerOrder(
        broker_order_id=BrokerOrderId(wire.id),
        client_order_id=ClientOrderId(wire.client_order_id or ""),
        symbol=Symbol(wire.symbol or ""),
        side=to_side(wire.side),
        order_type=_word(OrderType, wire.type or wire.order_type or ""),
        time_in_force=_word(TimeInForce, wire.time_in_force or ""),
        quantity=_optional(wire.qty),
        notional_usd=_optional(wire.notional),
        filled_quantity=finite(filled),
        filled_average_price=_optional(wire.filled_avg_price),
        limit_price=_optional(wire.limit_price),
        stop_price=_optional(wire.stop_price),
        status=wire.status,
        submitted_ns=parse_stamp(submitted),
        updated_ns=parse_stamp(updated),
        replaced_by=BrokerOrderId(wire.replaced_by) if wire.replaced_by else None,
        replaces=BrokerOrderId(wire.replaces) if wire.replaces else None,
        order_class=wire.order_class or "",
        legs=tuple(_order(msgspec.json.decode(leg, type=_Leg)) for leg in (wire.legs or ())[:LEGS_MAX]),
    )


def _execution(wire: _Fill) -> Execution:
    if wire.activity_type != "FILL":
        raise ValueError(f"expected a FILL, found {wire.activity_type}")
    return Execution(
        execution_id=ExecutionId(wire.id),
        broker_order_id=BrokerOrderId(wire.order_id),
        client_order_id=None,
        symbol=Symbol(wire.symbol),
        side=to_side(wire.side),
        quantity=finite(wire.qty),
        price=finite(wire.price),
        cumulative_quantity=finite(wire.cum_qty),
        venue_ns=parse_stamp(wire.transaction_time),
    )


def _activity(wire: _Activity) -> Activity:
    is_canceled = wire.status == CANCELED
    sign = -1 if is_canceled else 1
    return Activity(
        activity_id=f"{wire.id}/{CANCELED}" if is_canceled else wire.id,
        kind=wire.activity_type,
        sub_kind=wire.activity_sub_type or "",
        symbol=Symbol(wire.symbol) if wire.symbol else None,
        quantity=(_optional(wire.qty) or Decimal(0)) * sign,
        net_amount_usd=(_optional(wire.net_amount) or Decimal(0)) * sign,
        group_id=wire.group_id or "",
        text=wire.description or "",
        venue_ns=parse_stamp(wire.created_at) if wire.created_at else _day_ns(wire.date or ""),
        reverses=wire.id if is_canceled else "",
    )


def _day_ns(text: str) -> Nanos:
    """The beginning of a New York date, for an activity that has no time."""
    return to_nanos(datetime.combine(date.fromisoformat(text), time(), NEW_YORK))


def _position(wire: _Position) -> BrokerPosition:
    quantity = finite(wire.qty)
    return BrokerPosition(
        symbol=Symbol(wire.symbol),
        asset_id=wire.asset_id,
        quantity=-abs(quantity) if wire.side == "short" else quantity,
        average_entry_price=finite(wire.avg_entry_price),
        current_price=_optional(wire.current_price),
        market_value_usd=_optional(wire.market_value),
    )


def _account(wire: _Account) -> BrokerAccount:
    return BrokerAccount(
        account_number=wire.account_number,
        status=wire.status,
        cash_usd=finite(wire.cash),
        equity_usd=finite(wire.equity),
        last_equity_usd=finite(wire.last_equity),
        buying_power_usd=finite(wire.buying_power),
        multiplier=finite(wire.multiplier),
        blocked=wire.trading_blocked or wire.account_blocked or wire.trade_suspended_by_user,
        shorting_enabled=wire.shorting_enabled,
    )


def _clock(wire: _Clock) -> ClockReading:
    return ClockReading(
        venue_ns=parse_stamp(wire.timestamp),
        is_open=wire.is_open,
        next_open_ns=parse_stamp(wire.next_open),
        next_close_ns=parse_stamp(wire.next_close),
    )


def _day(wire: _Day) -> CalendarDay:
    day = date.fromisoformat(wire.date)
    open_ns, close_ns = (_new_york_ns(day, text) for text in (wire.open, wire.close))
    if open_ns >= close_ns:
        raise ValueError(f"the session of {wire.date} opens before it closes, found {wire.open}–{wire.close}")
    return CalendarDay(day=day, open_ns=open_ns, close_ns=close_ns)


def _new_york_ns(day: date, text: str) -> Nanos:
    return to_nanos(datetime.fromisoformat(f"{day.isoformat()}T{text}:00").replace(tzinfo=NEW_YORK))


def _asset(wire: _Asset) -> Asset:
    return Asset(
        asset_id=wire.id,
        symbol=Symbol(wire.symbol),
        exchange=wire.exchange,
        status=wire.status,
        tradable=wire.tradable,
        fractionable=wire.fractionable,
        shortable=wire.shortable,
        marginable=wire.marginable,
    )


def _word(kind: type[Word], word: str) -> Word | str:
    return kind(word) if word in kind.__members__.values() else word


def _optional(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else finite(amount)


def _first(stamps: Iterable[str | None], name: str) -> str:
    for stamp in stamps:
        if stamp:
            return stamp
    raise ValueError(f"expected {name}, found none")
