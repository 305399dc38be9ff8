"""Between the exchange's objects and ours: what the exchange writes, as the adapters read it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quant_trading_system.adapters.alpaca import answers
from quant_trading_system.app.stamps import Stamps
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import BrokerSnapshot, MarketEvent, QuoteSeen, TradeSeen
from quant_trading_system.core.types import InstrumentClass, MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Instrument
from quant_trading_system.simulator.activities import Activity, ActivityQuery
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.server.account_wire import account_json, activity_json, position_json
from quant_trading_system.simulator.server.order_wire import order_json
from quant_trading_system.simulator.server.settings import Profile

FINAL_WORDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


def broker_order(order: SimOrder, legs: Sequence[SimOrder] = ()) -> BrokerOrder:
    """An order as the adapters read it from the exchange's JSON; the answer to a POST shows its legs."""
    return answers.parse_order(msgspec.json.encode(order_json(order, legs)))


def broker_snapshot(exchange: Exchange, stamps: Stamps) -> BrokerSnapshot:
    """A pass at one moment, as the shell reads it: everything the account ever had."""
    orders = [broker_order(order) for order in exchange.orders(OrderQuery(status="all", limit=500))]
    told = [activity_json(each) for each in all_activities(exchange)]
    fills = [each for each in told if each["activity_type"] == "FILL"]
    others = [each for each in told if each["activity_type"] != "FILL"]
    positions = [position_json(view) for view in exchange.positions()]
    account = account_json(exchange.account(), Profile.CURRENT)
    return BrokerSnapshot(
        started_mono_ns=stamps["mono_ns"],
        open_orders=tuple(order for order in orders if order.status not in FINAL_WORDS),
        closed_orders=tuple(order for order in orders if order.status in FINAL_WORDS),
        positions=tuple(answers.parse_positions(msgspec.json.encode(positions))),
        account=answers.parse_account(msgspec.json.encode(account)),
        executions=tuple(answers.parse_fills(msgspec.json.encode(fills))),
        activities=tuple(answers.parse_activities(msgspec.json.encode(others))),
        since_ns=Nanos(0),
        started_venue_ns=stamps["venue_ns"],
        **stamps,
    )


def all_activities(exchange: Exchange) -> list[Activity]:
    """All of them, page by page, oldest first."""
    found: list[Activity] = []
    while page := exchange.activities(ActivityQuery(direction="asc", page_token=found[-1].id if found else None)):
        found += page
    return found


def instrument(symbol: Symbol) -> Instrument:
    """A liquid stock."""
    return Instrument(
        symbol=symbol,
        asset_id=f"asset-{symbol}",
        instrument_class=InstrumentClass.STOCK,
        tradable=True,
        active=True,
        fractionable=True,
        shortable=True,
        average_volume_shares=1e8,
        average_volume_usd=1e10,
    )


def market_event(event: object, *, seen_ns: Nanos, mono_ns: MonoNanos) -> MarketEvent | None:
    """A print or a quote as the feed's decoder would hand it on; None of anything else."""
    if isinstance(event, SimTrade):
        return TradeSeen(
            symbol=Symbol(event.symbol),
            venue_at=to_datetime(event.ts_ns),
            seen_ns=seen_ns,
            mono_ns=mono_ns,
            price=event.price,
            size=event.size,
        )
    if isinstance(event, SimQuote):
        return QuoteSeen(
            symbol=Symbol(event.symbol),
            venue_at=to_datetime(event.ts_ns),
            seen_ns=seen_ns,
            mono_ns=mono_ns,
            bid_price=event.bid_price,
            bid_size=event.bid_size,
            ask_price=event.ask_price,
            ask_size=event.ask_size,
        )
    return None
