"""Clock and calendar over REST, second and third version (reference 5.1, 5.2)."""

from __future__ import annotations

from datetime import date, timedelta

from aiohttp import web

from quant_trading_system.simulator.calendar import FIRST_YEAR, LAST_YEAR, sessions_between, settlement_date
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.hours_wire import (
    US_EQUITY_MARKETS,
    calendar_day_json,
    clock_json,
    market_clock_json,
    market_day_json,
    market_of,
)
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE

CALENDAR_FIRST = date(max(1970, FIRST_YEAR), 1, 1)  # Alpaca's own begins in 1970
CALENDAR_LAST = date(min(2029, LAST_YEAR), 12, 31)
CALENDAR_FIRST_NS = new_york_ns(CALENDAR_FIRST)
_SETTLEMENT_DAYS_MAX = 7  # between a trade and its settlement, weekends and holidays counted
_ONE_WEEK = timedelta(days=7)


def add_hours_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/clock", _clock)
    router.add_get("/v2/calendar", _calendar)
    router.add_get("/v3/clock", _clocks)
    router.add_get("/v3/calendar/{market}", _market_calendar)


def _unreadable(message: str) -> Refusal:
    return Refusal(400, 40010000, message)


async def _clock(request: web.Request) -> web.Response:
    return json_answer(clock_json(request.app[VENUE].exchange.now_ns))


async def _calendar(request: web.Request) -> web.Response:
    """By trading or by settlement dates, clipped to what is known."""
    query = Query(request.query, _unreadable)
    first = max(query.day("start", CALENDAR_FIRST), CALENDAR_FIRST)
    last = min(query.day("end", CALENDAR_LAST), CALENDAR_LAST)
    if query.choice("date_type", ("trading", "settlement"), "trading") == "trading":
        return json_answer([calendar_day_json(session) for session in sessions_between(first, last)])
    early = first - timedelta(days=_SETTLEMENT_DAYS_MAX)
    sessions = [s for s in sessions_between(early, last) if first <= settlement_date(s.day) <= last]
    return json_answer([calendar_day_json(session) for session in sessions])


async def _clocks(request: web.Request) -> web.Response:
    query = Query(request.query, _unreadable)
    markets = [market_of(code) for code in query.names("markets")] or US_EQUITY_MARKETS
    asked_ns = query.instant("time")
    now_ns = request.app[VENUE].exchange.now_ns if asked_ns is None else asked_ns
    if now_ns < CALENDAR_FIRST_NS:
        raise _unreadable("invalid time: the calendar does not reach so far")
    return json_answer({"clocks": [market_clock_json(market, now_ns) for market in markets]})


async def _market_calendar(request: web.Request) -> web.Response:
    query = Query(request.query, _unreadable)
    market = market_of(request.match_info["market"])
    is_utc = query.choice("timezone", ("utc", ""), "") == "utc"
    first = max(query.day("start", new_york_date(request.app[VENUE].exchange.now_ns)), CALENDAR_FIRST)
    last = min(query.day("end", min(first, CALENDAR_LAST) + _ONE_WEEK), CALENDAR_LAST)
    days = [market_day_json(session, is_utc=is_utc) for session in sessions_between(first, last)]
    return json_answer({"market": market.as_json(), "calendar": days})
