"""Every operation of Alpaca's two specifications is asked once, with something to say, and its answer judged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.conformance_tables import is_excluded
from tests.contract.exchange_support import Json, call, served, submit
from tests.contract.openapi_support import FOLDER, Operation, judge, needs_specifications, operation_of, operations

pytestmark = [pytest.mark.asyncio, needs_specifications]

STREAMED = {"GET /v2beta1/events/activities", "GET /v1beta1/events/corporate-actions"}
DAY = "start=2024-06-03&end=2024-06-04"
DAYS = "start=2024-05-28&end=2024-06-04"
STOCKS = "symbols=AAPL,SPY"
COINS = "symbols=BTC%2FUSD,ETH%2FUSD"


@dataclass(frozen=True, slots=True)
class Row:
    """One request; names in braces are known to the world that `prepared` makes."""

    method: str
    path: str
    body: Json = None
    status: int = 200
    may_be_empty: bool = False


ORDER = {"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
LIST = {"name": "another", "symbols": ["AAPL", "BTC/USD"]}

ROWS = (
    # --- trading
    Row("GET", "/v2/account"),
    Row("GET", "/v2/account/activities"),
    Row("GET", "/v2/account/activities/FILL"),
    Row("GET", "/v2/account/configurations"),
    Row("PATCH", "/v2/account/configurations", {"trade_confirm_email": "none"}),
    Row("GET", "/v2/account/portfolio/history"),
    Row("GET", "/v2/assets"),
    Row("GET", "/v2/assets/AAPL"),
    Row("GET", "/v2/calendar?start=2024-06-01&end=2024-07-08"),
    Row("GET", "/v2/clock"),
    Row("GET", "/v3/calendar/NYSE?start=2024-06-03&end=2024-06-07"),
    Row("GET", "/v3/clock?markets=NYSE,NASDAQ"),
    Row("GET", "/v2/corporate_actions/announcements?ca_types=dividend&since=2024-04-01&until=2024-06-28"),
    Row("GET", "/v2/corporate_actions/announcements/{announcement}"),
    Row("GET", "/v2/orders?status=all&nested=true"),
    Row("POST", "/v2/orders", ORDER),
    Row("DELETE", "/v2/orders", status=207),
    Row("GET", "/v2/orders/{bracket}?nested=true"),
    Row("PATCH", "/v2/orders/{resting}", {"qty": "2"}),
    Row("DELETE", "/v2/orders/{resting}", status=204, may_be_empty=True),
    Row("GET", "/v2/orders:by_client_order_id?client_order_id=resting"),
    Row("GET", "/v2/positions"),
    Row("DELETE", "/v2/positions?cancel_orders=true", status=207),
    Row("GET", "/v2/positions/MSFT"),
    Row("GET", "/v2/positions/BTCUSD"),
    Row("DELETE", "/v2/positions/MSFT?percentage=50"),
    Row("GET", "/v2/watchlists"),
    Row("POST", "/v2/watchlists", LIST),
    Row("GET", "/v2/watchlists/{watchlist}"),
    Row("PUT", "/v2/watchlists/{watchlist}", LIST),
    Row("POST", "/v2/watchlists/{watchlist}", {"symbol": "SPY"}),
    Row("DELETE", "/v2/watchlists/{watchlist}", status=204, may_be_empty=True),
    Row("DELETE", "/v2/watchlists/{watchlist}/AAPL"),
    Row("GET", "/v2/watchlists:by_name?name=mine"),
    Row("PUT", "/v2/watchlists:by_name?name=mine", LIST),
    Row("POST", "/v2/watchlists:by_name?name=mine", {"symbol": "SPY"}),
    Row("DELETE", "/v2/watchlists:by_name?name=mine", status=204, may_be_empty=True),
    # --- market data of stocks
    Row("GET", f"/v2/stocks/bars?{STOCKS}&{DAY}&timeframe=1Min"),
    Row("GET", f"/v2/stocks/bars?{STOCKS}&{DAYS}&timeframe=1Day&adjustment=all"),
    Row("GET", f"/v2/stocks/AAPL/bars?{DAY}&timeframe=5Min"),
    Row("GET", f"/v2/stocks/bars/latest?{STOCKS}"),
    Row("GET", "/v2/stocks/AAPL/bars/latest"),
    Row("GET", f"/v2/stocks/trades?{STOCKS}&{DAY}"),
    Row("GET", f"/v2/stocks/AAPL/trades?{DAY}"),
    Row("GET", f"/v2/stocks/trades/latest?{STOCKS}"),
    Row("GET", "/v2/stocks/AAPL/trades/latest"),
    Row("GET", f"/v2/stocks/quotes?{STOCKS}&{DAY}"),
    Row("GET", f"/v2/stocks/AAPL/quotes?{DAY}"),
    Row("GET", f"/v2/stocks/quotes/latest?{STOCKS}"),
    Row("GET", "/v2/stocks/AAPL/quotes/latest"),
    Row("GET", f"/v2/stocks/snapshots?{STOCKS}"),
    Row("GET", "/v2/stocks/AAPL/snapshot"),
    Row("GET", f"/v2/stocks/auctions?{STOCKS}&{DAYS}"),
    Row("GET", f"/v2/stocks/AAPL/auctions?{DAYS}"),
    Row("GET", "/v2/stocks/meta/conditions/trade?tape=A"),
    Row("GET", "/v2/stocks/meta/conditions/quote?tape=C"),
    Row("GET", "/v2/stocks/meta/exchanges"),
    Row("GET", "/v1/corporate-actions?symbols=AAPL,MSFT,SPY&start=2024-01-01&end=2024-06-28"),
    Row("GET", "/v1beta1/screener/stocks/most-actives?top=2"),
    Row("GET", "/v1beta1/screener/stocks/movers?top=2"),
    Row("GET", "/v1beta1/screener/crypto/movers?top=2"),
    Row("GET", "/v1beta1/news?symbols=AAPL", may_be_empty=True),
    # --- market data of crypto
    Row("GET", f"/v1beta3/crypto/us/bars?{COINS}&{DAY}&timeframe=1Hour"),
    Row("GET", f"/v1beta3/crypto/us/trades?{COINS}&{DAY}"),
    Row("GET", f"/v1beta3/crypto/us/quotes?{COINS}&{DAY}"),
    Row("GET", f"/v1beta3/crypto/us/latest/bars?{COINS}"),
    Row("GET", f"/v1beta3/crypto/us/latest/trades?{COINS}"),
    Row("GET", f"/v1beta3/crypto/us/latest/quotes?{COINS}"),
    Row("GET", f"/v1beta3/crypto/us/latest/orderbooks?{COINS}"),
    Row("GET", f"/v1beta3/crypto/us/snapshots?{COINS}"),
)


@asynccontextmanager
async def prepared() -> AsyncIterator[tuple[RunningExchange, aiohttp.ClientSession, dict[str, str]]]:
    """An exchange with fills, positions, resting orders, a bracket, a watchlist; and the ids of some."""
    async with served() as (exchange, session):
        await submit(session, symbol="MSFT", qty="4")
        await submit(session, symbol="BTC/USD", qty="0.1", time_in_force="gtc")
        exits = {"take_profit": {"limit_price": "9000"}, "stop_loss": {"stop_price": "1.5"}}
        _, bracket = await submit(session, order_class="bracket", **exits)
        await exchange.step(300)
        _, resting = await submit(
            session, symbol="SPY", type="limit", limit_price="1", time_in_force="gtc", client_order_id="resting"
        )
        await exchange.step(1)
        _, watchlist = await call(session, "POST", "/v2/watchlists", {"name": "mine", "symbols": ["AAPL"]})
        announced = "/v2/corporate_actions/announcements?ca_types=dividend&since=2024-04-01&until=2024-06-28"
        _, announcements = await call(session, "GET", announced)
        ids = {
            "bracket": bracket["id"],
            "resting": resting["id"],
            "watchlist": watchlist["id"],
            "announcement": announcements[0]["id"],
        }
        yield exchange, session, ids


def operation_asked(row: Row) -> Operation:
    operation = operation_of(row.method, row.path.partition("?")[0])
    assert operation is not None, f"{row.method} {row.path}: expected an operation of a specification"
    return operation


def test_no_operation_is_forgotten():
    asked = {operation_asked(row).name for row in ROWS}
    known = {operation.name for operation in operations() if not is_excluded(operation.template)}
    assert known - asked == STREAMED


@pytest.mark.parametrize("row", ROWS if FOLDER.is_dir() else (), ids=lambda row: f"{row.method} {row.path}")
async def test_an_operation_answers_in_the_form_of_its_schema(row: Row):
    async with prepared() as (_, session, ids):
        path = row.path.format(**ids)
        async with session.request(row.method, path, json=row.body) as answer:
            content = await answer.read()
    assert answer.status == row.status, content[:300]
    judge(operation_asked(row), answer.status, content)
    assert row.may_be_empty or content.strip() not in (b"", b"[]", b"{}"), "expected something in the answer"
