"""The exchange's own interface, never on Alpaca's paths: its books, its faults, its clock, and what others do."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from quant_trading_system.simulator.calendar import session_at
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import unprocessable
from quant_trading_system.simulator.server import wishes
from quant_trading_system.simulator.server.bodies import read_object
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.faults import FaultPlanError, parse_plan
from quant_trading_system.simulator.server.news import read_news
from quant_trading_system.simulator.server.order_wire import Json, order_json
from quant_trading_system.simulator.server.stamps import eastern_text, parse_instant, stamp_text
from quant_trading_system.simulator.server.venue import VENUE, Venue
from quant_trading_system.simulator.server.wishes import wrong

STEP_SECONDS_MAX = 31 * 86_400
PLAY_OUT_WALL_SECONDS_MAX = 60.0  # a jump is played whole before it is answered, as far as this goes
CONTROL_PATH = "/simulator/v1"

_CLOCK_FIELDS = ("speed", "jump_to", "step_seconds")

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_control_routes(router: web.UrlDispatcher) -> None:
    for method, path, handler, _ in _ROUTES:
        router.add_route(method, CONTROL_PATH + path, handler)


async def _index(_request: web.Request) -> web.Response:
    return json_answer(
        {"routes": [{"method": method, "path": CONTROL_PATH + path, "does": does} for method, path, _, does in _ROUTES]}
    )


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
        raise unprocessable(str(error)) from None
    venue.catch_up()
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
            raise wrong(name, f"unknown field; known are {', '.join(_CLOCK_FIELDS)}")
    if not wish:
        raise wrong("body", f"expected one of {', '.join(_CLOCK_FIELDS)}")
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
        raise wrong(field, str(error)) from None


def _number(value: object) -> float:
    if isinstance(value, bool | str) or value is None:
        raise ValueError(f"expected a number, found {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        raise ValueError(f"expected a number, found {value!r}") from None


async def _external_order(request: web.Request) -> web.Response:
    wish = await read_object(request)
    return json_answer(order_json(wishes.order_outside(_now(request).exchange, wish)))


async def _set_status(request: web.Request) -> web.Response:
    wish = await read_object(request)
    wishes.set_status(_now(request).exchange, wish)
    return json_answer(wish)


async def _bust(request: web.Request) -> web.Response:
    wish = await read_object(request)
    venue = _now(request)
    wishes.bust(venue.exchange, wish)
    return json_answer(ledger_json(venue))


async def _transfer(request: web.Request) -> web.Response:
    wish = await read_object(request)
    venue = _now(request)
    wishes.transfer(venue.exchange, wish)
    return json_answer({"cash": ledger_json(venue)["cash"]})


async def _announce(request: web.Request) -> web.Response:
    wish = await read_object(request)
    return json_answer(wishes.announce(_now(request).exchange, wish))


async def _tell_news(request: web.Request) -> web.Response:
    wish = await read_object(request)
    venue = _now(request)
    news = read_news(wish, now_ns=venue.exchange.now_ns)
    venue.data_stream.publish_news(news)
    return json_answer({"id": news.id})


async def _get_account(request: web.Request) -> web.Response:
    return json_answer(msgspec.to_builtins(request.app[VENUE].exchange.account_flags))


async def _set_account(request: web.Request) -> web.Response:
    wish = await read_object(request)
    venue = _now(request)
    wishes.set_account(venue.exchange, wish)
    return json_answer(msgspec.to_builtins(venue.exchange.account_flags))


def _now(request: web.Request) -> Venue:
    """The venue, played up to now: what is asked for happens at this moment."""
    venue = request.app[VENUE]
    venue.catch_up()
    return venue


_ROUTES: Sequence[tuple[str, str, Handler, str]] = (
    ("GET", "", _index, "this list"),
    ("GET", "/ledger", _ledger, "the exchange's own books: cash, positions, orders, executions, and their hash"),
    ("GET", "/faults", _get_faults, "the fault plan in force, with every kind and field that a plan can have"),
    ("POST", "/faults", _set_faults, 'replace the plan: {"faults": [{"kind": …}], "seed": N}; an empty list heals'),
    ("GET", "/clock", _get_clock, "venue time, its speed, and whether the market is open"),
    ("POST", "/clock", _set_clock, 'move venue time: {"speed": X}, {"jump_to": TIME}, {"step_seconds": N}'),
    ("POST", "/external-order", _external_order, "somebody gives an order in the broker's app: a POST /v2/orders body"),
    ("POST", "/status", _set_status, 'halt, pause or resume a symbol: {"symbol": "AAPL", "status": "halt"}'),
    ("POST", "/bust", _bust, 'take an execution back: {"execution_id": ID}; with price or qty, correct it'),
    ("POST", "/transfer", _transfer, 'cash comes or, below 0, goes: {"amount_usd": "500"}'),
    ("POST", "/corporate-actions", _announce, "announce a dividend, split, spin-off or new name"),
    (
        "POST",
        "/news",
        _tell_news,
        "tell an article on the news stream: headline, summary, content, symbols, …",
    ),
    ("GET", "/account", _get_account, "the flags that the broker has set on the account"),
    ("POST", "/account", _set_account, 'set flags: {"trading_blocked": true}, {"status": "ACCOUNT_CLOSED"}'),
)
