"""Bodies and frames, key by key as the protocol's description has them. Says nothing of when they are sent."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from tests.support.hostile_broker.books import Books, Event, Execution, Order
from tests.support.hostile_broker.market import Market
from tests.support.hostile_broker.times import EASTERN, as_utc, stamp

ACCOUNT_ID = "d2c4ad5a-8d1f-4a6a-9d13-0f3c1f6ec001"
ACCOUNT_NUMBER = "PA3HOSTILE01"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def text(amount: Decimal | None) -> str | None:
    """A decimal without trailing zeros, as a string."""
    if amount is None:
        return None
    plain = f"{amount:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def when(ns: int | None) -> str | None:
    return None if ns is None else stamp(ns)


def asset_id(symbol: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, symbol))


def order_body(order: Order, books: Books, *, nested: bool = False) -> dict[str, Any]:
    legs = [order_body(books.orders[leg], books) for leg in order.legs] if nested and order.legs else None
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": when(order.created_ns),
        "updated_at": when(max(order.updated_ns, order.created_ns)),
        "submitted_at": when(order.submitted_ns),
        "filled_at": when(order.filled_ns),
        "expired_at": None,
        "cancel_requested_at": None,
        "canceled_at": when(order.canceled_ns),
        "failed_at": when(order.failed_ns),
        "replaced_at": when(order.replaced_ns),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": text(order.qty),
        "filled_qty": text(order.filled_qty),
        "filled_avg_price": text(order.average),
        "order_class": order.order_class,
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": "buy_to_open" if order.side == "buy" else "sell_to_close",
        "time_in_force": order.time_in_force,
        "limit_price": text(order.limit_price),
        "stop_price": text(order.stop_price),
        "status": order.status,
        "extended_hours": False,
        "legs": legs,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "expires_at": stamp(order.submitted_ns + 6 * 3_600 * 1_000_000_000),
    }


def update_frame(event: Event, books: Books, *, event_id: str) -> dict[str, Any]:
    """The `data` of a trade_updates frame."""
    data: dict[str, Any] = {
        "at": stamp(event.at_ns + 400_000),
        "event_id": event_id,
        "event": event.word,
        "timestamp": stamp(event.at_ns),
        "order": order_body(event.order, books),
    }
    if event.execution is not None:
        data |= {
            "price": text(event.execution.price),
            "qty": text(event.execution.qty),
            "position_qty": text(event.position_qty),
            "execution_id": event.execution.id,
            "swap_rate": "1",
            "settle_date": f"{as_utc(event.at_ns):%Y-%m-%d}",
        }
    elif event.word != "pending_new":
        data["execution_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, event_id))
    return data


def ulid(number: int, at_ns: int) -> str:
    """A sortable id."""
    value = ((at_ns // 1_000_000) << 80) | number
    letters = []
    for _ in range(26):
        letters.append(CROCKFORD[value & 31])
        value >>= 5
    return "".join(reversed(letters))


def fill_activity(execution: Execution) -> dict[str, Any]:
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "transaction_time": stamp(execution.at_ns),
        "type": "fill" if not execution.leaves_qty else "partial_fill",
        "price": text(execution.price),
        "qty": text(execution.qty),
        "side": execution.side,
        "symbol": execution.symbol,
        "leaves_qty": text(execution.leaves_qty),
        "cum_qty": text(execution.cum_qty),
        "order_id": execution.order_id,
        "order_status": "filled" if not execution.leaves_qty else "partially_filled",
        "swap_rate": "1",
    }


def activity_id(execution: Execution) -> str:
    local = as_utc(execution.at_ns).astimezone(EASTERN)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1_000:03d}::{execution.id}"


def position_body(symbol: str, books: Books, market: Market, now_ns: int) -> dict[str, Any]:
    qty, cost = books.positions[symbol], books.costs[symbol]
    price = Decimal(f"{market.price(symbol, now_ns):.2f}")
    value, gain = qty * price, qty * price - cost
    ratio = text((gain / cost).quantize(Decimal("0.0000000000000001")))
    return {
        "asset_id": asset_id(symbol),
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": text(qty),
        "qty_available": text(books.available(symbol)),
        "avg_entry_price": text((cost / qty).quantize(Decimal("0.0000000000000001"))),
        "side": "long" if qty > 0 else "short",
        "market_value": text(value),
        "cost_basis": text(cost),
        "unrealized_pl": text(gain),
        "unrealized_plpc": ratio,
        "unrealized_intraday_pl": text(gain),
        "unrealized_intraday_plpc": ratio,
        "current_price": text(price),
        "lastday_price": text(price),
        "change_today": "0",
    }


def account_body(books: Books, market: Market, now_ns: int) -> dict[str, Any]:
    value = sum(
        (qty * Decimal(f"{market.price(symbol, now_ns):.2f}") for symbol, qty in books.positions.items()), Decimal(0)
    )
    equity = text(books.cash + value)
    power = text(books.buying_power())
    return {
        "id": ACCOUNT_ID,
        "admin_configurations": {},
        "user_configurations": None,
        "account_number": ACCOUNT_NUMBER,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "options_approved_level": 3,
        "options_trading_level": 3,
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": power,
        "effective_buying_power": power,
        "non_marginable_buying_power": power,
        "options_buying_power": power,
        "bod_dtbp": "0",
        "cash": text(books.cash),
        "accrued_fees": "0",
        "portfolio_value": equity,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "created_at": "2026-01-05T14:30:00.123456Z",
        "trade_suspended_by_user": False,
        "multiplier": "1",
        "shorting_enabled": False,
        "equity": equity,
        "last_equity": "100000",
        "long_market_value": text(value),
        "short_market_value": "0",
        "position_market_value": text(value),
        "initial_margin": text(value),
        "maintenance_margin": text(value),
        "last_maintenance_margin": "0",
        "sma": "0",
        "balance_asof": f"{as_utc(now_ns):%Y-%m-%d}",
        "crypto_tier": 1,
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
    }


def asset_body(symbol: str) -> dict[str, Any]:
    """Without `easy_to_borrow`: its sunset is past."""
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": "ARCA" if symbol == "SPY" else "NASDAQ",
        "symbol": symbol,
        "name": f"{symbol} Common Stock",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": True,
        "attributes": ["fractional_eh_enabled", "has_options", "overnight_tradable", "something_new"],
    }
