"""Assets and watchlists over REST (reference 5.3, 6.3)."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.server.account_wire import watchlist_json
from quant_trading_system.simulator.server.asset_wire import asset_json
from quant_trading_system.simulator.server.bodies import read_object
from quant_trading_system.simulator.server.errors import json_answer
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.query import Query
from quant_trading_system.simulator.server.venue import VENUE, Venue
from quant_trading_system.simulator.watchlists import Watchlist

_BY_NAME = "/v2/watchlists:by_name"
_BY_ID = "/v2/watchlists/{watchlist_id}"


def add_asset_routes(router: web.UrlDispatcher) -> None:
    """Register `/v2/assets` and `/v2/watchlists`; a list's verbs are the same by id and by name."""
    router.add_get("/v2/assets", _assets)
    router.add_get("/v2/assets/{name}", _asset)
    router.add_get("/v2/watchlists", _watchlists)
    router.add_post("/v2/watchlists", _create)
    for path in (_BY_NAME, _BY_ID):
        router.add_get(path, _watchlist)
        router.add_put(path, _update)
        router.add_post(path, _add)
        router.add_delete(path, _delete)
        router.add_delete(f"{path}/{{symbol}}", _remove)


async def _assets(request: web.Request) -> web.Response:
    """Sorted by class, exchange and symbol; without a status the inactive ones are among them."""
    query = Query(request.query, invalid)
    status, asset_class = query.text("status"), query.text("asset_class", "us_equity")
    exchange, attributes = query.text("exchange"), set(query.names("attributes"))
    found = [
        asset
        for asset in request.app[VENUE].exchange.assets()
        if status in ("", asset.status)
        and asset.asset_class == asset_class
        and exchange in ("", asset.exchange)
        and (not attributes or not attributes.isdisjoint(asset.attributes))
    ]
    found.sort(key=lambda asset: (asset.asset_class, asset.exchange, asset.symbol))
    return json_answer([asset_json(asset) for asset in found])


async def _asset(request: web.Request) -> web.Response:
    return json_answer(asset_json(request.app[VENUE].exchange.asset(request.match_info["name"])))


async def _watchlists(request: web.Request) -> web.Response:
    exchange = request.app[VENUE].exchange
    number = exchange.settings.account_number
    return json_answer([watchlist_json(item, number) for item in exchange.watchlists.all()])


async def _create(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    body = await read_object(request)
    return json_answer(_with_assets(venue, venue.exchange.watchlists.create(body, venue.exchange.now_ns)))


async def _watchlist(request: web.Request) -> web.Response:
    return json_answer(_with_assets(request.app[VENUE], _found(request)))


async def _update(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    body = await read_object(request)
    return json_answer(
        _with_assets(venue, venue.exchange.watchlists.update(_found(request), body, venue.exchange.now_ns))
    )


async def _add(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    body = await read_object(request)
    return json_answer(_with_assets(venue, venue.exchange.watchlists.add(_found(request), body)))


async def _remove(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    symbol: str = request.match_info["symbol"]
    return json_answer(_with_assets(venue, venue.exchange.watchlists.remove(_found(request), symbol)))


async def _delete(request: web.Request) -> web.Response:
    request.app[VENUE].exchange.watchlists.delete(_found(request))
    return web.Response(status=204)


def _found(request: web.Request) -> Watchlist:
    """The list that path or query names."""
    watchlists = request.app[VENUE].exchange.watchlists
    watchlist_id: str | None = request.match_info.get("watchlist_id")
    if watchlist_id is not None:
        return watchlists.find(watchlist_id=watchlist_id)
    name = Query(request.query, invalid).text("name")
    if not name:
        raise invalid("watchlist is required")
    return watchlists.find(name=name)


def _with_assets(venue: Venue, watchlist: Watchlist) -> Json:
    exchange = venue.exchange
    return {
        **watchlist_json(watchlist, exchange.settings.account_number),
        "assets": [asset_json(asset) for asset in exchange.watchlists.assets(watchlist)],
    }
