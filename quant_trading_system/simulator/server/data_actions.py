"""Corporate actions over REST. Decides which a question means, and their order: by the day they are processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from aiohttp import web

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.action_events import (
    ACTIONS_PATH,
    FilteredEvents,
    read_action_span,
    read_filters,
)
from quant_trading_system.simulator.server.action_wire import LIST_OF, action_json
from quant_trading_system.simulator.server.actions import FIRST_DAY, LAST_DAY
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.data_rows import data_answer
from quant_trading_system.simulator.server.errors import invalid_data, refusal_answer
from quant_trading_system.simulator.server.paging import Window, read_page
from quant_trading_system.simulator.server.venue import VENUE, Venue

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
TYPES = (
    "reverse_split",
    "forward_split",
    "unit_split",
    "cash_dividend",
    "stock_dividend",
    "spin_off",
    "cash_merger",
    "stock_merger",
    "stock_and_cash_merger",
    "redemption",
    "name_change",
    "worthless_removal",
    "rights_distribution",
    "partial_call",
    "reorganization",
)
REGIONS = ("us", "non_us", "all")
_OTHER_FILTERS = ("symbols", "cusips", "types", "start", "end", "region", "data_quality")
_ALL = "all"  # the one key of pages that go over all symbols by date


@dataclass(frozen=True, slots=True)
class _Row:
    ts_ns: int
    action: CorporateAction


def add_action_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v1/corporate-actions", _corporate_actions)
    router.add_get(ACTIONS_PATH, _events)


async def _events(request: web.Request) -> web.StreamResponse:
    venue = request.app[VENUE]
    try:
        types, region = read_filters(request.query)
    except Refusal as refusal:
        return refusal_answer(refusal)
    source = FilteredEvents(venue.action_events, types=types, region=region)
    answer = venue.event_streams.handler(source, lambda asked: read_action_span(asked, venue.exchange.now_ns))
    return await answer(request)


async def _corporate_actions(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    is_descending = query.choice("sort", ("asc", "desc"), "asc") == "desc"
    window = Window(
        start_ns=0,
        end_ns=new_york_ns(LAST_DAY),
        is_descending=is_descending,
        limit=query.whole("limit", LIMIT_DEFAULT, low=1, high=LIMIT_MAX),
        place=query.place(),
    )
    found = sorted(_found(venue, query), key=lambda action: (action.process_date, action.id), reverse=is_descending)
    rows = [_Row(new_york_ns(action.process_date), action) for action in found]

    def read(_key: str, start_ns: int, end_ns: int) -> Sequence[_Row]:
        return [row for row in rows if start_ns <= row.ts_ns <= end_ns]

    page = await read_page(read, [_ALL], window)
    lists: dict[str, list[object]] = {}
    for row in page.rows.get(_ALL, []):
        lists.setdefault(LIST_OF[row.action.kind], []).append(action_json(row.action))
    return data_answer({"corporate_actions": lists, "next_page_token": page.next_token})


def _found(venue: Venue, query: DataQuery) -> Sequence[CorporateAction]:
    """The actions that a question means."""
    ids = query.names("ids")
    if ids:
        if any(query.text(name) for name in _OTHER_FILTERS):
            raise invalid_data("ids is mutually exclusive with all other filters")
        return [action for action in venue.exchange.corporate_actions(None, FIRST_DAY, LAST_DAY) if action.id in ids]
    types = query.names("types")
    for name in types:
        if name not in TYPES:
            raise invalid_data(f"invalid type: {name}")
    query.choice("data_quality", ("complete", "all"), "complete")
    has_ours = query.choice("region", REGIONS, "us") != "non_us"
    first, last = _days(venue, query)
    cusips = query.names("cusips")
    symbols = query.names("symbols") or None
    return [
        action
        for action in _of_symbols(venue, symbols, first, last)
        if has_ours
        and first <= action.process_date <= last
        and (not types or action.kind in types)
        and (not cusips or action.cusip in cusips or action.new_cusip in cusips)
    ]


def _of_symbols(venue: Venue, symbols: list[str] | None, first: date, last: date) -> Sequence[CorporateAction]:
    """Those that concern one of the symbols, under its old name or its new one."""
    found = venue.exchange.corporate_actions(None, first, last)
    if symbols is None:
        return found
    return [action for action in found if action.symbol in symbols or action.new_symbol in symbols]


def _days(venue: Venue, query: DataQuery) -> tuple[date, date]:
    today = new_york_date(venue.exchange.now_ns)
    first, last = query.date_alone("start") or today, query.date_alone("end") or today
    if last < first:
        raise invalid_data("end should not be before start")
    return max(first, FIRST_DAY), min(last, LAST_DAY)
