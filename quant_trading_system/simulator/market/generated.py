"""A synthetic market that is played like a recorded one. Decides which minutes are played, and what is known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import DEFAULT_SYMBOLS
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import (
    MarketEvent,
    SimBar,
    SimOrderbook,
    SimQuote,
    SimTrade,
)
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.market.generated_days import DayModel
from quant_trading_system.simulator.market.generated_history import GeneratedHistory
from quant_trading_system.simulator.market.listing import Listing, Script
from quant_trading_system.simulator.market.minute_script import bands_and_imbalances, script_of
from quant_trading_system.simulator.market.mishaps import MishapRates
from quant_trading_system.simulator.market.session_sheet import SessionSheet
from quant_trading_system.simulator.market.sheet_reader import SheetReader
from quant_trading_system.simulator.market.source import (
    DAY,
    QUIET_AFTER_CLOSE_NS,
    QUIET_BEFORE_OPEN_NS,
    BarSpan,
    DayAuctions,
    Reading,
)

HISTORY_SESSIONS = 300  # before the world's first day: what a year's warm-up reads
PAID_WITHIN = timedelta(days=45)  # of the ex-date
FULL_ACTIVITY_SYMBOLS_MAX = 25  # more symbols print and quote less each: about 40 messages a venue second in all
EXTENDED_MINUTES = 10  # outside regular hours so many are drawn at once: they are nearly empty


class GeneratedMarket:
    """A market of some symbols from a day on, for ever (to the end of the calendar).

    Args:
        start_ns: anchors the prices and begins the history; part of the world's shape.
        activity: how many trades and quotes a symbol has, 1 for about 16 trades and 48 quotes a minute.
        rates: how often prints are late, corrected or canceled.
    """

    def __init__(
        self,
        *,
        seed: int,
        start_ns: Nanos,
        symbols: Sequence[str] = DEFAULT_SYMBOLS,
        activity: float | None = None,
        rates: MishapRates | None = None,
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
        self._rates = MishapRates() if rates is None else rates
        self._model = DayModel(
            seed=seed,
            anchor=first.day,
            activity=share if activity is None else activity,
            symbols=len(self.symbols),
        )
        self._history = GeneratedHistory(self._model, seed=seed, rates=self._rates)
        self._listing = Listing.of_equities(self.symbols)
        self._known = frozenset(self.symbols)
        self._played_ns: int = start_ns
        self._done_ns: int = start_ns  # up to which nothing is left to be told
        self._idle_until_ns = 0  # before which nothing is said
        self._plays_extended = True
        self._reader: SheetReader | None = None
        self._bands: list[MarketEvent] = []
        self._script = Script((), start_ns)
        self._trades: dict[str, SimTrade] = {}
        self._quotes: dict[str, SimQuote] = {}
        self._unwatched_ns: int = start_ns  # up to which nothing was told
        self._looked_up: dict[str, tuple[int, SimTrade | None, SimQuote | None]] = {}

    def begin(self, now_ns: Nanos) -> None:
        self._played_ns = self._done_ns = self._unwatched_ns = now_ns
        self._idle_until_ns = 0
        self._script = Script((), now_ns)

    def set_crypto_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        """There is no crypto here."""

    def set_extended_audience(self, is_watched: bool) -> None:
        if is_watched != self._plays_extended:
            self._unwatched_ns = self._unwatched_until_ns()
            self._idle_until_ns = 0
        self._plays_extended = is_watched

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        self._played_ns = max(self._played_ns, now_ns)
        trades, quotes = self._trades, self._quotes
        while True:
            script = self._script
            events, said_ns, is_quiet, place = script.events, script.said_ns, script.is_quiet, script.place
            end = bisect_right(said_ns, now_ns, place)
            while place < end:
                event = events[place]
                kind = type(event)
                if kind is SimQuote:
                    quotes[event.symbol] = event  # type: ignore[assignment]
                elif kind is SimTrade and event.ts_ns == said_ns[place]:  # not a late report
                    trades[event.symbol] = event  # type: ignore[assignment]
                is_told = is_quiet is None or self._plays_extended or not is_quiet[place]
                place += 1
                script.place = place
                if is_told:
                    yield event
            if place < len(events) or now_ns < self._idle_until_ns or not self._load_next(now_ns):
                self._done_ns = max(self._done_ns, now_ns)
                return

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        return calendar.session_closing_after(stamp_ns)

    # --- answers --------------------------------------------------------------------------------------------------

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        end_ns = min(end_ns, self._played_ns)
        if symbol not in self._known or end_ns < start_ns:
            return []
        first = max(self._history_from, new_york_date(start_ns))
        read = self._history.daily_bars if span == DAY else self._history.minute_bars
        return [
            bar
            for session in calendar.sessions_between(first, new_york_date(end_ns))
            for bar in read(symbol, session, now_ns=self._played_ns)
            if start_ns <= bar.ts_ns <= end_ns
        ]

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        start_ns, end_ns = self._within(start_ns, end_ns)
        if symbol not in self._known or end_ns < start_ns:
            return ()
        return self._history.trades(symbol, start_ns, end_ns, now_ns=self._played_ns)

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        start_ns, end_ns = self._within(start_ns, end_ns)
        if symbol not in self._known or end_ns < start_ns:
            return ()
        return self._history.quotes(symbol, start_ns, end_ns, now_ns=self._played_ns)

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int) -> Iterator[None]:
        return iter(())  # a minute or a day is drawn in less than a millisecond

    def latest_trade(self, symbol: str) -> SimTrade | None:
        if symbol not in self._known:
            return None
        as_of_ns = self._unwatched_until_ns()
        told = self._trades.get(symbol)
        return told if told is not None and told.ts_ns > as_of_ns else self._look_up(symbol, as_of_ns)[0]

    def latest_quote(self, symbol: str) -> SimQuote | None:
        if symbol not in self._known:
            return None
        as_of_ns = self._unwatched_until_ns()
        told = self._quotes.get(symbol)
        return told if told is not None and told.ts_ns > as_of_ns else self._look_up(symbol, as_of_ns)[1]

    def latest_bar(self, symbol: str) -> SimBar | None:
        return self._history.latest_bar(symbol, self._played_ns) if symbol in self._known else None

    def last_close(self, symbol: str, before: date) -> float | None:
        found = calendar.sessions_before(before, 1)
        if symbol not in self._known or not found:
            return None
        return float(self._model.day(symbol, found[0]).close[-1])

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        if symbol not in self._known:
            return []
        sessions = calendar.sessions_between(max(first, self._history_from), min(last, new_york_date(self._played_ns)))
        held = (self._history.auctions(symbol, session, now_ns=self._played_ns) for session in sessions)
        return [auctions for auctions in held if auctions is not None]

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        return None

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        today = new_york_date(self._played_ns)
        wanted = self.symbols if symbols is None else [symbol for symbol in symbols if symbol in self._known]
        before = max(self._history_from, first_day - PAID_WITHIN)  # a process date lies behind its ex-date
        found = [
            action
            for symbol in wanted
            for action in self._model.actions.between(symbol, before, last_day)
            if action.is_known_on(today)
            and (first_day <= action.ex_date or first_day <= action.process_date <= last_day)
        ]
        return sorted(found, key=lambda action: (action.ex_date, action.symbol, action.kind))

    # --- playing --------------------------------------------------------------------------------------------------

    def _load_next(self, now_ns: int) -> bool:
        """Draw the next minutes that are played, where some begin by a moment."""
        begin_ns = self._script.end_ns
        if self._plays_extended and self._done_ns > begin_ns:
            begin_ns = self._done_ns  # what went by meanwhile was not watched
        found = self._next_minutes(begin_ns)
        if found is None:
            return False
        session, first, end = found
        starts_ns = session.pre_market_ns + first * NANOS_PER_MINUTE
        if starts_ns > now_ns:
            self._idle_until_ns = starts_ns
            return False
        if self._reader is None or self._reader.sheet.session != session:
            sheet = SessionSheet(self._model, self._seed, self.symbols, session)
            self._reader = SheetReader(self._seed, sheet, self._listing, self._rates)
            self._bands = bands_and_imbalances(self._seed, sheet, self.last_close)
        if starts_ns != self._script.end_ns:
            self._unwatched_ns = max(starts_ns - 1, self._done_ns)
        self._script = script_of(self._reader, first, end, bands=self._bands)
        self._script.drop_until(self._done_ns)
        return True

    def _next_minutes(self, begin_ns: int) -> tuple[Session, int, int] | None:
        """The session and the minutes of it that are played next from an instant on."""
        session = calendar.session_on(new_york_date(begin_ns))
        while True:
            if session is None:
                session = calendar.session_opening_after(begin_ns)
                if session is None:
                    return None
            opens = (session.open_ns - session.pre_market_ns) // NANOS_PER_MINUTE
            closes = (session.close_ns - session.pre_market_ns) // NANOS_PER_MINUTE
            ends = (session.post_market_end_ns - session.pre_market_ns) // NANOS_PER_MINUTE
            first, last = (0, ends) if self._plays_extended else (opens - 1, closes + 1)
            minute = max(first, (begin_ns - session.pre_market_ns) // NANOS_PER_MINUTE)
            if minute <= last:
                return session, minute, _end_of_block(minute, opens, closes, ends)
            session = calendar.session_opening_after(session.open_ns)

    # --- latest values --------------------------------------------------------------------------------------------

    def _unwatched_until_ns(self) -> int:
        """The moment up to which latest values are looked up: what came since has been told."""
        if self._plays_extended:
            return self._unwatched_ns
        session = calendar.session_closing_after(self._played_ns - QUIET_AFTER_CLOSE_NS)
        loud_from_ns = self._played_ns + 1 if session is None else session.open_ns - QUIET_BEFORE_OPEN_NS
        return self._played_ns if self._played_ns < loud_from_ns else max(self._unwatched_ns, loud_from_ns - 1)

    def _look_up(self, symbol: str, as_of_ns: int) -> tuple[SimTrade | None, SimQuote | None]:
        found = self._looked_up.get(symbol)
        if found is None or found[0] != as_of_ns:
            found = self._looked_up[symbol] = (as_of_ns, *self._history.latest(symbol, as_of_ns))
        return found[1], found[2]

    def _within(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """A range cut to what there is to be told."""
        first = calendar.session_on(self._history_from)
        assert first is not None, f"expected a session on {self._history_from}"
        return max(start_ns, first.pre_market_ns), min(end_ns, self._played_ns)


def _end_of_block(minute: int, opens: int, closes: int, ends: int) -> int:
    """Where the minutes end that are drawn together with one; the last block has the last bars alone."""
    if opens - 1 <= minute <= closes + 1:
        return minute + 1
    limit = opens - 1 if minute < opens else ends if minute < ends else ends + 1
    return min(minute + EXTENDED_MINUTES, limit)
