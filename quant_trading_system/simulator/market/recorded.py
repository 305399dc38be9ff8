"""Plays recorded trades and quotes, merged by time, day by day. Decides what of a day is told and what only known.

Files are read as the market goes, one day at a time; what lies outside regular hours sets the latest prices and is
not streamed. Nothing that lies behind the played time is ever told.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
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
from quant_trading_system.simulator.market.minute_bars import MinuteBarBuilder, daily_bar
from quant_trading_system.simulator.market.recorded_history import RecordedHistory, read_day_quotes, read_day_trades
from quant_trading_system.simulator.market.source import (
    DAY,
    QUIET_AFTER_CLOSE_NS,
    QUIET_BEFORE_OPEN_NS,
    BarSpan,
    DayAuctions,
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
        self._stream: Iterator[SimTrade | SimQuote] = iter(())
        self._next: SimTrade | SimQuote | None = None
        self._loud_from_ns = self._loud_until_ns = 0
        self._plays_extended = False
        self._bars = MinuteBarBuilder()
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

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._trades.get(symbol)

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._quotes.get(symbol)

    def latest_bar(self, symbol: str) -> SimBar | None:
        return self._bars.last_complete(symbol)

    def last_close(self, symbol: str, before: date) -> float | None:
        return self._history.last_close(symbol, before)

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        return []

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        return None

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        return []

    def set_crypto_audience(self, is_watched: bool) -> None:
        """There is no crypto in recorded files."""

    def set_extended_audience(self, is_watched: bool) -> None:
        self._plays_extended = is_watched

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
        self._bars = MinuteBarBuilder()
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
        trades, quotes = self._trades, self._quotes
        while (event := self._next) is not None and event.ts_ns <= now_ns:
            bars, ts_ns = self._bars, event.ts_ns
            if ts_ns >= bars.minute_end_ns and bars.is_forming:
                yield from self._finish_minute()
                continue  # the caller may have stopped here: look again
            self._next = next(self._stream, None)
            if isinstance(event, SimQuote):
                quotes[event.symbol] = event
            else:
                trades[event.symbol] = event
                bars.add(event)
            if self._loud_from_ns <= ts_ns < self._loud_until_ns:
                yield event
        if self._bars.is_forming and now_ns >= self._bars.minute_end_ns:
            yield from self._finish_minute()

    def _finish_minute(self) -> list[SimBar]:
        is_loud = self._loud_from_ns <= self._bars.minute_end_ns < self._loud_until_ns
        finished = self._bars.finish_minute()
        return finished if is_loud else []


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
