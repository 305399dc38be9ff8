"""The adapters against the embedded exchange: a session of trading, and the faults it can play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from quant_trading_system.adapters.alpaca.cancel import CancelClient
from quant_trading_system.adapters.alpaca.credentials import Credentials
from quant_trading_system.adapters.alpaca.data_stream import DataStream
from quant_trading_system.adapters.alpaca.failures import BrokerAuthError
from quant_trading_system.adapters.alpaca.hosts import exchange_endpoints
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, HttpLimits
from quant_trading_system.adapters.alpaca.orders import OrderClient, echo_difference, is_duplicate
from quant_trading_system.adapters.alpaca.read import ReadClient
from quant_trading_system.adapters.alpaca.streaming import StreamSettings
from quant_trading_system.adapters.alpaca.trade_stream import TradeStream
from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.core.errors import InDoubt, Refused
from quant_trading_system.core.events import BarSeen, OrderUpdated, QuoteSeen, StreamDown, StreamUp, TradeSeen
from quant_trading_system.core.types import ClientOrderId, Nanos, OrderType, Side, Symbol
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.alpaca_adapter_servers import KEYS, Witness, http_to, running, seeded
from tests.unit.adapters.builders import intent

pytestmark = pytest.mark.asyncio

AAPL = Symbol("AAPL")
SYMBOLS = (AAPL, Symbol("MSFT"))
QUICK = StreamSettings(backoff_first_s=0.02, backoff_max_s=0.1, close_s=0.5)
LIMITS = HttpLimits(total_s=1.0, read_silence_s=1.0)
MINUTE_NS = 60_000_000_000


class Desk:
    """Every client on one session, and the exchange behind it."""

    def __init__(self, exchange: RunningExchange, http: AlpacaHttp) -> None:
        self.exchange = exchange
        self.orders = OrderClient(http)
        self.cancels = CancelClient(http)
        self.read = ReadClient(http, clock=SystemClock(), rng=seeded())
        self.count = 0

    def intent(self, **changes: Any) -> Any:
        """A buy that cannot fill: a limit far below the market."""
        self.count += 1
        return intent(
            **{"client_order_id": ClientOrderId(f"test-{self.count}"), "limit_price": Decimal("1.5"), **changes}
        )

    def market_buy(self, quantity: int) -> Any:
        return self.intent(order_type=OrderType.MARKET, limit_price=None, quantity=Decimal(quantity))


@asynccontextmanager
async def desk(**options: Any) -> AsyncIterator[Desk]:
    async with running_exchange(**options) as exchange:
        await exchange.step(60)
        async with http_to(exchange.url, limits=LIMITS) as http:
            yield Desk(exchange, http)


async def test_an_order_is_placed_found_and_canceled():
    async with desk() as our:
        asked = our.intent()
        order = await our.orders.submit(asked, before_write=None)
        await our.exchange.step(1)
        assert await our.read.order_by_client_id(ClientOrderId("never-sent")) is None
        found = await our.read.order_by_client_id(asked.client_order_id)
        assert found is not None
        assert echo_difference(found, asked) is None
        assert [o.broker_order_id for o in await our.read.open_orders()] == [order.broker_order_id]
        assert (await our.cancels.cancel(order.broker_order_id)).accepted
        await our.exchange.step(1)
        closed = await our.read.order(order.broker_order_id)
        assert closed is not None
        assert closed.status == "canceled"
        assert await our.read.open_orders() == []
        again = await our.cancels.cancel(order.broker_order_id)
        assert (again.accepted, again.code) in {(True, None), (False, 42210000)}


async def test_a_fill_is_told_alike_by_stream_activities_and_position():
    seen = Witness()
    async with desk() as our:
        endpoints = exchange_endpoints(our.exchange.url)
        async with running(TradeStream(endpoints, KEYS, SystemClock(), seen, QUICK, rng=seeded())):
            await seen.wait_for(StreamUp)
            asked = our.market_buy(10)
            await our.orders.submit(asked, before_write=None)
            await our.exchange.step(30)
            async with asyncio.timeout(5):
                while (updates := await seen.wait_for(OrderUpdated))[-1].order.status != "filled":
                    await asyncio.sleep(0.01)
        executions = [update.execution for update in updates if update.execution is not None]
        activities = await our.read.executions(Nanos(0))
        key = [(e.broker_order_id, e.cumulative_quantity, e.quantity, e.price, e.side) for e in executions]
        assert key == [(e.broker_order_id, e.cumulative_quantity, e.quantity, e.price, e.side) for e in activities]
        assert sum(e.quantity for e in executions) == Decimal(10)
        assert {update.order.client_order_id for update in updates} == {asked.client_order_id}
        (position,) = await our.read.positions()
        account = await our.read.account()
        assert (position.symbol, position.quantity) == ("AAPL", Decimal(10))
        assert account.cash_usd == Decimal(100_000) - sum((e.quantity * e.price for e in executions), Decimal(0))
        assert await our.read.executions(activities[-1].venue_ns) == []


async def test_a_taken_client_order_id_is_refused_and_the_order_found_by_it_is_ours():
    async with desk() as our:
        asked = our.intent()
        await our.orders.submit(asked, before_write=None)
        with pytest.raises(Refused) as refused:
            await our.orders.submit(asked, before_write=None)
        assert is_duplicate(refused.value)
        found = await our.read.order_by_client_id(asked.client_order_id)
        assert found is not None
        assert echo_difference(found, asked) is None


@pytest.mark.fault("A9")
async def test_what_the_exchange_refuses_is_a_definite_no():
    async with desk() as our:
        our.exchange.exchange.configure({"no_shorting": True})
        for wrong in (
            our.intent(quantity=Decimal(1_000_000), limit_price=Decimal("190")),
            our.intent(symbol=Symbol("NOSUCH")),
            our.intent(limit_price=Decimal("1.505")),
            our.intent(side=Side.SELL),
        ):
            with pytest.raises(Refused) as refused:
                await our.orders.submit(wrong, before_write=None)
            assert refused.value.message


@pytest.mark.fault("A2")
@pytest.mark.fault("A3")
@pytest.mark.parametrize(
    ("kind", "is_there"),
    [
        ("accept_then_drop", True), ("accept_then_504", True), ("empty_body", True), ("truncated_body", True),
        ("drop_before_accept", False), ("error_500", False), ("error_502", False), ("error_503", False),
        ("error_504", False), ("error_429", False), ("html_error", False),
    ],
)  # fmt: skip
async def test_whatever_becomes_of_the_answer_the_order_is_in_doubt_and_can_be_asked_for(kind: str, is_there: bool):
    async with desk() as our:
        asked = our.intent()
        our.exchange.set_faults({"kind": kind, "where": "POST /v2/orders"})
        with pytest.raises(InDoubt):
            await our.orders.submit(asked, before_write=None)
        our.exchange.set_faults()
        found = await our.read.order_by_client_id(asked.client_order_id)
        assert (found is not None) is is_there
        assert len(await our.read.open_orders()) == int(is_there)


async def test_a_slow_answer_is_waited_for_up_to_a_limit():
    async with desk() as our:
        our.exchange.set_faults({"kind": "latency", "where": "POST /v2/orders", "latency_ms": 200})
        assert (await our.orders.submit(our.intent(), before_write=None)).symbol == AAPL
        our.exchange.set_faults({"kind": "latency", "where": "POST /v2/orders", "latency_ms": 1_500})
        with pytest.raises(InDoubt):
            await our.orders.submit(our.intent(), before_write=None)


async def test_a_short_failure_of_reads_is_survived_by_trying_again():
    async with desk() as our:
        our.exchange.set_faults({"kind": "error_503", "where": "GET *", "at": 1, "count": 2})
        assert (await our.read.account()).status == "ACTIVE"


async def test_cancel_all_cancels_what_is_open():
    async with desk() as our:
        for _ in range(3):
            await our.orders.submit(our.intent(), before_write=None)
        await our.exchange.step(1)
        replies = await our.cancels.cancel_all()
        assert [reply.accepted for reply in replies] == [True] * 3
        await our.exchange.step(1)
        assert await our.read.open_orders() == []
        assert await our.cancels.cancel_all() == []
        assert {order.status for order in await our.read.closed_orders(Nanos(0))} == {"canceled"}


@pytest.mark.fault("C13")
async def test_lists_longer_than_a_page_are_read_to_their_end():
    async with desk() as our:
        for _ in range(503):
            await our.orders.submit(our.intent(quantity=Decimal(1)), before_write=None)
        found = await our.read.open_orders()
        assert len(found) == len({order.broker_order_id for order in found}) == 503


async def test_the_account_the_clock_the_calendar_and_the_assets():
    async with desk() as our:
        account = await our.read.account()
        assert (account.status, account.cash_usd, account.blocked) == ("ACTIVE", Decimal(100_000), False)
        reading = await our.read.clock()
        assert reading.is_open
        days = await our.read.calendar(date(2024, 7, 1), date(2024, 7, 7))
        assert [day.day.day for day in days] == [1, 2, 3, 5]
        assert [(day.close_ns - day.open_ns) // (30 * MINUTE_NS) for day in days] == [13, 13, 7, 13]
        assert {asset.symbol for asset in await our.read.assets()} >= {"AAPL", "MSFT", "SPY"}
        asset = await our.read.asset(AAPL)
        assert asset is not None
        assert asset.tradable
        assert await our.read.asset(Symbol("NOSUCH")) is None
        assert await our.read.positions() == []


async def test_history_is_read_page_by_page():
    async with desk() as our:
        await our.exchange.step(20 * 60)
        reading = await our.read.clock()
        start_ns, end_ns = Nanos(reading.venue_ns - 15 * MINUTE_NS), reading.venue_ns
        whole = await our.read.bars(SYMBOLS, start_ns=start_ns, end_ns=end_ns)
        paged = await our.read.bars(SYMBOLS, start_ns=start_ns, end_ns=end_ns, limit=3)
        assert whole == paged
        assert set(whole) == set(SYMBOLS)
        starts = [bar.start_ns for bar in whole[AAPL]]
        assert len(starts) >= 10
        assert starts == sorted(set(starts))
        assert set(await our.read.latest_quotes(SYMBOLS)) == set(SYMBOLS)
        assert set(await our.read.latest_trades(SYMBOLS)) == set(SYMBOLS)
        assert set(await our.read.latest_bars(SYMBOLS)) == set(SYMBOLS)


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_the_feed_carries_quotes_trades_and_bars(encoding: str):
    seen = Witness()
    async with desk() as our:
        stream = DataStream(
            exchange_endpoints(our.exchange.url), KEYS, SystemClock(), seen, seen.extend,
            msgspec.structs.replace(QUICK, encoding=encoding), symbols=SYMBOLS, is_open=lambda: True, rng=seeded(),
        )  # fmt: skip
        async with running(stream):
            await seen.wait_for(StreamUp)
            await our.exchange.step(130)
            for kind in (QuoteSeen, TradeSeen, BarSeen):
                found = await seen.wait_for(kind, 3)
                assert {event.symbol for event in found} <= set(SYMBOLS)
    assert stream.bad_messages == 0


@pytest.mark.fault("G2")
async def test_streams_that_are_cut_come_back():
    data, trade = Witness(), Witness()
    async with desk() as our:
        endpoints, clock = exchange_endpoints(our.exchange.url), SystemClock()
        feed = DataStream(
            endpoints, KEYS, clock, data, data.extend, QUICK, symbols=SYMBOLS, is_open=lambda: False, rng=seeded()
        )
        async with running(feed), running(TradeStream(endpoints, KEYS, clock, trade, QUICK, rng=seeded())):
            await asyncio.gather(data.wait_for(StreamUp), trade.wait_for(StreamUp))
            our.exchange.set_faults({"kind": "disconnect_stream", "where": "stream:*", "count": 2})
            await our.exchange.step(1)
            await asyncio.gather(data.wait_for(StreamDown), trade.wait_for(StreamDown))
            our.exchange.set_faults()
            await asyncio.gather(data.wait_for(StreamUp, 2), trade.wait_for(StreamUp, 2))


@pytest.mark.fault("C3")
async def test_repeated_frames_reach_the_order_manager_unchanged():
    seen = Witness()
    async with desk() as our:
        our.exchange.set_faults({"kind": "duplicate_frame", "where": "stream:trade_updates"})
        endpoints = exchange_endpoints(our.exchange.url)
        async with running(TradeStream(endpoints, KEYS, SystemClock(), seen, QUICK, rng=seeded())):
            await seen.wait_for(StreamUp)
            await our.orders.submit(our.intent(), before_write=None)
            await our.exchange.step(1)
            updates = await seen.wait_for(OrderUpdated, 2)
    assert updates[0].event_id == updates[1].event_id


async def test_wrong_keys_are_refused_everywhere():
    wrong = Credentials("PKSIM", "not-the-secret")
    async with running_exchange() as exchange:
        endpoints, clock, seen = exchange_endpoints(exchange.url), SystemClock(), Witness()
        async with http_to(exchange.url, keys=wrong) as http:
            with pytest.raises(Refused) as refused:
                await ReadClient(http, clock=clock, rng=seeded()).account()
            assert refused.value.http_status == 401
            with pytest.raises(Refused):
                await OrderClient(http).submit(intent(), before_write=None)
        feed = DataStream(
            endpoints, wrong, clock, seen, seen.extend, QUICK, symbols=SYMBOLS, is_open=lambda: True, rng=seeded()
        )
        with pytest.raises(BrokerAuthError):
            await feed.run()
        with pytest.raises(BrokerAuthError):
            await TradeStream(endpoints, wrong, clock, seen, QUICK, rng=seeded()).run()
