"""The exchange's own interface, never on Alpaca's paths: its books, its faults, its clock, a stranger's order."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from quant_trading_system.simulator.calendar import session_at
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.server.bodies import read_object
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.faults import FaultPlanError, parse_plan
from quant_trading_system.simulator.server.news import read_news
from quant_trading_system.simulator.server.order_wire import Json, order_json
from quant_trading_system.simulator.server.stamps import eastern_text, parse_instant, stamp_text
from quant_trading_system.simulator.server.venue import VENUE, Venue

STEP_SECONDS_MAX = 31 * 86_400
PLAY_OUT_WALL_SECONDS_MAX = 60.0  # a jump is played whole before it is answered, as far as this goes

_CLOCK_FIELDS = ("speed", "jump_to", "step_seconds")


def add_control_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/simulator/v1/ledger", _ledger)
    router.add_get("/simulator/v1/faults", _get_faults)
    router.add_post("/simulator/v1/faults", _set_faults)
    router.add_get("/simulator/v1/clock", _get_clock)
    router.add_post("/simulator/v1/clock", _set_clock)
    router.add_post("/simulator/v1/external-order", _external_order)
    router.add_post("/simulator/v1/news", _tell_news)


async def _ledger(request: web.Request) -> web.Response:
    return json_answer(ledger_json(request.app[VENUE]))


def ledger_json(venue: Venue) -> Json:
    """The exchange's books; its orders as REST writes them."""
    books: Json = dict(venue.exchange.ledger())
    orders = books["orders"]
    assert isinstance(orders, list), f"expected a list of orders, found {type(orders)}"
    books["orders"] = [order_json(order) if isinstance(order, SimOrder) else order for order in orders]
    return books


async def _get_faults(request: web.Request) -> web.Response:
    return json_answer(request.app[VENUE].plan.as_json())


async def _set_faults(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    try:
        rules, seed = parse_plan(await read_object(request))
    except FaultPlanError as error:
        raise Refusal(422, 42210000, str(error)) from None
    venue.plan.replace(rules, seed=seed)
    return json_answer(venue.plan.as_json())


async def _get_clock(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    venue.catch_up()
    return json_answer(clock_json(venue))


def clock_json(venue: Venue) -> Json:
    """Venue time and what shapes it. `finished` says that the recorded market has ended."""
    now_ns = venue.exchange.now_ns
    end_ns = venue.market.end_ns
    return {
        "timestamp": stamp_text(now_ns),
        "eastern": eastern_text(now_ns),
        "venue_ns": now_ns,
        "speed": venue.clock.speed,
        "is_open": session_at(now_ns) is not None,
        "market": "SYNTHETIC" if venue.market.is_synthetic else "RECORDED",
        "market_end": stamp_text(end_ns) if end_ns is not None else None,
        "finished": venue.exchange.finished,
    }


async def _set_clock(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    wish = await read_object(request)
    for name in wish:
        if name not in _CLOCK_FIELDS:
            raise _wrong(name, f"unknown field; known are {', '.join(_CLOCK_FIELDS)}")
    if not wish:
        raise _wrong("body", f"expected one of {', '.join(_CLOCK_FIELDS)}")
    _move_clock(venue, wish)
    await venue.play_out(wall_seconds_max=PLAY_OUT_WALL_SECONDS_MAX)
    return json_answer(clock_json(venue))


def _move_clock(venue: Venue, wish: Mapping[str, object]) -> None:
    """Speed first, then the jump, then the step."""
    field = ""
    try:
        if "speed" in wish:
            field = "speed"
            venue.clock.set_speed(_number(wish[field]), time.monotonic_ns())
        if "jump_to" in wish:
            field = "jump_to"
            venue.clock.jump_to(parse_instant(str(wish[field]), zone=NEW_YORK), time.monotonic_ns())
        if "step_seconds" in wish:
            field = "step_seconds"
            seconds = _number(wish[field])
            if seconds > STEP_SECONDS_MAX:
                raise ValueError(f"expected at most {STEP_SECONDS_MAX} s, found {seconds:g}")
            venue.clock.step(seconds, time.monotonic_ns())
    except ValueError as error:
        raise _wrong(field, str(error)) from None


def _number(value: object) -> float:
    if isinstance(value, bool | str) or value is None:
        raise ValueError(f"expected a number, found {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        raise ValueError(f"expected a number, found {value!r}") from None


def _wrong(field: str, message: str) -> Refusal:
    text = message if message.startswith(f"{field}:") else f"{field}: {message}"
    return Refusal(422, 42210000, text)


async def _external_order(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    venue.catch_up()
    order = venue.exchange.external_order(OrderRequest.from_body(await read_object(request)))
    return json_answer(order_json(order))


async def _tell_news(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    venue.catch_up()
    news = read_news(await read_object(request), now_ns=venue.exchange.now_ns)
    venue.data_stream.publish_news(news)
    return json_answer({"id": news.id})
