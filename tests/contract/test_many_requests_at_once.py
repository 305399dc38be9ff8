"""Many requests at once and requests without an answer: connections are shared, time is bounded, ids stay unique."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

import pytest

from quant_trading_system.adapters.alpaca.cancel import CancelClient
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, HttpLimits
from quant_trading_system.adapters.alpaca.limits import Lane
from quant_trading_system.adapters.alpaca.orders import OrderClient, echo_difference, is_duplicate
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.errors import InDoubt, Refused, Unavailable
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Nanos, Symbol
from quant_trading_system.simulator.server.testing import running_exchange
from tests.contract.alpaca_adapter_servers import RawServer, always, answer, http_to, raw_server, seeded
from tests.unit.adapters.builders import intent

pytestmark = pytest.mark.asyncio

NOTHING = answer("200 OK", b"[]")
IBM = Symbol("IBM")
PATIENCE = HttpLimits(connect_s=0.5, read_silence_s=0.05, total_s=0.15, budget_wait_s=0.5)
SECONDS_MAX = 3.0  # three tries of a read and the pauses between them, with room for a busy machine


def reader(http: AlpacaHttp) -> ReadClient:
    return ReadClient(http, clock=SystemClock(), rng=seeded())


@pytest.mark.requirement("R126")
async def test_a_connection_is_kept_and_used_again():
    async with raw_server(always(NOTHING)) as server, http_to(server.url) as http:
        for _ in range(20):
            await reader(http).positions()
        assert (server.requests, server.connections) == (20, 1)


@pytest.mark.requirement("R126")
async def test_many_requests_at_once_share_ten_connections():
    most = open_now = 0

    async def slowly(_server: RawServer, writer: asyncio.StreamWriter) -> None:
        nonlocal most, open_now
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.01)
        open_now -= 1
        writer.write(NOTHING)

    async with raw_server(slowly) as server, http_to(server.url, limits=HttpLimits()) as http:
        replies = await asyncio.gather(*(http.request("GET", "/v2/positions", lane=Lane.POLL) for _ in range(100)))
        assert {reply.status for reply in replies} == {200}
        assert most == server.connections == HttpLimits().connections_max == 10


Call = Callable[[AlpacaHttp], Awaitable[object]]
CALLS: dict[str, Call] = {
    "account": lambda http: reader(http).account(),
    "clock": lambda http: reader(http).clock(),
    "calendar": lambda http: reader(http).calendar(date(2026, 1, 5), date(2026, 1, 9)),
    "assets": lambda http: reader(http).assets(),
    "asset": lambda http: reader(http).asset(IBM),
    "positions": lambda http: reader(http).positions(),
    "order": lambda http: reader(http).order(BrokerOrderId("904837e3-3b76-47ec-b432-046db621571b")),
    "order_by_client_id": lambda http: reader(http).order_by_client_id(ClientOrderId("qts-1")),
    "open_orders": lambda http: reader(http).open_orders(),
    "closed_orders": lambda http: reader(http).closed_orders(Nanos(0)),
    "newest_orders": lambda http: reader(http).newest_orders(),
    "executions": lambda http: reader(http).executions(Nanos(0)),
    "activities": lambda http: reader(http).activities(Nanos(0)),
    "bars": lambda http: reader(http).bars([IBM], start_ns=Nanos(0), end_ns=Nanos(1)),
    "latest_quotes": lambda http: reader(http).latest_quotes([IBM]),
    "latest_trades": lambda http: reader(http).latest_trades([IBM]),
    "latest_bars": lambda http: reader(http).latest_bars([IBM]),
    "submit": lambda http: OrderClient(http).submit(intent(), before_write=None),
    "cancel": lambda http: CancelClient(http).cancel(BrokerOrderId("904837e3-3b76-47ec-b432-046db621571b")),
    "cancel_all": lambda http: CancelClient(http).cancel_all(),
}
MAY_HAVE_AN_EFFECT = {"submit", "cancel", "cancel_all"}


@pytest.mark.requirement("R194")
@pytest.mark.requirement("R132")
@pytest.mark.fault("G1")
async def test_a_broker_that_never_answers_is_an_error_of_every_call_within_its_time_and_never_an_empty_answer():
    async def never(_server: RawServer, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)  # longer than any of them waits

    async with raw_server(never) as server:

        async def outcome(call: Call) -> object:
            async with http_to(server.url, limits=PATIENCE) as http, asyncio.timeout(SECONDS_MAX):
                return await call(http)

        outcomes = await asyncio.gather(*map(outcome, CALLS.values()), return_exceptions=True)
    for name, found in zip(CALLS, outcomes, strict=True):
        assert isinstance(found, InDoubt if name in MAY_HAVE_AN_EFFECT else Unavailable), (name, found)
        assert "timeout" in str(found), name


@pytest.mark.requirement("R194")
async def test_every_call_of_this_program_is_among_them_and_ten_seconds_is_the_most():
    public = {
        name
        for client in (ReadClient, OrderClient, CancelClient)
        for name, member in vars(client).items()
        if not name.startswith("_") and asyncio.iscoroutinefunction(member)
    }
    assert public == set(CALLS)
    assert HttpLimits().total_s == 10.0


@pytest.mark.requirement("R096")
async def test_of_twelve_equal_orders_sent_at_once_one_is_placed_and_the_others_find_it():
    async with running_exchange() as exchange:
        await exchange.step(60)
        asked = intent()
        async with http_to(exchange.url, limits=HttpLimits()) as http:
            client = OrderClient(http)
            outcomes = await asyncio.gather(
                *(client.submit(asked, before_write=None) for _ in range(12)), return_exceptions=True
            )
            placed = [outcome for outcome in outcomes if isinstance(outcome, BrokerOrder)]
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
            assert (len(placed), len(refused)) == (1, 11)
            assert all(map(is_duplicate, refused))
            found = await reader(http).order_by_client_id(asked.client_order_id)
        assert found is not None
        assert found.broker_order_id == placed[0].broker_order_id
        assert echo_difference(found, asked) is None
        assert len(exchange.exchange.orders()) <= 1
