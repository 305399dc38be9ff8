"""Where working orders meet the market. Decides when an order is tried, `matching` what comes of it.

Nothing is matched outside regular hours, and only against quotes of the running session: an order for a symbol that
trades and is never quoted stays `new`.
"""

from __future__ import annotations

from collections.abc import Iterable

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.matching import (
    Touch,
    ask_of,
    bid_of,
    effective_limit,
    is_elected_by,
    is_marketable,
    match_print,
    match_quote,
    needs_election,
)
from quant_trading_system.simulator.numbers import exact
from quant_trading_system.simulator.orders import MATCHING_STATUSES, SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.trailing import trail


class Floor:
    """Orders that can fill, by symbol."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        chance: Chance,
        desk: OrderDesk,
        recorder: Recorder,
    ) -> None:
        self._settings = settings
        self._chance = chance
        self._desk = desk
        self._recorder = recorder
        self._session_open_ns: int | None = None
        self._quotes: dict[str, SimQuote] = {}
        self._touches: dict[str, tuple[SimQuote, Touch, Touch]] = {}
        self.working: dict[str, list[SimOrder]] = {}
        self.halted: frozenset[str] = frozenset()

    def open(self, open_ns: int) -> None:
        """The bell: quotes from here on count."""
        self._session_open_ns = open_ns

    def close(self) -> None:
        self._session_open_ns = None
        self._quotes.clear()
        self._touches.clear()

    def know_quotes(self, quotes: Iterable[SimQuote]) -> None:
        """Take over the latest quotes, after a restart in the middle of a session."""
        assert self._session_open_ns is not None, "expected an open session"
        self._quotes.update((quote.symbol, quote) for quote in quotes if quote.ts_ns >= self._session_open_ns)

    @property
    def is_open(self) -> bool:
        return self._session_open_ns is not None

    def takes(self, order: SimOrder) -> bool:
        """Whether an order can be routed now rather than wait for the bell."""
        return self.is_open or order.asset_class == "crypto"

    def is_halted(self, symbol: str) -> bool:
        return symbol in self.halted

    def admit(self, order: SimOrder, now_ns: Nanos) -> None:
        """Let an order meet the market: now, and with every quote and print until it is final."""
        if not order.is_watched:
            return
        at_symbol = self.working.setdefault(order.symbol, [])
        if all(known is not order for known in at_symbol):
            at_symbol.append(order)
        if self.is_open:
            self._attempt(order, now_ns)
        self._sweep(order.symbol)

    def on_quote(self, quote: SimQuote) -> None:
        """Try the symbol's orders against a new quote."""
        if self._session_open_ns is None:
            return
        self._quotes[quote.symbol] = quote
        if quote.symbol not in self.working:
            return
        for order in tuple(self.working[quote.symbol]):
            self._attempt(order, Nanos(quote.ts_ns))
        self._sweep(quote.symbol)

    def on_trade(self, trade: SimTrade) -> None:
        """Elect stops, and fill what the print went through."""
        if trade.symbol not in self.working or self._session_open_ns is None:
            return
        now_ns = Nanos(trade.ts_ns)
        for order in tuple(self.working[trade.symbol]):
            if not order.is_watched:
                continue
            if trail(order, exact(trade.price)):
                self._recorder.changed(order)
            if needs_election(order):
                if is_elected_by(order, trade.price):
                    self._desk.elect(order, now_ns)
                    self._attempt(order, now_ns)
            elif self._touch(order) is not None and (fill := match_print(order, trade)) is not None:
                self._desk.fill(order, fill, now_ns)
        self._sweep(trade.symbol)

    def _attempt(self, order: SimOrder, now_ns: Nanos) -> None:
        if order.status not in MATCHING_STATUSES or needs_election(order):
            return
        touch = self._touch(order)
        if touch is not None:
            if is_marketable(order, touch):
                self._take(order, touch, now_ns)
            elif not order.is_resting and effective_limit(order) is not None:
                order.is_resting = True
                self._recorder.changed(order)
        if order.time_in_force in ("ioc", "fok") and order.is_open:
            self._desk.cancel_now(order, now_ns)

    def _take(self, order: SimOrder, touch: Touch, now_ns: Nanos) -> None:
        order.fill_attempts += 1
        fraction = self._partial_fraction(order)
        fill = match_quote(order, touch, fraction=fraction)
        if fill is None:
            return
        touch.size_left -= fill.qty
        self._desk.fill(order, fill, now_ns)
        if fraction is not None and order.is_open:
            self._desk.plan_match(order, now_ns)  # the rest is evaluated again, even if no quote follows

    def _partial_fraction(self, order: SimOrder) -> float | None:
        """One marketable order in ten fills in part first (reference 2.14)."""
        if order.fill_attempts > 1:
            return None
        if self._chance.uniform("partial", order.sequence) >= self._settings.partial_fill_probability:
            return None
        return self._chance.uniform("fraction", order.sequence)

    def _touch(self, order: SimOrder) -> Touch | None:
        """The other side of the latest quote of this session, with what is left of its size."""
        quote = self._quotes.get(order.symbol)
        if quote is None:
            return None
        known = self._touches.get(order.symbol)
        if known is None or known[0] is not quote:
            known = self._touches[order.symbol] = (quote, bid_of(quote), ask_of(quote))
        return known[2] if order.is_buy else known[1]

    def _sweep(self, symbol: str) -> None:
        """Forget the orders of a symbol that are final."""
        left = [order for order in self.working.get(symbol, ()) if order.is_open]
        if left:
            self.working[symbol] = left
        else:
            self.working.pop(symbol, None)
