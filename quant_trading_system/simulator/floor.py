"""Where working orders meet the market: one book a symbol. Decides which orders take part now, and when symbols stand.

A message is held against its book's floats and costs next to nothing where it cannot matter. Only quotes of the
running phase count: an order for a symbol that trades and is never quoted stays `new`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import prints
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.calendar import Phase
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import SimLuld, SimQuote, SimTrade
from quant_trading_system.simulator.halt_desk import HaltDesk
from quant_trading_system.simulator.impact import Pricing
from quant_trading_system.simulator.matcher import IMMEDIATE_TIMES_IN_FORCE, Matcher
from quant_trading_system.simulator.numbers import exact
from quant_trading_system.simulator.order_book import OrderBook
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.sessions import AUCTION_TIMES_IN_FORCE, CRYPTO, is_sent, takes_part
from quant_trading_system.simulator.settings import ExchangeSettings


class Floor:
    """Orders that can fill, by symbol."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        chance: Chance,
        assets: Mapping[str, SimAsset],
        books: Mapping[str, OrderBook],
        pricing: Pricing,
        halts: HaltDesk,
        desk: OrderDesk,
        recorder: Recorder,
    ) -> None:
        self.phase: Phase = "closed"
        self.is_opening_auction_sent = False
        self.halts = halts
        self._assets = assets
        self._desk = desk
        self._recorder = recorder
        self._matcher = Matcher(settings=settings, chance=chance, desk=desk, recorder=recorder, pricing=pricing)
        self._books = books
        self._quotes_since_ns = 0
        self._open_auction = ""
        halts.on_change = self._reseat

    # --- hours --------------------------------------------------------------------------------------------------------

    def turn(self, phase: Phase, now_ns: Nanos, *, quotes_since_ns: int) -> None:
        """Let other hours begin for equities. The last regular quotes stay good for the late session."""
        self.phase = self._matcher.phase = phase
        self._quotes_since_ns = quotes_since_ns
        self.halts.turn(is_regular=phase == "regular")
        for book in self._books.values():
            if self._is_crypto(book):
                continue
            if phase != "post":
                book.quote = None
            self._reseat(book)
            self._matcher.try_takers(book, now_ns)

    def know_quotes(self, quotes: Iterable[SimQuote], *, now_ns: int) -> None:
        """Take over the latest quotes: after a restart in the middle of a phase, or of a pair that nobody watched."""
        for quote in quotes:
            book = self._books[quote.symbol]
            if book.state.halt or book.state.is_reopening:
                continue  # what was quoted before the halt is gone
            since_ns = 0 if self._is_crypto(book) else self._quotes_since_ns
            if since_ns <= quote.ts_ns <= now_ns:
                book.quote = quote

    def takes(self, order: SimOrder) -> bool:
        """Whether an order is sent to the venue now; otherwise it waits for its hour."""
        return is_sent(order, self.phase, opening_auction_sent=self.is_opening_auction_sent)

    # --- messages -----------------------------------------------------------------------------------------------------

    def on_quote(self, quote: SimQuote) -> None:
        """Keep a quote, and let the orders meet it where it can matter to one."""
        book = self._books[quote.symbol]
        book.quote = quote
        if (
            quote.bid_price <= book.bid_low
            or quote.ask_price <= book.ask_low
            or quote.bid_price >= book.bid_high
            or quote.ask_price >= book.ask_high
        ):
            self._meet_quote(book, quote)

    def on_trade(self, trade: SimTrade) -> None:
        """Let the orders meet a print where it can matter to one."""
        book = self._books[trade.symbol]
        if trade.price <= book.trade_low or trade.price >= book.trade_high:
            self._meet_print(book, trade)

    def on_bands(self, event: SimLuld) -> None:
        """Keep new price bands; who stood outside the old ones may stand inside."""
        self.halts.on_bands(event)
        self._matcher.try_takers(self._books[event.symbol], Nanos(event.ts_ns))

    def _meet_quote(self, book: OrderBook, quote: SimQuote) -> None:
        if book.state.halt:
            book.quote = None
            return
        if book.state.is_reopening:
            book.reopen()  # nothing was printed first: the halt ends with this quote
            self._recorder.symbol_changed(book.state)
        if (
            book.auction == prints.OPENING
            and book.state.auction_quote is None
            and quote.bid_price > 0 < quote.ask_price
        ):
            book.state.auction_quote = quote
            self._recorder.symbol_changed(book.state)
        if book.state.limit_up or book.state.limit_down:
            self.halts.watch_bands(book, quote)
        self._matcher.meet_quote(book, quote)

    def _meet_print(self, book: OrderBook, trade: SimTrade) -> None:
        if book.state.halt:
            return
        is_cross = bool(book.auction) and prints.is_auction(trade, book.auction)
        if is_cross:
            self._matcher.cross(book, price=exact(trade.price), size=exact(trade.size), now_ns=Nanos(trade.ts_ns))
        elif book.waiting and self.phase == "regular" and prints.is_auction(trade, prints.CLOSING):
            book.state.auction_print = (trade.price, trade.size)  # of a market whose last print is its closing one
            self._recorder.symbol_changed(book.state)
        if trade.price <= book.restriction_below:
            self.halts.watch_fall(book, trade)
        self._matcher.meet_print(book, trade, is_spent=is_cross)

    # --- orders -------------------------------------------------------------------------------------------------------

    def admit(self, order: SimOrder, now_ns: Nanos) -> None:
        """Let an order meet the market: now, and with every message that can matter to it until it is final."""
        if not order.is_watched:
            return
        book = self._books[order.symbol]
        if order.time_in_force in AUCTION_TIMES_IN_FORCE:
            self._admit_to_auction(book, order, now_ns)
            return
        is_known = order.id in book.members
        if not is_known:
            book.join(order)
            if book.state.limit_up:
                self._recorder.symbol_changed(book.state)  # from now on its bands matter
        if book.state.halt or not takes_part(order, self.phase):
            if order.time_in_force in IMMEDIATE_TIMES_IN_FORCE:
                self._desk.cancel_now(order, now_ns)
            return
        if not is_known:
            book.seat(order)
        self._matcher.try_takers(book, now_ns)

    def _admit_to_auction(self, book: OrderBook, order: SimOrder, now_ns: Nanos) -> None:
        kind, phase = (prints.OPENING, "pre") if order.time_in_force == "opg" else (prints.CLOSING, "regular")
        if self.phase == phase:
            book.wait(order)
        elif self._open_auction == kind:
            book.wait(order)
            book.auction = kind
            book.refresh()
        else:
            self._desk.cancel_now(order, now_ns)  # it came when its auction was over

    def _reseat(self, book: OrderBook) -> None:
        """Give the places of a book anew to those who may trade now; who did not a moment ago begins at the touch."""
        seated = {id(order) for order in book.takers}
        seated.update(id(entry[2]) for entry in (*book.buys, *book.sells))
        book.sweep()
        book.clear()
        if not book.state.halt:
            for order in book.members.values():
                if not (order.is_watched and takes_part(order, self.phase)):
                    continue
                if order.is_resting and id(order) not in seated:
                    order.is_resting = False  # a new book: what has become marketable fills at the touch
                    self._recorder.changed(order)
                book.seat(order)
        book.refresh()

    # --- auctions -----------------------------------------------------------------------------------------------------

    def begin_auction(self, kind: str) -> None:
        """A bell rings in an opening or closing auction: from now on its print counts."""
        for book in self._books.values():
            if kind == prints.OPENING:
                book.state.auction_quote, book.state.auction_print = None, None
            elif book.waiting:
                book.state.auction_quote = book.quote
                self._recorder.symbol_changed(book.state)
        self.await_auction(kind)

    def await_auction(self, kind: str) -> None:
        """Let the orders that are there for an auction wait for its print."""
        self._open_auction = kind
        time_in_force = "opg" if kind == prints.OPENING else "cls"
        for book in self._books.values():
            if any(order.time_in_force == time_in_force for order in book.waiting.values()):
                book.auction = kind
                book.refresh()

    def cross_printed(self, now_ns: Nanos) -> None:
        """Settle the closing auctions whose prints came before the bell."""
        for book in self._books.values():
            if book.auction == prints.CLOSING and book.state.auction_print is not None and not book.state.halt:
                price, size = book.state.auction_print
                self._matcher.cross(book, price=exact(price), size=exact(size), now_ns=now_ns)

    @property
    def awaits_auction(self) -> bool:
        """Whether orders wait for the print of an opening or closing auction."""
        return any(book.auction in (prints.OPENING, prints.CLOSING) for book in self._books.values())

    def end_auctions(self, now_ns: Nanos) -> None:
        """The market printed no auction in time: its orders trade at the quote, where there is one."""
        kind, self._open_auction = self._open_auction, ""
        for book in self._books.values():
            if book.auction != kind:
                continue
            if book.state.halt:
                self._matcher.end_auction(book, now_ns)
            else:
                self._matcher.cross_at_quote(book, now_ns)

    def is_short_restricted(self, symbol: str, now_ns: Nanos) -> bool:
        """Whether short sales of a symbol may execute above the bid only (SEC Rule 201)."""
        return self.halts.is_short_restricted(symbol, now_ns)

    def is_halted(self, symbol: str) -> bool:
        return self.halts.is_halted(symbol)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _is_crypto(self, book: OrderBook) -> bool:
        return self._assets[book.symbol].asset_class == CRYPTO
