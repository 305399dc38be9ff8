"""Between the exchange's objects and ours: what the exchange writes, as the adapters read it."""

from __future__ import annotations

import msgspec

from quant_trading_system.adapters.alpaca import answers
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.types import InstrumentClass, Symbol
from quant_trading_system.core.values import Instrument
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.server.order_wire import order_json


def broker_order(order: SimOrder) -> BrokerOrder:
    """An order as the adapters read it from the exchange's JSON."""
    return answers.parse_order(msgspec.json.encode(order_json(order)))


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
