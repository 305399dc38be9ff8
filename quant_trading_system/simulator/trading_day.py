"""Lets venue time pass: market messages, what is planned, the bells. Decides the order in which they happen.

The market comes first only where nothing is planned earlier, so how finely a caller cuts time changes nothing.
"""

from __future__ import annotations

from collections import deque

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.floor import Floor
from quant_trading_system.simulator.journal import DayRecord
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.valuation import Valuation

EVENTS_PER_ADVANCE_MAX = 20_000  # about 50 ms of work; a caller that wants more time played calls again
MARKET_EVENTS_MAX = 200_000  # not taken by anybody; then the oldest are dropped and counted


class TradingDay:
    """Venue time and everything that it brings about by itself."""

    def __init__(
        self,
        *,
        market: MarketSource,
        schedule: Schedule,
        desk: OrderDesk,
        floor: Floor,
        index: OrderIndex,
        books: Books,
        valuation: Valuation,
        recorder: Recorder,
        now_ns: Nanos,
    ) -> None:
        self.now_ns = now_ns  # up to which everything has happened
        self.market_events: deque[MarketEvent] = deque()
        self.market_events_dropped = 0
        self._market = market
        self._schedule = schedule
        self._desk = desk
        self._floor = floor
        self._index = index
        self._books = books
        self._valuation = valuation
        self._recorder = recorder

    def begin(self) -> None:
        """Stand at the present: plan the next bell, and let open orders go on."""
        self._market.begin(self.now_ns)
        session = self._market.session_closing_after(self.now_ns)
        if session is not None and session.open_ns <= self.now_ns:
            self._floor.open(session.open_ns)
            self._floor.know_quotes(filter(None, map(self._market.latest_quote, self._market.symbols)))
            self._schedule.plan(session.close_ns, Action.CLOSE)
        elif session is not None:
            self._schedule.plan(session.open_ns, Action.OPEN)
        for order in self._index.open():
            self._desk.resume(order, self.now_ns)
            if self._floor.is_open and order.status == "accepted":
                self._desk.release(order, self.now_ns)

    def advance(self, now_ns: Nanos) -> None:
        """Play up to a moment, or EVENTS_PER_ADVANCE_MAX messages; a moment that has passed does nothing.

        The market is never asked beyond what is planned next, so that its latest values, when that comes, are those of
        the moment before, however finely the caller cuts time.
        """
        target_ns = max(now_ns, self.now_ns)
        left = EVENTS_PER_ADVANCE_MAX
        while left > 0:
            until_ns = min(target_ns, self._schedule.next_due_ns - 1)
            left = self._play_until(until_ns, left)
            if left == 0 or self._schedule.next_due_ns <= until_ns:
                continue  # something was planned that comes first
            if until_ns == target_ns:
                self.now_ns = target_ns
                return
            self._run_planned(self._schedule.next_due_ns)

    def _play_until(self, until_ns: int, left: int) -> int:
        """Play at most `left` messages, and none behind what they plan; how many may still be played."""
        schedule = self._schedule
        for event in self._market.events_until(Nanos(until_ns)):
            self._play(event)
            left -= 1
            if left == 0 or schedule.next_due_ns <= until_ns:
                break
        return left

    def _play(self, event: MarketEvent) -> None:
        kind = type(event)
        # A bar is stamped with its beginning, a late report with the time of the trade: they tell of time gone by.
        if kind is not SimBar and event.ts_ns >= self.now_ns:
            self.now_ns = Nanos(event.ts_ns)
            if kind is SimQuote:
                self._floor.on_quote(event)  # type: ignore[arg-type]
            elif kind is SimTrade:
                self._floor.on_trade(event)  # type: ignore[arg-type]
        if len(self.market_events) >= MARKET_EVENTS_MAX:
            self.market_events.popleft()
            self.market_events_dropped += 1
        self.market_events.append(event)

    def _run_planned(self, until_ns: int) -> None:
        while (due := self._schedule.pop_due(until_ns)) is not None:
            due_ns, action, order_id = due
            self.now_ns = max(self.now_ns, due_ns)
            self._act(action, order_id)

    def _act(self, action: Action, order_id: str) -> None:
        now_ns = self.now_ns
        match action:
            case Action.OPEN:
                self._ring_open()
            case Action.CLOSE:
                self._ring_close()
            case Action.ACKNOWLEDGE:
                self._desk.acknowledge(self._index.known(order_id), now_ns)
            case Action.MATCH:
                self._floor.admit(self._index.known(order_id), now_ns)
            case Action.CANCEL:
                self._desk.complete_cancel(self._index.known(order_id), now_ns)
            case Action.REPLACE:
                self._desk.complete_replacement(self._index.known(order_id), now_ns)
            case Action.REJECT:
                self._desk.reject(self._index.known(order_id), now_ns)

    def _ring_open(self) -> None:
        session = self._market.session_closing_after(self.now_ns)
        assert session is not None, "expected the session whose opening was planned"
        self._books.start_day()
        self._floor.open(session.open_ns)
        self._schedule.plan(session.close_ns, Action.CLOSE)
        for order in self._index.open():
            if order.is_resting:
                order.is_resting = False  # a new book: what the open made marketable fills at the touch
                self._recorder.changed(order)
            if order.status == "accepted":
                self._desk.release(order, self.now_ns)

    def _ring_close(self) -> None:
        self._floor.close()
        for order in self._index.open():
            if order.expires_at_ns is not None and order.expires_at_ns <= self.now_ns:
                end = self._desk.expire if order.time_in_force == "day" else self._desk.cancel_now
                end(order, self.now_ns)
        held = self._valuation.margins(self.now_ns)
        self._valuation.last_equity = held.equity
        self._valuation.last_maintenance_margin = held.maintenance
        self._recorder.fact(DayRecord(closed_ns=self.now_ns, equity=held.equity, maintenance_margin=held.maintenance))
        following = self._market.session_closing_after(self.now_ns)
        if following is not None:
            self._schedule.plan(following.open_ns, Action.OPEN)
