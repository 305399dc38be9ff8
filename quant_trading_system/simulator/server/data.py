"""The market-data interface: where each of its parts is found. Decides nothing."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.server.data_actions import add_action_routes
from quant_trading_system.simulator.server.data_crypto import add_crypto_routes
from quant_trading_system.simulator.server.data_meta import add_meta_routes
from quant_trading_system.simulator.server.data_news import add_news_routes
from quant_trading_system.simulator.server.data_screener import add_screener_routes
from quant_trading_system.simulator.server.data_stocks import add_stock_routes


def add_data_routes(router: web.UrlDispatcher) -> None:
    add_stock_routes(router)
    add_meta_routes(router)
    add_crypto_routes(router)
    add_action_routes(router)
    add_news_routes(router)
    add_screener_routes(router)
