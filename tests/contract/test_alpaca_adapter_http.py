"""The HTTP session against servers that fail at every byte: what may have had an effect, and what cannot have."""

from __future__ import annotations

import asyncio
import asyncio.selector_events as selector_events
import email.utils
import time
from typing import Any

import pytest

from quant_trading_system.adapters.alpaca.breaker import BreakerState
from quant_trading_system.adapters.alpaca.cancel import CancelClient
from quant_trading_system.adapters.alpaca.failures import CircuitOpen
from quant_trading_system.adapters.alpaca.http import Base
from quant_trading_system.adapters.alpaca.limits import Lane
from quant_trading_system.adapters.alpaca.orders import OrderClient, payload
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.errors import InDoubt, Refused, Unavailable
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId
from tests.contract.alpaca_adapter_servers import RawServer, always, answer, http_to, raw_server, seeded
from tests.unit.adapters.builders import intent, order_body

pytestmark = pytest.mark.asyncio
ORDER_ID = BrokerOrderId("904837e3-3b76-47ec-b432-046db621571b")
EMPTY_LIST = answer("200 OK", b"[]")


class GateShut(Exception):
    """What the order gateway's re-check raises."""


def reader(http: Any) -> ReadClient:
    return ReadClient(http, clock=SystemClock(), rng=seeded())


# the last moment before the wire


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("is_warm", [False, True])
async def test_a_check_that_refuses_lets_no_byte_of_the_order_out(is_warm: bool):
    def refuse() -> None:
        raise GateShut("kill latch")

    async with raw_server(always(EMPTY_LIST)) as server, http_to(server.url) as http:
        if is_warm:  # the same on a connection that was used before
            await reader(http).open_orders()
        before = bytes(server.received)
        with pytest.raises(GateShut):
            await OrderClient(http).submit(intent(), before_write=refuse)
        await asyncio.sleep(0.05)
        assert bytes(server.received) == before
        assert http.breakers[Base.TRADING].state is BreakerState.CLOSED


async def test_the_check_and_the_write_are_one_step_of_the_loop(monkeypatch: pytest.MonkeyPatch):
    steps: list[str] = []
    write = selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def watched(transport: Any, data: bytes) -> None:
        if data.startswith(b"POST"):
            steps.append("write")
        write(transport, data)

    def check() -> None:
        steps.append("check")
        asyncio.get_running_loop().call_soon(steps.append, "next step")

    monkeypatch.setattr(selector_events._SelectorSocketTransport, "write", watched)  # type: ignore[attr-defined]
    async with raw_server(always(answer("200 OK", order_body()))) as server, http_to(server.url) as http:
        await OrderClient(http).submit(intent(), before_write=check)
    assert steps == ["check", "write", "next step"]


@pytest.mark.invariant("I3")
async def test_every_try_of_an_intent_is_the_same_bytes():
    async with raw_server(always(answer("200 OK", order_body()))) as server, http_to(server.url) as http:
        await OrderClient(http).submit(intent(), before_write=None)
        first = bytes(server.received)
        await OrderClient(http).submit(intent(), before_write=None)
    assert bytes(server.received) == first * 2
    assert first.endswith(payload(intent()))
    assert b"APCA-API-KEY-ID: PKSIM" in first


# what may have had an effect


@pytest.mark.fault("A1")
async def test_a_refused_connection_sent_nothing():
    async with raw_server(always(b"")) as server:
        gone = server.url
    async with http_to(gone) as http:
        checks: list[int] = []
        with pytest.raises(Unavailable):
            await OrderClient(http).submit(intent(), before_write=lambda: checks.append(1))
        with pytest.raises(Unavailable):
            await CancelClient(http).cancel(ORDER_ID)
        assert checks == []


async def hang_up(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def stay_silent(_server: RawServer, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def cut_the_body(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    writer.write(answer("200 OK", order_body())[:-30])
    await writer.drain()
    writer.close()


async def answer_nonsense(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")


async def answer_without_end(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def drip(_server: RawServer, writer: asyncio.StreamWriter) -> None:
    for byte in answer("200 OK", order_body()):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


LOST_ANSWERS = [hang_up, stay_silent, cut_the_body, answer_nonsense, answer_without_end, drip]


@pytest.mark.requirement("R194")
@pytest.mark.fault("A2")
@pytest.mark.fault("A3")
@pytest.mark.fault("G1")
@pytest.mark.parametrize("lose", LOST_ANSWERS)
async def test_a_lost_answer_leaves_an_order_in_doubt_and_is_not_tried_again(lose: Any):
    async with raw_server(lose) as server, http_to(server.url) as http:
        with pytest.raises(InDoubt):
            await OrderClient(http).submit(intent(), before_write=None)
        assert server.requests == 1


@pytest.mark.parametrize("lose", LOST_ANSWERS)
async def test_a_lost_answer_leaves_a_cancel_in_doubt_and_is_not_tried_again(lose: Any):
    async with raw_server(lose) as server, http_to(server.url) as http:
        with pytest.raises(InDoubt):
            await CancelClient(http).cancel(ORDER_ID)
        assert server.requests == 1


async def test_a_cancel_on_a_connection_that_died_idle_is_not_repeated_behind_our_back():
    async def once(server: RawServer, writer: asyncio.StreamWriter) -> None:
        if server.requests == 1:
            writer.write(EMPTY_LIST)
        else:
            writer.close()

    async with raw_server(once) as server, http_to(server.url) as http:
        await reader(http).open_orders()
        with pytest.raises(InDoubt):
            await CancelClient(http).cancel(ORDER_ID)
        assert (server.requests, server.connections) == (2, 1)


@pytest.mark.requirement("R132")
@pytest.mark.fault("C8")
@pytest.mark.fault("G3")
@pytest.mark.parametrize("lose", LOST_ANSWERS)
async def test_a_read_that_fails_is_unavailable_and_never_empty(lose: Any):
    async with raw_server(lose) as server, http_to(server.url) as http:
        with pytest.raises(Unavailable):
            await reader(http).positions()
        assert 1 <= server.requests <= 3 * 2  # three tries; aiohttp repeats a GET once on a dead connection


@pytest.mark.fault("A2")
@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Gateway Time-out", "429 Slow Down"])
@pytest.mark.parametrize("body", [b"", b"<html><h1>Error</h1></html>", b'{"code":50010000,"message":"internal"}'])
async def test_a_sick_gateway_leaves_an_order_in_doubt(status: str, body: bytes):
    async with raw_server(always(answer(status, body))) as server, http_to(server.url) as http:
        with pytest.raises(InDoubt):
            await OrderClient(http).submit(intent(), before_write=None)
        assert server.requests == 1


@pytest.mark.fault("A13")
async def test_an_echo_of_another_order_leaves_ours_in_doubt():
    async with raw_server(always(answer("200 OK", order_body(qty="100")))) as server, http_to(server.url) as http:
        with pytest.raises(InDoubt, match="echo differs: qty 100, asked 10"):
            await OrderClient(http).submit(intent(), before_write=None)


@pytest.mark.fault("A9")
async def test_a_definite_refusal_names_its_reason():
    body = b'{"buying_power":"1","code":40310000,"cost_basis":"8177","message":"insufficient buying power"}'
    async with raw_server(always(answer("403 Forbidden", body))) as server, http_to(server.url) as http:
        with pytest.raises(Refused) as refused:
            await OrderClient(http).submit(intent(), before_write=None)
    assert (refused.value.code, refused.value.extra["cost_basis"]) == (40310000, "8177")


# cancels


async def test_a_cancel_is_accepted_or_says_why_not():
    refusal = b'{"code":42210000,"message":"order is already in \\"filled\\" state"}'
    answers = iter([answer("204 No Content"), answer("422 Unprocessable Entity", refusal)])

    async def respond(_server: RawServer, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async with raw_server(respond) as server, http_to(server.url) as http:
        accepted = await CancelClient(http).cancel(ORDER_ID)
        refused = await CancelClient(http).cancel(ORDER_ID)
    assert (accepted.accepted, accepted.http_status) == (True, 204)
    assert (refused.accepted, refused.code, refused.message) == (False, 42210000, 'order is already in "filled" state')
    assert server.received.startswith(f"DELETE /v2/orders/{ORDER_ID} HTTP/1.1".encode())


async def test_cancel_all_tells_of_every_order_how_it_went():
    body = (
        b'[{"id":"a","status":200,"body":{"id":"a"}},{"id":"b","status":500,"body":{"code":50010000,"message":"x"}},'
        b'{"id":"c","status":422}]'
    )
    async with raw_server(always(answer("207 Multi-Status", body))) as server, http_to(server.url) as http:
        replies = await CancelClient(http).cancel_all()
    assert [(r.broker_order_id, r.accepted, r.code) for r in replies] == [
        ("a", True, None), ("b", False, 50010000), ("c", False, None),
    ]  # fmt: skip


async def test_nothing_to_cancel_is_an_empty_list_and_a_cut_one_is_doubt():
    async with raw_server(always(answer("207 Multi-Status", b"[]"))) as server, http_to(server.url) as http:
        assert await CancelClient(http).cancel_all() == []
    async with raw_server(always(answer("207 Multi-Status", b'[{"id"'))) as server, http_to(server.url) as http:
        with pytest.raises(InDoubt):
            await CancelClient(http).cancel_all()


async def test_an_id_cannot_lead_to_another_path():
    unknown = always(answer("404 Not Found", b'{"code":40410000,"message":"no"}'))
    async with raw_server(unknown) as server, http_to(server.url) as http:
        await CancelClient(http).cancel(BrokerOrderId("../positions?x"))
    assert server.received.startswith(b"DELETE /v2/orders/..%2Fpositions%3Fx HTTP/1.1")


# reads


async def test_absence_is_believed_only_in_the_brokers_own_words():
    absent = answer("404 Not Found", b'{"code":40410000,"message":"order not found for x"}')
    async with raw_server(always(absent)) as server, http_to(server.url) as http:
        assert await reader(http).order_by_client_id(ClientOrderId("x")) is None
    for other in (b"<html>404</html>", b"", b'{"message":"endpoint not found."}'):
        async with raw_server(always(answer("404 Not Found", other))) as server, http_to(server.url) as http:
            with pytest.raises(Unavailable):
                await reader(http).order_by_client_id(ClientOrderId("x"))


@pytest.mark.requirement("R192")
async def test_a_read_is_tried_three_times_and_no_more():
    async with raw_server(always(answer("500 Oops"))) as server, http_to(server.url) as http:
        with pytest.raises(Unavailable):
            await reader(http).account()
        assert server.requests == 3


@pytest.mark.parametrize("status", ["429 Too Many Requests", "401 Unauthorized", "403 Forbidden"])
async def test_a_read_that_is_told_to_stop_stops(status: str):
    async with raw_server(always(answer(status, b'{"message":"no"}'))) as server, http_to(server.url) as http:
        with pytest.raises((Unavailable, Refused)):
            await reader(http).account()
        assert server.requests == 1


@pytest.mark.requirement("R193")
async def test_a_sick_target_is_left_alone_while_cancels_still_go_out():
    seen: list[tuple[str, BreakerState]] = []

    def note(target: str, state: BreakerState) -> None:
        seen.append((target, state))

    async with raw_server(always(answer("503 Busy"))) as server, http_to(server.url, on_breaker=note) as http:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await reader(http).account()
        asked = server.requests
        with pytest.raises(CircuitOpen):
            await OrderClient(http).submit(intent(), before_write=None)
        assert server.requests == asked
        with pytest.raises(InDoubt):
            await CancelClient(http).cancel_all()
        assert server.requests == asked + 1
    assert seen == [("trading", BreakerState.OPEN)]


# keys go nowhere else


@pytest.mark.fault("G4")
async def test_a_redirect_is_not_followed():
    async with raw_server(always(EMPTY_LIST)) as stranger:
        moved = answer("307 Temporary Redirect", b"", f"Location: {stranger.url}/v2/orders")
        async with raw_server(always(moved)) as server, http_to(server.url) as http:
            with pytest.raises(InDoubt):
                await OrderClient(http).submit(intent(), before_write=None)
            with pytest.raises(Unavailable):
                await reader(http).account()
        assert stranger.connections == 0


@pytest.mark.fault("G4")
async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch):
    async with raw_server(always(EMPTY_LIST)) as proxy, raw_server(always(EMPTY_LIST)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with http_to(server.url) as http:
            await reader(http).open_orders()
        assert (proxy.connections, server.connections) == (0, 1)


async def test_cookies_are_not_kept():
    baked = answer("200 OK", b"[]", "Set-Cookie: track=me; Path=/")
    async with raw_server(always(baked)) as server, http_to(server.url) as http:
        await reader(http).positions()
        await reader(http).positions()
    assert b"ookie" not in server.received


# what is measured


@pytest.mark.control("P35")
@pytest.mark.parametrize(("their_lead_s", "least_s", "most_s"), [(10, -11.0, -9.0), (-10, 8.0, 10.0), (0, -0.2, 0.2)])
async def test_clock_skew_is_measured_by_the_date_header(their_lead_s: int, least_s: float, most_s: float):
    async def respond(_server: RawServer, writer: asyncio.StreamWriter) -> None:
        date = email.utils.formatdate(int(time.time()) + their_lead_s, usegmt=True)
        writer.write(answer("200 OK", b"[]", f"Date: {date}"))

    async with raw_server(respond) as server, http_to(server.url) as http:
        assert http.skew_s is None
        await reader(http).positions()
        assert http.skew_s is not None
        assert least_s <= http.skew_s <= most_s


async def test_every_attempt_is_counted_under_a_name_without_ids():
    seen: list[tuple[str, str]] = []

    def note(endpoint: str, code: str, seconds: float) -> None:
        assert seconds >= 0.0
        seen.append((endpoint, code))

    done = always(answer("204 No Content"))
    async with raw_server(done) as server, http_to(server.url, on_request=note) as http:
        await CancelClient(http).cancel(ORDER_ID)
    async with http_to(server.url, on_request=note) as http:
        with pytest.raises(Unavailable):
            await http.request("GET", "/v2/clock", lane=Lane.POLL)
    assert seen == [("DELETE /v2/orders/{id}", "204"), ("GET /v2/clock", "connect_failed")]
