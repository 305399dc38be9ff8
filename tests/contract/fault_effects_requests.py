"""Faults before and around a request: refused, cut, delayed, repeated, reordered, and what its answer becomes."""

from __future__ import annotations

import asyncio
import gzip
import time

import aiohttp
import pytest

from quant_trading_system.simulator.server.fault_kinds import Kind
from tests.contract.exchange_support import call, submit
from tests.contract.fault_effects import ACCOUNT, POST, all_orders, raw, rest, shows

BODIES = {
    Kind.ERROR_401: b'{"message":"unauthorized."}',
    Kind.ERROR_403: b'{"message":"forbidden."}',
    Kind.ERROR_404: b'{"code":40410000,"message":"order not found"}',
    Kind.ERROR_409: b'{"code":40910000,"message":"conflict"}',
    Kind.ERROR_422: b'{"code":42210000,"message":"unprocessable"}',
    Kind.ERROR_429: b'{"code":42910000,"message":"rate limit exceeded"}',
    Kind.ERROR_500: b'{"code":50010000,"message":"internal server error occurred"}',
    Kind.ERROR_502: b"<html>",
    Kind.ERROR_503: b"<html>",
    Kind.ERROR_504: b"",
}


@shows(*BODIES)
async def errors_keep_the_request_from_being_carried_out_or_not(exchange, session):
    for kind, body in BODIES.items():
        status = int(kind.removeprefix("error_"))
        exchange.set_faults({"kind": kind, "where": POST, "at": 1})
        answer, content = await raw(session, "POST", "/v2/orders", json={})
        assert answer.status == status
        assert content.startswith(body)
        assert bool(content) is bool(body)
        for form, beginning in (("json", b'{"code":7,"message":"no"}'), ("html", b"<html>"), ("empty", b"")):
            own = {"code": 7, "message": "no"} if form == "json" else {}
            exchange.set_faults({"kind": kind, "where": POST, "at": 1, "body": form, "carried_out": True, **own})
            name = f"{kind}-{form}"
            order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
            answer, content = await raw(session, "POST", "/v2/orders", json={**order, "client_order_id": name})
            assert (answer.status, content[: len(beginning)]) == (status, beginning)
            assert (await call(session, "GET", f"/v2/orders:by_client_order_id?client_order_id={name}"))[0] == 200
    assert len(await all_orders(session)) == 3 * len(BODIES)
    for is_with in (True, False):
        exchange.set_faults({"kind": "error_429", "at": 1, "rate_headers": is_with})
        answer, _ = await raw(session, "GET", "/v2/account")
        assert ("X-RateLimit-Reset" in answer.headers) is is_with
        assert answer.headers.get("X-RateLimit-Remaining", "0") == "0"


@shows(Kind.ERROR)
async def any_status_can_be_answered(exchange, session):
    exchange.set_faults({"kind": "error", "status": 418, "message": "teapot", "at": 1})
    assert await call(session, "GET", "/v2/account") == (418, {"code": 41800000, "message": "teapot"})
    exchange.set_faults({"kind": "error", "status": 403, "code": 40310001, "at": 1})
    assert (await call(session, "GET", "/v2/account"))[1]["code"] == 40310001


@shows(Kind.HTML_ERROR)
async def a_page_comes_instead_of_json(exchange, session):
    exchange.set_faults({"kind": "html_error", "at": 1})
    answer, content = await raw(session, "GET", "/v2/account")
    assert (answer.status, answer.content_type) == (401, "text/html")
    assert b"Authorization Required" in content


@shows(Kind.REDIRECT)
async def a_redirect_points_elsewhere(exchange, session):
    exchange.set_faults({"kind": "redirect", "location": "http://127.0.0.1:9/v2/account", "at": 1})
    answer, _ = await raw(session, "GET", "/v2/account", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:9/v2/account")


@shows(Kind.HANG)
async def nothing_comes_while_the_client_waits(exchange, session):
    for is_carried_out, count in ((False, 0), (True, 1)):
        exchange.set_faults({"kind": "hang", "where": POST, "carried_out": is_carried_out})
        with pytest.raises(TimeoutError):
            await session.post("/v2/orders", json=ORDER, timeout=aiohttp.ClientTimeout(total=0.2))
        assert len(await all_orders(session)) == count


ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}


@shows(Kind.DROP_BEFORE_ACCEPT)
async def a_cut_before_acceptance_leaves_nothing(exchange, session):
    exchange.set_faults({"kind": "drop_before_accept", "where": POST, "at": 1})
    with pytest.raises(aiohttp.ClientError):
        await submit(session)
    assert await all_orders(session) == []


@shows(Kind.ACCEPT_THEN_DROP)
async def a_cut_after_acceptance_comes_at_four_points_of_the_answer(exchange, session):
    exchange.set_faults({"kind": "accept_then_drop", "where": POST, "at": 1})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await submit(session)
    whole = (await raw(session, "GET", "/v2/account"))[1]
    for point in ("headers", "body", "after"):
        exchange.set_faults({"kind": "accept_then_drop", "where": POST, "at": 1, "point": point})
        sent = await _bytes_of_a_post(exchange)
        assert sent.startswith(b"HTTP/1.1 2")
        assert (b"\r\n\r\n" in sent) is (point != "headers")
        assert sent.endswith(b"}") is (point == "after")
    assert len(await all_orders(session)) == 4
    assert whole.endswith(b"}")


async def _bytes_of_a_post(exchange):
    """Everything that comes back on a connection of its own, until it is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", exchange.listener.port)
    body = b'{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}'
    keys = "".join(f"{name}: {value}\r\n" for name, value in exchange.headers.items())
    writer.write(f"POST /v2/orders HTTP/1.1\r\nHost: x\r\n{keys}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(5):
        received = await reader.read()
    writer.close()
    return received


@shows(Kind.ACCEPT_THEN_504)
async def the_gateway_gives_up_on_an_order_that_was_taken(exchange, session):
    exchange.set_faults({"kind": "accept_then_504", "where": POST, "at": 1})
    assert await submit(session) == (504, None)
    assert len(await all_orders(session)) == 1


@shows(Kind.LATENCY)
async def the_answer_is_late_and_the_order_is_there(exchange, session):
    exchange.set_faults({"kind": "latency", "where": POST, "latency_ms": 60_000})
    with pytest.raises(TimeoutError):
        await session.post("/v2/orders", json=ORDER, timeout=aiohttp.ClientTimeout(total=0.2))
    assert len(await all_orders(session)) == 1


@shows(Kind.DELAY_BEFORE)
async def the_order_is_not_there_before_its_delay_is_over(exchange, session):
    exchange.set_faults({"kind": "delay_before", "where": POST, "latency_ms": 300})
    sending = asyncio.ensure_future(submit(session))
    await asyncio.sleep(0.1)
    assert await all_orders(session) == []
    assert (await sending)[0] == 200
    assert len(await all_orders(session)) == 1


@shows(Kind.DELAYED_ORIGINAL)
async def the_original_arrives_after_the_line_was_cut(exchange, session):
    for answer, number in (("504", 1), ("cut", 2)):
        exchange.set_faults({"kind": "delayed_original", "where": POST, "at": 1, "latency_ms": 200, "answer": answer})
        if answer == "504":
            assert await submit(session, client_order_id="late") == (504, None)
            assert (await call(session, "GET", "/v2/orders:by_client_order_id?client_order_id=late"))[0] == 404
        else:
            with pytest.raises(aiohttp.ClientError):
                await submit(session)
        async with asyncio.timeout(5):
            while len(await all_orders(session)) < number:
                await asyncio.sleep(0.01)
    assert (await call(session, "GET", "/v2/orders:by_client_order_id?client_order_id=late"))[0] == 200


@shows(Kind.REORDER_REQUESTS)
async def the_second_request_overtakes_the_first(exchange, session):
    exchange.set_faults({"kind": "reorder_requests", "where": POST, "at": 1, "latency_ms": 5_000})
    first = asyncio.ensure_future(submit(session, client_order_id="first"))
    await asyncio.sleep(0.1)
    await submit(session, client_order_id="second")
    async with asyncio.timeout(2):  # it goes on because it was overtaken, not because its time is over
        await first
    made = exchange.exchange.ledger()["orders"]
    assert [order.client_order_id for order in made] == ["second", "first"]


@shows(Kind.DUPLICATE_REQUEST)
async def a_request_that_is_delivered_twice_is_carried_out_twice(exchange, session):
    exchange.set_faults({"kind": "duplicate_request", "where": POST, "at": 1, "count": 2, "answer": "second"})
    status, error = await submit(session, client_order_id="mine")
    assert (status, error["message"]) == (422, "client_order_id must be unique")
    assert (await submit(session))[0] == 200
    assert len(await all_orders(session)) == 3
    exchange.set_faults({"kind": "duplicate_request", "where": POST, "at": 1})
    assert (await submit(session, client_order_id="first"))[0] == 200


@shows(Kind.EMPTY_BODY)
async def the_body_is_empty_under_its_own_status(exchange, session):
    exchange.set_faults({"kind": "empty_body", "where": "*/v2/orders*", "at": 1, "count": 2})
    assert await submit(session) == (200, None)
    assert (await call(session, "GET", "/v2/orders/fake_id")) == (422, None)


@shows(Kind.TRUNCATED_BODY)
async def the_body_ends_in_the_middle(exchange, session):
    exchange.set_faults({"kind": "truncated_body", "at": 1})
    _, content = await raw(session, "GET", "/v2/account")
    assert content.startswith(b"{")
    assert not content.endswith(b"}")


@shows(Kind.EMPTY_LIST)
async def lists_are_answered_without_rows(exchange, session):
    await rest(session, exchange)
    exchange.set_faults({"kind": "empty_list"})
    assert await call(session, "GET", "/v2/orders") == (200, [])
    path = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-05-01"
    assert (await call(session, "GET", path))[1]["bars"] == {}
    exchange.set_faults()
    assert (await call(session, "GET", path))[1]["bars"]["AAPL"]


@shows(Kind.PARTIAL_PAGE)
async def half_of_the_rows_are_missing_and_the_way_to_them(exchange, session):
    for _ in range(4):
        await rest(session, exchange)
    path = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-05-01&limit=4"
    exchange.set_faults({"kind": "partial_page"})
    assert len(await all_orders(session)) == 2
    _, page = await call(session, "GET", path)
    assert (len(page["bars"]["AAPL"]), page["next_page_token"]) == (2, None)
    exchange.set_faults()
    assert (await call(session, "GET", path))[1]["next_page_token"] is not None


@shows(Kind.STALE_SNAPSHOT)
async def a_read_is_answered_as_it_was_once(exchange, session):
    exchange.set_faults({"kind": "stale_snapshot", "where": "GET /v2/positions", "count": 2})
    assert await call(session, "GET", "/v2/positions") == (200, [])
    await submit(session)
    await exchange.step(60)
    assert await call(session, "GET", "/v2/positions") == (200, [])
    assert len((await call(session, "GET", "/v2/positions"))[1]) == 1


@shows(Kind.STALE_BUYING_POWER)
async def buying_power_lags_behind_by_one_event(exchange, session):
    exchange.set_faults({"kind": "stale_buying_power", "where": ACCOUNT})
    _, before = await call(session, "GET", "/v2/account")
    await rest(session, exchange, qty="100", limit_price="100")
    exchange.set_faults({"kind": "stale_buying_power", "where": ACCOUNT})
    fresh = await submit(session, type="limit", limit_price="100", qty="10")
    assert fresh[0] == 200
    _, stale = await call(session, "GET", "/v2/account")
    exchange.set_faults()
    _, now = await call(session, "GET", "/v2/account")
    assert float(before["buying_power"]) > float(stale["buying_power"]) > float(now["buying_power"])


@shows(Kind.SLOW_DRIP)
async def the_body_drips_in_over_its_time(exchange, session):
    exchange.set_faults({"kind": "slow_drip", "where": ACCOUNT, "latency_ms": 400})
    began_s = time.monotonic()
    async with session.get("/v2/account") as answer:
        pieces = [piece async for piece, _ in answer.content.iter_chunks() if piece]
    assert time.monotonic() - began_s >= 0.35
    assert len(pieces) > 20
    assert b"".join(pieces).endswith(b"}")


@shows(Kind.GIANT_BODY)
async def a_body_has_the_size_that_was_asked_for(exchange, session):
    exchange.set_faults({"kind": "giant_body", "where": ACCOUNT, "size_bytes": 3_000_001})
    answer, content = await raw(session, "GET", "/v2/account")
    assert (answer.headers["Content-Length"], len(content)) == ("3000001", 3_000_001)


@shows(Kind.GZIP_BOMB)
async def a_small_body_unpacks_to_a_large_one(exchange, _session):
    exchange.set_faults({"kind": "gzip_bomb", "where": ACCOUNT, "size_bytes": 5_000_000})
    async with aiohttp.ClientSession(exchange.url, headers=exchange.headers, auto_decompress=False) as packed:
        answer, content = await raw(packed, "GET", "/v2/account")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(content) < 50_000
    assert len(gzip.decompress(content)) == 5_000_000


@shows(Kind.ENDLESS_BODY)
async def a_chunked_body_goes_on(exchange, session):
    exchange.set_faults({"kind": "endless_body", "where": ACCOUNT, "size_bytes": 1_000_000_000})
    async with session.get("/v2/account") as answer:
        assert "Content-Length" not in answer.headers
        assert len(await answer.content.readexactly(4_000_000)) == 4_000_000
        answer.close()
    assert (await call(session, "GET", "/v2/clock"))[0] == 200
