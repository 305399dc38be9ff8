"""Stops and starts symbols, and tells of it. Decides nothing that `halts` does not say; keeps it through a restart.

While a symbol is halted by this exchange, the market that is played knows nothing of it: what it says is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import halts, prints
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.events import MarketEvent, SimLuld, SimQuote, SimStatus, SimTrade
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.order_book import OrderBook
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.sessions import CRYPTO
from quant_trading_system.simulator.symbol_state import SymbolState


class HaltDesk:
    """Halts, bands and restrictions of all symbols."""

    def __init__(
        self,
        *,
        assets: Mapping[str, SimAsset],
        books: Mapping[str, OrderBook],
        market: MarketSource,
        schedule: Schedule,
        recorder: Recorder,
        tell: Callable[[MarketEvent], None],
    ) -> None:
        self.silent: set[str] = set()  # halted by this exchange
        self.on_change: Callable[[OrderBook], None] = OrderBook.refresh  # gives the places of a book anew
        self._is_regular = False
        self._assets = assets
        self._books = books
        self._market = market
        self._schedule = schedule
        self._recorder = recorder
        self._tell = tell

    def set_status(self, symbol: str, kind: str, now_ns: Nanos) -> None:
        """Do what an operator says: one symbol, or for a market-wide breaker every equity.

        Raises:
            Refusal: a breaker at a time at which it halts nothing.
        """
        session = self._market.session_closing_after(now_ns)
        following = self._market.session_closing_after(session.close_ns) if session is not None else None
        due_ns = halts.resumes_at_ns(kind, now_ns, session=session, following=following)
        symbols = [symbol]
        if kind in halts.BREAKERS:
            symbols = [name for name, asset in self._assets.items() if asset.asset_class != CRYPTO]
        for name in symbols:
            if kind == halts.RESUME:
                self.resume(name, now_ns)
            elif not self._stands_longer(name, due_ns):
                self.stop(name, kind, now_ns, resumes_at_ns=due_ns)

    def _stands_longer(self, symbol: str, resumes_at_ns: int | None) -> bool:
        """Whether a symbol is halted already, for longer than a new halt would last."""
        state = self._books[symbol].state
        if not state.halt:
            return False
        return state.resumes_at_ns is None or (resumes_at_ns is not None and state.resumes_at_ns >= resumes_at_ns)

    def turn(self, *, is_regular: bool) -> None:
        """Other hours begin: bands and the watch for a fall are of regular ones."""
        self._is_regular = is_regular
        for book in self._books.values():
            if not is_regular:
                book.state.limit_up = book.state.limit_down = 0.0
                book.state.limit_state_since_ns = None
            is_watched = is_regular and self._assets[book.symbol].asset_class != CRYPTO
            book.restriction_below = inf if is_watched else -inf

    def is_halted(self, symbol: str) -> bool:
        return bool(self._books[symbol].state.halt)

    def is_short_restricted(self, symbol: str, now_ns: Nanos) -> bool:
        """Whether short sales of a symbol may execute above the bid only (SEC Rule 201)."""
        return self._books[symbol].state.restricted_until_ns > now_ns

    def stop(self, symbol: str, kind: str, now_ns: Nanos, *, resumes_at_ns: int | None) -> None:
        """Halt a symbol by this exchange's own decision, and tell of it."""
        self._tell(halts.status_event(symbol, self._assets[symbol].exchange, kind, now_ns))
        self._halt(self._books[symbol], kind, resumes_at_ns=resumes_at_ns, is_own=True)

    def resume(self, symbol: str, now_ns: Nanos) -> None:
        """End a halt, and tell of it."""
        if self.is_halted(symbol):
            self._tell(halts.status_event(symbol, self._assets[symbol].exchange, halts.RESUME, now_ns))
            self._lift(self._books[symbol])

    def resume_due(self, symbol: str, now_ns: Nanos) -> None:
        """A halt that ends by itself may be over."""
        due_ns = self._books[symbol].state.resumes_at_ns
        if due_ns is not None and due_ns <= now_ns:
            self.resume(symbol, now_ns)

    def limit_state_due(self, symbol: str, now_ns: Nanos) -> None:
        """Fifteen seconds ago a quote came to a band: if it still stands there, trading pauses."""
        state = self._books[symbol].state
        since_ns = state.limit_state_since_ns
        if since_ns is not None and since_ns + halts.LIMIT_STATE_NS <= now_ns and not state.halt:
            self.stop(symbol, halts.LULD_PAUSE, now_ns, resumes_at_ns=now_ns + halts.PAUSE_NS)

    def on_status(self, event: SimStatus) -> None:
        """The market itself halts or resumes a symbol."""
        book, kind = self._books[event.symbol], halts.kind_said(event)
        if kind == halts.HALT:
            self._halt(book, kind, resumes_at_ns=None, is_own=False)
        elif kind == halts.RESUME and book.state.halt:
            self._lift(book)

    def on_bands(self, event: SimLuld) -> None:
        """New price bands."""
        if not self._is_regular:
            return  # the plan is of regular hours
        book = self._books[event.symbol]
        book.state.limit_up, book.state.limit_down = event.limit_up, event.limit_down
        if book.members:  # without orders the next bands come soon enough after a restart
            self._recorder.symbol_changed(book.state)
        book.refresh()
        if book.quote is not None:
            self.watch_bands(book, book.quote)

    def restore(self, states: Iterable[SymbolState]) -> None:
        """Go on with what the venue kept of symbols before a restart."""
        for state in states:
            if state.symbol not in self._books:
                continue
            book = self._books[state.symbol]
            book.state = state
            if state.is_reopening:
                book.auction = prints.REOPENING
            if state.is_own_halt:
                self.silent.add(state.symbol)
            if state.resumes_at_ns is not None:
                self._schedule.plan(state.resumes_at_ns, Action.RESUME, state.symbol)
            if state.limit_state_since_ns is not None:
                due_ns = state.limit_state_since_ns + halts.LIMIT_STATE_NS
                self._schedule.plan(due_ns, Action.LIMIT_STATE, state.symbol)

    def _halt(self, book: OrderBook, kind: str, *, resumes_at_ns: int | None, is_own: bool) -> None:
        state = book.state
        state.halt, state.resumes_at_ns = kind, resumes_at_ns
        state.is_own_halt = state.is_own_halt or is_own
        state.limit_state_since_ns = None
        state.limit_up = state.limit_down = 0.0  # after a pause there are new ones
        if is_own:
            self.silent.add(book.symbol)
        if resumes_at_ns is not None:
            self._schedule.plan(resumes_at_ns, Action.RESUME, book.symbol)
        book.quote = None
        self._recorder.symbol_changed(state)
        self.on_change(book)

    def _lift(self, book: OrderBook) -> None:
        """Trading goes on with a reopening print, or else with the first quote."""
        state = book.state
        state.halt, state.is_own_halt, state.resumes_at_ns = "", False, None
        self.silent.discard(book.symbol)
        book.quote = None
        state.is_reopening = True
        book.auction = book.auction or prints.REOPENING
        self._recorder.symbol_changed(state)
        self.on_change(book)

    def watch_bands(self, book: OrderBook, quote: SimQuote) -> None:
        """A bid at the upper band or an offer at the lower one is a limit state (LULD plan, section VI)."""
        state = book.state
        is_at_band = 0 < state.limit_up <= quote.bid_price or 0 < quote.ask_price <= state.limit_down
        if is_at_band == (state.limit_state_since_ns is not None):
            return
        state.limit_state_since_ns = quote.ts_ns if is_at_band else None
        self._recorder.symbol_changed(state)
        if is_at_band:
            self._schedule.plan(quote.ts_ns + halts.LIMIT_STATE_NS, Action.LIMIT_STATE, book.symbol)

    def watch_fall(self, book: OrderBook, trade: SimTrade) -> None:
        """A tenth below the last close, short sales are restricted for the rest of the day and the next one."""
        if not prints.is_last_sale(trade):
            return
        if book.restriction_below == inf:
            close = self._market.last_close(book.symbol, new_york_date(trade.ts_ns))
            is_known = close is not None and book.state.restricted_until_ns <= trade.ts_ns
            book.restriction_below = close * halts.SHORT_RESTRICTION_FRACTION if close and is_known else -inf
        if trade.price <= book.restriction_below:
            self._restrict(book, trade.ts_ns)

    def _restrict(self, book: OrderBook, now_ns: int) -> None:
        book.restriction_below = -inf
        session = self._market.session_closing_after(now_ns)
        following = self._market.session_closing_after(session.close_ns) if session is not None else None
        last = following or session
        assert last is not None, f"{book.symbol}: expected a session to trade in"
        book.state.restricted_until_ns = last.close_ns
        self._recorder.symbol_changed(book.state)
        listing = self._assets[book.symbol].exchange
        if halts.plan_of(listing) == halts.CTA:
            self._tell(halts.restriction_event(book.symbol, now_ns))
