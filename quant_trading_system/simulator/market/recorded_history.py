"""Answers for the past from recorded files. Decides where a bar comes from: trades first, as they were streamed."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial
from typing import TypeVar

import msgspec

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.datafiles import BarRow, DataDirectory, read_bars, read_quotes
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.conditions import CLOSING, OPENING
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.decoded_days import DecodedDays
from quant_trading_system.simulator.market.minute_bars import bars_of_trades, daily_bar
from quant_trading_system.simulator.market.recorded_prints import read_day_trades
from quant_trading_system.simulator.market.source import DAY, DayAuctions, Reading

DAYS_CACHED_MAX = 64  # symbol-days of minute bars, 400 bars each: about 3 MB
STEP_NS = 10 * NANOS_PER_MINUTE  # the busiest ten minutes have 20,000 trades
DAY_NS_MAX = 25 * 60 * NANOS_PER_MINUTE  # the day on which clocks are put back
ROWS_PER_STEP = 1_000
END_NS = 1 << 63

Kept = TypeVar("Kept")


class RecordedHistory:
    """The past of a data directory. Whoever asks says where the past ends."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._daily: dict[str, tuple[list[date], list[SimBar]]] = {}
        self._minutes: OrderedDict[tuple[str, date], list[SimBar]] = OrderedDict()
        self._trades = DecodedDays(SimTrade, partial(read_day_trades, directory))
        self._quotes = DecodedDays(SimQuote, partial(read_day_quotes, directory))
        self._auctions: OrderedDict[tuple[str, date], DayAuctions] = OrderedDict()

    def daily_bars(self, symbol: str, *, before: date) -> list[SimBar]:
        """Daily bars of sessions before a date: of the file, and of recorded days behind its end."""
        days, bars = self._daily_file(symbol)
        found = bars[: bisect_left(days, before)]
        behind = days[-1] if days else date.min
        for day in self._recorded_days(symbol):
            if behind < day < before and (bar := self._bar_of_day(symbol, day)) is not None:
                found.append(bar)
        return found

    def minute_bars(self, symbol: str, *, first: date, last: date, before: date) -> list[SimBar]:
        """Minute bars of the recorded days of an inclusive range that lie before a date."""
        days = (day for day in self._recorded_days(symbol) if first <= day <= last and day < before)
        return [bar for day in days for bar in self._minutes_of_day(symbol, day)]

    def last_close(self, symbol: str, before: date) -> float | None:
        """The last price in regular hours of the last session before a date, USD."""
        days, bars = self._daily_file(symbol)
        place = bisect_left(days, before)
        recorded = [day for day in self._recorded_days(symbol) if day < before]
        if recorded and (not place or recorded[-1] > days[place - 1]):
            bar = self._bar_of_day(symbol, recorded[-1])
            return bar.close if bar else None
        return bars[place - 1].close if place else None

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[SimTrade]:
        days = _days_between(self._directory.dates("trades", symbol), start_ns, end_ns)
        return (trade for day in days for trade in self._trades.day(symbol, day).between(start_ns, end_ns))

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[SimQuote]:
        days = _days_between(self._directory.dates("quotes", symbol), start_ns, end_ns)
        return (quote for day in days for quote in self._quotes.day(symbol, day).between(start_ns, end_ns))

    def auctions(self, symbol: str, day: date) -> DayAuctions | None:
        """The auctions of a day with trades, each print with its one condition."""
        if not self._directory.has("trades", symbol, day):
            return None
        for _ in self._read_auctions(symbol, day):
            pass
        return self._auctions[symbol, day]

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int, *, today: date) -> Iterator[None]:
        """Decode, step by step, what a reading needs before it can tell its first row."""
        if reading == "trades" or reading == "quotes":
            day = new_york_date(start_ns)
            if self._directory.has(reading, symbol, day):
                yield from (self._trades if reading == "trades" else self._quotes).day(symbol, day).decode_to(start_ns)
            return
        days = _days_between(self._recorded_days(symbol), start_ns, end_ns)
        if reading != "auctions":
            days = [day for day in days if day < today]  # the running day's bars grow as it is played
        if reading == DAY:
            in_file = self._daily_file(symbol)[0]
            days = [day for day in days if not in_file or day > in_file[-1]]
        for day in days:
            if self._directory.has("trades", symbol, day):
                read = self._read_auctions if reading == "auctions" else self._read_minutes
                yield from read(symbol, day)

    def _recorded_days(self, symbol: str) -> list[date]:
        return sorted({*self._directory.dates("trades", symbol), *self._directory.dates("minute_bars", symbol)})

    def _daily_file(self, symbol: str) -> tuple[list[date], list[SimBar]]:
        if symbol not in self._daily:
            bars: list[SimBar] = []
            if self._directory.has("daily_bars", symbol):
                bars = [_told(symbol, row) for row in read_bars(self._directory.path("daily_bars", symbol))]
            self._daily[symbol] = [new_york_date(bar.ts_ns) for bar in bars], bars
        return self._daily[symbol]

    def _minutes_of_day(self, symbol: str, day: date) -> list[SimBar]:
        """Of the trades, as they were streamed; of the bar file where there are no trades."""
        if self._directory.has("trades", symbol, day):
            for _ in self._read_minutes(symbol, day):
                pass
        elif (symbol, day) not in self._minutes:
            rows = read_bars(self._directory.path("minute_bars", symbol, day))
            _keep(self._minutes, (symbol, day), [_told(symbol, row) for row in rows])
        self._minutes.move_to_end((symbol, day))
        return self._minutes[symbol, day]

    def _read_minutes(self, symbol: str, day: date) -> Iterator[None]:
        """Make a day's minute bars of its trades, unless that was done."""
        if (symbol, day) in self._minutes:
            return
        trades = self._trades.day(symbol, day)
        yield from trades.decode_to(END_NS)
        bars: list[SimBar] = []
        begin_ns = new_york_ns(day)
        for first_ns in range(begin_ns, begin_ns + DAY_NS_MAX, STEP_NS):
            bars.extend(bars_of_trades(trades.between(first_ns, first_ns + STEP_NS - 1)))
            yield None
        _keep(self._minutes, (symbol, day), bars)

    def _read_auctions(self, symbol: str, day: date) -> Iterator[None]:
        if (symbol, day) in self._auctions:
            return
        trades = self._trades.day(symbol, day)
        yield from trades.decode_to(END_NS)
        found: dict[str, tuple[SimTrade, ...]] = {OPENING: (), CLOSING: ()}
        for number, trade in enumerate(trades.between(0, END_NS)):
            mark = trade.conditions[-1]
            if mark in found:
                found[mark] = (msgspec.structs.replace(trade, conditions=(mark,)),)
            if not number % ROWS_PER_STEP:
                yield None
        _keep(self._auctions, (symbol, day), DayAuctions(day, found[OPENING], found[CLOSING]))

    def _bar_of_day(self, symbol: str, day: date) -> SimBar | None:
        session = calendar.session_on(day)
        if session is None:
            return None
        regular = [bar for bar in self._minutes_of_day(symbol, day) if session.contains(bar.ts_ns)]
        return daily_bar(regular, new_york_ns(day))


def _keep(kept: OrderedDict[tuple[str, date], Kept], key: tuple[str, date], value: Kept) -> None:
    """Remember a day, and forget the one that was asked for longest ago."""
    kept[key] = value
    if len(kept) > DAYS_CACHED_MAX:
        kept.popitem(last=False)


def _days_between(days: Iterable[date], start_ns: int, end_ns: int) -> list[date]:
    if end_ns < start_ns:
        return []
    first, last = new_york_date(start_ns), new_york_date(end_ns)
    return [day for day in days if first <= day <= last]


def _told(symbol: str, row: BarRow) -> SimBar:
    """A bar of a file; where it does not count trades or average prices, typical values stand in."""
    vwap = row.vwap if row.vwap is not None else round((row.high + row.low + row.close) / 3, 6)
    count = row.trade_count if row.trade_count is not None else (1 if row.volume else 0)
    return SimBar(symbol, row.open, row.high, row.low, row.close, row.volume, row.timestamp_ns, count, vwap)


def read_day_quotes(directory: DataDirectory, symbol: str, day: date) -> Iterator[SimQuote]:
    """A symbol's quotes of one day."""
    for row in read_quotes(directory.path("quotes", symbol, day)):
        yield SimQuote(symbol, row.bid_price, row.bid_size, row.ask_price, row.ask_size, row.timestamp_ns)
