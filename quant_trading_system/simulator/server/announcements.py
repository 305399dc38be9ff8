"""Announcements of corporate actions over trading REST (reference 5.4; deprecated, still in the specification)."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from aiohttp import web

from quant_trading_system.simulator.chance import asset_id
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.numbers import ZERO, plain
from quant_trading_system.simulator.refusals import invalid, not_found
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE

RANGE_DAYS_MAX = 90
SEARCH_DAYS = 400  # a declaration lies at most so long before its ex-date
_TYPES = ("dividend", "merger", "reorg", "spinoff", "split")
_DATE_TYPES = ("", "declaration_date", "ex_date", "record_date", "payable_date")
# What alpaca-py 0.44 knows; its enum is closed, and lower-case where the specification's example is not.
_KINDS = {
    "cash_dividend": ("dividend", "cash"),
    "stock_dividend": ("dividend", "stock"),
    "forward_split": ("split", "stock_split"),
    "reverse_split": ("split", "reverse_split"),
    "spin_off": ("spinoff", "spinoff"),
}


def add_announcement_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/corporate_actions/announcements", _announcements)
    router.add_get("/v2/corporate_actions/announcements/{id}", _announcement)


async def _announcements(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    types = [name.lower() for name in query.names("ca_types")]
    if not types:
        raise invalid("ca_types is required")
    for name in types:
        if name not in _TYPES:
            raise invalid(f"invalid ca_types: {name}")
    since, until = _required_day(query, "since"), _required_day(query, "until")
    if not timedelta() <= until - since <= timedelta(days=RANGE_DAYS_MAX):
        raise invalid(f"the date range is limited to {RANGE_DAYS_MAX} days")
    symbol, cusip = query.text("symbol"), query.text("cusip")
    date_type = query.choice("date_type", _DATE_TYPES, "") or "ex_date"
    found = [
        action
        for action in _known(request, since, until)
        if _KINDS[action.kind][0] in types
        and symbol in ("", action.symbol)
        and cusip in ("", action.cusip)
        and (day := _day_of(action, date_type)) is not None
        and since <= day <= until
    ]
    return json_answer([_announcement_json(action) for action in found])


async def _announcement(request: web.Request) -> web.Response:
    wanted: str = request.match_info["id"]
    today = request.app[VENUE].exchange.account().balance_asof
    for action in _known(request, today, today):
        if wanted in (_announcement_id(action), action.id):
            return json_answer(_announcement_json(action))
    raise not_found(f"announcement not found for {wanted}")


def _known(request: web.Request, first: date, last: date) -> list[CorporateAction]:
    """Actions around a range, those without a type of announcement (a new name) left out."""
    margin = timedelta(days=SEARCH_DAYS)
    low = first - margin if first > date.min + margin else date.min
    high = last + margin if last < date.max - margin else date.max
    return [a for a in request.app[VENUE].exchange.corporate_actions(None, low, high) if a.kind in _KINDS]


def _required_day(query: Query, name: str) -> date:
    if not query.text(name):
        raise invalid(f"{name} is required")
    return query.day(name, date.min)


def _day_of(action: CorporateAction, date_type: str) -> date | None:
    match date_type:
        case "declaration_date":
            return action.declared_date
        case "record_date":
            return action.record_date
        case "payable_date":
            return action.payable_date
        case _:
            return action.ex_date


def _announcement_id(action: CorporateAction) -> str:
    try:
        return str(UUID(action.id))
    except ValueError:
        return asset_id(f"announcement {action.id}")


def _announcement_json(action: CorporateAction) -> Json:
    ca_type, ca_sub_type = _KINDS[action.kind]
    dates = (
        ("declaration_date", action.declared_date),
        ("effective_date", action.process_date),
        ("ex_date", action.ex_date),
        ("record_date", action.record_date),
        ("payable_date", action.payable_date),
    )
    old_rate, new_rate = action.old_rate or 1, action.new_rate or (1 if action.rate is None else 1 + action.rate)
    return {
        "id": _announcement_id(action),
        "corporate_action_id": action.id,
        "ca_type": ca_type,
        "ca_sub_type": ca_sub_type,
        "initiating_symbol": action.symbol,
        "initiating_original_cusip": action.cusip,
        "target_symbol": action.new_symbol or action.symbol,
        "target_original_cusip": action.new_cusip or action.cusip,
        **{name: day.isoformat() for name, day in dates if day is not None},
        "cash": plain(action.cash or ZERO),
        "old_rate": plain(ZERO + old_rate),
        "new_rate": plain(ZERO + new_rate),
    }
