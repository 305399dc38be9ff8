"""What the letters in market data mean: conditions by tape, exchanges. Decides nothing."""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.conditions import EXCHANGES, QUOTE_CONDITIONS, TAPES, TRADE_CONDITIONS
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.data_rows import data_answer
from quant_trading_system.simulator.server.errors import invalid_data

_CONDITIONS = {"trade": TRADE_CONDITIONS, "quote": QUOTE_CONDITIONS}


def add_meta_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/stocks/meta/conditions/{ticktype}", _conditions)
    router.add_get("/v2/stocks/meta/exchanges", _exchanges)


async def _conditions(request: web.Request) -> web.Response:
    of_tape = _CONDITIONS.get(request.match_info["ticktype"])
    if of_tape is None:
        raise invalid_data(f"invalid ticktype: {request.match_info['ticktype']}")
    tape = DataQuery(request.query).required("tape")
    if tape not in TAPES:
        raise invalid_data(f"invalid tape: {tape}")
    return data_answer(of_tape[tape])


async def _exchanges(_request: web.Request) -> web.Response:
    return data_answer(EXCHANGES)
