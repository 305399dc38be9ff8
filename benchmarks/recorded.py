"""The recorded day as a stream of messages, spread over a hundred symbols. Decides what "the day's mix" is."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count, islice
from pathlib import Path

from benchmarks.bench import Unavailable
from benchmarks.children import ROOT
from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.types import Nanos
from quant_trading_system.datafiles.directory import DataDirectory
from quant_trading_system.datafiles.readers import read_quotes, read_trades
from quant_trading_system.datafiles.rows import QuoteRow, TradeRow
from quant_trading_system.simulator.events import SimQuote, SimTrade

DATA = ROOT.parent / "shared" / "market_data"
DAY = date(2013, 10, 7)
OPEN = to_nanos(datetime(2013, 10, 7, 13, 30, tzinfo=UTC))
RECORDED = ("AIG", "BAC", "IBM", "SPY")
COPIES = 25
SYMBOLS = tuple(f"{symbol}{copy:02}" for symbol in RECORDED for copy in range(COPIES))
"""Four recorded symbols, each message given to the next of 25 copies: a hundred symbols, the day's own mix and rate."""


def messages(most: int) -> Iterator[SimQuote | SimTrade]:
    """The day's quotes and trades from the open, in order of time, at most so many."""
    if not DATA.is_dir():
        raise Unavailable("the recorded day is not on this machine")
    directory = DataDirectory(DATA)
    merged = heapq.merge(*(rows(directory, symbol) for symbol in RECORDED), key=lambda message: message.ts_ns)
    return islice((message for message in merged if message.ts_ns >= OPEN), most)


def rows(directory: DataDirectory, symbol: str) -> Iterator[SimQuote | SimTrade]:
    streams: list[Iterator[SimQuote | SimTrade]] = [trades(directory.path("trades", symbol, DAY), symbol)]
    if directory.has("quotes", symbol, DAY):  # SPY has trades only
        streams.append(quotes(directory.path("quotes", symbol, DAY), symbol))
    return heapq.merge(*streams, key=lambda message: message.ts_ns)


def quotes(path: Path, symbol: str) -> Iterator[SimQuote]:
    row: QuoteRow
    for number, row in enumerate(read_quotes(path)):
        name = f"{symbol}{number % COPIES:02}"
        yield SimQuote(name, row.bid_price, row.bid_size, row.ask_price, row.ask_size, Nanos(row.timestamp_ns))


def trades(path: Path, symbol: str) -> Iterator[SimTrade]:
    numbers = count()
    row: TradeRow
    for row in read_trades(path):
        number = next(numbers)
        yield SimTrade(f"{symbol}{number % COPIES:02}", row.price, row.size, Nanos(row.timestamp_ns), "V", number)
