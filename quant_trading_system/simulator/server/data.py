"""The market-data interface: where each of its parts is found. Decides nothing."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.server.data_stocks import add_stock_routes


def add_data_routes(router: web.UrlDispatcher) -> None:
    add_stock_routes(router)
