"""The listener's routes in one place. Decides which path is whose; anything else is a 404 in JSON."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.server.account import add_account_routes
from quant_trading_system.simulator.server.announcements import add_announcement_routes
from quant_trading_system.simulator.server.assets import add_asset_routes
from quant_trading_system.simulator.server.control import add_control_routes
from quant_trading_system.simulator.server.data import add_data_routes
from quant_trading_system.simulator.server.data_news import NEWS_PATH
from quant_trading_system.simulator.server.event_streams import ACTIVITIES_PATH, TRADES_PATH
from quant_trading_system.simulator.server.exclusions import add_exclusions
from quant_trading_system.simulator.server.feeds import FEEDS
from quant_trading_system.simulator.server.market_hours import add_hours_routes
from quant_trading_system.simulator.server.middleware import guard, sign
from quant_trading_system.simulator.server.trading import add_trading_routes
from quant_trading_system.simulator.server.venue import VENUE, Venue

REQUEST_BYTES_MAX = 1_024 * 1_024  # a fault plan of a hundred rules is 20 kB


def make_app(venue: Venue) -> web.Application:
    """The web application of one venue."""
    app = web.Application(middlewares=[guard], client_max_size=REQUEST_BYTES_MAX)
    app[VENUE] = venue
    app.on_response_prepare.append(sign)
    add_trading_routes(app.router)
    add_account_routes(app.router)
    add_asset_routes(app.router)
    add_hours_routes(app.router)
    add_announcement_routes(app.router)
    add_data_routes(app.router)
    add_control_routes(app.router)
    add_exclusions(app.router)
    app.router.add_get("/stream", venue.trade_stream.handle)
    app.router.add_get(TRADES_PATH, venue.event_streams.handler(venue.order_events))
    app.router.add_get(ACTIVITIES_PATH, venue.event_streams.handler(venue.activity_events))
    for path in FEEDS:
        if path != NEWS_PATH:  # which answers both: the stream, and the articles over REST
            app.router.add_get(path, venue.data_stream.handle)
    return app
