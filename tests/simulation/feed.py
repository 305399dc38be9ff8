"""The market and its feed: price paths that let limits rest and fill in part, and what the daemon sees of them.

Decides the prices; what the exchange matches and what the feed tells are two things, so that a feed may lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import MarketEvent, QuoteSeen, StatusSeen, StreamDown, StreamUp, TradeSeen
from quant_trading_system.core.types import Nanos, Stream, Symbol
from quant_trading_system.simulator.events import MarketEvent as SimMarketEvent
from quant_trading_system.simulator.events import SimQuote, SimStatus, SimTrade
from tests.support.scripted_market import ScriptedMarket

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts
    from tests.simulation.loop import Life
    from tests.simulation.world import World

SYMBOLS = ("AAPL", "MSFT", "NVDA")
FIRST_PRICES = {"AAPL": 190.0, "MSFT": 410.0, "NVDA": 125.0}
HALF_SPREAD = 0.01
STEP_AWAY = 0.004
"""By how much, as a fraction, the market leaves an order that is to rest: inside the collar of its limit."""
HISTORY_KEPT = 4


class PathMarket(ScriptedMarket):
    """Seeded random walks; one quote and one print at a time."""

    def __init__(self, symbols: Sequence[str], *, start_ns: Nanos, chance: Random, volatility: float) -> None:
        super().__init__(symbols, start_ns=start_ns)
        self._chance = chance
        self._volatility = volatility
        self.prices = {symbol: FIRST_PRICES[symbol] for symbol in symbols}
        self._closes = dict(self.prices)
        self._number = 0
        self._said: list[SimMarketEvent] = []
        self._latest_quotes: dict[str, SimQuote] = {}
        self._latest_trades: dict[str, SimTrade] = {}

    def step(self, symbol: str, now_ns: int, *, seconds: float, size: float) -> None:
        """One step of a symbol's walk: a new quote, then a print at it."""
        price = self.prices[symbol] * math.exp(self._volatility * math.sqrt(seconds / 60.0) * self._chance.gauss(0, 1))
        self.move(symbol, price, now_ns, size=size)

    def move(self, symbol: str, price: float, now_ns: int, *, size: float = 500.0) -> None:
        """Quote and print a symbol at a price."""
        self.prices[symbol] = price
        middle = round(price, 2)
        self._number += 1
        bid, ask = round(middle - HALF_SPREAD, 2), round(middle + HALF_SPREAD, 2)
        self._said.append(SimQuote(symbol, bid, size, ask, size, Nanos(now_ns)))
        side = ask if self._number % 2 else bid
        self._said.append(SimTrade(symbol, side, max(1.0, size / 5), Nanos(now_ns + 1_000), "V", self._number))

    def scale(self, symbol: str, ratio: float) -> None:
        """A split: the price follows."""
        self.prices[symbol] *= ratio
        self._closes[symbol] *= ratio

    def events_until(self, now_ns: Nanos) -> Iterator[SimMarketEvent]:
        if not self._said:
            return
        for place, event in enumerate(self._said):
            if event.ts_ns > now_ns:
                self._said = self._said[place:]
                return
            if type(event) is SimQuote:
                self._latest_quotes[event.symbol] = event
            elif type(event) is SimTrade:
                self._latest_trades[event.symbol] = event
            yield event
        self._said = []

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._latest_trades.get(symbol)

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._latest_quotes.get(symbol)

    def last_close(self, symbol: str, before: date) -> float | None:
        del before
        return self._closes[symbol]


QuoteRule = Callable[[QuoteSeen], QuoteSeen]


class Feed:
    """What each living process of the daemon hears of the market."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.quote_rules: dict[int, QuoteRule] = {}
        self.mute: dict[int, None] = {}
        self.down: dict[int, None] = {}
        self._listeners: dict[Life, Parts] = {}
        self._told_up: set[int] = set()

    def connect(self, life: Life, parts: Parts) -> None:
        """A daemon subscribed."""
        self._listeners[life] = parts
        self._told_up.discard(life.number)
        self._announce(life, parts)

    def block(self, number: int) -> None:
        """Cut the feed; the daemon is told."""
        self.down[number] = None
        self._announce_to_all()

    def unblock(self, number: int) -> None:
        self.down.pop(number, None)
        self._announce_to_all()

    def disconnect(self, life: Life) -> None:
        self._listeners.pop(life, None)

    def _announce_to_all(self) -> None:
        for life, parts in self._listeners.items():
            self._announce(life, parts)

    def _announce(self, life: Life, parts: Parts) -> None:
        is_told_up = life.number in self._told_up
        if not self._is_awake(life) or is_told_up is not bool(self.down):
            return
        event: StreamUp | StreamDown
        if self.down:
            self._told_up.discard(life.number)
            event = StreamDown(stream=Stream.MARKET_DATA, reason="connection lost", **stamps(parts.clock))
        else:
            self._told_up.add(life.number)
            event = StreamUp(stream=Stream.MARKET_DATA, symbols=parts.engine.streamed_symbols, **stamps(parts.clock))
        parts.inbox.put(event, Lane.ORDERS)

    def _is_awake(self, life: Life) -> bool:
        return not (life.is_dead or self._world.loop.is_frozen(life))

    def tell(self, events: Sequence[SimMarketEvent]) -> None:
        """Hand on what the market said, unless the feed is cut, mute, or nobody listens."""
        if self.mute or self.down:
            return
        for life, parts in self._listeners.items():
            if not self._is_awake(life):
                continue
            if life.number not in self._told_up:
                self._announce(life, parts)
            told = self._seen(events, parts)
            if told:
                parts.inbox.put_market(told)

    def _seen(self, events: Sequence[SimMarketEvent], parts: Parts) -> list[MarketEvent]:
        """The market's events as a process reads them."""
        seen_ns, mono_ns = parts.clock.wall_ns(), parts.clock.mono_ns()
        told: list[MarketEvent] = []
        for event in events:
            if type(event) is SimQuote:
                quote = QuoteSeen(
                    symbol=Symbol(event.symbol),
                    venue_at=to_datetime(event.ts_ns),
                    seen_ns=seen_ns,
                    mono_ns=mono_ns,
                    bid_price=event.bid_price,
                    bid_size=event.bid_size,
                    ask_price=event.ask_price,
                    ask_size=event.ask_size,
                )
                for rule in self.quote_rules.values():
                    quote = rule(quote)
                told.append(quote)
            elif type(event) is SimTrade:
                told.append(
                    TradeSeen(
                        symbol=Symbol(event.symbol),
                        venue_at=to_datetime(event.ts_ns),
                        seen_ns=seen_ns,
                        mono_ns=mono_ns,
                        price=event.price,
                        size=event.size,
                    )
                )
            elif isinstance(event, SimStatus):
                told.append(_status(event, seen_ns, mono_ns))
        return told


def _status(event: SimStatus, seen_ns: int, mono_ns: int) -> StatusSeen:
    return StatusSeen(
        symbol=Symbol(event.symbol),
        venue_at=to_datetime(event.ts_ns),
        seen_ns=Nanos(seen_ns),
        mono_ns=mono_ns,  # type: ignore[arg-type]
        status_code=event.code,
        status_message=event.message,
        reason_code=event.reason_code,
    )
