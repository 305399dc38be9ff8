"""Lets the orders of one book meet a quote, a print or an auction. Decides who is tried and in which order.

The one place where fills come from. Each is held against what may never happen before it is booked: worse than its
limit, more than its quantity, outside its hours, through a halt, beyond the bands.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import prints, queue_position
from quant_trading_system.simulator.auction import share_out
from quant_trading_system.simulator.calendar import Phase
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.impact import Pricing
from quant_trading_system.simulator.matching import (
    Fill,
    Touch,
    ask_of,
    bid_of,
    is_marketable,
    is_within,
    meet,
    needs_election,
    take,
)
from quant_trading_system.simulator.numbers import ZERO, exact
from quant_trading_system.simulator.order_book import Entry, OrderBook, reached
from quant_trading_system.simulator.orders import MATCHING_STATUSES, SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.sessions import AUCTION_TIMES_IN_FORCE, takes_part
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.trailing import trail

IMMEDIATE_TIMES_IN_FORCE = frozenset({"ioc", "fok"})
SHORT_SALE = "sell_to_open"


class Matcher:
    """Fills orders, one book at a time."""

    def __init__(
        self, *, settings: ExchangeSettings, chance: Chance, desk: OrderDesk, recorder: Recorder, pricing: Pricing
    ) -> None:
        self.phase: Phase = "closed"
        self._settings = settings
        self._fills = settings.fills
        self._chance = chance
        self._desk = desk
        self._recorder = recorder
        self._pricing = pricing

    # --- continuous trading -------------------------------------------------------------------------------------------

    def meet_quote(self, book: OrderBook, quote: SimQuote) -> None:
        """Let a book's orders meet its new quote."""
        now_ns, bid, ask = Nanos(quote.ts_ns), quote.bid_price, quote.ask_price
        is_moved = bool(book.takers)
        for order in tuple(book.takers):
            self._attempt(book, order, now_ns)
        if book.buys:
            other = -ask if ask > 0 else -inf
            is_moved |= self._meet_side(book, book.buys, is_buy=True, other=other, now_ns=now_ns)
            is_moved |= self._see_touch(book.buys, -bid, quote.bid_size)
        if book.sells:
            other = bid if bid > 0 else -inf
            is_moved |= self._meet_side(book, book.sells, is_buy=False, other=other, now_ns=now_ns)
            is_moved |= self._see_touch(book.sells, ask if ask > 0 else inf, quote.ask_size)
        if is_moved or book.state.limit_up or book.state.limit_down:
            book.reseat_takers()
            book.refresh()

    def meet_print(self, book: OrderBook, trade: SimTrade, *, is_spent: bool) -> None:
        """Fill what a print went through, and let it elect stops.

        Args:
            is_spent: whether the print was an auction in which the book has traded already.
        """
        now_ns = Nanos(trade.ts_ns)
        if prints.was_met(trade) and not is_spent:
            self._meet_volume(book, reached(book.buys, -trade.price), trade, now_ns)
            self._meet_volume(book, reached(book.sells, trade.price), trade, now_ns)
        if prints.is_last_sale(trade) and _is_inside(book.quote, trade.price):
            for order in book.touched_stops(trade.price):
                self._elect(book, order, now_ns)
            self._move_trailing(book, exact(trade.price) if book.trailing else ZERO, now_ns)
        book.reseat_takers()
        book.refresh()

    def try_takers(self, book: OrderBook, now_ns: Nanos) -> None:
        """Let who waits to take meet the quote as it stands."""
        if book.takers:
            for order in tuple(book.takers):
                self._attempt(book, order, now_ns)
            book.reseat_takers()
            book.refresh()

    def _attempt(self, book: OrderBook, order: SimOrder, now_ns: Nanos) -> None:
        """Let an order take from the touch, or begin to rest. The caller gives the takers their places anew."""
        if order.status not in MATCHING_STATUSES or needs_election(order) or order.is_resting:
            return
        touch, quote = book.touch(is_buy=order.is_buy), book.quote
        if touch is not None and quote is not None:
            if not is_marketable(order, touch):
                self._rest(order, quote)
            elif self._may_take(book, order, touch):
                self._take(book, order, touch, quote, now_ns)
        if order.time_in_force in IMMEDIATE_TIMES_IN_FORCE and order.is_open:
            self._desk.cancel_now(order, now_ns)

    def _may_take(self, book: OrderBook, order: SimOrder, touch: Touch) -> bool:
        """Not beyond the bands, and short sales under restriction not at the bid (SEC Rule 201)."""
        if touch.size_left <= ZERO or not _is_in_bands(book, touch.price):
            return False
        is_restricted = order.position_intent == SHORT_SALE and book.quote is not None
        return not (is_restricted and book.state.restricted_until_ns > book_time(book))

    def _rest(self, order: SimOrder, quote: SimQuote) -> None:
        if order.limit_price is None or order.time_in_force in IMMEDIATE_TIMES_IN_FORCE:
            return
        order.is_resting = True
        queue_position.join(
            order,
            price=float(order.limit_price),
            touch_price=quote.bid_price if order.is_buy else quote.ask_price,
            touch_size=quote.bid_size if order.is_buy else quote.ask_size,
            depth_ratio=self._fills.queue_depth_ratio,
            chance=self._chance,
        )
        self._recorder.changed(order)

    def _take(self, book: OrderBook, order: SimOrder, touch: Touch, quote: SimQuote, now_ns: Nanos) -> None:
        order.fill_attempts += 1
        if order.shown_qty is None:
            order.shown_qty = touch.size_left
        fraction = self._partial_fraction(order)
        price = self._pricing.price(order, touch, quote, book.state, now_ns)
        fill = take(order, touch, price=price, fraction=fraction)
        if fill is None:
            return
        self._take_size(book, fill.qty, is_buy=order.is_buy)
        self._book_fill(book, order, fill, now_ns)
        self._pricing.leave_behind(order, fill.qty, book.state, now_ns)
        if fraction is not None and order.is_open:
            self._desk.plan_match(order, now_ns)  # the rest is evaluated again, even if no quote follows

    def _take_size(self, book: OrderBook, qty: Decimal, *, is_buy: bool) -> None:
        """What one order takes from a quote, the next one does not find there, after a restart neither."""
        book.take(qty, is_buy=is_buy)
        self._recorder.symbol_changed(book.state)

    def _partial_fraction(self, order: SimOrder) -> float | None:
        """One marketable order in ten fills in part first (reference 2.14)."""
        if order.fill_attempts > 1:
            return None
        if self._chance.uniform("partial", order.sequence) >= self._settings.partial_fill_probability:
            return None
        return self._chance.uniform("fraction", order.sequence)

    # --- resting orders -----------------------------------------------------------------------------------------------

    def _meet_side(self, book: OrderBook, entries: list[Entry], *, is_buy: bool, other: float, now_ns: Nanos) -> bool:
        """The other side, as a signed price, came to resting orders: they fill at their own prices by the size that
        it shows. True where it reached any."""
        if entries[0][0] > other:
            return False
        touch = book.touch(is_buy=is_buy)
        for order in reached(entries, other):
            if touch is None or touch.size_left <= ZERO:
                break
            filled = self._fill_resting(book, order, touch.size_left, now_ns)
            if filled:
                self._take_size(book, filled, is_buy=is_buy)
        return True

    def _meet_volume(self, book: OrderBook, orders: Iterable[SimOrder], trade: SimTrade, now_ns: Nanos) -> None:
        """A print beyond an order's price would have met it first; one at its price meets those ahead of it first."""
        left = exact(trade.size)
        for order in orders:
            if left <= ZERO:
                return
            assert order.limit_price is not None, f"order {order.id}: expected a limit price, resting in the book"
            reaching = left
            if float(order.limit_price) == trade.price:
                reaching = exact(queue_position.see_print(order, float(left)))
            else:
                queue_position.lead(order)
            self._recorder.changed(order)
            left -= self._fill_resting(book, order, reaching, now_ns)

    def _fill_resting(self, book: OrderBook, order: SimOrder, size: Decimal, now_ns: Nanos) -> Decimal:
        """Fill a resting order by shares that reached it; the answer is how many it took."""
        if order.status not in MATCHING_STATUSES:
            return ZERO
        fill = meet(order, size)
        if fill is None or not _is_in_bands(book, fill.price):
            return ZERO
        self._book_fill(book, order, fill, now_ns)
        return fill.qty

    def _see_touch(self, entries: list[Entry], own: float, shown: float) -> bool:
        """The touch on the orders' own side, as a signed price, moved: who is at it sees its size, who is better leads.

        True where somebody has ended meanwhile and is to be forgotten.
        """
        has_ended, power = False, self._fills.queue_cancel_power
        for price, _, order in entries:
            if price > own:
                break
            if order.status not in MATCHING_STATUSES:
                has_ended = True
            elif (
                queue_position.see_size(order, shown, cancel_power=power)
                if price == own
                else queue_position.lead(order)
            ):
                self._recorder.changed(order)
        return has_ended

    # --- stops --------------------------------------------------------------------------------------------------------

    def _move_trailing(self, book: OrderBook, price: Decimal, now_ns: Nanos) -> None:
        """A print moves the stops that trail it, and elects those that it reaches."""
        for order in tuple(book.trailing):
            assert order.stop_price is not None, f"order {order.id}: expected a stop price"
            if price >= order.stop_price if order.is_buy else price <= order.stop_price:
                self._elect(book, order, now_ns)
            elif trail(order, price):
                self._recorder.changed(order)

    def _elect(self, book: OrderBook, order: SimOrder, now_ns: Nanos) -> None:
        """A stop's price was touched: from now on it is a market or a limit order (reference 2.11)."""
        if not order.is_watched:
            return
        is_leg = order.status not in MATCHING_STATUSES
        book.unseat_stop(order)
        self._desk.elect(order, now_ns)
        if is_leg:
            del book.members[order.id]  # held until now: it joins again when it works
        else:
            book.seat(order)
            self._attempt(book, order, now_ns)

    # --- auctions -----------------------------------------------------------------------------------------------------

    def cross(self, book: OrderBook, *, price: Decimal, size: Decimal, now_ns: Nanos) -> None:
        """Trade the book's orders in the auction that it waits for, at one price."""
        for orders in _sides(self._auction_orders(book)):
            self._share(book, orders, price=price, size=size, now_ns=now_ns)
        self.end_auction(book, now_ns)

    def cross_at_quote(self, book: OrderBook, now_ns: Nanos) -> None:
        """No auction was printed: its orders trade at the opening or closing quote (reference 2.14)."""
        quote = book.state.auction_quote
        if quote is not None:
            for touch, orders in zip((ask_of(quote), bid_of(quote)), _sides(self._auction_orders(book)), strict=True):
                if touch.price > ZERO:
                    self._share(book, orders, price=touch.price, size=touch.size_left, now_ns=now_ns)
        self.end_auction(book, now_ns)

    def _share(self, book: OrderBook, orders: list[SimOrder], *, price: Decimal, size: Decimal, now_ns: Nanos) -> None:
        for order, fill in share_out(orders, price=price, size=size):
            if order.status in MATCHING_STATUSES and _is_in_bands(book, price):  # a fill may end another order
                self._book_fill(book, order, fill, now_ns)

    def end_auction(self, book: OrderBook, now_ns: Nanos) -> None:
        """What did not trade in an opening or closing auction is canceled; after a halt it goes on."""
        if book.auction == prints.REOPENING:
            book.reopen()
        else:
            book.state.auction_quote, book.state.auction_print = None, None
            for order in self._auction_orders(book):
                self._desk.cancel_now(order, now_ns)
            book.sweep()
        self._recorder.symbol_changed(book.state)
        book.auction = ""
        book.reseat_takers()
        book.refresh()

    def _auction_orders(self, book: OrderBook) -> list[SimOrder]:
        """Who takes part in the auction that the book waits for."""
        if book.auction == prints.REOPENING:
            orders = [*book.takers, *(entry[2] for entry in (*book.buys, *book.sells))]
        else:
            time_in_force = "opg" if book.auction == prints.OPENING else "cls"
            orders = [order for order in book.waiting.values() if order.time_in_force == time_in_force]
        return [order for order in orders if order.status in MATCHING_STATUSES]

    # --- what may never happen ----------------------------------------------------------------------------------------

    def _book_fill(self, book: OrderBook, order: SimOrder, fill: Fill, now_ns: Nanos) -> None:
        assert is_within(order, fill.price), f"order {order.id}: {fill.price} USD is worse than its limit"
        assert ZERO < fill.qty <= order.remaining(fill.price), f"order {order.id}: {fill.qty} is more than is left"
        assert not book.state.halt, f"order {order.id}: {book.symbol} is halted ({book.state.halt})"
        assert _is_in_bands(book, fill.price), f"order {order.id}: {fill.price} USD is outside the bands"
        if order.time_in_force in AUCTION_TIMES_IN_FORCE:
            assert book.auction, f"order {order.id}: expected an auction to fill in"
        else:
            assert takes_part(order, self.phase), f"order {order.id}: does not trade in {self.phase} hours"
        self._desk.fill(order, fill, now_ns)


def book_time(book: OrderBook) -> int:
    return book.quote.ts_ns if book.quote is not None else 0


def _is_in_bands(book: OrderBook, price: Decimal) -> bool:
    state = book.state
    return (not state.limit_up or price <= exact(state.limit_up)) and (
        not state.limit_down or price >= exact(state.limit_down)
    )


def _is_inside(quote: SimQuote | None, price: float) -> bool:
    """Whether a print lies within the best bid and offer; without both nobody can say."""
    return quote is not None and 0 < quote.bid_price <= price <= quote.ask_price


def _sides(orders: Iterable[SimOrder]) -> tuple[list[SimOrder], list[SimOrder]]:
    buys: list[SimOrder] = []
    sells: list[SimOrder] = []
    for order in orders:
        (buys if order.is_buy else sells).append(order)
    return buys, sells
