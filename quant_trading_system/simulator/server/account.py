"""The account over REST: its state, configurations, activities and history."""

from __future__ import annotations

from datetime import date

from aiohttp import web

from quant_trading_system.simulator.activities import PAGE_SIZE_MAX, TYPES, ActivityQuery
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.portfolio_history import HistoryQuery
from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.server.account_wire import (
    account_json,
    activity_json,
    configurations_json,
    history_json,
)
from quant_trading_system.simulator.server.bodies import read_object
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.profiles import Profile
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE

DAILY_STAMP_HOUR_2021 = 9.5  # New York; recorded until 2021 (reference 6.2)


def add_account_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/account", _account)
    router.add_get("/v2/account/configurations", _configurations)
    router.add_patch("/v2/account/configurations", _configure)
    router.add_get("/v2/account/activities", _activities)
    router.add_get("/v2/account/activities/{activity_type}", _activities)
    router.add_get("/v2/account/portfolio/history", _history)


async def _account(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    return json_answer(account_json(venue.exchange.account(), venue.settings.profile))


async def _configurations(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    return json_answer(configurations_json(venue.exchange.configurations, venue.settings.profile))


async def _configure(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    configurations = venue.exchange.configure(await read_object(request))
    return json_answer(configurations_json(configurations, venue.settings.profile))


async def _activities(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    single: str | None = request.match_info.get("activity_type")
    activities = request.app[VENUE].exchange.activities(
        ActivityQuery(
            types=[single] if single is not None else query.names("activity_types"),
            category=query.choice("category", ("trade_activity", "non_trade_activity", ""), ""),
            order_id=query.text("order_id") or None,
            after_ns=query.instant("after"),
            until_ns=query.instant("until"),
            day=query.day("date", date.min) if query.text("date") else None,
            direction=query.choice("direction", ("asc", "desc"), "desc"),
            page_size=query.whole("page_size", PAGE_SIZE_MAX, low=1, high=PAGE_SIZE_MAX),
            page_token=query.text("page_token") or None,
        )
    )
    return json_answer([activity_json(activity) for activity in activities])


async def _history(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    query = Query(request.query, invalid)
    reporting = query.text("intraday_reporting") or (
        "extended_hours" if query.text("extended_hours").lower() == "true" else "market_hours"
    )
    flows = _cashflow_types(query)
    wish = HistoryQuery(
        period=query.text("period") or None,
        timeframe=query.text("timeframe") or None,
        start_ns=query.instant("start", zone=NEW_YORK),
        end_ns=query.instant("end", zone=NEW_YORK),
        intraday_reporting=reporting,
        pnl_reset=query.text("pnl_reset", "per_day"),
        cashflow_types=flows,
    )
    if venue.settings.profile is Profile.LEGACY_2021:
        wish = wish.with_daily_stamp(DAILY_STAMP_HOUR_2021)
    return json_answer(history_json(venue.exchange.portfolio_history(wish), tells_cashflow=bool(flows)))


def _cashflow_types(query: Query) -> tuple[str, ...]:
    names = tuple(query.names("cashflow_types"))
    if names in ((), ("NONE",)):
        return ()
    for name in names:
        if name != "ALL" and name not in TYPES:
            raise invalid(f"invalid activity type: {name}")
    return names
