"""The worked sequences W1 to W15 of the protocol facts, over the wire: what REST answers, and every event.

Venue time stands until a test moves it, so that what a client does between two steps happens at one instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.stamps import parse_instant
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import Json, call, market_data, receive, served, submit, trade_updates

pytestmark = pytest.mark.asyncio

RACES_MAX = 20
FAR = "9000"  # a price that no symbol of a generated world reaches


@dataclass
class Story:
    """A client with an ear on trade_updates, and the exchange that it trades at."""

    exchange: RunningExchange
    session: aiohttp.ClientSession
    socket: aiohttp.ClientWebSocketResponse
    told: list[Json] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        return await call(self.session, method, path, body)

    async def get(self, path: str) -> Json:
        status, answer = await self.ask("GET", path)
        assert status == 200, answer
        return answer

    async def order(self, **fields: object) -> Json:
        status, order = await submit(self.session, **fields)
        assert status == 200, order
        return order

    async def wait(self, seconds: float = 60) -> None:
        await self.exchange.step(seconds)
        await self._listen()

    async def jump_to(self, venue_time: str) -> None:
        await self.exchange.jump_to(venue_time)
        await self._listen()

    async def _listen(self) -> None:
        """Everything that was sent until now: the answer to a repeated listen comes behind it."""
        await self.socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        while (frame := await receive(self.socket))["stream"] != "listening":
            assert frame["stream"] == "trade_updates"
            self.told.append(frame["data"])

    def events_of(self, order: Json) -> list[Json]:
        return [event for event in self.told if event["order"]["id"] == order["id"]]

    def names_of(self, order: Json) -> list[str]:
        return [event["event"] for event in self.events_of(order)]

    async def rested(self, **fields: object) -> Json:
        """An order that the venue has acknowledged."""
        order = await self.order(**fields)
        await self.wait(1)
        assert self.names_of(order) == ["pending_new", "new"]
        return order

    async def raced(self, ask: Callable[[Json], Awaitable[tuple[int, Json]]], *, answers: int) -> Json:
        """A market order that was filled although something was asked of it after its acknowledgement."""
        for _ in range(RACES_MAX):
            order = await self.order()
            while "new" not in self.names_of(order):
                await self.wait(0.001)
            if "fill" not in self.names_of(order):
                assert (await ask(order))[0] == answers
                await self.wait(5)
                if "fill" in self.names_of(order):
                    return order
        raise AssertionError(f"expected one of {RACES_MAX} fills to be faster")

    async def bought(self, symbol: str, qty: str) -> Json:
        order = await self.order(symbol=symbol, qty=qty)
        await self.wait()
        assert self.names_of(order)[-1] == "fill"
        return order


@asynccontextmanager
async def story(**options: Any) -> AsyncIterator[Story]:
    async with served(**options) as (exchange, session), trade_updates(session, exchange) as socket:
        yield Story(exchange, session, socket)


def is_in_order(events: Sequence[Json]) -> bool:
    """Whether ids and times of events go up together."""
    stamps, ids = [parse_instant(event["timestamp"]) for event in events], [event["event_id"] for event in events]
    return ids == sorted(set(ids)) and stamps == sorted(stamps)


async def test_w1_a_market_buy_in_regular_hours():
    async with story() as at:
        order = await at.order(qty="10")
        assert (order["status"], order["filled_qty"]) == ("pending_new", "0")
        await at.wait(5)
        pending, new, fill = at.events_of(order)
        assert [event["event"] for event in (pending, new, fill)] == ["pending_new", "new", "fill"]
        assert "execution_id" not in pending
        assert len({new["execution_id"], fill["execution_id"]}) == 2
        assert is_in_order(at.told)
        assert [event["order"]["status"] for event in (pending, new, fill)] == ["pending_new", "new", "filled"]
        now = await at.get(f"/v2/orders/{order['id']}")
        assert (now["status"], now["filled_avg_price"], now["filled_at"]) == (
            "filled",
            fill["price"],
            fill["timestamp"],
        )
        assert (fill["qty"], fill["position_qty"]) == ("10", "10")
        account = await at.get("/v2/account")
        assert D(account["cash"]) == 100_000 - 10 * D(fill["price"])
        assert D(account["buying_power"]) < 400_000
        (activity,) = await at.get("/v2/account/activities")
        assert (activity["type"], activity["leaves_qty"], activity["order_id"]) == ("fill", "0", order["id"])


async def test_w2_a_partial_fill_and_the_rest():
    async with story() as at:
        order = await at.bought("AAPL", "7")
        while "partial_fill" not in at.names_of(order):  # one in ten is filled in two parts
            order = await at.bought("AAPL", "7")
        assert at.names_of(order) == ["pending_new", "new", "partial_fill", "fill"]
        part, rest = at.events_of(order)[2:]
        assert (part["order"]["status"], part["order"]["filled_qty"]) == ("partially_filled", part["qty"])
        assert D(part["qty"]) + D(rest["qty"]) == 7
        assert rest["order"]["filled_qty"] == "7"
        spent = D(part["price"]) * D(part["qty"]) + D(rest["price"]) * D(rest["qty"])
        assert D(rest["order"]["filled_avg_price"]) == pytest.approx(spent / 7, abs=D("1e-9"))
        last, first = (await at.get("/v2/account/activities"))[:2]
        assert (first["type"], first["cum_qty"], first["leaves_qty"]) == ("partial_fill", part["qty"], rest["qty"])
        assert (last["type"], last["cum_qty"], last["leaves_qty"]) == ("fill", "7", "0")


async def test_w3_a_limit_order_away_from_the_market_is_cancelled():
    async with story() as at:
        order = await at.rested(type="limit", limit_price="1")
        assert await at.ask("DELETE", f"/v2/orders/{order['id']}") == (204, None)
        assert (await at.get(f"/v2/orders/{order['id']}"))["status"] == "pending_cancel"
        await at.wait(1)
        assert at.names_of(order) == ["pending_new", "new", "canceled"]
        canceled = at.told[-1]
        assert canceled["order"]["canceled_at"] == canceled["timestamp"]
        assert canceled["order"]["status"] == "canceled"


async def test_w3_a_fill_may_be_faster_than_the_cancel():
    async with story() as at:
        order = await at.raced(lambda order: at.ask("DELETE", f"/v2/orders/{order['id']}"), answers=204)
        assert at.names_of(order)[:3] == ["pending_new", "new", "fill"]
        assert at.names_of(order)[3:] in ([], ["order_cancel_rejected"])
        status, error = await at.ask("DELETE", f"/v2/orders/{order['id']}")
        assert (status, error["code"], error["message"]) == (422, 42210000, 'order is already in "filled" state')


async def test_w4_a_replaced_order_gives_way_to_a_new_one():
    async with story() as at:
        old = await at.rested(type="limit", limit_price="1")
        status, new = await at.ask("PATCH", f"/v2/orders/{old['id']}", {"limit_price": "1.5", "qty": "2"})
        assert (status, new["replaces"]) == (200, old["id"])
        await at.wait(1)
        assert [(event["event"], event["order"]["id"]) for event in at.told[2:]][-2:] == [
            ("replaced", old["id"]),
            ("new", new["id"]),
        ]
        replaced = at.events_of(old)[-1]["order"]
        assert (replaced["status"], replaced["replaced_by"]) == ("replaced", new["id"])
        every = {order["id"]: order["status"] for order in await at.get("/v2/orders?status=all")}
        assert every == {old["id"]: "replaced", new["id"]: "new"}


async def test_w4_the_old_order_may_fill_before_it_is_replaced():
    async with story() as at:
        old = await at.raced(lambda order: at.ask("PATCH", f"/v2/orders/{order['id']}", {"qty": "2"}), answers=200)
        assert at.names_of(old)[:3] == ["pending_new", "new", "fill"]
        (new,) = [order for order in await at.get("/v2/orders?status=all") if order["replaces"] == old["id"]]
        assert new["status"] == "rejected"
        assert at.names_of(new)[-1:] == ["rejected"] or at.names_of(old)[-1] == "order_replace_rejected"
        assert (await at.get(f"/v2/orders/{old['id']}"))["replaced_by"] is None


async def _bracket(at: Story, *, profit: str, loss: str) -> tuple[Json, Json, Json]:
    entry = await at.order(
        qty="2", order_class="bracket", take_profit={"limit_price": profit}, stop_loss={"stop_price": loss}
    )
    take, stop = entry["legs"]
    assert (entry["status"], take["status"], stop["status"]) == ("accepted", "held", "held")
    return entry, take, stop


async def _price(at: Story) -> D:
    return D(str((await at.get("/v2/stocks/AAPL/trades/latest"))["trade"]["p"])).quantize(D("0.01"))


async def test_w5_a_bracket_takes_its_profit():
    async with story() as at:
        near = await _price(at)
        entry, take, stop = await _bracket(at, profit=str(near + D("0.4")), loss="1")
        await at.wait(3)
        assert at.names_of(entry) == ["pending_new", "new", "fill"]
        legs = {leg["id"]: leg["status"] for leg in (await at.get(f"/v2/orders/{entry['id']}?nested=true"))["legs"]}
        assert legs == {take["id"]: "new", stop["id"]: "held"}
        assert at.names_of(take) == ["new"]
        await at.jump_to("2024-06-03T15:59")
        assert at.names_of(take)[-1] == "fill"
        assert (await at.get(f"/v2/orders/{stop['id']}"))["status"] == "canceled"
        assert await at.get("/v2/positions") == []


async def test_w5_a_bracket_stops_its_loss():
    async with story() as at:
        near = await _price(at)
        entry, take, stop = await _bracket(at, profit=FAR, loss=str(near - D("0.4")))
        await at.jump_to("2024-06-03T15:59")
        assert at.names_of(entry) == ["pending_new", "new", "fill"]
        assert at.names_of(stop)[-1] == "fill"
        assert (await at.get(f"/v2/orders/{take['id']}"))["status"] in ("canceled", "replaced")
        assert await at.get("/v2/positions") == []


async def test_w5_a_bracket_that_is_cancelled_before_its_fill_takes_its_legs_along():
    async with story() as at:
        order = {"type": "limit", "limit_price": "2", "order_class": "bracket"}
        exits = {"take_profit": {"limit_price": FAR}, "stop_loss": {"stop_price": "1"}}
        entry = await at.order(**order, **exits)
        await at.wait(1)
        assert (await at.ask("DELETE", f"/v2/orders/{entry['id']}"))[0] == 204
        await at.wait(1)
        assert {order["status"] for order in await at.get("/v2/orders?status=all")} == {"canceled"}
        assert len(await at.get("/v2/orders?status=all")) == 3


async def test_w6_a_position_behind_an_open_sell_cannot_be_closed():
    async with story() as at:
        await at.bought("AAPL", "4")
        order = await at.rested(side="sell", qty="4", type="limit", limit_price=FAR)
        status, error = await at.ask("DELETE", "/v2/positions/AAPL")
        assert status == 403
        assert error == {
            "available": "0",
            "code": 40310000,
            "existing_qty": "4",
            "held_for_orders": "4",
            "message": "insufficient qty available for order (requested: 4, available: 0)",
            "related_orders": [order["id"]],
            "symbol": "AAPL",
        }
        assert list(error) == sorted(error)


async def test_w7_flattening_needs_a_second_call():
    async with story() as at:
        await at.bought("AAPL", "4")
        order = await at.rested(side="sell", qty="4", type="limit", limit_price=FAR)
        status, rows = await at.ask("DELETE", "/v2/positions?cancel_orders=true")
        assert (status, [(row["symbol"], row["status"]) for row in rows]) == (
            207,
            [(order["id"], 200), ("AAPL", 403)],
        )
        await at.wait(1)
        assert at.names_of(order)[-1] == "canceled"
        status, rows = await at.ask("DELETE", "/v2/positions?cancel_orders=true")
        assert (status, [(row["symbol"], row["status"]) for row in rows]) == (207, [("AAPL", 200)])
        assert rows[0]["body"]["status"] in ("accepted", "pending_new")
        await at.wait()
        assert await at.get("/v2/positions") == []


async def test_w8_an_order_whose_answer_was_lost_is_found_and_not_taken_twice():
    async with story() as at:
        at.exchange.set_faults({"kind": "accept_then_drop", "where": "POST /v2/orders", "count": 1})
        with pytest.raises(aiohttp.ClientError):
            await submit(at.session, client_order_id="C")
        at.exchange.set_faults()
        found = await at.get("/v2/orders:by_client_order_id?client_order_id=C")
        assert found["client_order_id"] == "C"
        status, error = await submit(at.session, client_order_id="C")
        assert (status, error) == (422, {"code": 40010001, "message": "client_order_id must be unique"})
        await at.wait()
        assert at.names_of(found) == ["pending_new", "new", "fill"]


async def test_w9_a_day_order_after_hours_waits_for_the_next_session():
    async with story(start="2024-06-03T15:59") as at:
        await at.jump_to("2024-06-03T20:30")
        order = await at.order()
        assert (order["status"], order["expires_at"]) == ("accepted", "2024-06-04T20:00:00Z")
        await at.wait(1)
        assert at.names_of(order) == ["accepted"]
        await at.jump_to("2024-06-04T09:30:30")
        assert at.names_of(order) == ["accepted", "pending_new", "new", "fill"]
        assert at.told[-1]["timestamp"] >= "2024-06-04T13:30:00"


@pytest.mark.parametrize(("limit_price", "end"), [(FAR, "filled"), ("1", "canceled")])
async def test_w10_an_order_for_the_opening_auction_fills_or_is_cancelled(limit_price: str, end: str):
    async with story(start="2024-06-03T15:59") as at:
        await at.jump_to("2024-06-03T20:00")
        order = await at.order(type="limit", limit_price=limit_price, time_in_force="opg")
        assert order["status"] == "accepted"
        await at.jump_to("2024-06-04T09:31")
        now = await at.get(f"/v2/orders/{order['id']}")
        assert now["status"] == end
        assert at.names_of(order)[-1] == {"filled": "fill", "canceled": "canceled"}[end]


async def test_w11_a_halt_stops_fills_until_trading_resumes():
    async with story() as at, market_data(at.session) as data:
        await data.send_json({"action": "subscribe", "statuses": ["AAPL"]})
        assert (await receive(data))[0]["statuses"] == ["AAPL"]
        resting = await at.rested(type="limit", limit_price="1")
        assert (await at.ask("POST", "/simulator/v1/status", {"symbol": "AAPL", "status": "halt"}))[0] == 200
        await at.wait(1)
        status, error = await submit(at.session)
        assert (status, error["code"]) == (403, 40310010)
        waiting = await at.order(type="limit", limit_price=FAR)
        await at.wait(120)
        assert at.names_of(waiting)[-1] == at.names_of(resting)[-1] == "new"
        assert (await at.ask("POST", "/simulator/v1/status", {"symbol": "AAPL", "status": "resume"}))[0] == 200
        await at.wait(120)
        assert at.names_of(waiting)[-1] == "fill"
        halted, resumed = (await receive(data))[0], (await receive(data))[0]
        assert [(message["T"], message["S"], message["sc"]) for message in (halted, resumed)] == [
            ("s", "AAPL", "H"),
            ("s", "AAPL", "T"),
        ]


async def test_w12_a_crypto_buy_pays_its_fee_in_coins():
    async with story() as at:
        order = await at.order(symbol="BTC/USD", qty="1", time_in_force="gtc")
        await at.wait()
        fills = [event for event in at.events_of(order) if event["event"] in ("partial_fill", "fill")]
        assert sum(D(event["qty"]) for event in fills) == 1
        assert (fills[-1]["swap_rate"], fills[-1]["settle_date"]) == ("1", "2024-06-03")
        assert fills[-1]["position_qty"] == "0.9975"
        position = await at.get("/v2/positions/BTC%2FUSD")
        assert (position["symbol"], position["qty"], position["asset_class"]) == ("BTCUSD", "0.9975", "crypto")
        assert (await at.get(f"/v2/orders/{order['id']}"))["filled_qty"] == "1"
        await at.jump_to("2024-06-04T09:00")
        (fee,) = await at.get("/v2/account/activities/CFEE")
        assert D(fee["qty"]) == D("-0.0025")


async def test_w13_a_session_of_market_data():
    async with served() as (exchange, session), market_data(session, login=False) as socket:
        await socket.send_json({"action": "auth", "key": "PKSIM", "secret": "sim"})
        assert await receive(socket) == [{"T": "success", "msg": "authenticated"}]
        await socket.send_json({"action": "subscribe", "bars": ["*"], "updatedBars": ["*"]})
        (state,) = await receive(socket)
        assert (state["T"], state["bars"], state["trades"]) == ("subscription", ["*"], [])
        await exchange.step(75)
        bars = await receive(socket)
        assert {(bar["T"], bar["t"]) for bar in bars} == {("b", "2024-06-03T13:31:00Z")}
        assert {bar["S"] for bar in bars} == {"AAPL", "MSFT", "SPY"}
        exchange.set_faults({"kind": "update_bar", "where": "stream:market_data", "count": 1})
        await exchange.step(60)
        later: list[Json] = []
        while not any(message["T"] == "u" for message in later):
            later = await receive(socket)


async def test_w14_a_second_data_connection_is_refused_and_the_first_goes_on():
    async with served() as (exchange, session), market_data(session) as first:
        async with market_data(session, login=False) as second:
            await second.send_json({"action": "auth", "key": "PKSIM", "secret": "sim"})
            answers = await receive(second)
            assert answers == [{"T": "error", "code": 406, "msg": "connection limit exceeded"}]
        await first.send_json({"action": "subscribe", "trades": ["AAPL"]})
        assert (await receive(first))[0]["trades"] == ["AAPL"]
        await exchange.step(30)
        assert (await receive(first))[0]["T"] == "t"


async def test_w15_a_bust_takes_a_fill_back():
    async with story() as at:
        order = await at.bought("AAPL", "4")
        fill = at.events_of(order)[-1]
        await at.wait(120)
        status, _ = await at.ask("POST", "/simulator/v1/bust", {"execution_id": fill["execution_id"]})
        assert status == 200
        await at.wait(1)
        bust = at.told[-1]
        assert (bust["event"], bust["previous_execution_id"]) == ("trade_bust", fill["execution_id"])
        assert D(bust["qty"]) == -D(fill["qty"])
        assert bust["order"]["id"] == order["id"]
        assert await at.get("/v2/positions") == [] or D((await at.get("/v2/positions"))[0]["qty"]) < 4
        ledger = await at.get("/simulator/v1/ledger")
        assert D((await at.get("/v2/account"))["cash"]) == D(ledger["cash"])
