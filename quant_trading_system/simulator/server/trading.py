"""Trading over REST, orders and positions: reads what is asked, lets the exchange decide, writes what it says."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.exchange_orders import CloseResult
from quant_trading_system.simulator.numbers import parse_number
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.server.account_wire import position_json
from quant_trading_system.simulator.server.bodies import read_object
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.order_wire import Json, order_json
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE, Venue

ORDERS_PAGE_DEFAULT = 50
ORDERS_PAGE_MAX = 500
EQUITY_CLASSES = frozenset({"us_equity", "us_equity_chain", "global_equity", "us_index", "ipo"})
ASSET_CLASSES = EQUITY_CLASSES | {"us_option", "crypto", "crypto_perp", "treasury", "corporate", "all"}


def add_trading_routes(router: web.UrlDispatcher) -> None:
    """Register `/v2/orders` and `/v2/positions`."""
    router.add_post("/v2/orders", _submit)
    router.add_get("/v2/orders", _list_orders)
    router.add_delete("/v2/orders", _cancel_all)
    router.add_get("/v2/orders:by_client_order_id", _order_by_client_id)
    router.add_get("/v2/orders/{order_id}", _order)
    router.add_patch("/v2/orders/{order_id}", _replace)
    router.add_delete("/v2/orders/{order_id}", _cancel)
    router.add_get("/v2/positions", _positions)
    router.add_delete("/v2/positions", _close_all)
    router.add_get("/v2/positions/{symbol}", _position)
    router.add_delete("/v2/positions/{symbol}", _close)


async def _submit(request: web.Request) -> web.Response:
    wish = OrderRequest.from_body(await read_object(request))
    exchange = _ready(request).exchange
    return json_answer(_nested(exchange, exchange.submit(wish)))


async def _list_orders(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    exchange = _ready(request).exchange
    is_nested = query.flag("nested")
    orders = exchange.orders(
        OrderQuery(
            status=query.choice("status", ("open", "closed", "all"), "open"),
            limit=query.whole("limit", ORDERS_PAGE_DEFAULT, low=1, high=ORDERS_PAGE_MAX),
            after_ns=query.instant("after"),
            until_ns=query.instant("until"),
            direction=query.choice("direction", ("asc", "desc"), "desc"),
            symbols=tuple(query.names("symbols")),
            side=query.text("side") or None,
            asset_classes=_asset_classes(request),
            nested=is_nested,
            before_order_id=query.text("before_order_id") or None,
            after_order_id=query.text("after_order_id") or None,
        )
    )
    return json_answer([_nested(exchange, order) if is_nested else order_json(order) for order in orders])


def _asset_classes(request: web.Request) -> tuple[str, ...]:
    """The classes asked for, as a comma list or as a parameter that is repeated; none means all."""
    listed = [name for value in request.query.getall("asset_class", []) for name in value.split(",") if name]
    for name in listed:
        if name not in ASSET_CLASSES:
            raise invalid(f"invalid asset_class: {name}")
    return () if "all" in listed else tuple(listed)


async def _cancel_all(request: web.Request) -> web.Response:
    venue = _ready(request)
    venue.states.begin_stuck_cancels(f"{request.method} {request.path}")
    exchange = venue.exchange
    rows = [
        {
            "id": result.order_id,
            "status": result.http_status,
            "body": _cancelled(exchange, result.order_id, result.order),
        }
        for result in exchange.cancel_all()
    ]
    return json_answer(rows, status=207)


async def _order_by_client_id(request: web.Request) -> web.Response:
    client_order_id = Query(request.query, invalid).text("client_order_id")
    if not client_order_id:
        raise invalid("client_order_id is missing")
    return json_answer(order_json(_ready(request).exchange.order_by_client_id(client_order_id)))


async def _order(request: web.Request) -> web.Response:
    is_nested = Query(request.query, invalid).flag("nested")
    exchange = _ready(request).exchange
    order = exchange.order(request.match_info["order_id"])
    return json_answer(_nested(exchange, order) if is_nested else order_json(order))


async def _replace(request: web.Request) -> web.Response:
    change = OrderChange.from_body(await read_object(request))
    exchange = _ready(request).exchange
    return json_answer(_nested(exchange, exchange.replace(request.match_info["order_id"], change)))


async def _cancel(request: web.Request) -> web.Response:
    venue = _ready(request)
    venue.states.begin_stuck_cancels(f"{request.method} {request.path}")
    venue.exchange.cancel(request.match_info["order_id"])
    return web.Response(status=204)


async def _positions(request: web.Request) -> web.Response:
    return json_answer([position_json(view) for view in _ready(request).exchange.positions()])


async def _position(request: web.Request) -> web.Response:
    return json_answer(position_json(_ready(request).exchange.position(request.match_info["symbol"])))


async def _close_all(request: web.Request) -> web.Response:
    cancel_orders = Query(request.query, invalid).flag("cancel_orders")
    exchange = _ready(request).exchange
    results = exchange.close_all(cancel_orders=cancel_orders)
    return json_answer([_close_json(exchange, result) for result in results], status=207)


def _close_json(exchange: Exchange, result: CloseResult) -> Json:
    """One entry of a close-all; a refusal inside the 207 has its error object as body (reference 3.3)."""
    if result.refusal is not None:
        body: Json = result.refusal.body()
    else:
        assert result.order is not None, f"{result.symbol}: expected an order or a refusal"
        body = _cancelled(exchange, result.symbol, result.order)
    # A pair is named as its position is, without the slash (reference 3.2).
    return {"symbol": result.symbol.replace("/", ""), "status": result.http_status, "body": body}


async def _close(request: web.Request) -> web.Response:
    query = Query(request.query, invalid)
    try:
        qty, percentage = parse_number(query.text("qty")), parse_number(query.text("percentage"))
    except ValueError:
        raise invalid("qty and percentage must be numbers") from None
    if qty is not None and percentage is not None:
        raise invalid("only one of qty or percentage is accepted")
    symbol = request.match_info["symbol"]
    return json_answer(order_json(_ready(request).exchange.close_position(symbol, qty=qty, percentage=percentage)))


def _cancelled(exchange: Exchange, order_id: str, order: SimOrder) -> Json:
    """An order in a list of cancels: of a leg its parent with all legs, any other one alone (recorded 2021-06-17)."""
    return order_json(order) if order.id == order_id else _nested(exchange, order)


def _nested(exchange: Exchange, order: SimOrder) -> Json:
    """An order with its legs rolled up into it."""
    return order_json(order, exchange.legs(order))


def _ready(request: web.Request) -> Venue:
    """The venue, played up to now: a body may have taken its time to arrive."""
    venue = request.app[VENUE]
    venue.catch_up()
    return venue
