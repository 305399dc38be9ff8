"""The alert webhook against a real HTTP server: what is sent, how long it may take, what is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from quant_trading_system.observability import webhook as webhook_module
from quant_trading_system.observability.webhook import Webhook

PATH = "/services/T0/private-token"


async def exchange(statuses: list[int], *, timeout_s: float = 2.0, slow_s: float = 0.0) -> tuple[str, list[Any]]:
    """Post one alert to a server that answers with `statuses`, the last one for ever."""
    received: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        await asyncio.sleep(slow_s)
        status = statuses[min(len(received), len(statuses)) - 1]
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    app = web.Application()
    app.router.add_post(PATH, take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = Webhook(f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}", timeout_s=timeout_s)
    try:
        return await hook.post({"code": "feed_silent", "text": "no data"}), received
    finally:
        await hook.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(webhook_module, "RETRY_DELAYS_S", (0.01, 0.01))


def test_an_alert_arrives_as_one_json_object():
    result, received = asyncio.run(exchange([204]))
    assert result == "ok"
    assert received == [{"code": "feed_silent", "text": "no data"}]


def test_a_server_that_fails_is_tried_again_and_no_more_than_three_times():
    assert asyncio.run(exchange([500, 429, 200]))[0] == "ok"
    result, received = asyncio.run(exchange([503]))
    assert (result, len(received)) == ("failed: status 503", 3)


def test_a_refusal_is_not_repeated():
    result, received = asyncio.run(exchange([403]))
    assert (result, len(received)) == ("refused: status 403", 1)


def test_a_redirect_is_not_followed():
    result, received = asyncio.run(exchange([302]))
    assert result == "failed: status 302"
    assert len(received) == 3


def test_a_server_that_does_not_answer_is_given_up_in_time():
    result, _ = asyncio.run(exchange([200], timeout_s=0.1, slow_s=1.0))
    assert result == "failed: no answer within 0.1 s"


def test_a_host_that_is_not_there_is_said_without_the_address():
    async def run() -> str:
        hook = Webhook(f"http://127.0.0.1:1{PATH}")
        try:
            return await hook.post({"code": "x"})
        finally:
            await hook.close()

    result = asyncio.run(run())
    assert result.startswith("failed: ")
    assert "private-token" not in result
