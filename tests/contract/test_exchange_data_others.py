"""Corporate actions, news, screeners, letters and what is not here. Every answer is judged by Alpaca's schemas."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.corporate_actions import ActionKind, CorporateAction
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import call, client_of, served
from tests.contract.openapi_support import document_of, needs_specifications
from tests.support.scripted_market import ScriptedMarket
from tests.support.scripted_venue import scripted_exchange

pytestmark = pytest.mark.asyncio

TODAY = date(2024, 6, 14)
NOW_NS = Nanos(new_york_ns(TODAY, 12))
RATES: dict[ActionKind, dict[str, Any]] = {
    "cash_dividend": {"cash": Decimal("0.25")},
    "forward_split": {"old_rate": Decimal(1), "new_rate": Decimal(3)},
    "reverse_split": {"old_rate": Decimal(8), "new_rate": Decimal(1), "new_cusip": "000000009"},
    "name_change": {"new_symbol": "NEW", "new_cusip": "000000008"},
    "stock_dividend": {"rate": Decimal("0.05")},
    "spin_off": {"old_rate": Decimal(1), "new_rate": Decimal("0.2"), "new_symbol": "CHILD", "new_cusip": "000000007"},
}


def action(number: int, kind: ActionKind = "cash_dividend", symbol: str = "AAA", **fields: Any) -> CorporateAction:
    day = fields.pop("day", TODAY)
    return CorporateAction(
        id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, symbol=symbol, ex_date=day, process_date=day,
        cusip=f"{number:09d}", **RATES[kind], **fields,
    )  # fmt: skip


@asynccontextmanager
async def acting(*actions: CorporateAction) -> AsyncIterator[tuple[RunningExchange, aiohttp.ClientSession]]:
    market = ScriptedMarket(("AAA", "BBB"), start_ns=NOW_NS)
    market.announce(*actions)
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        yield exchange, session


async def ids_of(session: aiohttp.ClientSession, query: str = "") -> list[int]:
    status, page = await call(session, "GET", f"/v1/corporate-actions?{query}")
    assert status == 200, page
    return [int(row["id"][-12:]) for rows in page["corporate_actions"].values() for row in rows]


# --- corporate actions


async def test_every_kind_of_action_has_the_list_and_the_keys_of_its_schema():
    every = [action(number, kind, record_date=TODAY, payable_date=TODAY) for number, kind in enumerate(RATES)]
    async with acting(*every) as (_, session):
        _, page = await call(session, "GET", "/v1/corporate-actions")
    assert {name: len(rows) for name, rows in page["corporate_actions"].items()} == {
        "cash_dividends": 1, "forward_splits": 1, "reverse_splits": 1, "name_changes": 1, "stock_dividends": 1,
        "spin_offs": 1,
    }  # fmt: skip
    assert page["corporate_actions"]["cash_dividends"] == [
        {
            "id": every[0].id, "currency": "USD", "process_date": "2024-06-14", "symbol": "AAA", "cusip": "000000000",
            "rate": 0.25, "special": False, "foreign": False, "ex_date": "2024-06-14", "record_date": "2024-06-14",
            "payable_date": "2024-06-14",
        }
    ]  # fmt: skip
    assert page["corporate_actions"]["spin_offs"][0]["new_rate"] == 0.2


async def test_actions_are_found_by_type_symbol_cusip_day_region_and_id():
    found = (
        action(1), action(2, "forward_split", day=date(2024, 6, 20)), action(3, symbol="BBB", day=date(2024, 6, 1)),
        action(4, "name_change", symbol="BBB"),
    )  # fmt: skip
    async with acting(*found) as (_, session):
        assert await ids_of(session) == [1, 4]  # the running day
        span = "start=2024-06-01&end=2024-06-30"
        assert await ids_of(session, span) == [3, 1, 4, 2]
        assert await ids_of(session, f"{span}&types=forward_split,name_change") == [4, 2]
        assert await ids_of(session, f"{span}&types=cash_merger") == []
        assert await ids_of(session, f"{span}&symbols=AAA") == [1, 2]
        assert await ids_of(session, f"{span}&symbols=NEW") == [4]
        assert await ids_of(session, f"{span}&cusips=000000003,000000008") == [3, 4]
        assert await ids_of(session, f"{span}&region=non_us") == []
        assert await ids_of(session, "start=0001-01-01&end=9999-12-31") == [3, 1, 4, 2]
        assert await ids_of(session, f"ids={found[1].id}") == [2]
        for query, message in (
            (f"ids={found[1].id}&symbols=AAA", "ids is mutually exclusive with all other filters"),
            ("types=gift", "invalid type: gift"),
            ("start=2024-06-02&end=2024-06-01", "end should not be before start"),
            ("limit=1001", "invalid limit: larger than the allowed maximum of 1000"),
        ):
            assert await call(session, "GET", f"/v1/corporate-actions?{query}") == (400, {"message": message})


@pytest.mark.parametrize(("sort", "order"), [("asc", [1, 2, 3, 4, 5]), ("desc", [5, 4, 3, 2, 1])])
async def test_pages_of_actions_follow_the_day_of_processing(sort, order):
    days = [date(2024, 6, day) for day in (3, 4, 4, 4, 5)]
    async with acting(*(action(number, day=day) for number, day in enumerate(days, start=1))) as (_, session):
        found: list[int] = []
        token = ""
        while token is not None:
            path = f"/v1/corporate-actions?start=2024-06-01&sort={sort}&limit=2&page_token={token}"
            _, page = await call(session, "GET", path)
            found += [int(row["id"][-12:]) for row in page["corporate_actions"]["cash_dividends"]]
            token = page["next_page_token"]
    assert found == order


# --- their stream


async def read_events(answer: aiohttp.ClientResponse, count: int) -> list[Any]:
    events: list[Any] = []
    async with asyncio.timeout(5):
        while len(events) < count:
            line = await answer.content.readline()
            if line.startswith(b"data:"):
                events.append(json.loads(line[5:]))
    return events


async def rest_of(answer: aiohttp.ClientResponse) -> list[Any]:
    """The events until the stream ends."""
    async with asyncio.timeout(5):
        content = await answer.read()
    return [json.loads(line[5:]) for line in content.splitlines() if line.startswith(b"data:")]


PATH = "/v1beta1/events/corporate-actions"
DECLARED: Sequence[CorporateAction] = (
    action(1, declared_date=date(2024, 6, 3)),
    action(2, "forward_split", declared_date=date(2024, 6, 5)),
    action(3, "spin_off", declared_date=date(2024, 6, 7)),
)


@needs_specifications
async def test_the_stream_replays_what_is_known_in_the_form_of_its_schema():
    import jsonschema

    every = [action(number, kind, declared_date=date(2024, 6, 3)) for number, kind in enumerate(RATES)]
    async with acting(*every) as (_, session), session.get(f"{PATH}?since=2024-06-01T00:00:00Z") as answer:
        assert answer.content_type == "text/event-stream"
        events = await read_events(answer, len(every))
    document = document_of("market_data")
    schema = {"$ref": "#/components/schemas/corporate_action_event", "components": document["components"]}
    for event in events:
        jsonschema.Draft202012Validator(schema).validate(event)
    assert [event["event_id"] for event in events] == sorted(event["event_id"] for event in events)
    assert {event["at"] for event in events} == {"2024-06-03T04:00:00Z"}


async def test_a_stream_is_resumed_by_id_filtered_by_type_and_ends_where_it_is_told_to():
    async with acting(*DECLARED) as (_, session):
        async with session.get(f"{PATH}?since=2024-06-01T00:00:00Z&until=2024-06-06T00:00:00Z") as answer:
            first = await rest_of(answer)
        assert [event["event_type"] for event in first] == [
            "cash_dividend_corporateaction_event", "forward_split_corporateaction_event",
        ]  # fmt: skip
        again = f"{PATH}?since_id={first[1]['event_id']}&until_id={first[1]['event_id']}"
        async with session.get(again) as answer:
            assert await rest_of(answer) == first[1:]
        async with session.get(PATH, headers={"Last-Event-Id": first[1]["event_id"]}) as answer:
            resumed = await read_events(answer, 2)
        assert resumed[0] == first[1]
        async with session.get(f"{PATH}?since=2024-06-01T00:00:00Z&type=spin_off_corporateaction_event") as answer:
            assert [event["ca"]["new_symbol"] for event in await read_events(answer, 1)] == ["CHILD"]


async def test_an_action_is_told_live_when_it_becomes_known():
    async with acting(*DECLARED) as (exchange, session), session.get(PATH) as answer:
        await answer.content.readline()
        market = exchange.venue.market
        assert isinstance(market, ScriptedMarket)
        market.announce(action(9, declared_date=TODAY))
        await exchange.step(120)
        (event,) = await read_events(answer, 1)
    assert event["ca"]["id"].endswith("9")


async def test_an_announced_action_is_listed_and_streamed_and_moves_no_price():
    day = date(2024, 6, 3)
    async with served(symbols=("AAPL",)) as (exchange, session), session.get(PATH) as answer:
        await answer.content.readline()
        bars = "/v2/stocks/AAPL/bars?timeframe=1Day&start=2024-05-20&adjustment=split"
        _, before = await call(session, "GET", bars)
        exchange.exchange.announce(action(1, "forward_split", "AAPL", day=day))
        assert await ids_of(session) == [1]
        await exchange.step(120)
        (event,) = await read_events(answer, 1)
        _, after = await call(session, "GET", bars)
    assert event["ca"]["new_rate"] == "3"
    assert [bar["c"] for bar in after["bars"][:-1]] == [bar["c"] for bar in before["bars"][:-1]]


@pytest.mark.parametrize(
    "query",
    ["type=gift", "region=moon", "until=2024-06-01T00:00:00Z", "since=noon", "since_id=x", "until_id=x",
     "since=2024-06-01T00:00:00Z&until=2030-01-01T00:00:00Z"],
)  # fmt: skip
async def test_a_stream_that_makes_no_sense_is_a_400(query):
    async with acting() as (_, session), session.get(f"{PATH}?{query}") as answer:
        assert answer.status == 400
        assert list(await answer.json(content_type=None)) == ["message"]


# --- news


async def test_news_are_reports_of_closes_and_say_what_they_are():
    async with served(start="2024-06-05T12:00") as (exchange, session):
        _, page = await call(session, "GET", "/v1beta1/news")
        assert len(page["news"]) == 10
        assert [row["updated_at"] for row in page["news"]] == sorted(
            (row["updated_at"] for row in page["news"]), reverse=True
        )
        assert page["news"][0]["updated_at"] == "2024-06-04T20:05:00Z"
        _, bars = await call(session, "GET", "/v2/stocks/SPY/bars?timeframe=1Day&start=2024-06-04&end=2024-06-04")
        article = page["news"][0]
        assert article["headline"].startswith(f"SYNTHETIC: SPY closes at {bars['bars'][0]['c']:.2f}")
        assert (article["source"], article["author"], article["symbols"]) == ("synthetic", "SYNTHETIC", ["SPY"])
        await exchange.jump_to("2024-06-05T15:59:59")
        assert (await call(session, "GET", "/v1beta1/news"))[1] == page
        await exchange.jump_to("2024-06-06T09:31")
        assert (await call(session, "GET", "/v1beta1/news"))[1]["news"][0]["updated_at"] == "2024-06-05T20:05:00Z"


async def test_pages_of_news_join_to_the_whole():
    async with served(start="2024-06-05T12:00") as (_, session):
        path = "/v1beta1/news?start=2024-05-20&symbols=AAPL,SPY,BTCUSD"
        for sort in ("asc", "desc"):
            _, whole = await call(session, "GET", f"{path}&sort={sort}&limit=50")
            found: list[int] = []
            token = ""
            while token is not None:
                _, page = await call(session, "GET", f"{path}&sort={sort}&limit=3&page_token={token}")
                found += [row["id"] for row in page["news"]]
                token = page["next_page_token"]
            assert found == [row["id"] for row in whole["news"]]
            assert len(set(found)) == len(found) == 22
        assert await call(session, "GET", "/v1beta1/news?symbols=BTCUSD") == (
            200, {"news": [], "next_page_token": None},
        )  # fmt: skip
        assert (await call(session, "GET", "/v1beta1/news?limit=51"))[0] == 400


async def test_the_path_of_news_is_a_stream_for_those_who_ask_for_one():
    async with served() as (_, session), session.ws_connect("/v1beta1/news") as socket:
        assert json.loads((await socket.receive()).data) == [{"T": "success", "msg": "connected"}]


# --- screeners


def day_bar(symbol: str, day: date, close: float, volume: float, trades: int) -> SimBar:
    return SimBar(symbol, close, close, close, close, volume, new_york_ns(day), trades, close)


async def test_the_most_active_and_the_movers_are_those_of_the_newest_daily_bars():
    market = ScriptedMarket(("AAA", "BBB", "CCC", "BTC/USD"), start_ns=NOW_NS)
    for symbol, before, now, volume, trades in (
        ("AAA", 100.0, 110.0, 500.0, 9), ("BBB", 50.0, 45.0, 900.0, 3), ("CCC", 90.0, 31.0, 100.0, 5),
        ("BTC/USD", 60_000.0, 60_600.0, 1.5, 7),
    ):  # fmt: skip
        market.remember("day", day_bar(symbol, date(2024, 6, 13), before, 1.0, 1))
        market.remember("day", day_bar(symbol, TODAY, now, volume, trades))
    market.announce(action(1, "forward_split", symbol="CCC"))  # three for one: 90 was worth 30
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        _, by_volume = await call(session, "GET", "/v1beta1/screener/stocks/most-actives?top=2")
        _, by_trades = await call(session, "GET", "/v1beta1/screener/stocks/most-actives?by=trades")
        _, stocks = await call(session, "GET", "/v1beta1/screener/stocks/movers")
        _, crypto = await call(session, "GET", "/v1beta1/screener/crypto/movers?top=1")
        for path in ("stocks/most-actives?top=101", "stocks/movers?top=51", "bonds/movers", "stocks/most-actives?by=x"):
            assert (await call(session, "GET", f"/v1beta1/screener/{path}"))[0] == 400
    assert by_volume == {
        "most_actives": [
            {"symbol": "BBB", "volume": 900, "trade_count": 3}, {"symbol": "AAA", "volume": 500, "trade_count": 9},
        ],
        "last_updated": "2024-06-14T16:00:00Z",
    }  # fmt: skip
    assert [row["symbol"] for row in by_trades["most_actives"]] == ["AAA", "CCC", "BBB"]
    assert stocks["gainers"] == [
        {"symbol": "AAA", "percent_change": 10.0, "change": 10.0, "price": 110.0},
        {"symbol": "CCC", "percent_change": 3.33, "change": 1.0, "price": 31.0},
    ]
    assert stocks["losers"] == [{"symbol": "BBB", "percent_change": -10.0, "change": -5.0, "price": 45.0}]
    assert crypto["gainers"] == [{"symbol": "BTC/USD", "percent_change": 1.0, "change": 600.0, "price": 60_600.0}]
    assert (crypto["losers"], crypto["market_type"]) == ([], "crypto")


# --- letters, and what is not here


async def test_the_letters_on_prints_and_quotes_have_names():
    async with served(symbols=("AAPL", "JPM")) as (exchange, session):
        await exchange.step(300)
        _, exchanges = await call(session, "GET", "/v2/stocks/meta/exchanges")
        for symbol, tape in (("AAPL", "C"), ("JPM", "A")):
            _, names = await call(session, "GET", f"/v2/stocks/meta/conditions/trade?tape={tape}")
            _, page = await call(session, "GET", f"/v2/stocks/{symbol}/trades?limit=10000")
            assert {row["z"] for row in page["trades"]} == {tape}
            assert {row["x"] for row in page["trades"]} <= set(exchanges)
            assert names
            _, names = await call(session, "GET", f"/v2/stocks/meta/conditions/quote?tape={tape}")
            _, page = await call(session, "GET", f"/v2/stocks/{symbol}/quotes?limit=1000")
            assert {letter for row in page["quotes"] for letter in row["c"]} <= set(names)
        for path in ("conditions/trade", "conditions/trade?tape=Q", "conditions/gossip?tape=A"):
            assert (await call(session, "GET", f"/v2/stocks/meta/{path}"))[0] == 400


@pytest.mark.parametrize(
    "path",
    ["/v1beta1/options/bars?symbols=AAPL241220C00300000&timeframe=1Day", "/v1beta1/options/snapshots/AAPL",
     "/v1beta1/options/meta/exchanges", "/v1beta1/forex/latest/rates?currency_pairs=USDJPY", "/v1beta1/logos/AAPL"],
)  # fmt: skip
async def test_what_is_not_here_is_refused_as_a_permission_that_lacks(path):
    async with served() as (_, session):
        status, error = await call(session, "GET", path)
    assert (status, error["message"]) == (403, "forbidden.")
