"""Stocks over REST: pages, names, adjustments, feeds, latest values. Every answer is judged by Alpaca's schemas."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.market.source import DayAuctions
from quant_trading_system.simulator.server.data_plan import DataPlan
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.stamps import parse_instant
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import call, client_of, served
from tests.support.scripted_market import ScriptedMarket
from tests.support.scripted_venue import scripted_exchange

pytestmark = pytest.mark.asyncio

MINUTE_NS = 60_000_000_000
SPLIT_DAY, RENAMED_DAY, TODAY = date(2024, 6, 10), date(2024, 6, 12), date(2024, 6, 14)
NOW_NS = Nanos(new_york_ns(TODAY, 12))


def daily(symbol: str, day: date, close: float, volume: float = 1_000.0) -> SimBar:
    return SimBar(symbol, close, close, close, close, volume, new_york_ns(day), 10, close)


def trade(symbol: str, ts_ns: int, number: int = 1) -> SimTrade:
    return SimTrade(symbol, 100.0, 10.0, ts_ns, "V", number)


def company() -> ScriptedMarket:
    """OLD splits two for one, pays a dollar, and is called NEW afterwards."""
    market = ScriptedMarket(("NEW", "OTHER"), start_ns=NOW_NS, last_close=100.0)
    market.announce(
        CorporateAction(
            id="11111111-1111-4111-8111-111111111111", kind="forward_split", symbol="OLD", ex_date=SPLIT_DAY,
            process_date=SPLIT_DAY, old_rate=Decimal(1), new_rate=Decimal(2), cusip="000000001",
        ),
        CorporateAction(
            id="22222222-2222-4222-8222-222222222222", kind="name_change", symbol="OLD", new_symbol="NEW",
            ex_date=RENAMED_DAY, process_date=RENAMED_DAY, cusip="000000001", new_cusip="000000002",
        ),
        CorporateAction(
            id="33333333-3333-4333-8333-333333333333", kind="cash_dividend", symbol="NEW", ex_date=date(2024, 6, 13),
            process_date=date(2024, 6, 28), cash=Decimal(1), cusip="000000002",
        ),
        CorporateAction(
            id="44444444-4444-4444-8444-444444444444", kind="reverse_split", symbol="NEW", ex_date=date(2024, 6, 17),
            process_date=date(2024, 6, 17), old_rate=Decimal(4), new_rate=Decimal(1), cusip="000000002",
            new_cusip="000000003",
        ),
    )  # fmt: skip
    market.remember("day", daily("OLD", date(2024, 6, 7), 200.0), daily("OLD", SPLIT_DAY, 100.0))
    market.remember("day", daily("OLD", date(2024, 6, 11), 101.0), daily("NEW", RENAMED_DAY, 100.0))
    market.remember("day", daily("NEW", date(2024, 6, 13), 99.0), daily("NEW", TODAY, 98.0))
    return market


@asynccontextmanager
async def renamed_company(**options: Any) -> AsyncIterator[tuple[RunningExchange, aiohttp.ClientSession]]:
    market = company()
    async with scripted_exchange(market, now_ns=NOW_NS, **options) as exchange, client_of(exchange) as session:
        yield exchange, session


async def closes(session: aiohttp.ClientSession, query: str) -> dict[str, list[float]]:
    status, page = await call(session, "GET", f"/v2/stocks/bars?timeframe=1Day&start=2024-06-01&{query}")
    assert status == 200, page
    return {symbol: [bar["c"] for bar in bars] for symbol, bars in page["bars"].items()}


# --- names and adjustments


async def test_data_of_an_earlier_name_are_told_under_the_name_of_the_day():
    of_old, of_new = [200.0, 100.0, 101.0], [100.0, 99.0, 98.0]
    async with renamed_company() as (_, session):
        assert await closes(session, "symbols=NEW") == {"NEW": of_old + of_new}
        assert await closes(session, "symbols=NEW&sort=desc") == {"NEW": (of_old + of_new)[::-1]}
        assert await closes(session, "symbols=NEW&asof=-") == {"NEW": of_new}
        assert await closes(session, "symbols=OLD") == {"OLD": of_old}
        assert await closes(session, "symbols=OLD&asof=2024-06-11") == {"OLD": of_old + of_new}
        assert await closes(session, "symbols=NEW&asof=2024-06-11") == {"NEW": of_new}


async def test_adjustments_are_done_as_they_are_asked_for_and_none_that_has_not_happened():
    async with renamed_company() as (_, session):
        raw = [200.0, 100.0, 101.0, 100.0, 99.0, 98.0]
        assert await closes(session, "symbols=NEW&adjustment=raw") == {"NEW": raw}
        split = [100.0, *raw[1:]]
        assert await closes(session, "symbols=NEW&adjustment=split") == {"NEW": split}
        dividend = [round(price * 0.99, 2) for price in raw[:4]] + raw[4:]
        assert await closes(session, "symbols=NEW&adjustment=dividend") == {"NEW": dividend}
        both = [round(price * 0.99, 2) for price in split[:4]] + split[4:]
        assert await closes(session, "symbols=NEW&adjustment=split,dividend") == {"NEW": both}
        assert await closes(session, "symbols=NEW&adjustment=all") == {"NEW": both}
        _, page = await call(session, "GET", "/v2/stocks/NEW/bars?timeframe=1Day&start=2024-06-01&adjustment=split")
        assert [bar["v"] for bar in page["bars"]] == [2_000, 1_000, 1_000, 1_000, 1_000, 1_000]


async def test_longer_bars_are_made_of_adjusted_ones():
    async with renamed_company() as (_, session):
        _, page = await call(session, "GET", "/v2/stocks/NEW/bars?timeframe=1Month&start=2024-06-01&adjustment=split")
    assert [(bar["t"], bar["o"], bar["h"], bar["v"]) for bar in page["bars"]] == [
        ("2024-06-01T04:00:00Z", 100.0, 101.0, 7_000)
    ]


async def test_ticks_follow_the_names_too():
    market = company()
    before, after = new_york_ns(date(2024, 6, 11), 10), new_york_ns(RENAMED_DAY, 10)
    market.say(trade("NEW", after))
    market._trades["OLD"] = [trade("OLD", before)]
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        await exchange.step(1)
        for sort, order in (("asc", [before, after]), ("desc", [after, before])):
            _, page = await call(session, "GET", f"/v2/stocks/NEW/trades?start=2024-06-01&sort={sort}&limit=2")
            assert [parse_instant(row["t"]) for row in page["trades"]] == order


# --- pages


async def test_pages_of_every_length_and_direction_join_to_the_whole():
    market = ScriptedMarket(("AAA", "BBB", "CCC"), start_ns=NOW_NS)
    begin_ns = new_york_ns(TODAY, 9, 30)
    for symbol in ("AAA", "CCC"):
        market.say(*(trade(symbol, begin_ns + number // 3 * MINUTE_NS, number) for number in range(20)))
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        await exchange.step(1)
        for sort in ("asc", "desc"):
            numbers = list(range(20)) if sort == "asc" else list(range(19, -1, -1))
            whole = [(symbol, number) for symbol in ("AAA", "CCC") for number in numbers]
            for limit in (1, 3, 7, 20, 39, 40, 41):
                query = f"/v2/stocks/trades?symbols=CCC,AAA,BBB&sort={sort}&limit={limit}"
                pages = await pages_of(session, query)
                assert [(symbol, row["i"]) for page in pages for symbol, rows in page.items() for row in rows] == whole
                assert all(sum(map(len, page.values())) <= limit for page in pages)
                assert all(page for page in pages)


async def pages_of(session: aiohttp.ClientSession, query: str) -> list[dict[str, list[Any]]]:
    pages: list[dict[str, list[Any]]] = []
    token = ""
    while True:
        status, page = await call(session, "GET", f"{query}&page_token={token}")
        assert status == 200, page
        pages.append(page["trades"])
        if page["next_page_token"] is None:
            return pages
        token = page["next_page_token"]
        assert len(pages) < 100


async def test_a_single_symbol_without_data_has_an_empty_list_and_of_many_it_is_absent():
    async with renamed_company() as (_, session):
        status, one = await call(session, "GET", "/v2/stocks/OTHER/bars?timeframe=1Day&start=2024-06-01")
        assert (status, one) == (200, {"bars": [], "symbol": "OTHER", "next_page_token": None})
        assert await closes(session, "symbols=OTHER,NOBODY") == {}


async def test_ten_thousand_rows_are_told_while_others_are_answered():
    async with served(symbols=("SPY",), start="2024-06-03T15:59") as (_, session):
        answered: list[float] = []

        async def ask_meanwhile() -> None:
            while True:
                began_s = time.monotonic()
                await call(session, "GET", "/v2/stocks/SPY/trades/latest")
                answered.append(time.monotonic() - began_s)

        other = asyncio.create_task(ask_meanwhile())
        _, page = await call(session, "GET", "/v2/stocks/trades?symbols=SPY&start=2024-05-01&limit=10000")
        other.cancel()
    assert len(page["trades"]["SPY"]) == 10_000
    assert page["next_page_token"]
    assert len(answered) >= 3, f"expected answers while the page was made, got {answered}"


# --- feeds, currency, the plan


async def test_feeds_without_a_market_are_empty_and_unknown_ones_are_refused():
    async with served() as (exchange, session):
        await exchange.step(60)
        path = "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&feed="
        assert (await call(session, "GET", path + "iex"))[1] == (await call(session, "GET", path + "sip"))[1]
        for feed in ("otc", "boats"):
            assert await call(session, "GET", path + feed) == (200, {"bars": {}, "next_page_token": None})
        for feed in ("delayed_sip", "overnight", "moon"):
            assert await call(session, "GET", path + feed) == (400, {"message": f"invalid feed: {feed}"})
        assert await call(session, "GET", "/v2/stocks/trades/latest?symbols=AAPL&feed=overnight") == (
            200, {"trades": {}},
        )  # fmt: skip


async def test_the_delayed_feed_tells_what_was_a_quarter_of_an_hour_ago():
    async with served() as (exchange, session):
        _, before = await call(session, "GET", "/v2/stocks/AAPL/snapshot")
        await exchange.step(15 * 60)
        _, delayed = await call(session, "GET", "/v2/stocks/AAPL/snapshot?feed=delayed_sip")
        _, now = await call(session, "GET", "/v2/stocks/AAPL/snapshot")
    assert delayed["latestTrade"] == before["latestTrade"] != now["latestTrade"]
    assert delayed["latestQuote"] == before["latestQuote"]
    assert delayed["minuteBar"] == before["minuteBar"]
    assert delayed["prevDailyBar"] == before["prevDailyBar"] == now["prevDailyBar"]
    assert delayed["dailyBar"]["v"] < now["dailyBar"]["v"]
    assert delayed["dailyBar"]["o"] == now["dailyBar"]["o"]  # the bell's, not the early hours'


async def test_a_currency_is_told_when_it_is_named_and_must_be_the_dollar():
    async with served() as (_, session):
        _, page = await call(session, "GET", "/v2/stocks/AAPL/quotes/latest?currency=USD")
        assert page["currency"] == "USD"
        _, page = await call(session, "GET", "/v2/stocks/AAPL/quotes/latest")
        assert "currency" not in page
        assert await call(session, "GET", "/v2/stocks/AAPL/quotes/latest?currency=EUR") == (
            400, {"message": "invalid currency: EUR"},
        )  # fmt: skip


async def test_without_the_paid_plan_recent_consolidated_data_are_refused_everywhere():
    free = ServerSettings(requests_per_minute=0, data_plan=DataPlan(has_recent_sip=False))
    refusal = (403, {"message": "subscription does not permit querying recent SIP data"})
    async with served(server=free) as (exchange, session):
        await exchange.step(20 * 60)
        _, page = await call(session, "GET", "/v2/stocks/AAPL/trades?limit=10000")
        assert page["trades"][-1]["t"] <= "2024-06-03T13:36:00Z"
        assert await call(session, "GET", "/v2/stocks/AAPL/trades?end=2024-06-03T13:50:00Z") == refusal
        assert await call(session, "GET", "/v2/stocks/AAPL/snapshot?feed=sip") == refusal
        status, now = await call(session, "GET", "/v2/stocks/AAPL/trades/latest")
        assert status == 200
        assert now["trade"]["t"] > "2024-06-03T13:50:00Z"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("timeframe=1Min", "Invalid format for parameter symbols: query parameter 'symbols' is required"),
        ("symbols=AAPL", "Invalid format for parameter timeframe: query parameter 'timeframe' is required"),
        ("symbols=3USL&timeframe=1Min", "invalid symbol: 3USL"),
        ("symbols=AAPL,BTC/USD&timeframe=1Min", "invalid symbol: BTC/USD"),
        ("symbols=AAPL&timeframe=30Sec", "invalid timeframe: 30Sec"),
        ("symbols=AAPL&timeframe=60Min", "timeframe period number is larger than the allowed maximum of 59"),
        ("symbols=AAPL&timeframe=5Month", "invalid timeframe: 5Month"),
        ("symbols=AAPL&timeframe=1Min&adjustment=bogus", "invalid adjustment: bogus"),
        ("symbols=AAPL&timeframe=1Min&limit=20000", "invalid limit: larger than the allowed maximum of 10000"),
    ],
)
async def test_what_is_wrong_is_said_in_the_recorded_words(query, message):
    async with served() as (_, session):
        assert await call(session, "GET", f"/v2/stocks/bars?{query}") == (400, {"message": message})


# --- latest values and auctions


async def test_a_snapshot_has_what_there_is_and_on_a_sunday_fridays_day():
    market = ScriptedMarket(("AAA",), start_ns=NOW_NS)
    market.remember("day", daily("AAA", date(2024, 6, 13), 99.0), daily("AAA", TODAY, 98.0))
    sunday_ns = Nanos(new_york_ns(date(2024, 6, 16), 12))
    async with scripted_exchange(market, now_ns=sunday_ns) as exchange, client_of(exchange) as session:
        _, snapshot = await call(session, "GET", "/v2/stocks/AAA/snapshot")
        assert sorted(snapshot) == ["dailyBar", "prevDailyBar", "symbol"]
        assert (snapshot["dailyBar"]["c"], snapshot["prevDailyBar"]["c"]) == (98.0, 99.0)
        assert await call(session, "GET", "/v2/stocks/snapshots?symbols=NOBODY") == (200, {})
        assert await call(session, "GET", "/v2/stocks/NOBODY/snapshot") == (
            404, {"message": "no snapshot found for NOBODY"},
        )  # fmt: skip


async def test_a_print_that_was_taken_back_says_so_in_history():
    market = ScriptedMarket(("AAA",), start_ns=NOW_NS)
    stamp_ns = new_york_ns(TODAY, 10)
    market.say(
        SimTrade("AAA", 100.0, 10.0, stamp_ns, "V", 1, update="canceled"),
        SimTrade("AAA", 101.0, 10.0, stamp_ns + 1, "Q", 2, conditions=("@", "I")),
        SimQuote("AAA", 99.0, 100.0, 101.0, 200.0, stamp_ns),
    )
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        await exchange.step(1)
        _, page = await call(session, "GET", "/v2/stocks/AAA/trades")
        _, quotes = await call(session, "GET", "/v2/stocks/AAA/quotes")
    assert page["trades"] == [
        {"t": "2024-06-14T14:00:00Z", "x": "V", "p": 100.0, "s": 10, "c": ["@"], "i": 1, "z": "A", "u": "canceled"},
        {"t": "2024-06-14T14:00:00.000000001Z", "x": "Q", "p": 101.0, "s": 10, "c": ["@", "I"], "i": 2, "z": "A"},
    ]
    assert list(quotes["quotes"][0]) == ["t", "ax", "ap", "as", "bx", "bp", "bs", "c", "z"]


async def test_auctions_are_told_by_day():
    market = ScriptedMarket(("AAA",), start_ns=NOW_NS)
    days = [date(2024, 6, 12), date(2024, 6, 13), TODAY]
    for day in days:
        opening = SimTrade("AAA", 100.0, 500.0, new_york_ns(day, 9, 30), "N", 1, conditions=("O",))
        closing = SimTrade("AAA", 101.0, 900.0, new_york_ns(day, 16), "N", 2, conditions=("M",))
        market.hold_auction("AAA", DayAuctions(day, (opening,), (closing,) if day != TODAY else ()))
    async with scripted_exchange(market, now_ns=NOW_NS) as exchange, client_of(exchange) as session:
        _, one = await call(session, "GET", "/v2/stocks/AAA/auctions?start=2024-06-12T12:00:00-04:00&limit=2")
        _, rest = await call(
            session, "GET",
            f"/v2/stocks/auctions?symbols=AAA&start=2024-06-12T12:00:00-04:00&page_token={one['next_page_token']}",
        )  # fmt: skip
    assert one["auctions"][0] == {
        "d": "2024-06-12",
        "o": [{"t": "2024-06-12T13:30:00Z", "x": "N", "p": 100.0, "s": 500, "c": "O"}],
        "c": [{"t": "2024-06-12T20:00:00Z", "x": "N", "p": 101.0, "s": 900, "c": "M"}],
    }
    assert [day["d"] for day in one["auctions"]] == ["2024-06-12", "2024-06-13"]
    assert rest == {"auctions": {"AAA": [{**rest["auctions"]["AAA"][0], "d": "2024-06-14", "c": []}]},
                    "next_page_token": None}  # fmt: skip


async def test_no_answer_tells_what_lies_behind_venue_time():
    kinds = ("bars", "trades", "quotes")
    async with served() as (exchange, session):
        for now in ("2024-06-03T13:31:00Z", "2024-06-03T13:31:17Z", "2024-06-03T13:40:00Z"):
            await exchange.jump_to(now)
            for kind in kinds:
                rest = "timeframe=1Min&start=2024-06-03&end=2024-06-30&limit=10000"
                _, page = await call(session, "GET", f"/v2/stocks/AAPL/{kind}?{rest}")
                assert page[kind][-1]["t"] <= now
                assert all(one["t"] <= two["t"] for one, two in pairwise(page[kind]))
