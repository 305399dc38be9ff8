"""The account's working orders in one symbol, in price-time priority. Decides which messages can matter to them.

Every message is held against a few floats; only one that passes is looked at closely. They may let through too much,
never too little: adding an order widens them at once, what ends is forgotten when the book is looked at next.
"""

from __future__ import annotations

from bisect import insort
from decimal import Decimal
from math import inf

from quant_trading_system.simulator.events import SimQuote
from quant_trading_system.simulator.matching import Touch, ask_of, bid_of, needs_election
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.prints import OPENING, REOPENING
from quant_trading_system.simulator.symbol_state import SymbolState

SWEEP_MIN = 32  # orders gone and not yet forgotten; then the book is swept

Entry = tuple[float, int, SimOrder]  # signed price, sequence: sorts best first, then by time


class OrderBook:
    """One symbol's. Attributes are read a few hundred thousand times a second, so a class with slots."""

    __slots__ = (
        "_alive",
        "_touches",
        "ask_high",
        "ask_low",
        "auction",
        "bid_high",
        "bid_low",
        "buys",
        "falling",
        "members",
        "quote",
        "restriction_below",
        "rising",
        "sells",
        "state",
        "symbol",
        "takers",
        "trade_high",
        "trade_low",
        "trailing",
        "waiting",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.state = SymbolState(symbol=symbol)
        self.quote: SimQuote | None = None  # of the running phase
        self.members: dict[str, SimOrder] = {}
        self.waiting: dict[str, SimOrder] = {}  # for an auction
        self.auction = ""  # the one whose price is awaited
        self.restriction_below = -inf  # USD; a print at or below restricts short sales; inf where it is not yet known
        # A message matters whose price is at or below a low, or at or above a high.
        self.bid_low = self.ask_low = self.trade_low = -inf
        self.bid_high = self.ask_high = self.trade_high = inf
        self._touches: tuple[SimQuote, Touch, Touch] | None = None
        self._alive = 0
        self.clear()

    def clear(self) -> None:
        """Nobody takes part; members stay members."""
        self.takers: list[SimOrder] = []  # by age; take from every quote: at the market, or not yet met by one
        self.buys: list[Entry] = []  # resting
        self.sells: list[Entry] = []
        self.falling: list[Entry] = []  # stops that a falling price elects
        self.rising: list[Entry] = []
        self.trailing: list[SimOrder] = []  # their stops move

    def join(self, order: SimOrder) -> None:
        """Make an order a member; it takes no part yet."""
        self.members[order.id] = order
        if len(self.members) > 2 * self._alive + SWEEP_MIN:
            self.sweep()

    def wait(self, order: SimOrder) -> None:
        """Keep an order for its auction."""
        self.waiting[order.id] = order
        self.trade_low, self.trade_high = inf, -inf
        if len(self.waiting) > 2 * self._alive + SWEEP_MIN:
            self.sweep()

    def seat(self, order: SimOrder) -> None:
        """Let a member take part, where its state says. Who takes is tried at once, and the book looked at anew."""
        if needs_election(order):
            self._seat_stop(order)
        elif order.is_resting:
            self._seat_resting(order)
        else:
            insort(self.takers, order, key=_age)

    def _seat_stop(self, order: SimOrder) -> None:
        assert order.stop_price is not None, f"order {order.id}: expected a stop price"
        stop = float(order.stop_price)
        if order.type == "trailing_stop":
            insort(self.trailing, order, key=_age)
            self._widen_for_trailing(order)
        elif order.is_buy:
            insort(self.rising, (stop, order.sequence, order))
            self.trade_high = min(self.trade_high, stop)
        else:
            insort(self.falling, (-stop, order.sequence, order))
            self.trade_low = max(self.trade_low, stop)

    def _seat_resting(self, order: SimOrder) -> None:
        assert order.limit_price is not None, f"order {order.id}: expected a limit price, resting in the book"
        price = float(order.limit_price)
        if order.is_buy:
            insort(self.buys, (-price, order.sequence, order))
            self.bid_low, self.ask_low = max(self.bid_low, price), max(self.ask_low, price)
            self.trade_low = max(self.trade_low, price)
        else:
            insort(self.sells, (price, order.sequence, order))
            self.bid_high, self.ask_high = min(self.bid_high, price), min(self.ask_high, price)
            self.trade_high = min(self.trade_high, price)

    def touch(self, *, is_buy: bool) -> Touch | None:
        """The side of the latest quote that an order would take from, with what is left of its size."""
        quote = self.quote
        if quote is None:
            return None
        if self._touches is None or self._touches[0] is not quote:
            self._touches = (quote, bid_of(quote), ask_of(quote))
            if self.state.taken_at_ns == quote.ts_ns:
                self._touches[1].size_left -= self.state.taken_of_bid
                self._touches[2].size_left -= self.state.taken_of_ask
        return self._touches[2] if is_buy else self._touches[1]

    def take(self, qty: Decimal, *, is_buy: bool) -> None:
        """Shares were taken from the latest quote."""
        touch, state = self.touch(is_buy=is_buy), self.state
        assert touch is not None, f"{self.symbol}: expected a quote to take from"
        assert self.quote is not None, f"{self.symbol}: expected a quote to take from"
        touch.size_left -= qty
        if state.taken_at_ns != self.quote.ts_ns:
            state.taken_at_ns, state.taken_of_bid, state.taken_of_ask = self.quote.ts_ns, ZERO, ZERO
        if is_buy:
            state.taken_of_ask += qty
        else:
            state.taken_of_bid += qty

    def touched_stops(self, price: float) -> list[SimOrder]:
        """Stops that a print at a price reaches, nearest first; trailing ones are not among them."""
        return [*reached(self.falling, -price), *reached(self.rising, price)]

    def reseat_takers(self) -> None:
        """After takers met the market: those that came to rest take their places, those that ended go."""
        if not self.takers:
            return
        takers, self.takers = self.takers, []
        for order in takers:
            if order.is_open and order.is_resting:
                self._seat_resting(order)
            elif order.is_open:
                self.takers.append(order)

    def unseat_stop(self, order: SimOrder) -> None:
        """Take an elected stop from where it waited."""
        for entries in (self.falling, self.rising):
            entries[:] = [entry for entry in entries if entry[2] is not order]
        self.trailing = [other for other in self.trailing if other is not order]

    def reopen(self) -> None:
        """After a halt, the book trades continuously from now on; an auction that is due is still awaited."""
        self.state.is_reopening = False
        if self.auction == REOPENING:
            self.auction = ""
        self.refresh()

    def sweep(self) -> None:
        """Forget every member that is final."""
        self.members = {order_id: order for order_id, order in self.members.items() if order.is_open}
        self.waiting = {order_id: order for order_id, order in self.waiting.items() if order.is_open}
        self._alive = len(self.members) + len(self.waiting)
        self.takers = [order for order in self.takers if order.is_open]
        self.trailing = [order for order in self.trailing if order.is_open]
        for entries in (self.buys, self.sells, self.falling, self.rising):
            entries[:] = [entry for entry in entries if entry[2].is_open]
        self.refresh()

    def refresh(self) -> None:
        """Narrow the floats to what matters now."""
        state = self.state
        buy, sell = -_first(self.buys), _first(self.sells)
        is_quoted_for = bool(self.takers) or state.limit_state_since_ns is not None or state.is_reopening
        is_quoted_for = is_quoted_for or (self.auction == OPENING and state.auction_quote is None)
        self.bid_low = inf if is_quoted_for else buy
        self.ask_low = max(buy, state.limit_down or -inf)
        self.bid_high = min(sell, state.limit_up or inf)
        self.ask_high = sell
        if self.auction or self.waiting:
            self.trade_low, self.trade_high = inf, -inf
            return
        self.trade_low = max(buy, -_first(self.falling), self.restriction_below)
        self.trade_high = min(sell, _first(self.rising))
        for order in self.trailing:
            self._widen_for_trailing(order)

    def _widen_for_trailing(self, order: SimOrder) -> None:
        """A trailing stop matters where its price is reached and where it moves."""
        assert order.stop_price is not None, f"order {order.id}: expected a stop price"
        stop = float(order.stop_price)
        best = stop if order.hwm is None else float(order.hwm)
        self.trade_low = max(self.trade_low, best if order.is_buy else stop)
        self.trade_high = min(self.trade_high, stop if order.is_buy else best)


def _age(order: SimOrder) -> int:
    return order.sequence


def reached(entries: list[Entry], bound: float) -> list[SimOrder]:
    """The orders of sorted entries up to a signed price, as a list of its own: what follows may change the book."""
    orders = []
    for price, _, order in entries:
        if price > bound:
            break
        orders.append(order)
    return orders


def _first(entries: list[Entry]) -> float:
    """The best signed price; entries at the head that are final are dropped."""
    while entries and not entries[0][2].is_open:
        entries.pop(0)
    return entries[0][0] if entries else inf
