"""Crypto over REST, without a key. Every answer is judged by Alpaca's schemas."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.data_crypto import PLACES
from tests.contract.exchange_support import call, served

pytestmark = pytest.mark.asyncio

SYMBOLS = ("AAPL", "BTC/USD", "ETH/USD")


async def test_crypto_needs_no_key_and_stocks_do():
    async with served(symbols=SYMBOLS) as (exchange, _), aiohttp.ClientSession(exchange.url) as stranger:
        status, answer = await call(stranger, "GET", "/v1beta3/crypto/us/latest/trades?symbols=BTC/USD")
        assert (status, list(answer["trades"])) == (200, ["BTC/USD"])
        assert (await call(stranger, "GET", "/v2/stocks/trades/latest?symbols=AAPL"))[0] == 401


async def test_each_place_tells_the_same_market():
    async with served(symbols=SYMBOLS) as (_, session):
        told = []
        for place in PLACES:
            status, answer = await call(session, "GET", f"/v1beta3/crypto/{place}/snapshots?symbols=BTC/USD,ETH/USD")
            assert status == 200
            told.append(answer)
        assert all(answer == told[0] for answer in told)
        assert await call(session, "GET", "/v1beta3/crypto/mars/snapshots?symbols=BTC/USD") == (
            400, {"message": "invalid location: mars"},
        )  # fmt: skip
    assert sorted(told[0]["snapshots"]) == ["BTC/USD", "ETH/USD"]
    assert list(told[0]["snapshots"]["BTC/USD"]) == [
        "dailyBar", "latestQuote", "latestTrade", "minuteBar", "prevDailyBar",
    ]  # fmt: skip
    assert told[0]["snapshots"]["BTC/USD"]["latestTrade"]["t"] > "2024-06-03T13:20"


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ("symbols=BTCUSD", "invalid symbol: BTCUSD does not match ^[A-Z]+x?/[A-Z]+$"),
        ("symbols=BTC-USD", "invalid symbol: BTC-USD does not match ^[A-Z]+x?/[A-Z]+$"),
        ("", "Invalid format for parameter symbols: query parameter 'symbols' is required"),
        ("symbols=BTC/USD&limit=10001", "invalid limit: larger than the allowed maximum of 10000"),
    ],
)
async def test_what_is_wrong_is_said_in_the_recorded_words(symbols, message):
    async with served(symbols=SYMBOLS) as (_, session):
        answer = await call(session, "GET", f"/v1beta3/crypto/us/bars?timeframe=1Min&{symbols}")
    assert answer == (400, {"message": message})


async def pages_of(session: aiohttp.ClientSession, kind: str, query: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    token = ""
    while token is not None:
        path = f"/v1beta3/crypto/us/{kind}?symbols=ETH/USD,BTC/USD&{query}&page_token={token}"
        status, page = await call(session, "GET", path)
        assert status == 200, page
        rows += [(symbol, row) for symbol, found in page[kind].items() for row in found]
        token = page["next_page_token"]
    return rows


@pytest.mark.parametrize("kind", ["trades", "quotes", "bars"])
async def test_pages_join_to_the_whole_in_either_direction_and_tell_nothing_of_the_future(kind):
    rest = "start=2024-06-03T13:25:00Z&end=2024-06-09&timeframe=1Min"
    async with served(symbols=SYMBOLS) as (exchange, session):
        await exchange.step(90)
        whole = await pages_of(session, kind, f"{rest}&limit=10000")
        assert await pages_of(session, kind, f"{rest}&limit=7") == whole
        backward = await pages_of(session, kind, f"{rest}&limit=7&sort=desc")
        assert [row for row in backward if row[0] == "BTC/USD"][::-1] == [row for row in whole if row[0] == "BTC/USD"]
        assert len(backward) == len(whole)
    assert {symbol for symbol, _ in whole} == {"BTC/USD", "ETH/USD"}
    assert all(row["t"] <= "2024-06-03T13:32:30Z" for _, row in whole)
    assert max(row["t"] for _, row in whole) >= "2024-06-03T13:32:00Z"


async def test_hours_of_a_saturday_are_counted_from_greenwich_midnight_and_made_of_their_minutes():
    async with served(symbols=SYMBOLS) as (_, session):
        path = "/v1beta3/crypto/us/bars?symbols=BTC/USD&start=2024-06-01T06:00:00Z&end=2024-06-01T17:59:59Z&limit=10000"
        _, hours = await call(session, "GET", f"{path}&timeframe=6Hour")
        _, minutes = await call(session, "GET", f"{path}&timeframe=1Min")
    of_hours, of_minutes = hours["bars"]["BTC/USD"], minutes["bars"]["BTC/USD"]
    assert [bar["t"] for bar in of_hours] == ["2024-06-01T06:00:00Z", "2024-06-01T12:00:00Z"]
    assert sum(bar["n"] for bar in of_hours) == sum(bar["n"] for bar in of_minutes)
    assert of_hours[0]["h"] == max(bar["h"] for bar in of_minutes if bar["t"] < "2024-06-01T12")
    assert of_hours[1]["c"] == of_minutes[-1]["c"]


async def test_a_range_begins_with_the_utc_day_unless_it_is_named():
    async with served(symbols=SYMBOLS) as (_, session):
        _, page = await call(session, "GET", "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Hour")
    assert page["bars"]["BTC/USD"][0]["t"] == "2024-06-03T00:00:00Z"


async def test_days_weeks_and_months_hold_each_other():
    async with served(symbols=SYMBOLS) as (_, session):
        path = "/v1beta3/crypto/us/bars?symbols=BTC/USD&start=2024-03-01&timeframe="
        days, weeks, months = [
            (await call(session, "GET", path + timeframe))[1]["bars"]["BTC/USD"]
            for timeframe in ("1Day", "1Week", "1Month")
        ]
    assert len(days) >= 94
    first, second = weeks[1]["t"], weeks[2]["t"]
    of_week = [bar for bar in days if first <= bar["t"] < second]
    assert len(of_week) == 7
    assert (weeks[1]["o"], weeks[1]["c"]) == (of_week[0]["o"], of_week[-1]["c"])
    assert weeks[1]["v"] == pytest.approx(sum(bar["v"] for bar in of_week))
    assert [bar["t"][:10] for bar in months] == ["2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01"]


async def test_an_order_book_is_whole_sorted_and_around_the_quote():
    async with served(symbols=SYMBOLS) as (_, session):
        _, books = await call(session, "GET", "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC/USD,NO/USD")
        _, quotes = await call(session, "GET", "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD")
    book, quote = books["orderbooks"]["BTC/USD"], quotes["quotes"]["BTC/USD"]
    assert list(books["orderbooks"]) == ["BTC/USD"]
    assert all(one["p"] > two["p"] for one, two in pairwise(book["b"]))
    assert all(one["p"] < two["p"] for one, two in pairwise(book["a"]))
    assert (book["b"][0], book["a"][0]) == (
        {"p": quote["bp"], "s": quote["bs"]}, {"p": quote["ap"], "s": quote["as"]},
    )  # fmt: skip
