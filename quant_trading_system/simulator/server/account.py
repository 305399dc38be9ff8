"""The account over REST: account, configurations, activities, clock, calendar, assets."""

from __future__ import annotations

from datetime import date

from aiohttp import web

from quant_trading_system.simulator.activities import ActivityQuery
from quant_trading_system.simulator.calendar import FIRST_YEAR, LAST_YEAR, sessions_between
from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.server.account_wire import (
    account_json,
    asset_json,
    calendar_day_json,
    clock_json,
    configurations_json,
)
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.order_wire import fill_activity_json
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE

ACTIVITIES_PAGE_MAX = 100


def add_account_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/account", _account)
    router.add_get("/v2/account/configurations", _configurations)
    router.add_get("/v2/account/activities", _activities)
    router.add_get("/v2/account/activities/{activity_type}", _activities)
    router.add_get("/v2/clock", _clock)
    router.add_get("/v2/calendar", _calendar)
    router.add_get("/v2/assets", _assets)
    router.add_get("/v2/assets/{symbol}", _asset)


async def _account(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    return json_answer(account_json(venue.exchange.account(), venue.settings.profile))


async def _configurations(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    return json_answer(configurations_json(venue.exchange.account(), venue.settings.profile))


async def _activities(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    single: str | None = request.match_info.get("activity_type")
    types = [single] if single is not None else query.names("activity_types")
    category = query.choice("category", ("trade_activity", "non_trade_activity", ""), "")
    if types and category:
        raise invalid("only one of activity_types or category is accepted")
    if category == "non_trade_activity":
        return json_answer([])  # this account's books hold nothing but trades
    fills = request.app[VENUE].exchange.activities(
        ActivityQuery(
            types=types,
            order_id=query.text("order_id") or None,
            after_ns=query.instant("after"),
            until_ns=query.instant("until"),
            day=query.day("date", date.min) if query.text("date") else None,
            direction=query.choice("direction", ("asc", "desc"), "desc"),
            page_size=query.whole("page_size", ACTIVITIES_PAGE_MAX, low=1, high=ACTIVITIES_PAGE_MAX),
            page_token=query.text("page_token") or None,
        )
    )
    return json_answer([fill_activity_json(fill) for fill in fills])


async def _clock(request: web.Request) -> web.Response:
    return json_answer(clock_json(request.app[VENUE].exchange.now_ns))


async def _calendar(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    query.choice("date_type", ("trading", "settlement"), "trading")
    first = query.day("start", date(FIRST_YEAR, 1, 1))
    last = query.day("end", date(LAST_YEAR, 12, 31))
    return json_answer([calendar_day_json(session) for session in sessions_between(first, last)])


async def _assets(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    status, asset_class = query.text("status"), query.text("asset_class") or "us_equity"
    exchange = query.text("exchange")
    assets = [
        asset
        for asset in request.app[VENUE].exchange.assets()
        if (not status or asset.status == status)
        and asset.asset_class == asset_class
        and (not exchange or asset.exchange == exchange)
    ]
    return json_answer([asset_json(asset) for asset in assets])


async def _asset(request: web.Request) -> web.Response:
    return json_answer(asset_json(request.app[VENUE].exchange.asset(request.match_info["symbol"])))
