"""Event streams over a real socket: what comes first, what is made up for, and that they end when they should."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from quant_trading_system.dashboard import pages
from quant_trading_system.dashboard.routes import make_app
from quant_trading_system.dashboard.serve import serving
from tests.contract.dashboard_support import SECONDS_MAX, Desk, served
from tests.unit.dashboard.builders import DECISION, TOKEN, FakePort


async def events(response: aiohttp.ClientResponse, count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{}]
    while len(found) <= count:
        line = (await asyncio.wait_for(response.content.readline(), 5)).decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            found[-1][name] = value
        elif "event" in found[-1]:
            found.append({})
        else:
            found[-1] = {}
    return found[:count]


def test_a_stream_brings_status_first_and_records_as_they_come():
    async def scenario(desk: Desk) -> None:
        async with desk.session.get(f"{desk.url}/api/v1/events") as response:
            assert response.content_type == "text/event-stream"
            assert response.headers["Content-Security-Policy"]
            (first,) = await events(response, 1)
            assert first["event"] == "status"
            desk.hub.publish_record(DECISION)
            (second,) = await events(response, 1)
            assert (second["event"], second["id"]) == ("decision", "run-1")
            assert json.loads(second["data"])["outcome"] == "refused"

    served(scenario)


def test_a_stream_that_comes_back_gets_what_it_missed():
    async def scenario(desk: Desk) -> None:
        for _ in range(3):
            desk.hub.publish_record(DECISION)
        async with desk.session.get(f"{desk.url}/api/v1/events", headers={"Last-Event-ID": "run-1"}) as response:
            found = await events(response, 3)
            assert [event.get("id") for event in found] == [None, "run-2", "run-3"]
        async with desk.session.get(f"{desk.url}/api/v1/events", headers={"Last-Event-ID": "old-9"}) as response:
            assert [event["event"] for event in await events(response, 2)] == ["status", "reset"]

    served(scenario)


def test_the_pages_stream_brings_the_page_every_period(monkeypatch):
    monkeypatch.setattr(pages, "PAGE_PERIOD_S", 0.05)

    async def scenario(desk: Desk) -> None:
        async with desk.session.get(f"{desk.url}/api/v1/events?page=overview") as response:
            found = await events(response, 3)
            assert {event["event"] for event in found} == {"overview"}
            assert json.loads(found[0]["data"])["texts"]["state"]["t"] == "ACTIVE"

    served(scenario)


def test_a_silent_stream_is_pinged(monkeypatch):
    monkeypatch.setattr(pages, "PING_PERIOD_S", 0.05)

    async def scenario(desk: Desk) -> None:
        async with desk.session.get(f"{desk.url}/api/v1/events") as response:
            assert [event["event"] for event in await events(response, 3)] == ["status", "ping", "ping"]

    served(scenario)


def test_a_reader_too_many_is_told_so():
    async def scenario(desk: Desk) -> None:
        for _ in range(16):
            desk.hub.subscribe()
        status, content, _ = await desk.get("/api/v1/events")
        assert (status, content["code"]) == (503, "too_many_clients")

    served(scenario)


def test_a_client_that_leaves_makes_room(monkeypatch):
    monkeypatch.setattr(pages, "PAGE_PERIOD_S", 0.02)

    async def scenario(desk: Desk) -> None:
        async with desk.session.get(f"{desk.url}/api/v1/events?page=overview") as response:
            await events(response, 1)
            assert desk.hub.clients == 1
        for _ in range(200):
            if desk.hub.clients == 0:
                break
            await asyncio.sleep(0.02)
        assert desk.hub.clients == 0

    served(scenario)


def test_open_streams_do_not_hold_up_the_stop():
    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS_MAX), aiohttp.ClientSession() as session:
            async with serving(make_app(FakePort(), token=TOKEN), host="127.0.0.1", port=0) as number:
                response = await session.get(f"http://127.0.0.1:{number}/api/v1/events")
                await events(response, 1)
                started_s = loop.time()
            stopped_s = loop.time() - started_s
            response.close()
            return stopped_s

    assert asyncio.run(run()) < 2


def test_a_page_that_cannot_be_made_ends_the_stream_and_nothing_else(monkeypatch):
    async def scenario(desk: Desk) -> None:
        async with desk.session.get(f"{desk.url}/api/v1/events?page=overview") as response:
            await events(response, 1)
            monkeypatch.setattr(FakePort, "startup", lambda _self: 1 / 0)
            rest = await asyncio.wait_for(response.content.read(), 10)
            assert b"problem" not in rest
            assert b"Traceback" not in rest
        assert (await desk.get("/livez"))[0] == 200

    monkeypatch.setattr(pages, "PAGE_PERIOD_S", 0.05)
    served(scenario)
