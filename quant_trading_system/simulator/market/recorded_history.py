"""Answers for the past from recorded files. Decides where a bar comes from: trades first, as they were streamed."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial

import msgspec

from quant_trading_system.datafiles import BarRow, DataDirectory, read_bars, read_quotes
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.conditions import CLOSING, OPENING
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.decoded_days import DecodedDays
from quant_trading_system.simulator.market.minute_bars import bars_of_trades, daily_bar
from quant_trading_system.simulator.market.recorded_prints import read_day_trades
from quant_trading_system.simulator.market.source import DayAuctions

DAYS_CACHED_MAX = 64  # symbol-days of minute bars, 400 bars each: about 3 MB


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
        key = (symbol, day)
        if key not in self._auctions:
            self._auctions[key] = _auctions_of(day, read_day_trades(self._directory, symbol, day))
            if len(self._auctions) > DAYS_CACHED_MAX:
                self._auctions.popitem(last=False)
        return self._auctions[key]

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
        key = (symbol, day)
        if key in self._minutes:
            self._minutes.move_to_end(key)
            return self._minutes[key]
        if self._directory.has("trades", symbol, day):
            bars = bars_of_trades(read_day_trades(self._directory, symbol, day))
        else:
            bars = [_told(symbol, row) for row in read_bars(self._directory.path("minute_bars", symbol, day))]
        self._minutes[key] = bars
        if len(self._minutes) > DAYS_CACHED_MAX:
            self._minutes.popitem(last=False)
        return bars

    def _bar_of_day(self, symbol: str, day: date) -> SimBar | None:
        session = calendar.session_on(day)
        if session is None:
            return None
        regular = [bar for bar in self._minutes_of_day(symbol, day) if session.contains(bar.ts_ns)]
        return daily_bar(regular, new_york_ns(day))


def _auctions_of(day: date, trades: Iterable[SimTrade]) -> DayAuctions:
    found: dict[str, tuple[SimTrade, ...]] = {OPENING: (), CLOSING: ()}
    for trade in trades:
        mark = trade.conditions[-1]
        if mark in found:
            found[mark] = (msgspec.structs.replace(trade, conditions=(mark,)),)
    return DayAuctions(day, found[OPENING], found[CLOSING])


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
