"""Plays recorded trades and quotes, merged by time, day by day. Decides what of a day is told and what only known.

Files are read as the market goes, one day at a time; what lies outside regular hours sets the latest prices and is
streamed where somebody watches. Nothing that lies behind the played time is ever told. Bars, running days and price
bands are made of the trades as they come.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter

from quant_trading_system.core.types import Nanos
from quant_trading_system.datafiles import DataDirectory, DataFileError
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.luld import BandKeeper
from quant_trading_system.simulator.market.minute_bars import MinuteBarBuilder, RunningDays, daily_bar
from quant_trading_system.simulator.market.recorded_actions import actions_of
from quant_trading_system.simulator.market.recorded_history import RecordedHistory, read_day_quotes
from quant_trading_system.simulator.market.recorded_prints import read_day_trades
from quant_trading_system.simulator.market.source import (
    DAY,
    QUIET_AFTER_CLOSE_NS,
    QUIET_BEFORE_OPEN_NS,
    BarSpan,
    DayAuctions,
    Reading,
)

_stamp = attrgetter("ts_ns")


class RecordedMarket:
    """The days of a data directory for which there are trades or quotes.

    Raises:
        DataFileError: there is no such day, or a file is not sound (when the market reaches it).
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self.symbols: Sequence[str] = tuple(sorted({*directory.symbols("trades"), *directory.symbols("quotes")}))
        self.is_synthetic = False
        self._sessions = _sessions_of(directory, self.symbols)
        self._closes = [session.close_ns for session in self._sessions]
        self._history = RecordedHistory(directory)
        self._played_ns = 0
        self._day: date | None = None
        self._session: Session | None = None
        self._stream: Iterator[SimTrade | SimQuote] = iter(())
        self._next: SimTrade | SimQuote | None = None
        self._loud_from_ns = self._loud_until_ns = 0
        self._plays_extended = True
        self._actions: dict[str, tuple[CorporateAction, ...]] = {}
        self._waiting: deque[MarketEvent] = deque()
        self._bars = MinuteBarBuilder()
        self._days = RunningDays()
        self._bands: dict[str, BandKeeper] = {}
        self._trades: dict[str, SimTrade] = {}
        self._quotes: dict[str, SimQuote] = {}

    @property
    def start_ns(self) -> Nanos:
        return self._sessions[0].open_ns

    @property
    def end_ns(self) -> Nanos | None:
        return self._sessions[-1].close_ns

    def check_start(self, start_ns: int) -> None:
        """Refuse a start behind the last recorded close.

        Raises:
            DataFileError: says which days there are.
        """
        if start_ns >= self._closes[-1]:
            first, last = self._sessions[0].day, self._sessions[-1].day
            raise DataFileError(
                self._directory.root,
                0,
                f"nothing to play from {new_york_date(start_ns).isoformat()} on; the data covers {first} to {last}",
            )

    def begin(self, now_ns: Nanos) -> None:
        self._played_ns = now_ns
        session = self.session_closing_after(now_ns - QUIET_AFTER_CLOSE_NS)
        if session is not None:
            self._open_day(session)
            for _ in self._play_until(now_ns):
                pass  # played before: it is only looked at for the latest prices and the bars so far

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        self._played_ns = max(self._played_ns, now_ns)
        yield from self._play_until(now_ns)
        following = self._following_session()
        while following is not None and self._next is None and now_ns >= following.pre_market_ns:
            self._open_day(following)
            yield from self._play_until(now_ns)
            following = self._following_session()

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        index = bisect_right(self._closes, stamp_ns)
        return self._sessions[index] if index < len(self._sessions) else None

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        end_ns = min(end_ns, self._played_ns)
        today = self._today()
        if span == DAY:
            found = [*self._history.daily_bars(symbol, before=today), *self._forming_day(symbol, today)]
        else:
            days = (new_york_date(start_ns), min(today, new_york_date(end_ns)))
            found = self._history.minute_bars(symbol, first=days[0], last=days[1], before=today)
            if self._day == today:
                found = [*found, *self._bars.so_far(symbol)]
        return [bar for bar in found if start_ns <= bar.ts_ns <= end_ns]

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        return self._history.trades(symbol, start_ns, min(end_ns, self._played_ns))

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        return self._history.quotes(symbol, start_ns, min(end_ns, self._played_ns))

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int) -> Iterator[None]:
        return self._history.prepare(reading, symbol, start_ns, min(end_ns, self._played_ns), today=self._today())

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._trades.get(symbol)

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._quotes.get(symbol)

    def latest_bar(self, symbol: str) -> SimBar | None:
        return self._bars.last_complete(symbol)

    def last_close(self, symbol: str, before: date) -> float | None:
        return self._history.last_close(symbol, before)

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        sessions = [session for session in self._sessions if first <= session.day <= min(last, self._today())]
        held = (self._history.auctions(symbol, session.day) for session in sessions)
        known = (_held_by(auctions, self._played_ns) for auctions in held if auctions is not None)
        return [auctions for auctions in known if auctions.opening]

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        return None

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        wanted = self.symbols if symbols is None else [symbol for symbol in symbols if symbol in self.symbols]
        found = [
            action
            for symbol in wanted
            for action in self._actions_of(symbol)
            if action.is_known_on(self._today())
            if first_day <= action.ex_date <= last_day or first_day <= action.process_date <= last_day
        ]
        return sorted(found, key=lambda action: (action.ex_date, action.symbol, action.kind))

    def set_crypto_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        """There is no crypto in recorded files."""

    def set_extended_audience(self, is_watched: bool) -> None:
        self._plays_extended = is_watched

    def _actions_of(self, symbol: str) -> tuple[CorporateAction, ...]:
        if symbol not in self._actions:
            self._actions[symbol] = actions_of(self._directory, symbol)
        return self._actions[symbol]

    def _forming_day(self, symbol: str, today: date) -> list[SimBar]:
        session = calendar.session_on(today)
        if session is None or self._day != today:
            return []
        bar = daily_bar([bar for bar in self._bars.so_far(symbol) if session.contains(bar.ts_ns)], new_york_ns(today))
        return [bar] if bar else []

    def _today(self) -> date:
        return new_york_date(self._played_ns)

    def _following_session(self) -> Session | None:
        if self._day is None:
            return None
        return next((session for session in self._sessions if session.day > self._day), None)

    def _open_day(self, session: Session) -> None:
        self._day = session.day
        self._session = session
        self._bars = MinuteBarBuilder()
        self._days = RunningDays()
        self._bands = {}
        self._loud_from_ns = session.open_ns - QUIET_BEFORE_OPEN_NS
        self._loud_until_ns = session.close_ns + QUIET_AFTER_CLOSE_NS
        streams: list[Iterator[SimTrade | SimQuote]] = []
        for symbol in self.symbols:  # at one stamp a symbol's quotes come before its trades
            if self._directory.has("quotes", symbol, session.day):
                streams.append(read_day_quotes(self._directory, symbol, session.day))
            if self._directory.has("trades", symbol, session.day):
                streams.append(read_day_trades(self._directory, symbol, session.day))
        self._stream = heapq.merge(*streams, key=_stamp)
        self._next = next(self._stream, None)

    def _play_until(self, now_ns: int) -> Iterator[MarketEvent]:
        """Tell what is due. What a moment says is kept until it is told: the caller may stop anywhere."""
        waiting = self._waiting
        while True:
            while waiting:
                yield waiting.popleft()
            event, bars = self._next, self._bars
            if event is None or event.ts_ns > now_ns:
                if not bars.is_forming or now_ns < bars.minute_end_ns:
                    return
                waiting.extend(self._finish_minute())
            elif bars.is_forming and event.ts_ns >= bars.minute_end_ns:
                waiting.extend(self._finish_minute())
            else:
                self._next = next(self._stream, None)
                self._hear(event)

    def _hear(self, event: SimTrade | SimQuote) -> None:
        """Know a message, and say it where it is heard."""
        if isinstance(event, SimQuote):
            self._quotes[event.symbol] = event
        else:
            self._trades[event.symbol] = event
            self._bars.add(event)
            if event.symbol not in self._bands and self._session is not None and self._session.contains(event.ts_ns):
                self._waiting.extend(self._open_bands(event, self._session))
        if self._plays_extended or self._loud_from_ns <= event.ts_ns < self._loud_until_ns:
            self._waiting.append(event)

    def _open_bands(self, trade: SimTrade, session: Session) -> list[MarketEvent]:
        """The first price bands of a symbol's session, around its first price."""
        previous = self._history.last_close(trade.symbol, session.day)
        keeper = BandKeeper(trade.symbol, session, previous_close=trade.price if previous is None else previous)
        self._bands[trade.symbol] = keeper
        return [message] if (message := keeper.open(trade.price, trade.ts_ns)) is not None else []

    def _finish_minute(self) -> list[MarketEvent]:
        """The bars of the minute that ends, the days so far, and the bands that move with them."""
        end_ns = self._bars.minute_end_ns
        is_loud = self._loud_from_ns <= end_ns < self._loud_until_ns or self._plays_extended
        finished = self._bars.finish_minute()
        said: list[MarketEvent] = list(finished)
        session = self._session
        if session is not None and session.open_ns < end_ns <= session.close_ns:
            said.extend(self._days.add(bar, new_york_ns(session.day)) for bar in finished)
            moved = (self._bands[bar.symbol].minute(bar.vwap, end_ns) for bar in finished if bar.symbol in self._bands)
            said.extend(message for message in moved if message is not None)
        return said if is_loud else []


def _held_by(auctions: DayAuctions, now_ns: int) -> DayAuctions:
    """The auctions as far as they had been held at a moment."""
    opening, closing = (
        tuple(trade for trade in trades if trade.ts_ns <= now_ns) for trades in (auctions.opening, auctions.closing)
    )
    return DayAuctions(auctions.day, opening, closing)


def _sessions_of(directory: DataDirectory, symbols: Sequence[str]) -> tuple[Session, ...]:
    days = {
        day for symbol in symbols for day in (*directory.dates("trades", symbol), *directory.dates("quotes", symbol))
    }
    sessions = tuple(session for day in sorted(days) if (session := calendar.session_on(day)) is not None)
    if not sessions:
        found = "none at all"
        if days:
            years = f"{calendar.FIRST_YEAR} to {calendar.LAST_YEAR}"
            found = f"files from {min(days)} to {max(days)}, when the market was shut (the calendar knows {years})"
        raise DataFileError(
            directory.root,
            0,
            f"no trades and no quotes of a trading day: expected trades/SYM/YYYYMMDD.csv, found {found}",
        )
    return sessions
