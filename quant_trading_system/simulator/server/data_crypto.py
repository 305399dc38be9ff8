"""Crypto over REST: history by pages, latest values, order books, snapshots. Decides what a pair and a place are.

There is one crypto market; each of the places tells it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.market.source import CRYPTO_DAY_ZONE, DAY, BarSpan
from quant_trading_system.simulator.server.bar_history import bars_between
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.data_rows import (
    bar_row,
    crypto_quote_row,
    crypto_trade_row,
    data_answer,
    orderbook_json,
)
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.pacing import Pacer
from quant_trading_system.simulator.server.paging import ReadRange, Window, read_page, written
from quant_trading_system.simulator.server.ranges import backward_ticks
from quant_trading_system.simulator.server.timeframes import parse_timeframe
from quant_trading_system.simulator.server.venue import VENUE, Venue

PLACES = ("us", "us-1", "us-2", "eu-1", "bs-1")
UTC_ZONE = ZoneInfo("UTC")  # hours are counted from its midnight, and ranges begin there (recorded 2026-09)
DAY_ZONE = ZoneInfo(CRYPTO_DAY_ZONE)
DAYS_BACK_NS = 3 * 24 * 60 * NANOS_PER_MINUTE

_PAIR = re.compile(r"[A-Z]+x?/[A-Z]+", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.Response]]
RowOf = Callable[[Any], object]
PartOf = Callable[[Venue, str], object | None]


def add_crypto_routes(router: web.UrlDispatcher) -> None:
    """Register `/v1beta3/crypto/{loc}/…`."""
    prefix = "/v1beta3/crypto/{loc}"
    for kind in ("bars", "trades", "quotes"):
        router.add_get(f"{prefix}/{kind}", _history(kind))
        router.add_get(f"{prefix}/latest/{kind}", _latest(kind, _LATEST[kind]))
    router.add_get(f"{prefix}/latest/orderbooks", _latest("orderbooks", _orderbook))
    router.add_get(f"{prefix}/snapshots", _latest("snapshots", _snapshot))


def _asked(request: web.Request, query: DataQuery) -> list[str]:
    """The pairs asked for."""
    place = request.match_info["loc"]
    if place not in PLACES:
        raise invalid_data(f"invalid location: {place}")
    query.required("symbols")
    pairs = query.names("symbols")
    for pair in pairs:
        if not _PAIR.fullmatch(pair):
            raise invalid_data(f"invalid symbol: {pair} does not match ^[A-Z]+x?/[A-Z]+$")
    return pairs


def _history(kind: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        venue, query = request.app[VENUE], DataQuery(request.query)
        pairs = _asked(request, query)
        window = query.window(zone=UTC_ZONE, newest_ns=venue.exchange.now_ns)
        read, row_of = _reader(venue, kind, query, window)
        page = await read_page(read, [pair for pair in pairs if pair in venue.market.symbols], window)
        return data_answer({kind: await written(page, row_of), "next_page_token": page.next_token})

    return handle


def _reader(venue: Venue, kind: str, query: DataQuery, window: Window) -> tuple[ReadRange[Any], RowOf]:
    """How rows of a kind are read and written."""
    if kind == "trades":
        return _in_order(venue.market.trades, window), crypto_trade_row
    if kind == "quotes":
        return _in_order(venue.market.quotes, window), crypto_quote_row
    try:
        timeframe = parse_timeframe(query.required("timeframe"), UTC_ZONE, day_zone=DAY_ZONE)
    except ValueError as error:
        raise invalid_data(str(error)) from None

    def read(pair: str, start_ns: int, end_ns: int) -> Iterable[SimBar | None]:
        def source(span: BarSpan, first_ns: int, last_ns: int) -> Iterable[SimBar]:
            return venue.market.bars(pair, span, first_ns, last_ns)

        return bars_between(source, timeframe, start_ns, end_ns, zone=UTC_ZONE, is_descending=window.is_descending)

    return read, bar_row


def _in_order(read: ReadRange[Any], window: Window) -> ReadRange[Any]:
    if not window.is_descending:
        return read
    return lambda pair, start_ns, end_ns: backward_ticks(lambda first, last: read(pair, first, last), start_ns, end_ns)


# --- latest values ----------------------------------------------------------------------------------------------------


def _latest(name: str, part_of: PartOf) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        venue, query = request.app[VENUE], DataQuery(request.query)
        found: dict[str, object] = {}
        pacer = Pacer()
        for pair in _asked(request, query):
            await pacer.breathe()
            if pair in venue.market.symbols and (part := part_of(venue, pair)) is not None:
                found[pair] = part
        return data_answer({name: found})

    return handle


def _trade(venue: Venue, pair: str) -> object | None:
    trade = venue.market.latest_trade(pair)
    return crypto_trade_row(trade) if trade is not None else None


def _quote(venue: Venue, pair: str) -> object | None:
    quote = venue.market.latest_quote(pair)
    return crypto_quote_row(quote) if quote is not None else None


def _bar(venue: Venue, pair: str) -> object | None:
    bar = venue.market.latest_bar(pair)
    return bar_row(bar) if bar is not None else None


def _orderbook(venue: Venue, pair: str) -> object | None:
    book = venue.market.orderbook(pair)
    return orderbook_json(book) if book is not None else None


def _snapshot(venue: Venue, pair: str) -> object | None:
    now_ns = venue.exchange.now_ns
    days: Sequence[SimBar] = venue.market.bars(pair, DAY, now_ns - DAYS_BACK_NS, now_ns)
    parts = {
        "dailyBar": bar_row(days[-1]) if days else None,
        "latestQuote": _quote(venue, pair),
        "latestTrade": _trade(venue, pair),
        "minuteBar": _bar(venue, pair),
        "prevDailyBar": bar_row(days[-2]) if len(days) > 1 else None,
    }
    return {name: part for name, part in parts.items() if part is not None} or None


_LATEST: dict[str, PartOf] = {"bars": _bar, "trades": _trade, "quotes": _quote}
