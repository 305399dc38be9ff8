"""Stocks over REST: history by pages, latest values, snapshots, auctions. Nothing behind venue time is told.

Decides which symbols a question names and what is answered where there is nothing to tell.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DayAuctions
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.data_plan import AUCTION_FEEDS, EMPTY_FEEDS, HISTORICAL_FEEDS, SIP
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.data_rows import (
    auction_day_json,
    bar_row,
    data_answer,
    quote_row,
    trade_row,
)
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.latest import latest_of
from quant_trading_system.simulator.server.paging import Page, ReadRange, Window, read_page, written
from quant_trading_system.simulator.server.stock_history import StockHistory, adjustment_of, asof_of
from quant_trading_system.simulator.server.timeframes import parse_timeframe
from quant_trading_system.simulator.server.venue import VENUE, Venue

KINDS = ("bars", "trades", "quotes")

_SYMBOL = re.compile(r"[A-Z]{1,8}(\.[A-Z]{1,4}){0,2}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.Response]]
RowOf = Callable[[Any], object]


def add_stock_routes(router: web.UrlDispatcher) -> None:
    """Register `/v2/stocks/…`; fixed words before symbols."""
    for prefix in ("/v2/stocks", "/v2/stocks/{symbol}"):
        for kind in KINDS:
            router.add_get(f"{prefix}/{kind}", _history(kind))
            router.add_get(f"{prefix}/{kind}/latest", _latest(kind))
        router.add_get(f"{prefix}/auctions", _auctions)
    router.add_get("/v2/stocks/snapshots", _snapshots)
    router.add_get("/v2/stocks/{symbol}/snapshot", _snapshot)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The symbols of a question, and the one of its path in the single-symbol form."""

    symbols: Sequence[str]
    single: str | None
    currency: str | None

    async def answer(self, kind: str, page: Page[Any], row_of: RowOf) -> web.Response:
        rows = await written(page, row_of)
        body: dict[str, object] = {kind: rows if self.single is None else rows.get(self.single, [])}
        if self.single is not None:
            body["symbol"] = self.single
        return data_answer(self.with_currency({**body, "next_page_token": page.next_token}))

    def with_currency(self, body: dict[str, object]) -> dict[str, object]:
        return body if self.currency is None else {**body, "currency": self.currency}


def _asked(request: web.Request, venue: Venue, query: DataQuery) -> _Asked:
    single: str | None = request.match_info.get("symbol")
    if single is None:
        query.required("symbols")
    symbols = [single] if single is not None else query.names("symbols")
    for symbol in symbols:
        is_known = symbol in venue.market.symbols and "/" not in symbol
        if not (is_known or _SYMBOL.fullmatch(symbol)):
            raise invalid_data(f"invalid symbol: {symbol}")
    return _Asked(symbols, single, query.currency())


# --- history ----------------------------------------------------------------------------------------------------------


def _history(kind: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        venue, query = request.app[VENUE], DataQuery(request.query)
        asked = _asked(request, venue, query)
        feed = query.choice("feed", HISTORICAL_FEEDS, SIP)
        window = venue.settings.data_plan.window(query, venue.exchange.now_ns, feed)
        read, row_of = _reader(venue, kind, query, window)
        symbols = () if feed in EMPTY_FEEDS else asked.symbols
        return await asked.answer(kind, await read_page(read, symbols, window), row_of)

    return handle


def _reader(venue: Venue, kind: str, query: DataQuery, window: Window) -> tuple[ReadRange[Any], RowOf]:
    """How rows of a kind are read and written."""
    asof = asof_of(query, new_york_date(venue.exchange.now_ns))
    history = StockHistory(venue, asof=asof, is_descending=window.is_descending)
    if kind == "trades":
        return history.trades, lambda trade: trade_row(trade, venue.wire)
    if kind == "quotes":
        return history.quotes, lambda quote: quote_row(quote, venue.wire)
    try:
        timeframe = parse_timeframe(query.required("timeframe"))
    except ValueError as error:
        raise invalid_data(str(error)) from None
    return history.bars(timeframe, adjustment_of(query)), bar_row


@dataclass(frozen=True, slots=True)
class _AuctionDay:
    """A day's auctions as a row of a page. A page holds whole days, so its limit counts days."""

    ts_ns: int
    auctions: DayAuctions


async def _auctions(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    asked = _asked(request, venue, query)
    feed = query.choice("feed", AUCTION_FEEDS, SIP)
    window = venue.settings.data_plan.window(query, venue.exchange.now_ns, feed)
    asof = asof_of(query, new_york_date(venue.exchange.now_ns))
    history = StockHistory(venue, asof=asof, is_descending=window.is_descending)

    def read(symbol: str, start_ns: int, end_ns: int) -> Iterator[_AuctionDay | None]:
        for day in history.auctions(symbol, start_ns, end_ns):
            yield None if day is None else _AuctionDay(new_york_ns(day.day), day)

    # Days are told whole: a range that begins at noon has the day's opening auction too.
    whole_days = Window(
        start_ns=new_york_ns(new_york_date(window.start_ns)),
        end_ns=window.end_ns,
        is_descending=window.is_descending,
        limit=window.limit,
        place=window.place,
    )
    page = await read_page(read, asked.symbols, whole_days)
    return await asked.answer("auctions", page, lambda row: auction_day_json(row.auctions))


# --- latest values ----------------------------------------------------------------------------------------------------


def _latest(kind: str) -> Handler:
    one = kind[:-1]

    async def handle(request: web.Request) -> web.Response:
        venue, query = request.app[VENUE], DataQuery(request.query)
        asked = _asked(request, venue, query)
        latest = latest_of(venue, venue.settings.data_plan.latest_feed(query))
        rows = {symbol: row for symbol in asked.symbols if (row := await latest.row(kind, symbol)) is not None}
        if asked.single is None:
            return data_answer(asked.with_currency({kind: rows}))
        if asked.single not in rows:
            raise Refusal(404, None, f"no {one} found for {asked.single}")
        return data_answer(asked.with_currency({"symbol": asked.single, one: rows[asked.single]}))

    return handle


async def _snapshots(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    asked = _asked(request, venue, query)
    latest = latest_of(venue, venue.settings.data_plan.latest_feed(query))
    return data_answer({symbol: found for symbol in asked.symbols if (found := await latest.snapshot(symbol))})


async def _snapshot(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    asked = _asked(request, venue, query)
    assert asked.single is not None, "expected the symbol in the path"
    snapshot = await latest_of(venue, venue.settings.data_plan.latest_feed(query)).snapshot(asked.single)
    if not snapshot:
        raise Refusal(404, None, f"no snapshot found for {asked.single}")
    return data_answer(asked.with_currency({"symbol": asked.single, **snapshot}))
