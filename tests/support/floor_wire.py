"""Between the exchange's objects and ours: what the exchange writes, as the adapters read it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quant_trading_system.adapters.alpaca import answers
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import MarketEvent, QuoteSeen, TradeSeen
from quant_trading_system.core.types import InstrumentClass, MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Instrument
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.server.order_wire import order_json


def broker_order(order: SimOrder, legs: Sequence[SimOrder] = ()) -> BrokerOrder:
    """An order as the adapters read it from the exchange's JSON; the answer to a POST shows its legs."""
    return answers.parse_order(msgspec.json.encode(order_json(order, legs)))


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
