"""A synthetic market that is played like a recorded one. Decides only what has been told; the days decide the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import DEFAULT_SYMBOLS
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.generated_days import DayModel
from quant_trading_system.simulator.market.generated_minutes import bar_at, events_at, whole_day_bar
from quant_trading_system.simulator.market.minute_bars import bars_of_trades, daily_bar
from quant_trading_system.simulator.market.source import DAY, BarSpan, DayAuctions

HISTORY_SESSIONS = 300  # before the world's first day: what a year's warm-up reads
FULL_ACTIVITY_SYMBOLS_MAX = 25  # more symbols print and quote less each: about 40 messages a venue second in all


class GeneratedMarket:
    """A market of some symbols from a day on, for ever (to the end of the calendar).

    Args:
        start_ns: anchors the prices and begins the history; part of the world's shape.
        activity: how many trades and quotes a symbol has, 1 for about 16 trades and 48 quotes a minute.
    """

    def __init__(
        self, *, seed: int, start_ns: Nanos, symbols: Sequence[str] = DEFAULT_SYMBOLS, activity: float | None = None
    ) -> None:
        assert symbols, "expected at least one symbol"
        self.symbols: Sequence[str] = tuple(sorted(set(symbols)))
        self.is_synthetic = True
        self.end_ns: Nanos | None = None
        first = calendar.session_closing_after(start_ns)
        assert first is not None, f"expected a start before the end of {calendar.LAST_YEAR}"
        self.start_ns = first.open_ns
        before = calendar.sessions_before(first.day, HISTORY_SESSIONS)
        assert before, f"expected a start after the first session of {calendar.FIRST_YEAR}"
        self._history_from = before[0].day
        share = min(1.0, FULL_ACTIVITY_SYMBOLS_MAX / len(self.symbols))
        self._seed = seed
        self._model = DayModel(seed=seed, anchor=first.day, activity=share if activity is None else activity)
        self._played_ns: int = start_ns
        self._session: Session | None = None
        self._minute = 0
        self._minute_end_ns = 0
        self._pending: list[MarketEvent] = []
        self._told = 0
        self._told_bars = False
        self._trades: dict[str, SimTrade] = {}
        self._quotes: dict[str, SimQuote] = {}
        self._bars: dict[str, SimBar] = {}
        self._daily: dict[tuple[str, date], SimBar] = {}

    def begin(self, now_ns: Nanos) -> None:
        self._played_ns = now_ns
        session = calendar.session_closing_after(now_ns)
        if session is None:
            return
        self._session, self._minute = session, 0
        if now_ns >= session.open_ns:
            self._minute = (now_ns - session.open_ns) // NANOS_PER_MINUTE
        if self._minute:
            self._know_minute(session, self._minute - 1)
        else:
            self._know_last_minute_before(session.day)
        if now_ns >= session.open_ns:
            self._load()
            for _ in self._tell_until(now_ns):
                pass  # told before: only the latest prices are wanted

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        self._played_ns = max(self._played_ns, now_ns)
        while self._session is not None:
            if not self._pending:
                if now_ns < self._session.open_ns + self._minute * NANOS_PER_MINUTE:
                    return
                self._load()
            yield from self._tell_until(now_ns)
            if self._told < len(self._pending) or now_ns < self._minute_end_ns:
                return
            if not self._told_bars:
                self._load_bars()
            else:
                self._next_minute()

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        return calendar.session_closing_after(stamp_ns)

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        end_ns = min(end_ns, self._played_ns)
        if symbol not in self.symbols or end_ns < start_ns:
            return []
        first = max(self._history_from, new_york_date(start_ns))
        sessions = calendar.sessions_between(first, new_york_date(end_ns))
        bars: list[SimBar] = []
        for session in sessions:
            if span == DAY:
                bars.extend(self._daily_bar(symbol, session))
            else:
                bars.extend(self._minute_bars(symbol, session))
        return [bar for bar in bars if start_ns <= bar.ts_ns <= end_ns]

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        return (event for event in self._past(symbol, start_ns, end_ns) if isinstance(event, SimTrade))

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        return (event for event in self._past(symbol, start_ns, end_ns) if isinstance(event, SimQuote))

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._trades.get(symbol)

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._quotes.get(symbol)

    def latest_bar(self, symbol: str) -> SimBar | None:
        return self._bars.get(symbol)

    def last_close(self, symbol: str, before: date) -> float | None:
        found = calendar.sessions_before(before, 1)
        if symbol not in self.symbols or not found:
            return None
        return float(self._model.day(symbol, found[0]).close[-1])

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        return []

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        return None

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        return []

    def set_crypto_audience(self, is_watched: bool) -> None:
        """There is no crypto here."""

    def set_extended_audience(self, is_watched: bool) -> None:
        """Nothing is traded outside regular hours."""

    # --- playing --------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Draw the running minute of all symbols."""
        assert self._session is not None, "expected a session to play"
        events: list[MarketEvent] = []
        for symbol in self.symbols:
            events.extend(events_at(self._seed, symbol, self._model.day(symbol, self._session), self._minute))
        events.sort(key=lambda event: event.ts_ns)
        self._pending, self._told, self._told_bars = events, 0, False
        self._minute_end_ns = self._session.open_ns + (self._minute + 1) * NANOS_PER_MINUTE

    def _load_bars(self) -> None:
        assert self._session is not None, "expected a session to play"
        bars = [bar_at(symbol, self._model.day(symbol, self._session), self._minute) for symbol in self.symbols]
        self._bars.update((bar.symbol, bar) for bar in bars)
        self._pending, self._told, self._told_bars = list(bars), 0, True

    def _next_minute(self) -> None:
        assert self._session is not None, "expected a session to play"
        self._pending, self._told = [], 0
        self._minute += 1
        if self._minute_end_ns >= self._session.close_ns:
            self._session, self._minute = calendar.session_opening_after(self._session.open_ns), 0

    def _tell_until(self, now_ns: int) -> Iterator[MarketEvent]:
        trades, quotes = self._trades, self._quotes
        while self._told < len(self._pending):
            event = self._pending[self._told]
            if event.ts_ns > now_ns:
                return
            self._told += 1
            if isinstance(event, SimQuote):
                quotes[event.symbol] = event
            elif isinstance(event, SimTrade):
                trades[event.symbol] = event
            yield event

    def _know_minute(self, session: Session, minute: int) -> None:
        for symbol in self.symbols:
            day = self._model.day(symbol, session)
            for event in events_at(self._seed, symbol, day, minute):
                if isinstance(event, SimQuote):
                    self._quotes[symbol] = event
                else:
                    self._trades[symbol] = event
            self._bars[symbol] = bar_at(symbol, day, minute)

    def _know_last_minute_before(self, day: date) -> None:
        session = calendar.sessions_before(day, 1)[0]
        self._know_minute(session, (session.close_ns - session.open_ns) // NANOS_PER_MINUTE - 1)

    # --- history --------------------------------------------------------------------------------------------------

    def _past(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[SimTrade | SimQuote]:
        end_ns = min(end_ns, self._played_ns)
        if symbol not in self.symbols or end_ns < start_ns:
            return
        first = max(self._history_from, new_york_date(start_ns))
        for session in calendar.sessions_between(first, new_york_date(end_ns)):
            day = self._model.day(symbol, session)
            minutes = range(
                max(0, (start_ns - session.open_ns) // NANOS_PER_MINUTE),
                min(day.minutes, (end_ns - session.open_ns) // NANOS_PER_MINUTE + 1),
            )
            for minute in minutes:
                for event in events_at(self._seed, symbol, day, minute):
                    if start_ns <= event.ts_ns <= end_ns:
                        yield event

    def _minute_bars(self, symbol: str, session: Session) -> list[SimBar]:
        """The session's bars that have ended by now, and the forming one."""
        day = self._model.day(symbol, session)
        ended = max(0, min(day.minutes, (self._played_ns - session.open_ns) // NANOS_PER_MINUTE))
        bars = [bar_at(symbol, day, minute) for minute in range(ended)]
        if session.contains(self._played_ns) and ended < day.minutes:
            begin_ns = session.open_ns + ended * NANOS_PER_MINUTE
            bars.extend(bars_of_trades(self.trades(symbol, begin_ns, self._played_ns)))
        return bars

    def _daily_bar(self, symbol: str, session: Session) -> list[SimBar]:
        key = (symbol, session.day)
        if key in self._daily:
            return [self._daily[key]]
        if self._played_ns >= session.close_ns:
            self._daily[key] = whole_day_bar(symbol, self._model.day(symbol, session))
            return [self._daily[key]]
        forming = daily_bar(self._minute_bars(symbol, session), new_york_ns(session.day))
        return [forming] if forming else []
