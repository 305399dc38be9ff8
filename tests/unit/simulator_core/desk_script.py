"""A short script language for tests of the exchange: an open session, quotes and prints, orders, seconds passing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.events import OrderEvent, SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.requests import OrderRequest
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

    def told(self, order: SimOrder | None = None) -> list[str]:
        """The events so far, of one order or of all."""
        self.events.extend(self.exchange.take_order_events())
        return [event.event for event in self.events if order is None or event.order.id == order.id]

    def cash(self) -> Decimal:
        return self.exchange.account().cash
