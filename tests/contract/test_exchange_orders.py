"""Orders over REST: groups and their nesting, lists, replacements, cancels, closing; judged by Alpaca's schemas."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.exchange_support import call, served, submit

pytestmark = pytest.mark.asyncio

LEGS = {"take_profit": {"limit_price": "9999"}, "stop_loss": {"stop_price": "1.05", "limit_price": "1"}}


async def bracket(session, **fields: Any):
    return await submit(session, order_class="bracket", **{**LEGS, **fields})


async def test_a_group_is_answered_with_its_legs_and_found_flat_or_nested():
    async with served() as (_, session):
        status, order = await bracket(session, type="limit", limit_price="2")
        assert (status, order["status"], order["order_class"]) == (200, "accepted", "bracket")
        profit, loss = order["legs"]
        assert (profit["type"], profit["limit_price"], profit["status"], profit["legs"]) == (
            "limit",
            "9999",
            "held",
            None,
        )
        assert (loss["type"], loss["stop_price"], loss["limit_price"], loss["side"]) == (
            "stop_limit",
            "1.05",
            "1",
            "sell",
        )
        assert {leg["submitted_at"] for leg in order["legs"]} == {order["submitted_at"]}
        _, flat = await call(session, "GET", "/v2/orders")
        assert sorted(row["id"] for row in flat) == sorted([order["id"], profit["id"], loss["id"]])
        assert {row["legs"] for row in flat if row["legs"] is None} == {None}
        _, nested = await call(session, "GET", "/v2/orders?nested=true")
        assert [row["id"] for row in nested] == [order["id"]]
        assert [leg["id"] for leg in nested[0]["legs"]] == [profit["id"], loss["id"]]
        _, alone = await call(session, "GET", f"/v2/orders/{order['id']}")
        assert alone["legs"] is None
        _, whole = await call(session, "GET", f"/v2/orders/{order['id']}?nested=true")
        assert [leg["id"] for leg in whole["legs"]] == [profit["id"], loss["id"]]


async def test_the_legs_of_a_filled_bracket_are_replaced_and_cancelled_by_their_ids():
    async with served() as (exchange, session):
        _, order = await bracket(session)
        await exchange.step(120)
        path = f"/v2/orders/{order['id']}?nested=true"
        _, order = await call(session, "GET", path)
        assert [order["status"], *(leg["status"] for leg in order["legs"])] == ["filled", "new", "held"]
        profit, loss = order["legs"]
        status, new = await call(session, "PATCH", f"/v2/orders/{profit['id']}", {"limit_price": "9000"})
        assert (status, new["replaces"], new["limit_price"]) == (200, profit["id"], "9000")
        await exchange.step(1)
        status, _ = await call(session, "DELETE", f"/v2/orders/{loss['id']}")
        assert status == 204
        await exchange.step(1)
        _, order = await call(session, "GET", path)
        assert [(leg["id"], leg["status"]) for leg in order["legs"]] == [
            (new["id"], "canceled"),
            (loss["id"], "canceled"),
        ]


async def test_everything_open_is_cancelled_with_a_leg_shown_as_its_parent():
    async with served() as (exchange, session):
        _, order = await bracket(session)
        await exchange.step(120)
        status, rows = await call(session, "DELETE", "/v2/orders")
        assert (status, [row["status"] for row in rows]) == (207, [200])
        assert rows[0]["id"] == order["legs"][0]["id"]
        assert rows[0]["body"]["id"] == order["id"]
        assert len(rows[0]["body"]["legs"]) == 2
        await exchange.step(1)
        assert await call(session, "DELETE", "/v2/orders") == (207, [])


async def test_closing_everything_names_a_pair_as_its_position_does():
    async with served(symbols=("AAPL", "BTC/USD")) as (exchange, session):
        assert (await submit(session, symbol="BTC/USD", qty="0.01", time_in_force="gtc"))[0] == 200
        await exchange.step(5)
        (position,) = (await call(session, "GET", "/v2/positions"))[1]
        status, (row,) = await call(session, "DELETE", "/v2/positions")
        assert (status, row["status"], row["symbol"]) == (207, 200, "BTCUSD")
        assert row["symbol"] == position["symbol"]


async def test_closing_everything_names_the_cancelled_orders_and_refuses_what_they_hold():
    async with served() as (exchange, session):
        _, order = await bracket(session)
        await exchange.step(120)
        status, rows = await call(session, "DELETE", "/v2/positions?cancel_orders=true")
        assert status == 207
        assert [(row["symbol"], row["status"]) for row in rows] == [(order["legs"][0]["id"], 200), ("AAPL", 403)]
        assert list(rows[1]["body"]) == [
            "available", "code", "existing_qty", "held_for_orders", "message", "related_orders", "symbol",
        ]  # fmt: skip
        await exchange.step(1)
        status, rows = await call(session, "DELETE", "/v2/positions")
        assert [(row["symbol"], row["status"], row["body"]["side"]) for row in rows] == [("AAPL", 200, "sell")]
        await exchange.step(60)
        assert await call(session, "DELETE", "/v2/positions") == (207, [])


@pytest.mark.parametrize(("query", "sold"), [("qty=0.123456789", "0.123456789"), ("percentage=50", "1")])
async def test_a_part_of_a_position_is_closed(query, sold):
    async with served() as (exchange, session):
        await submit(session, qty="2")
        await exchange.step(60)
        status, order = await call(session, "DELETE", f"/v2/positions/AAPL?{query}")
        assert (status, order["qty"], order["side"], order["type"]) == (200, sold, "sell", "market")


async def test_coins_are_ordered_and_found_by_either_form_of_their_pair():
    async with served(symbols=("AAPL", "BTC/USD")) as (exchange, session):
        fields = {"qty": "0.01", "time_in_force": "gtc"}
        for symbol in ("BTC/USD", "BTCUSD"):
            status, order = await submit(session, symbol=symbol, **fields)
            assert (status, order["symbol"], order["asset_class"]) == (200, "BTC/USD", "crypto")
        await submit(session, type="limit", limit_price="1")
        for query in ("symbols=BTCUSD", "symbols=BTC/USD", "asset_class=crypto", "asset_class=crypto,us_option"):
            _, rows = await call(session, "GET", f"/v2/orders?status=all&{query}")
            assert {row["symbol"] for row in rows} == {"BTC/USD"}, query
        await exchange.step(60)
        status, position = await call(session, "GET", "/v2/positions/BTCUSD")
        assert (status, position["symbol"]) == (200, "BTCUSD")
        status, order = await call(session, "DELETE", "/v2/positions/BTC%2FUSD")
        assert (status, order["time_in_force"], order["symbol"]) == (200, "gtc", "BTC/USD")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("asset_class=shoes", "invalid asset_class: shoes"),
        ("side=hold", "side must be buy or sell"),
        ("before_order_id=x", "order_id is missing"),
        ("limit=501", "invalid limit: larger than the allowed maximum of 500"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(query, text):
    async with served() as (_, session):
        status, body = await call(session, "GET", f"/v2/orders?{query}")
        assert (status, body) == (422, {"code": 40010001, "message": text})


async def test_lists_are_paged_by_time_and_by_order():
    async with served() as (exchange, session):
        made = []
        for _ in range(5):
            made.append((await submit(session, type="limit", limit_price="1"))[1])
            await exchange.step(1)
        ids = [order["id"] for order in made]
        for query, expected in (
            (f"after={made[1]['submitted_at']}&direction=asc", ids[2:]),
            (f"until={made[3]['submitted_at']}", ids[2::-1]),
            (f"after_order_id={ids[2]}&direction=asc", ids[3:]),
            (f"before_order_id={ids[2]}&limit=1", ids[1:2]),
            ("limit=2", ids[:2:-1]),
        ):
            _, rows = await call(session, "GET", f"/v2/orders?{query}")
            assert [row["id"] for row in rows] == expected, query


async def test_a_trailing_stop_shows_its_best_price_and_its_moving_stop():
    async with served() as (exchange, session):
        await submit(session, qty="5")
        await exchange.step(60)
        status, order = await submit(session, side="sell", qty="5", type="trailing_stop", trail_percent="5")
        assert (status, order["status"], order["trail_percent"]) == (200, "new", "5")
        assert float(order["stop_price"]) == pytest.approx(float(order["hwm"]) * 0.95)
        status, new = await call(session, "PATCH", f"/v2/orders/{order['id']}", {"trail": "4"})
        assert (status, new["trail_percent"], new["status"]) == (200, "4", "new")
