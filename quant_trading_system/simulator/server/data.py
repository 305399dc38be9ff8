"""Market data over REST: history by pages, latest values, snapshots. Nothing tells what venue time has not reached."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiohttp import web

from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import NEW_YORK, new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.errors import invalid_data, json_answer
from quant_trading_system.simulator.server.market_wire import Json, bar_row
from quant_trading_system.simulator.server.paging import (
    PAGE_ROWS_DEFAULT,
    PAGE_ROWS_MAX,
    Place,
    ReadRange,
    parse_token,
    read_page,
)
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.timeframes import merge_bars, parse_timeframe
from quant_trading_system.simulator.server.venue import VENUE, Venue

FEEDS = ("sip", "iex", "delayed_sip", "otc", "boats", "overnight")
DAILY_BARS_BACK_DAYS = 10  # a week with its holidays: enough to find the session before

_SYMBOL = re.compile(r"[A-Z][A-Z0-9./\-]{0,20}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.Response]]
RowJson = Callable[[Any], Json]


def add_data_routes(router: web.UrlDispatcher) -> None:
    """Register `/v2/stocks/…`; fixed words before symbols."""
    for kind in ("bars", "trades", "quotes"):
        router.add_get(f"/v2/stocks/{kind}", _history(kind))
        router.add_get(f"/v2/stocks/{kind}/latest", _latest(kind))
    router.add_get("/v2/stocks/snapshots", _snapshots)
    for kind in ("bars", "trades", "quotes"):
        router.add_get(f"/v2/stocks/{{symbol}}/{kind}", _history(kind))
        router.add_get(f"/v2/stocks/{{symbol}}/{kind}/latest", _latest(kind))
    router.add_get("/v2/stocks/{symbol}/snapshot", _snapshot)


def _query(request: web.Request) -> Query:
    query = Query(request.query, invalid_data)
    query.choice("feed", FEEDS, "sip")
    return query


def _symbols(request: web.Request, query: Query) -> tuple[list[str], str | None]:
    """The symbols asked for, and the one of the path in the single-symbol form."""
    single: str | None = request.match_info.get("symbol")
    symbols = [single] if single is not None else query.names("symbols")
    if not symbols:
        raise invalid_data("symbols is required")
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise invalid_data(f"invalid symbol: {symbol}")
    return symbols, single


def _history(kind: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        venue, query = request.app[VENUE], _query(request)
        symbols, single = _symbols(request, query)
        read, row_json = _readers(venue, kind, query)
        page = read_page(
            read,
            [symbol for symbol in symbols if symbol in venue.market.symbols],
            start_ns=_start_ns(venue, query),
            end_ns=_end_ns(venue, query),
            limit=query.whole("limit", PAGE_ROWS_DEFAULT, low=1, high=PAGE_ROWS_MAX),
            is_descending=query.choice("sort", ("asc", "desc"), "asc") == "desc",
            place=_place(query),
        )
        rows = {symbol: [row_json(row) for row in found] for symbol, found in page.rows.items()}
        token = page.next_place.token() if page.next_place is not None else None
        if single is not None:
            return json_answer({kind: rows.get(single, []), "symbol": single, "next_page_token": token})
        return json_answer({kind: rows, "next_page_token": token})

    return handle


def _readers(venue: Venue, kind: str, query: Query) -> tuple[ReadRange[Any], RowJson]:
    """How rows of a kind are read and written."""
    market = venue.market
    if kind == "trades":
        return market.trades, venue.wire.trade_row
    if kind == "quotes":
        return market.quotes, venue.wire.quote_row
    try:
        timeframe = parse_timeframe(query.text("timeframe") or "1Min")
    except ValueError as error:
        raise invalid_data(str(error)) from None

    def read_bars(symbol: str, start_ns: int, end_ns: int) -> Iterable[SimBar]:
        # The first bar of a longer timeframe begins before its first minute: read from there.
        begin_ns = timeframe.begin_of(start_ns) if timeframe.begin_of is not None else start_ns
        bars = merge_bars(market.bars(symbol, timeframe.source, begin_ns, end_ns), timeframe)
        return (bar for bar in bars if start_ns <= bar.ts_ns <= end_ns)

    return read_bars, bar_row


def _start_ns(venue: Venue, query: Query) -> int:
    given = query.instant("start", zone=NEW_YORK if query.is_date_alone("start") else None)
    return given if given is not None else new_york_ns(new_york_date(venue.exchange.now_ns))


def _end_ns(venue: Venue, query: Query) -> int:
    given = query.instant("end", zone=NEW_YORK if query.is_date_alone("end") else None)
    return min(given, venue.exchange.now_ns) if given is not None else venue.exchange.now_ns


def _place(query: Query) -> Place | None:
    token = query.text("page_token")
    if not token:
        return None
    try:
        return parse_token(token)
    except ValueError as error:
        raise invalid_data(str(error)) from None


def _latest(kind: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        venue = request.app[VENUE]
        symbols, single = _symbols(request, _query(request))
        rows = {symbol: row for symbol in symbols if (row := _latest_row(venue, kind, symbol)) is not None}
        if single is None:
            return json_answer({kind: rows})
        if single not in rows:
            raise Refusal(404, None, f"no {kind[:-1]} found for {single}")
        return json_answer({"symbol": single, kind[:-1]: rows[single]})

    return handle


def _latest_row(venue: Venue, kind: str, symbol: str) -> Json | None:
    market = venue.market
    if symbol not in market.symbols:
        return None
    row: SimTrade | SimQuote | SimBar | None
    if kind == "trades":
        row = market.latest_trade(symbol)
        return None if row is None else venue.wire.trade_row(row)
    if kind == "quotes":
        row = market.latest_quote(symbol)
        return None if row is None else venue.wire.quote_row(row)
    row = market.latest_bar(symbol)
    return None if row is None else bar_row(row)


async def _snapshots(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    symbols, _ = _symbols(request, _query(request))
    known = [symbol for symbol in symbols if symbol in venue.market.symbols]
    return json_answer({symbol: _snapshot_json(venue, symbol) for symbol in known})


async def _snapshot(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    symbols, _ = _symbols(request, _query(request))
    if symbols[0] not in venue.market.symbols:
        raise Refusal(404, None, f"no snapshot found for {symbols[0]}")
    return json_answer({"symbol": symbols[0], **_snapshot_json(venue, symbols[0])})


def _snapshot_json(venue: Venue, symbol: str) -> Json:
    now_ns = venue.exchange.now_ns
    today_ns = new_york_ns(new_york_date(now_ns))
    back_ns = DAILY_BARS_BACK_DAYS * 86_400_000_000_000
    days: Sequence[SimBar] = venue.market.bars(symbol, DAY, today_ns - back_ns, now_ns)
    today = next((bar for bar in days if bar.ts_ns >= today_ns), None)
    before = next((bar for bar in reversed(days) if bar.ts_ns < today_ns), None)
    return {
        "latestTrade": _latest_row(venue, "trades", symbol),
        "latestQuote": _latest_row(venue, "quotes", symbol),
        "minuteBar": _latest_row(venue, "bars", symbol),
        "dailyBar": bar_row(today) if today else None,
        "prevDailyBar": bar_row(before) if before else None,
    }
