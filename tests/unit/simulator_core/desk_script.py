"""A short script language for tests of the exchange: an open session, quotes and prints, orders, seconds passing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.activities import FillActivity
from quant_trading_system.simulator.events import Execution, OrderEvent, SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.scripted_market import ScriptedMarket


def session_of(day: int) -> calendar.Session:
    """The session of a day of November 2026."""
    session = calendar.session_on(date(2026, 11, day))
    assert session is not None, f"expected the market to be open on November {day}"
    return session


MONDAY, TUESDAY, HALF_DAY = session_of(23), session_of(24), session_of(27)
OPEN_NS = MONDAY.open_ns
CLOSE_NS = MONDAY.close_ns
NEVER_PARTIAL = ExchangeSettings(start_ns=OPEN_NS, partial_fill_probability=0.0)


def buy(symbol: str = "AAPL", qty: object = "10", **fields: object) -> OrderRequest:
    return order_request(side="buy", symbol=symbol, qty=qty, **fields)


def sell(symbol: str = "AAPL", qty: object = "10", **fields: object) -> OrderRequest:
    return order_request(side="sell", symbol=symbol, qty=qty, **fields)


def order_request(**fields: object) -> OrderRequest:
    """A request as the server makes it: of a JSON body, a market day order unless told otherwise."""
    return OrderRequest.from_body({"type": "market", "time_in_force": "day", **fields})


class Floor:
    """An exchange on a scripted market, in venue seconds since the open of 2026-11-23."""

    def __init__(
        self,
        settings: ExchangeSettings = NEVER_PARTIAL,
        *,
        journal: Journal | None = None,
        start_ns: int = OPEN_NS,
        quoted: bool = True,
        symbols: tuple[str, ...] = ("AAPL", "MSFT", "SPY"),
        **changes: Any,
    ) -> None:
        self.market = ScriptedMarket(symbols, start_ns=Nanos(start_ns), last_close=100.0)
        self.exchange = Exchange(
            settings=replace(settings, start_ns=Nanos(start_ns), **changes), market=self.market, journal=journal
        )
        self.events: list[OrderEvent] = []
        if quoted:
            self.quote(99.99, 100.01)
            self.trade(100.00)

    @property
    def second(self) -> float:
        return (self.exchange.now_ns - OPEN_NS) / NANOS_PER_SECOND

    def wait(self, seconds: float = 1.0) -> None:
        self.until(Nanos(self.exchange.now_ns + round(seconds * NANOS_PER_SECOND)))

    def until(self, venue_ns: int) -> None:
        self.exchange.advance(Nanos(venue_ns))
        self.events.extend(self.exchange.take_order_events())

    def quote(
        self, bid: float, ask: float, *, symbol: str = "AAPL", bid_size: float = 1000, ask_size: float = 1000
    ) -> None:
        """A quote now, and the moment after it."""
        self.market.say(SimQuote(symbol, bid, bid_size, ask, ask_size, self.exchange.now_ns + 1))
        self.wait(0.001)

    def trade(self, price: float, size: float = 100, *, symbol: str = "AAPL") -> None:
        """A print now, and the moment after it."""
        self.market.say(SimTrade(symbol, price, size, self.exchange.now_ns + 1, "V", 1))
        self.wait(0.001)

    def submit(self, request: OrderRequest) -> SimOrder:
        return self.exchange.submit(request)

    def hold(self, qty: int, *, symbol: str = "AAPL") -> None:
        """Buy a position, and forget how."""
        self.quote(99.99, 100.01, symbol=symbol, bid_size=1e6, ask_size=1e6)
        self.submit(buy(symbol, str(qty)))
        self.wait()
        assert self.exchange.orders() == [], "expected the position to be bought at once"
        self.events.clear()

    def group(self, request: OrderRequest) -> tuple[SimOrder, ...]:
        """Send a group: its parent, then its legs."""
        parent = self.submit(request)
        return (parent, *self.exchange.legs(parent))

    def change(self, order: SimOrder, **fields: object) -> SimOrder:
        return self.exchange.replace(order.id, OrderChange.from_body(fields))

    def refused(self, request: OrderRequest) -> Refusal:
        """The refusal of a request; it must be one."""
        return refusal_of(self.exchange.submit, request)

    def told(self, order: SimOrder | None = None) -> list[str]:
        """The events so far, of one order or of all."""
        self.events.extend(self.exchange.take_order_events())
        return [event.event for event in self.events if order is None or event.order.id == order.id]

    def fills(self) -> list[Execution]:
        """The fills among the account's activities, newest first."""
        return [told.execution for told in self.exchange.activities() if isinstance(told, FillActivity)]

    def cash(self) -> Decimal:
        return self.exchange.account().cash


def refusal_of(action: Callable[..., object], *args: object, **kwargs: object) -> Refusal:
    """What an action is refused with; it must be."""
    try:
        action(*args, **kwargs)
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"expected a refusal of {args} {kwargs}")


def bracket_of(
    request: OrderRequest, *, profit: object = "110", stop: object = "95", limit: object = None
) -> OrderRequest:
    """The same as a bracket, with legs for a buy at 100 unless told otherwise."""
    return grouped(request, "bracket", profit=profit, stop=stop, limit=limit)


def grouped(
    request: OrderRequest, order_class: str, *, profit: object = None, stop: object = None, limit: object = None
) -> OrderRequest:
    """The same as the parent of a group; of the legs' prices None leaves one out."""
    legs = OrderRequest.from_body(
        {
            "order_class": order_class,
            "take_profit": None if profit is None else {"limit_price": profit},
            "stop_loss": None if stop is None else {"stop_price": stop, "limit_price": limit},
        }
    )
    return msgspec.structs.replace(
        request, order_class=order_class, take_profit=legs.take_profit, stop_loss=legs.stop_loss
    )
