"""The form of every answer: logins, headers, packing; and input without sense, which is never the server's fault."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.exchange_support import call, served, submit

pytestmark = pytest.mark.asyncio

ROUTES = [
    ("GET", "/v2/account"), ("GET", "/v2/orders"), ("GET", "/v2/orders/{bad}"), ("DELETE", "/v2/orders/{bad}"),
    ("PATCH", "/v2/orders/{bad}"), ("GET", "/v2/orders:by_client_order_id?client_order_id={bad}"),
    ("GET", "/v2/positions/{bad}"), ("DELETE", "/v2/positions/{bad}"), ("DELETE", "/v2/positions/AAPL?qty={bad}"),
    ("GET", "/v2/assets/{bad}"), ("GET", "/v2/assets?status={bad}"), ("GET", "/v2/calendar?start={bad}"),
    ("GET", "/v2/account/activities/{bad}"), ("GET", "/v2/account/activities?page_token={bad}"),
    ("GET", "/v2/orders?after={bad}"), ("GET", "/v2/orders?limit={bad}"), ("GET", "/v2/orders?symbols={bad}"),
    ("GET", "/v2/stocks/bars?symbols={bad}&timeframe=1Day"), ("GET", "/v2/stocks/{bad}/bars?timeframe=1Day"),
    ("GET", "/v2/stocks/bars?symbols=AAPL&timeframe={bad}"), ("GET", "/v2/stocks/trades?symbols=AAPL&start={bad}"),
    ("GET", "/v2/stocks/quotes?symbols=AAPL&page_token={bad}"), ("GET", "/{bad}"), ("POST", "/v2/{bad}"),
]  # fmt: skip
BAD_TEXTS = [
    "%00", "%ff", "%ED%A0%80", "%F0%9F%92%A5", "%2e%2e%2f", "1e309", "-0", "9" * 400, "null", "%7B%7D", "a%0d%0ab",
    "%25", "'--", "%3Cb%3E", "2024-02-30", "0001-01-01", "9999-12-31T23:59:59Z", "00000000-0000-0000-0000-000000000000",
]  # fmt: skip
BAD_BODIES = [
    b"", b"null", b"[]", b'"x"', b"7", b"{", b"\xff\xfe", b'{"a":1}{"b":2}', b'{"qty":NaN}', b'{"symbol":"\\ud800"}',
    b"[" * 100_000, b'{"a":' * 20_000, b'{"qty":' + b"9" * 5_000 + b"}", b'{"qty":1e999999999}', b'{"symbol":{"a":[]}}',
    b'{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day","client_order_id":"\\u0000"}',
    b'{"symbol":"AAPL","qty":true}', b'{"symbol":"AAPL","qty":"0x10"}', b'{"symbol":"AAPL","qty":" 1 "}',
    b'{"symbol":"AAPL","legs":7,"take_profit":[],"stop_loss":"x","order_class":"bracket"}', b'{"symbol":"\xc3\xa9"}',
]  # fmt: skip
WRITES = [
    ("POST", "/v2/orders"), ("PATCH", "/v2/orders/904837e3-3b76-47ec-b432-046db621571b"),
    ("PATCH", "/v2/account/configurations"), ("POST", "/v2/watchlists"),
    ("POST", "/simulator/v1/faults"), ("POST", "/simulator/v1/clock"), ("POST", "/simulator/v1/external-order"),
]  # fmt: skip


# --- who asks


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Apca-Api-Key-Id": "PKSIM", "aPCA-aPI-sECRET-kEY": "sim"}, 200),
        ({"Authorization": "Basic " + base64.b64encode(b"PKSIM:sim").decode()}, 200),
        ({"Authorization": "bearer sim"}, 200),
        ({"APCA-API-KEY-ID": "PKSIM"}, 401),
        ({"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "nope"}, 401),
        ({"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "é"}, 401),
        ({"Authorization": "Basic é"}, 401),
        ({"APCA-API-KEY-ID": "AKLIVE", "APCA-API-SECRET-KEY": "sim"}, 403),
        ({}, 401),
    ],
)
async def test_a_login_is_judged_by_its_headers(headers, status):
    async with (
        running_exchange() as exchange,
        aiohttp.ClientSession(exchange.url) as session,
        session.get("/v2/account", headers=headers) as answer,
    ):
        assert answer.status == status
        body = await answer.json()
    if status == 403:
        assert body == {"message": "forbidden."}
    if status == 401:
        assert body == {"message": "unauthorized."}
        assert answer.headers["WWW-Authenticate"] == 'Bearer, Basic realm="alpaca.markets"'


async def test_crypto_history_needs_no_key_and_everything_else_does():
    async with running_exchange() as exchange, aiohttp.ClientSession(exchange.url) as session:
        path = "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"
        assert (await call(session, "GET", path))[0] != 401
        assert (await call(session, "GET", "/v2/stocks/bars?symbols=AAPL&timeframe=1Day"))[0] == 401
        wrong = {"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "nope"}
        async with session.get(path, headers=wrong) as answer:
            assert answer.status == 401


# --- what every answer has


async def test_every_answer_is_signed_and_has_its_length():
    async with served(server=ServerSettings(requests_per_minute=5)) as (_, session):
        seen = set()
        for method, path, status in (
            ("GET", "/v2/account", 200), ("GET", "/v2/orders/fake_id", 422), ("GET", "/nowhere", 404),
            ("GET", "/v2/stocks/bars", 400), ("DELETE", "/v2/orders", 207),
        ):  # fmt: skip
            async with session.request(method, path) as answer:
                assert answer.status == status
                assert len(bytes.fromhex(answer.headers["X-Request-ID"])) == 16
                assert "max-age" in answer.headers["Strict-Transport-Security"]
                assert "Content-Length" in answer.headers
                assert answer.headers["X-RateLimit-Limit"] == "5"
                seen.add(answer.headers["X-Request-ID"])
        assert len(seen) == 5


@pytest.mark.parametrize("has_headers", [True, False])
async def test_a_spent_budget_is_a_429_with_headers_or_without(has_headers):
    server = ServerSettings(requests_per_minute=1, has_rate_limit_headers=has_headers)
    body = None
    async with served(server=server) as (_, session):
        for status in (200, 429):
            async with session.get("/v2/account") as answer:
                assert answer.status == status
                assert ("X-RateLimit-Reset" in answer.headers) is has_headers
                assert "Retry-After" not in answer.headers
                body = await answer.json()
        assert body == {"code": 42910000, "message": "rate limit exceeded"}


async def test_a_body_is_packed_where_it_is_asked_for():
    async with (
        running_exchange() as exchange,
        aiohttp.ClientSession(exchange.url, headers=exchange.headers, auto_decompress=False) as session,
    ):
        async with session.get("/v2/account", headers={"Accept-Encoding": "gzip"}) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            content = await packed.read()
            assert packed.headers["Content-Length"] == str(len(content))
        async with session.get("/v2/account", headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert json.loads(gzip.decompress(content)) == await plain.json()


async def test_head_has_the_headers_of_get_and_options_names_the_methods():
    async with served() as (_, session):
        async with session.head("/v2/account", headers={"Accept-Encoding": "identity"}) as head:
            assert (head.status, await head.read()) == (200, b"")
            assert int(head.headers["Content-Length"]) > 0
        async with session.options("/v2/orders") as answer:
            assert answer.status == 405
            assert "POST" in answer.headers["Allow"]


# --- what makes no sense


async def test_no_path_or_parameter_makes_the_server_fail():
    async with served() as (exchange, session):
        await submit(session, type="limit", limit_price="1")
        for method, path in ROUTES:
            for text in BAD_TEXTS:
                status, _ = await _raw(exchange, method, path.replace("{bad}", text))
                assert status < 500, (method, path, text)
        assert (await call(session, "GET", "/simulator/v1/ledger"))[0] == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_no_body_makes_the_server_fail(method, path):
    async with served() as (exchange, session):
        for body in BAD_BODIES:
            status, _ = await _raw(exchange, method, path, body)
            assert status < 500, (method, path, body[:80])
        assert (await call(session, "GET", "/simulator/v1/ledger"))[0] == 200


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "?"])
async def test_a_json_body_is_read_under_any_content_type(content_type):
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    headers = {"Content-Type": content_type}
    async with served() as (_, session), session.post("/v2/orders", data=json.dumps(order), headers=headers) as answer:
        assert answer.status == 200


async def test_a_body_that_is_too_large_or_packed_wrongly_is_refused():
    async with served() as (exchange, _):
        assert await _raw(exchange, "POST", "/v2/orders", b" " * 1_200_000) == (
            400, {"code": 40010000, "message": "request body is too large"},
        )  # fmt: skip
        status, _ = await _raw(exchange, "POST", "/v2/orders", b"no gzip", {"Content-Encoding": "gzip"})
        assert status == 400
        packed = gzip.compress(b'{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}')
        status, _ = await _raw(exchange, "POST", "/v2/orders", packed, {"Content-Encoding": "gzip"})
        assert status == 200
        status, _ = await _raw(exchange, "POST", "/v2/orders", b"{}", {"Expect": "miracle"})
        assert status == 417


async def test_lines_that_are_no_http_are_a_400():
    async with served() as (exchange, _):
        for line in (
            b"\x00\x01\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /v2/account HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nA\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port)
            writer.write(line)
            async with asyncio.timeout(5):
                assert b" 400 " in await reader.readline()
            writer.close()


async def _raw(
    exchange: RunningExchange, method: str, target: str, body: bytes = b"", more: dict[str, str] | None = None
) -> tuple[int, Any]:
    """A request whose target and body go out as they stand; status and decoded JSON come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port)
    headers = {**exchange.headers, "Host": "x", "Connection": "close", "Content-Length": str(len(body)), **(more or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    status = int(answer.split(b" ", 2)[1])
    content = answer.partition(b"\r\n\r\n")[2]
    return status, json.loads(content) if content.startswith((b"{", b"[")) else None
