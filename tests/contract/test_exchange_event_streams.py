"""Server-sent events: order events and activities that a client can read again after a gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server import event_streams
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.exchange_support import call, eventually, receive, served, submit, trade_updates
from tests.unit.simulator_core.desk_script import order_request

pytestmark = pytest.mark.asyncio

TRADES, ACTIVITIES = "/v2/events/trades", "/v2beta1/events/activities"


class Lines:
    """The lines of one event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> str:
        """The next line that is not empty; "" at the end."""
        async with asyncio.timeout(5):
            while line := await self.response.content.readline():
                if line.strip():
                    return line.decode().rstrip("\n")
        return ""

    async def event(self) -> dict[str, Any]:
        line = await self.next()
        assert line.startswith("data: "), f"expected an event, found {line!r}"
        data: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return data

    async def rest(self) -> list[dict[str, Any]]:
        """Everything until the stream ends."""
        events = []
        while line := await self.next():
            events.append(json.loads(line.removeprefix("data: ")))
        return events


@asynccontextmanager
async def reading(session: aiohttp.ClientSession, path: str = TRADES, **query: str) -> AsyncIterator[Lines]:
    async with session.get(path, params=query) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        lines = Lines(response)
        assert await lines.next() == ": welcome to the Alpaca events"
        yield lines


async def buy_and_wait(exchange: RunningExchange, session: aiohttp.ClientSession, **fields: object) -> None:
    status, _ = await submit(session, **fields)
    assert status == 200
    await exchange.step(30)


async def test_a_reader_gets_live_what_trade_updates_say_word_for_word():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket, reading(session) as lines:
        await eventually(lambda: exchange.venue.event_streams.readers == 1)
        await buy_and_wait(exchange, session)
        heard = [(await receive(socket))["data"]]
        while heard[-1]["event"] != "fill":
            heard.append((await receive(socket))["data"])
        assert [await lines.event() for _ in heard] == heard


async def test_what_was_missed_is_read_again_behind_the_last_event_that_is_known():
    async with served() as (exchange, session):
        await buy_and_wait(exchange, session, symbol="AAPL")
        async with reading(session, since="2024-06-03") as lines:
            first = await lines.event()
        await buy_and_wait(exchange, session, symbol="MSFT", type="limit", limit_price="1")
        async with reading(session, since_id=first["event_id"]) as lines:
            missed = [await lines.event()]
            while missed[-1]["order"]["symbol"] != "MSFT" or missed[-1]["event"] != "new":
                missed.append(await lines.event())
            await buy_and_wait(exchange, session, symbol="SPY", type="limit", limit_price="1")
            live = await lines.event()
    ids = [event["event_id"] for event in missed]
    assert ids == sorted(ids)
    assert ids[0] > first["event_id"]
    assert (live["order"]["symbol"], live["event"]) == ("SPY", "pending_new")


async def test_a_stream_with_an_end_ends_there_with_everything_before():
    async with served() as (exchange, session):
        await buy_and_wait(exchange, session)
        async with reading(session, since="2024-06-03T13:30:00Z", until="2024-06-03T13:40:00Z") as lines:
            assert (await lines.event())["event"] == "pending_new"
            await exchange.step(3_600)
            assert (await lines.rest())[-1]["event"] == "fill"
        await buy_and_wait(exchange, session, symbol="MSFT")
        async with reading(session, since="2024-06-03T13:30:00Z", until="2024-06-03T13:40:00Z") as lines:
            events = await lines.rest()
        assert {event["order"]["symbol"] for event in events} == {"AAPL"}
        first, last = events[0]["event_id"], events[-1]["event_id"]
        async with reading(session, since_id=first, until_id=last) as lines:
            assert [event["event_id"] for event in await lines.rest()] == [event["event_id"] for event in events[1:]]


async def test_without_a_since_there_is_no_history():
    async with served() as (exchange, session):
        await buy_and_wait(exchange, session)
        async with reading(session) as lines:
            await eventually(lambda: exchange.venue.event_streams.readers == 1)
            await buy_and_wait(exchange, session, symbol="SPY", type="limit", limit_price="1")
            assert (await lines.event())["order"]["symbol"] == "SPY"


async def test_history_outlives_the_exchange(tmp_path: Path):
    state = tmp_path / "exchange"
    async with served(state_dir=state) as (exchange, session):
        await buy_and_wait(exchange, session)
        async with reading(session, since="2024-06-03", until="2024-06-03T13:35:00Z") as lines:
            await exchange.step(600)
            before = await lines.rest()
    span = {"since": "2024-06-03", "until": "2024-06-03T13:35:00Z"}
    async with served(state_dir=state) as (_exchange, session), reading(session, **span) as lines:
        after = await lines.rest()
    assert before[0]["event"] == "pending_new"
    unpublished = [{name: value for name, value in event.items() if name != "at"} for event in after]
    assert unpublished == [{name: value for name, value in event.items() if name != "at"} for event in before]


@pytest.mark.parametrize(
    "query",
    [
        {"until": "2024-06-03"},
        {"until_id": "01M2TB1W73G1WFCA460A7GTB33"},
        {"since": "2024-06-03", "since_id": "01M2TB1W73G1WFCA460A7GTB33"},
        {"since": "then"},
        {"since_id": "17"},
    ],
)
@pytest.mark.parametrize("path", [TRADES, ACTIVITIES])
async def test_a_query_that_makes_no_sense_is_refused(query, path):
    async with served() as (_exchange, session), session.get(path, params=query) as response:
        assert response.status == 422
        assert (await response.json())["code"] == 40010001


async def test_a_stranger_is_refused():
    async with served() as (exchange, _session), aiohttp.ClientSession(exchange.url) as stranger:
        assert await call(stranger, "GET", TRADES) == (401, {"message": "unauthorized."})


async def test_a_reader_that_is_too_slow_is_told_how_much_it_missed(monkeypatch):
    monkeypatch.setattr(event_streams, "WAITING_MAX", 5)
    async with served() as (exchange, session), reading(session) as lines:
        await eventually(lambda: exchange.venue.event_streams.readers == 1)
        for _ in range(8):  # nothing is written while nobody else gets a turn
            exchange.exchange.submit(order_request(symbol="AAPL", qty="1", side="buy", type="limit", limit_price="1"))
        exchange.venue.publish()
        assert [(await lines.event())["event"] for _ in range(5)] == ["pending_new"] * 5
        assert await lines.next() == ": you are reading too slowly, dropped 3 messages"


async def test_an_exchange_that_stops_ends_its_event_streams():
    async with aiohttp.ClientSession() as session:
        async with running_exchange() as exchange:
            response = await session.get(exchange.url + TRADES, headers=exchange.headers)
            await eventually(lambda: exchange.venue.event_streams.readers == 1)
        async with asyncio.timeout(5):
            assert (await response.content.read()).startswith(b": welcome")


# --- activities


def execution_ids(exchange: RunningExchange) -> list[str]:
    rows: Any = exchange.exchange.ledger()["executions"]
    return [row["execution_id"] for row in rows]


async def test_activities_are_read_from_the_first_one_on_and_then_as_they_are_booked():
    async with served() as (exchange, session):
        await buy_and_wait(exchange, session)
        async with reading(session, ACTIVITIES, since="2024-06-03") as lines:
            fill = await lines.event()
            exchange.exchange.transfer(Decimal(250))
            await exchange.step(1)
            deposit = await lines.event()
            exchange.exchange.bust(execution_ids(exchange)[0])
            await exchange.step(1)
            bust = await lines.event()
    assert fill.keys() & deposit.keys() & bust.keys() >= REQUIRED
    assert (fill["activity_type"], fill["details"]["execution_type"], fill["qty"]) == ("TRD", "fill", "1")
    assert fill["settle_date"] == "2024-06-04"
    assert (deposit["activity_type"], deposit["net_amount"]) == ("CSD", "250")
    assert (bust["details"]["execution_type"], bust["qty"], bust["previous_id"]) == ("trade_bust", "-1", fill["ref_id"])
    ids = [event["event_id"] for event in (fill, deposit, bust)]
    assert ids == sorted(ids)


REQUIRED = {"at", "event_id", "activity_type", "executed_at", "status", "settle_date", "currency", "ref_id", "details"}


async def test_a_bust_is_told_on_trade_updates_and_can_be_read_again():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        await buy_and_wait(exchange, session)
        (execution_id,) = execution_ids(exchange)
        exchange.exchange.bust(execution_id)
        await exchange.step(1)
        heard = [(await receive(socket))["data"]]
        while heard[-1]["event"] != "trade_bust":
            heard.append((await receive(socket))["data"])
        bust = heard[-1]
        assert (bust["qty"], bust["previous_execution_id"]) == ("-1", execution_id)
        assert bust["execution_id"] != execution_id
        assert bust["position_qty"] == "0"
        async with reading(session, since_id=heard[-2]["event_id"]) as lines:
            assert await lines.event() == bust
