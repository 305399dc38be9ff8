"""Answers for the past of the generated market. Decides nothing: whoever asks says where the past ends.

Nothing is kept but the shapes of some days: trades, quotes and bars are drawn again, and are what was streamed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import date

import msgspec

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.conditions import AUCTION_MARKS
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.auction_prints import CLOSING_NS_MAX
from quant_trading_system.simulator.market.generated_days import Day, DayModel
from quant_trading_system.simulator.market.listing import Listing
from quant_trading_system.simulator.market.minute_bars import bars_of_trades, daily_bar
from quant_trading_system.simulator.market.mishaps import MishapRates
from quant_trading_system.simulator.market.session_sheet import SessionSheet
from quant_trading_system.simulator.market.sheet_reader import SheetReader
from quant_trading_system.simulator.market.source import DayAuctions

MINUTES_PER_READ = 30  # of one symbol, drawn at once
SHEETS_CACHED_MAX = 128  # of one symbol each, 60 kB
DAYS_CACHED_MAX = 32_768  # daily bars, 200 bytes each: a hundred symbols' year


class GeneratedHistory:
    """The past of all symbols."""

    def __init__(self, model: DayModel, *, seed: int, rates: MishapRates) -> None:
        self._model = model
        self._seed = seed
        self._rates = rates
        self._readers: OrderedDict[tuple[str, date], SheetReader] = OrderedDict()
        self._daily: OrderedDict[tuple[str, date], SimBar] = OrderedDict()

    def reader(self, symbol: str, session: Session) -> SheetReader:
        """One symbol's session."""
        key = (symbol, session.day)
        if key in self._readers:
            self._readers.move_to_end(key)
            return self._readers[key]
        sheet = SessionSheet(self._model, self._seed, (symbol,), session)
        made = SheetReader(self._seed, sheet, Listing.of_equities((symbol,)), self._rates)
        self._readers[key] = made
        if len(self._readers) > SHEETS_CACHED_MAX:
            self._readers.popitem(last=False)
        return made

    def trades(self, symbol: str, start_ns: int, end_ns: int, *, now_ns: int) -> Iterator[SimTrade]:
        for reader, first, end in self._spans(symbol, start_ns, end_ns):
            trades, _ = reader.read(first, end, now_ns=now_ns)
            trades.sort(key=lambda trade: trade.ts_ns)
            yield from (trade for trade in trades if start_ns <= trade.ts_ns <= end_ns)

    def quotes(self, symbol: str, start_ns: int, end_ns: int, *, now_ns: int) -> Iterator[SimQuote]:
        for reader, first, end in self._spans(symbol, start_ns, end_ns):
            _, quotes = reader.read(first, end, now_ns=now_ns)
            quotes.sort(key=lambda quote: quote.ts_ns)
            yield from (quote for quote in quotes if start_ns <= quote.ts_ns <= end_ns)

    def latest(self, symbol: str, now_ns: int) -> tuple[SimTrade | None, SimQuote | None]:
        """The last trade and the last quote of at most two sessions before a moment."""
        trade: SimTrade | None = None
        quote: SimQuote | None = None
        sessions = calendar.sessions_before(new_york_date(now_ns), 1) + _on(new_york_date(now_ns))
        for session in reversed(sessions):
            if trade is not None and quote is not None:
                break
            reader = self.reader(symbol, session)
            end = min(reader.sheet.minutes, reader.sheet.minute_of(now_ns) + 1)
            while end > 0 and (trade is None or quote is None):
                first = max(0, end - MINUTES_PER_READ)
                trades, quotes = reader.read(first, end, now_ns=now_ns)
                past = [seen for seen in trades if seen.ts_ns <= now_ns]
                trade = trade or max(past, key=lambda seen: seen.ts_ns, default=None)
                seen_quotes = [seen for seen in quotes if seen.ts_ns <= now_ns]
                quote = quote or max(seen_quotes, key=lambda seen: seen.ts_ns, default=None)
                end = first
        return trade, quote

    def latest_bar(self, symbol: str, now_ns: int) -> SimBar | None:
        """The last minute bar that had ended at a moment."""
        sessions = calendar.sessions_before(new_york_date(now_ns), 1) + _on(new_york_date(now_ns))
        for session in reversed(sessions):
            reader = self.reader(symbol, session)
            minute = reader.last_traded(0, min(reader.sheet.minutes, reader.sheet.minute_of(now_ns)))
            if minute is not None:
                return reader.bars(0, minute, minute + 1, now_ns=now_ns)[0]
        return None

    def minute_bars(self, symbol: str, session: Session, *, now_ns: int) -> list[SimBar]:
        """The session's bars that have ended by a moment, and the forming one."""
        bars = self._ended_bars(symbol, session, now_ns)
        if session.pre_market_ns <= now_ns < session.post_market_end_ns:
            begin_ns = now_ns - now_ns % NANOS_PER_MINUTE
            bars.extend(bars_of_trades(self.trades(symbol, begin_ns, now_ns, now_ns=now_ns)))
        return bars

    def daily_bars(self, symbol: str, session: Session, *, now_ns: int) -> list[SimBar]:
        """The session's bar, while it runs of the minutes so far; none before its open."""
        key = (symbol, session.day)
        if key in self._daily:
            return [self._daily[key]]
        if now_ns >= session.close_ns + CLOSING_NS_MAX:
            self._daily[key] = whole_day_bar(symbol, self._model.day(symbol, session))
            if len(self._daily) > DAYS_CACHED_MAX:
                self._daily.popitem(last=False)
            return [self._daily[key]]
        minutes = [bar for bar in self.minute_bars(symbol, session, now_ns=now_ns) if session.contains(bar.ts_ns)]
        forming = daily_bar(minutes, new_york_ns(session.day))
        return [forming] if forming else []

    def auctions(self, symbol: str, session: Session, *, now_ns: int) -> DayAuctions | None:
        """The session's auctions that have been held by a moment, None before the first."""
        reader = self.reader(symbol, session)
        prints: list[tuple[SimTrade, ...]] = []
        for minute in (reader.sheet.open_minute, reader.sheet.close_minute):
            if now_ns < reader.sheet.begin_of(minute):
                prints.append(())
                continue
            trades, _ = reader.read(minute, minute + 1, now_ns=now_ns)
            held = (_as_auction(trade) for trade in sorted(trades, key=lambda trade: trade.ts_ns))
            prints.append(tuple(trade for trade in held if trade is not None and trade.ts_ns <= now_ns))
        return DayAuctions(session.day, prints[0], prints[1]) if prints[0] else None

    def _ended_bars(self, symbol: str, session: Session, now_ns: int) -> list[SimBar]:
        reader = self.reader(symbol, session)
        end = max(0, min(reader.sheet.minutes, reader.sheet.minute_of(now_ns)))
        return reader.bars(0, 0, end, now_ns=now_ns)

    def _spans(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[tuple[SheetReader, int, int]]:
        """The minutes of a range, some at a time."""
        for session in calendar.sessions_between(new_york_date(start_ns), new_york_date(end_ns)):
            if end_ns < session.pre_market_ns or start_ns >= session.post_market_end_ns:
                continue
            reader = self.reader(symbol, session)
            first = max(0, reader.sheet.minute_of(start_ns))
            last = min(reader.sheet.minutes - 1, reader.sheet.minute_of(end_ns))
            for begin in range(first, last + 1, MINUTES_PER_READ):
                yield reader, begin, min(begin + MINUTES_PER_READ, last + 1)


def whole_day_bar(symbol: str, day: Day) -> SimBar:
    """The session as one bar, stamped with New York midnight: its minutes and the closing auction."""
    typical = (day.high + day.low + day.close) / 3.0
    close = float(day.close[-1])
    volume = float(day.volume.sum()) + day.closing_volume
    paid = float((typical * day.volume).sum()) + close * day.closing_volume
    return SimBar(
        symbol,
        float(day.open[0]),
        float(day.high.max()),
        float(day.low.min()),
        close,
        volume,
        new_york_ns(day.session.day),
        int(day.trades.sum()) + 1,
        round(paid / volume, 6),
    )


def _on(day: date) -> tuple[Session, ...]:
    session = calendar.session_on(day)
    return () if session is None else (session,)


def _as_auction(trade: SimTrade) -> SimTrade | None:
    """A print as the auctions' history has it: with its one condition."""
    marks = [mark for mark in trade.conditions if mark in AUCTION_MARKS]
    return msgspec.structs.replace(trade, conditions=(marks[0],)) if marks else None
