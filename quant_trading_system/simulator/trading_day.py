"""Lets venue time pass: market messages, steps of orders, bells. Decides the order in which they happen.

The market is played just up to the next thing that is planned, then that happens: how finely a caller cuts time
changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.attendance import Attendance
from quant_trading_system.simulator.back_office import BackOffice
from quant_trading_system.simulator.bells import Bells
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import (
    MarketEvent,
    SimBar,
    SimLuld,
    SimQuote,
    SimStatus,
    SimTrade,
)
from quant_trading_system.simulator.floor import Floor
from quant_trading_system.simulator.halt_desk import HaltDesk
from quant_trading_system.simulator.impact import Pricing
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.marks import Marks
from quant_trading_system.simulator.order_book import OrderBook
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.sessions import CRYPTO
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.symbol_state import SymbolState
from quant_trading_system.simulator.valuation import Valuation

EVENTS_PER_ADVANCE_MAX = 20_000  # about 50 ms of work; a caller that wants more time played calls again
MARKET_EVENTS_MAX = 200_000  # not taken by anybody; then the oldest are dropped and counted
_TRADING = frozenset({SimQuote, SimTrade})


class MarketTape:
    """What the market said and nobody has taken yet."""

    def __init__(self) -> None:
        self.events: deque[MarketEvent] = deque()
        self.dropped = 0

    def tell(self, event: MarketEvent) -> None:
        if len(self.events) >= MARKET_EVENTS_MAX:
            self.events.popleft()
            self.dropped += 1
        self.events.append(event)

    def take(self) -> list[MarketEvent]:
        events = list(self.events)
        self.events.clear()
        return events


class TradingDay:
    """Venue time and everything that it brings about by itself."""

    def __init__(
        self,
        *,
        market: MarketSource,
        schedule: Schedule,
        desk: OrderDesk,
        floor: Floor,
        bells: Bells,
        index: OrderIndex,
        marks: Marks,
        tape: MarketTape,
        attendance: Attendance,
        now_ns: Nanos,
    ) -> None:
        self.now_ns = now_ns  # up to which everything has happened
        self._market = market
        self._schedule = schedule
        self._desk = desk
        self.floor = floor
        self.attendance = attendance
        self._bells = bells
        self._index = index
        self._marks = marks
        self._tape = tape

    def begin(self, states: Iterable[SymbolState]) -> None:
        """Stand at the present: plan the next bells, and let halts and open orders go on."""
        self._market.begin(self.now_ns)
        self.floor.halts.restore(states)
        self._bells.begin(self.now_ns)
        self.floor.know_quotes(filter(None, map(self._market.latest_quote, self._market.symbols)), now_ns=self.now_ns)
        for order in self._index.open():
            self._desk.resume(order, is_sent=self.floor.takes(order))
            self.expect(order)
        self._run_planned(self.now_ns)  # who met the market before does so again at once

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

    def expect(self, order: SimOrder) -> None:
        """An order is there: let the market play what it needs. What nobody watched until now has a newer quote."""
        self.attendance.expect(order)
        is_new = order.asset_class == CRYPTO or order.extended_hours
        quote = self._market.latest_quote(order.symbol) if is_new else None
        if quote is not None:
            self.floor.know_quotes([quote], now_ns=self.now_ns)

    def _play_until(self, until_ns: int, left: int) -> int:
        """Play at most `left` messages, and none behind what they plan; how many may still be played."""
        schedule, silent = self._schedule, self.floor.halts.silent
        for event in self._market.events_until(Nanos(until_ns)):
            if type(event) is SimTrade:
                self._marks.printed(event.symbol)
            if not silent or event.symbol not in silent or type(event) not in _TRADING:
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
                self.floor.on_quote(event)  # type: ignore[arg-type]
            elif kind is SimTrade:
                self.floor.on_trade(event)  # type: ignore[arg-type]
            else:
                self._hear(event)
        self._tape.tell(event)

    def _hear(self, event: MarketEvent) -> None:
        if isinstance(event, SimLuld):
            self.floor.on_bands(event)
        elif isinstance(event, SimStatus):
            self.floor.halts.on_status(event)

    def _run_planned(self, until_ns: int) -> None:
        while (due := self._schedule.pop_due(until_ns)) is not None:
            due_ns, action, subject = due
            self.now_ns = max(self.now_ns, due_ns)
            self._act(action, subject)

    def _act(self, action: Action, subject: str) -> None:
        now_ns = self.now_ns
        match action:
            case Action.ACKNOWLEDGE:
                self._desk.acknowledge(self._index.known(subject), now_ns)
            case Action.MATCH:
                self.floor.admit(self._index.known(subject), now_ns)
            case Action.CANCEL:
                self._desk.complete_cancel(self._index.known(subject), now_ns)
            case Action.REPLACE:
                self._desk.complete_replacement(self._index.known(subject), now_ns)
            case Action.REJECT:
                self._desk.reject(self._index.known(subject), now_ns)
            case Action.RESUME:
                self.floor.halts.resume_due(subject, now_ns)
            case Action.LIMIT_STATE:
                self.floor.halts.limit_state_due(subject, now_ns)
            case _:
                self._bells.ring(action, now_ns)


def make_trading_day(
    *,
    settings: ExchangeSettings,
    chance: Chance,
    market: MarketSource,
    assets: Mapping[str, SimAsset],
    schedule: Schedule,
    desk: OrderDesk,
    index: OrderIndex,
    office: BackOffice,
    valuation: Valuation,
    recorder: Recorder,
    tape: MarketTape,
) -> TradingDay:
    """Put the floor and the bells together."""
    order_books = {symbol: OrderBook(symbol) for symbol in assets}
    halts = HaltDesk(
        assets=assets, books=order_books, market=market, schedule=schedule, recorder=recorder, tell=tape.tell
    )
    floor = Floor(
        settings=settings,
        chance=chance,
        assets=assets,
        books=order_books,
        pricing=Pricing(settings.fills, chance, market),
        halts=halts,
        desk=desk,
        recorder=recorder,
    )
    attendance = Attendance(market)
    bells = Bells(
        market=market,
        attendance=attendance,
        schedule=schedule,
        desk=desk,
        floor=floor,
        index=index,
        office=office,
    )
    return TradingDay(
        market=market,
        schedule=schedule,
        desk=desk,
        floor=floor,
        bells=bells,
        index=index,
        marks=valuation.marks,
        tape=tape,
        attendance=attendance,
        now_ns=settings.start_ns,
    )
