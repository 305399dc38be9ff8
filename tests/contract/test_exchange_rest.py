"""The exchange's REST answers: who may ask, how often, their form, what faults do to them, what the books say."""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.settings import Profile, ServerSettings
from quant_trading_system.simulator.server.testing import running_exchange
from tests.contract.exchange_support import call, served, submit

pytestmark = pytest.mark.asyncio

ORDER_KEYS = [
    "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at", "canceled_at",
    "failed_at", "replaced_at", "replaced_by", "replaces", "asset_id", "symbol", "asset_class", "notional", "qty",
    "filled_qty", "filled_avg_price", "order_class", "order_type", "type", "side", "position_intent", "time_in_force",
    "limit_price", "stop_price", "status", "extended_hours", "legs", "trail_percent", "trail_price", "hwm", "subtag",
    "source", "expires_at",
]  # fmt: skip
SCHEMAS = Path(__file__).parents[3] / "shared" / "reference" / "alpaca_openapi" / "trading.yaml"


# --- who may ask, and how often


async def test_without_the_right_keys_nothing_is_answered_but_a_401():
    async with running_exchange() as exchange, aiohttp.ClientSession(exchange.url) as session:
        assert await call(session, "GET", "/v2/account") == (401, {"message": "unauthorized."})
        async with session.get("/v2/clock") as answer:
            assert (answer.status, answer.content_type) == (401, "text/html")
        for headers, status in (
            ({"Authorization": "Basic " + base64.b64encode(b"PKSIM:sim").decode()}, 200),
            ({"Authorization": "Bearer sim"}, 200),
            ({"apca-api-key-id": "PKSIM", "apca-api-secret-key": "sim"}, 200),
            ({"apca-api-key-id": "PKSIM", "apca-api-secret-key": "wrong"}, 401),
        ):
            async with session.get("/v2/account", headers=headers) as answer:
                assert answer.status == status


async def test_the_budget_counts_trading_and_data_apart_and_refills_with_the_venue_minute():
    async with served(server=ServerSettings(requests_per_minute=2)) as (exchange, session):
        async with session.get("/v2/clock") as answer:
            assert answer.headers["X-RateLimit-Limit"] == "2"
            assert answer.headers["X-RateLimit-Remaining"] == "1"
            assert len(answer.headers["X-Request-ID"]) == 32
        assert (await call(session, "GET", "/v2/clock"))[0] == 200
        assert await call(session, "GET", "/v2/clock") == (429, {"code": 42910000, "message": "rate limit exceeded"})
        path = "/v2/stocks/trades/latest?symbols=AAPL"
        assert (await call(session, "GET", path))[0] == 200
        assert (await call(session, "GET", path))[0] == 200
        assert await call(session, "GET", path) == (429, {"message": "too many requests."})
        assert (await call(session, "GET", "/simulator/v1/ledger"))[0] == 200
        await exchange.step(60)
        assert (await call(session, "GET", "/v2/clock"))[0] == 200


async def test_unknown_paths_and_methods_are_answered_in_json():
    async with served() as (_, session):
        assert await call(session, "GET", "/v2/nothing") == (404, {"code": 40410000, "message": "endpoint not found"})
        assert (await call(session, "GET", "/v2/options/contracts"))[0] == 403
        status, body = await call(session, "PUT", "/v2/orders")
        assert (status, body["code"]) == (405, 40510000)


# --- orders and positions


async def test_an_order_is_answered_with_alpacas_keys_in_alpacas_order():
    async with served() as (_, session):
        status, order = await submit(session, client_order_id="mine", type="limit", limit_price="10.50", qty=2)
    assert status == 200
    assert list(order) == ORDER_KEYS
    assert (order["client_order_id"], order["qty"], order["limit_price"]) == ("mine", "2", "10.5")
    assert (order["filled_qty"], order["filled_avg_price"], order["legs"]) == ("0", None, None)
    assert order["submitted_at"].endswith("Z")


async def test_a_market_buy_moves_position_cash_and_activities_by_the_same_fill():
    async with served() as (exchange, session):
        _, order = await submit(session, qty="10")
        await exchange.step(60)
        _, order = await call(session, "GET", f"/v2/orders/{order['id']}")
        _, position = await call(session, "GET", "/v2/positions/AAPL")
        _, account = await call(session, "GET", "/v2/account")
        _, fills = await call(session, "GET", "/v2/account/activities/FILL?direction=asc")
        _, ledger = await call(session, "GET", "/simulator/v1/ledger")
    assert order["status"] == "filled"
    cost = sum(Decimal(fill["price"]) * Decimal(fill["qty"]) for fill in fills)
    assert Decimal(account["cash"]) == 100_000 - cost == Decimal(ledger["cash"])
    assert (position["qty"], position["side"], position["qty_available"]) == ("10", "long", "10")
    assert Decimal(position["cost_basis"]) == cost
    assert (fills[-1]["type"], fills[-1]["cum_qty"], fills[-1]["leaves_qty"]) == ("fill", "10", "0")
    assert ledger["positions"] == [
        {"symbol": "AAPL", "qty": "10", "avg_entry_price": position["avg_entry_price"]},
    ]
    assert list(ledger["orders"][0]) == ORDER_KEYS
    assert list(ledger["executions"][0]) == [
        "execution_id", "order_id", "client_order_id", "symbol", "side", "qty", "price", "fee", "timestamp",
    ]  # fmt: skip
    assert list(ledger) == ["cash", "positions", "orders", "executions", "hash", "fees", "activities"]


async def test_orders_are_listed_filtered_and_found_by_either_id():
    async with served() as (exchange, session):
        for number in range(3):
            await submit(
                session, client_order_id=f"n{number}", type="limit", limit_price="1", symbol=["AAPL", "SPY"][number % 2]
            )
            await exchange.step(1)
        _, newest_first = await call(session, "GET", "/v2/orders")
        assert [order["client_order_id"] for order in newest_first] == ["n2", "n1", "n0"]
        _, of_spy = await call(session, "GET", "/v2/orders?symbols=SPY&direction=asc&status=all")
        assert [order["client_order_id"] for order in of_spy] == ["n1"]
        after = newest_first[2]["submitted_at"]
        _, later = await call(session, "GET", f"/v2/orders?after={after}&direction=asc&limit=1")
        assert [order["client_order_id"] for order in later] == ["n1"]
        found = await call(session, "GET", "/v2/orders:by_client_order_id?client_order_id=n0")
        assert found == (200, newest_first[2])
        assert await call(session, "GET", f"/v2/orders/{newest_first[2]['id'].replace('-', '')}") == found
        status, error = await call(session, "GET", "/v2/orders:by_client_order_id?client_order_id=zz")
        assert (status, error) == (404, {"code": 40410000, "message": "order not found for zz"})
        assert await call(session, "GET", "/v2/orders/fake_id") == (
            422,
            {"code": 40010001, "message": "order_id is missing"},
        )


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "status=odd", "direction=up", "after=noon"])
async def test_a_parameter_that_cannot_be_read_is_a_422(query):
    async with served() as (_, session):
        status, error = await call(session, "GET", f"/v2/orders?{query}")
    assert (status, error["code"]) == (422, 40010001)


async def test_a_resting_order_is_replaced_and_cancelled():
    async with served() as (exchange, session):
        _, old = await submit(session, type="limit", limit_price="1")
        await exchange.step(1)
        status, new = await call(session, "PATCH", f"/v2/orders/{old['id']}", {"limit_price": "2", "qty": "3"})
        assert (status, new["replaces"], new["limit_price"], new["qty"]) == (200, old["id"], "2", "3")
        await exchange.step(1)
        _, replaced = await call(session, "GET", f"/v2/orders/{old['id']}")
        assert (replaced["status"], replaced["replaced_by"]) == ("replaced", new["id"])
        async with session.delete(f"/v2/orders/{new['id']}") as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        await exchange.step(1)
        _, cancelled = await call(session, "GET", f"/v2/orders/{new['id']}")
        assert cancelled["status"] == "canceled"
        assert (await call(session, "DELETE", f"/v2/orders/{old['id']}"))[0] == 422
        assert await call(session, "DELETE", "/v2/orders") == (207, [])


async def test_flattening_needs_two_calls_because_the_cancel_has_not_arrived_yet():
    async with served() as (exchange, session):
        await submit(session, qty="4")
        await exchange.step(60)
        _, resting = await submit(session, qty="4", side="sell", type="limit", limit_price="9999")
        await exchange.step(1)
        status, entries = await call(session, "DELETE", "/v2/positions?cancel_orders=true")
        assert status == 207
        assert [(entry["symbol"], entry["status"]) for entry in entries] == [(resting["id"], 200), ("AAPL", 403)]
        assert entries[1]["body"]["related_orders"] == [resting["id"]]
        assert list(entries[1]["body"]) == sorted(entries[1]["body"])
        await exchange.step(1)
        _, entries = await call(session, "DELETE", "/v2/positions")
        assert [(entry["symbol"], entry["status"]) for entry in entries] == [("AAPL", 200)]
        await exchange.step(60)
        assert await call(session, "GET", "/v2/positions") == (200, [])
        status, error = await call(session, "GET", "/v2/positions/AAPL")
        assert (status, error) == (404, {"code": 40410000, "message": "position does not exist"})


async def test_a_part_of_a_position_is_closed_by_percentage():
    async with served() as (exchange, session):
        await submit(session, qty="4")
        await exchange.step(60)
        status, order = await call(session, "DELETE", "/v2/positions/AAPL?percentage=50")
        assert (status, order["qty"], order["side"], order["type"]) == (200, "2", "sell", "market")
        assert (await call(session, "DELETE", "/v2/positions/AAPL?percentage=50&qty=1"))[0] == 422
        assert (await call(session, "DELETE", "/v2/positions/AAPL?qty=abc"))[0] == 422


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"qty": NaN}', b"\xff", b'{"symbol": 5}'])
async def test_a_body_that_is_no_order_is_a_400(body):
    async with served() as (_, session), session.post("/v2/orders", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == 40010000


async def test_a_refusal_has_alpacas_code_and_its_keys_sorted():
    async with served() as (_, session):
        status, error = await submit(session, qty="1000000")
        assert (status, error["code"], error["message"]) == (403, 40310000, "insufficient buying power")
        assert list(error) == ["buying_power", "code", "cost_basis", "message"]


# --- account, clock, calendar, assets


async def test_the_clock_is_eastern_and_the_calendar_knows_half_days():
    async with served() as (_, session):
        _, clock = await call(session, "GET", "/v2/clock")
        assert clock["timestamp"].startswith("2024-06-03T09:31:00")
        assert clock["timestamp"].endswith("-04:00")
        assert (clock["is_open"], clock["next_close"]) == (True, "2024-06-03T16:00:00-04:00")
        assert clock["next_open"] == "2024-06-04T09:30:00-04:00"
        _, days = await call(session, "GET", "/v2/calendar?start=2024-07-03&end=2024-07-05")
    assert days == [
        {
            "date": "2024-07-03", "open": "09:30", "close": "13:00", "session_open": "0400", "session_close": "1700",
            "settlement_date": "2024-07-05",
        },
        {
            "date": "2024-07-05", "open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000",
            "settlement_date": "2024-07-08",
        },
    ]  # fmt: skip


@pytest.mark.parametrize(("profile", "has_them"), [(Profile.CURRENT, False), (Profile.BEFORE_2026_07, True)])
async def test_day_trade_fields_belong_to_the_older_profile(profile, has_them):
    async with served(server=ServerSettings(profile=profile, requests_per_minute=0)) as (_, session):
        _, account = await call(session, "GET", "/v2/account")
        _, configurations = await call(session, "GET", "/v2/account/configurations")
    assert ("pattern_day_trader" in account) is has_them
    assert ("daytrade_count" in account) is has_them
    assert ("pdt_check" in configurations) is has_them


async def test_assets_are_found_by_symbol_and_id():
    async with served() as (_, session):
        _, assets = await call(session, "GET", "/v2/assets?status=active&asset_class=us_equity")
        assert [asset["symbol"] for asset in assets] == ["SPY", "AAPL", "MSFT"]  # by exchange, then symbol
        assert await call(session, "GET", f"/v2/assets/{assets[0]['id']}") == (200, assets[0])
        assert await call(session, "GET", "/v2/assets/SPY") == (200, assets[0])
        status, error = await call(session, "GET", "/v2/assets/FFFFF")
        assert (status, error["message"]) == (404, "asset not found for FFFFF")
        status, error = await call(session, "GET", "/v2/account/activities/INVALID")
        assert (status, error["message"]) == (422, "invalid activity type: INVALID")


# --- market data


async def pages_of(session: aiohttp.ClientSession, path: str, kind: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    token = ""
    while token is not None:
        status, page = await call(session, "GET", path + (f"&page_token={token}" if token else ""))
        assert status == 200, page
        rows += [(symbol, row) for symbol, found in page[kind].items() for row in found]
        token = page["next_page_token"]
    return rows


@pytest.mark.parametrize("kind", ["trades", "quotes", "bars"])
async def test_pages_of_any_length_hold_the_same_rows_as_one_and_nothing_of_the_future(kind):
    async with served() as (exchange, session):
        await exchange.step(180)
        path = f"/v2/stocks/{kind}?symbols=SPY,AAPL&timeframe=1Min&start=2024-06-03T09:30:00-04:00&end=2024-06-05"
        whole = await pages_of(session, f"{path}&limit=10000", kind)
        assert await pages_of(session, f"{path}&limit=7", kind) == whole
        backward = await pages_of(session, f"{path}&limit=7&sort=desc", kind)
        assert sorted(map(str, backward)) == sorted(map(str, whole))
        assert {symbol for symbol, _ in whole} == {"AAPL", "SPY"}
        assert all(row["t"] <= "2024-06-03T13:34:00Z" for _, row in whole)


async def test_longer_bars_are_made_of_the_minutes_they_hold():
    async with served() as (exchange, session):
        await exchange.step(600)
        start = "start=2024-06-03T09:30:00-04:00&end=2024-06-03T09:39:59-04:00"
        _, minutes = await call(session, "GET", f"/v2/stocks/AAPL/bars?timeframe=1Min&{start}")
        _, fives = await call(session, "GET", f"/v2/stocks/AAPL/bars?timeframe=5Min&{start}")
    assert [bar["t"] for bar in fives["bars"]] == ["2024-06-03T13:30:00Z", "2024-06-03T13:35:00Z"]
    assert sum(bar["v"] for bar in fives["bars"]) == sum(bar["v"] for bar in minutes["bars"])
    assert fives["bars"][0]["h"] == max(bar["h"] for bar in minutes["bars"] if bar["t"] < "2024-06-03T13:35")
    assert fives["symbol"] == "AAPL"


async def test_daily_bars_of_earlier_sessions_are_there_for_a_warm_up():
    async with served() as (_, session):
        _, answer = await call(
            session, "GET", "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-03-01&limit=1000"
        )
    days = [bar["t"] for bar in answer["bars"]["AAPL"]]
    assert len(days) >= 60
    assert days[0] == "2024-03-01T05:00:00Z"


async def test_latest_values_and_snapshots_come_for_many_and_for_one():
    async with served() as (exchange, session):
        await exchange.step(120)
        for kind in ("trades", "quotes", "bars"):
            _, many = await call(session, "GET", f"/v2/stocks/{kind}/latest?symbols=AAPL,SPY,NONE")
            assert sorted(many[kind]) == ["AAPL", "SPY"]
            _, one = await call(session, "GET", f"/v2/stocks/AAPL/{kind}/latest")
            assert one == {"symbol": "AAPL", kind[:-1]: many[kind]["AAPL"]}
            assert (await call(session, "GET", f"/v2/stocks/NONE/{kind}/latest"))[0] == 404
        _, snapshots = await call(session, "GET", "/v2/stocks/snapshots?symbols=AAPL")
        assert list(snapshots["AAPL"]) == ["latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"]
        _, snapshot = await call(session, "GET", "/v2/stocks/AAPL/snapshot")
        assert snapshot == {"symbol": "AAPL", **snapshots["AAPL"]}


@pytest.mark.parametrize(
    "query",
    ["", "symbols=aapl", "symbols=AAPL&limit=10001", "symbols=AAPL&timeframe=7Day", "symbols=AAPL&timeframe=60Min",
     "symbols=AAPL&timeframe=1Min&start=noon", "symbols=AAPL&page_token=!", "symbols=AAPL&sort=up",
     "symbols=AAPL&feed=moon"],
)  # fmt: skip
async def test_a_data_parameter_that_cannot_be_read_is_a_400_without_a_code(query):
    async with served() as (_, session):
        status, error = await call(session, "GET", f"/v2/stocks/bars?{query}")
    assert (status, list(error)) == (400, ["message"])


# --- control and faults


async def test_the_clock_steps_jumps_and_changes_speed_and_names_a_wrong_field():
    async with served() as (exchange, session):
        _, clock = await call(session, "POST", "/simulator/v1/clock", {"step_seconds": 60})
        assert clock["timestamp"].startswith("2024-06-03T13:32:00")
        assert (clock["market"], clock["is_open"], clock["finished"]) == ("SYNTHETIC", True, False)
        _, clock = await call(session, "POST", "/simulator/v1/clock", {"jump_to": "2024-06-03T15:00"})
        assert clock["eastern"].startswith("2024-06-03T15:00:00")
        _, clock = await call(session, "POST", "/simulator/v1/clock", {"speed": 2.5})
        assert clock["speed"] == 2.5 == exchange.venue.clock.speed
        for body, field in (
            ({"sped": 1}, "sped"), ({}, "body"), ({"speed": 0}, "speed"), ({"speed": "x"}, "speed"),
            ({"jump_to": "2024-06-03T10:00"}, "jump_to"), ({"jump_to": "x"}, "jump_to"),
            ({"step_seconds": -1}, "step_seconds"),
        ):  # fmt: skip
            status, error = await call(session, "POST", "/simulator/v1/clock", body)
            assert (status, error["message"].split(":")[0]) == (422, field)


async def test_an_external_order_trades_under_an_id_that_is_not_ours():
    async with served() as (exchange, session):
        body = {"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        status, order = await call(session, "POST", "/simulator/v1/external-order", {**body, "client_order_id": "mine"})
        assert status == 200
        assert order["client_order_id"] != "mine"
        await exchange.step(60)
        assert (await call(session, "GET", "/v2/positions/SPY"))[0] == 200


async def test_a_fault_plan_is_posted_told_and_healed_and_a_wrong_one_names_its_field():
    async with served() as (_, session):
        plan = {"faults": [{"kind": "error_500", "where": "GET /v2/account"}], "seed": 4}
        assert (await call(session, "POST", "/simulator/v1/faults", plan))[0] == 200
        assert await call(session, "GET", "/v2/account") == (
            500, {"code": 50010000, "message": "internal server error occurred"},
        )  # fmt: skip
        _, told = await call(session, "GET", "/simulator/v1/faults")
        assert told["faults"] == [{"kind": "error_500", "where": "GET /v2/account", "fired": 1}]
        assert (await call(session, "POST", "/simulator/v1/faults", {"faults": []}))[0] == 200
        assert (await call(session, "GET", "/v2/account"))[0] == 200
        status, error = await call(session, "POST", "/simulator/v1/faults", {"faults": [{"kind": "gremlins"}]})
        assert (status, error["message"].split(":")[0]) == (422, "faults[0].kind")


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_504"])
async def test_an_order_whose_answer_is_lost_exists_and_its_repetition_is_refused(kind):
    async with served() as (exchange, session):
        exchange.set_faults({"kind": kind, "where": "POST /v2/orders", "at": 1})
        if kind == "accept_then_drop":
            with pytest.raises(aiohttp.ClientError):
                await submit(session, client_order_id="w8")
        else:
            assert await submit(session, client_order_id="w8") == (504, None)
        assert (await call(session, "GET", "/v2/orders:by_client_order_id?client_order_id=w8"))[0] == 200
        status, error = await submit(session, client_order_id="w8")
        assert (status, error["message"]) == (422, "client_order_id must be unique")


@pytest.mark.parametrize(
    ("kind", "status"),
    [("error_403", 403), ("error_429", 429), ("error_500", 500), ("error_502", 502), ("error_503", 503),
     ("error_504", 504), ("html_error", 401)],
)  # fmt: skip
async def test_a_fault_before_acceptance_leaves_no_order(kind, status):
    async with served() as (exchange, session):
        exchange.set_faults({"kind": kind, "where": "POST /v2/orders", "at": 1})
        body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        async with session.post("/v2/orders", json=body) as answer:
            assert answer.status == status
        exchange.set_faults({"kind": "drop_before_accept", "where": "POST /v2/orders", "at": 1})
        with pytest.raises(aiohttp.ClientError):
            await submit(session)
        assert await call(session, "GET", "/v2/orders?status=all") == (200, [])


async def test_bodies_are_emptied_cut_and_old_as_the_plan_says():
    async with served() as (exchange, session):
        await submit(session, type="limit", limit_price="1")
        exchange.set_faults({"kind": "empty_list", "where": "GET /v2/orders", "at": 1})
        assert await call(session, "GET", "/v2/orders") == (200, [])
        assert len((await call(session, "GET", "/v2/orders"))[1]) == 1
        exchange.set_faults({"kind": "empty_body", "at": 1}, {"kind": "truncated_body", "at": 2})
        assert await call(session, "GET", "/v2/account") == (200, None)
        async with session.get("/v2/account") as answer:
            assert not (await answer.text()).endswith("}")
        exchange.set_faults({"kind": "stale_snapshot", "where": "GET /v2/positions", "count": 2})
        assert await call(session, "GET", "/v2/positions") == (200, [])
        await submit(session)
        await exchange.step(60)
        assert await call(session, "GET", "/v2/positions") == (200, [])
        assert len((await call(session, "GET", "/v2/positions"))[1]) == 1


async def test_a_slow_answer_comes_late_though_the_order_is_taken_at_once():
    async with served() as (exchange, session):
        exchange.set_faults({"kind": "latency", "where": "POST *", "latency_ms": 60_000})
        body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        with pytest.raises(TimeoutError):
            await session.post("/v2/orders", json=body, timeout=aiohttp.ClientTimeout(total=0.2))
        assert len((await call(session, "GET", "/v2/orders?status=all"))[1]) == 1


async def test_a_stuck_cancel_stays_pending_until_the_plan_is_healed():
    async with served() as (exchange, session):
        _, order = await submit(session, type="limit", limit_price="1")
        await exchange.step(1)
        exchange.set_faults({"kind": "pending_cancel_stuck", "where": "DELETE /v2/orders/*"})
        assert (await call(session, "DELETE", f"/v2/orders/{order['id']}"))[0] == 204
        await exchange.step(60)
        assert (await call(session, "GET", f"/v2/orders/{order['id']}"))[1]["status"] == "pending_cancel"
        exchange.set_faults()
        await exchange.step(1)
        await exchange.step(1)
        assert (await call(session, "GET", f"/v2/orders/{order['id']}"))[1]["status"] == "canceled"


# --- Alpaca's own schemas


@pytest.mark.skipif(not SCHEMAS.is_file(), reason="Alpaca's OpenAPI files are not here")
async def test_answers_validate_against_alpacas_schemas():
    import yaml

    document = yaml.safe_load(SCHEMAS.read_text())
    async with served() as (exchange, session):
        await submit(session, qty="3")
        await submit(session, type="limit", limit_price="1")
        await exchange.step(60)
        for path, schema in (
            ("/v2/account", "Account"), ("/v2/account/configurations", "AccountConfigurations"),
            ("/v2/orders?status=all", ["Order"]), ("/v2/positions", ["Position"]), ("/v2/assets", ["Assets"]),
            ("/v2/clock", "legacy_clock"), ("/v2/account/activities/FILL", ["TradingActivities"]),
        ):  # fmt: skip
            status, body = await call(session, "GET", path)
            assert status == 200
            rows = body if isinstance(schema, list) else [body]
            assert rows
            for row in rows:
                check_against(document, schema[0] if isinstance(schema, list) else schema, row)


def check_against(document: Any, name: str, row: Any) -> None:
    from jsonschema import Draft202012Validator

    schema = {"$ref": f"#/components/schemas/{name}", "components": nullable(document["components"])}
    problems = [
        f"{'.'.join(map(str, error.path))}: {error.message}" for error in Draft202012Validator(schema).iter_errors(row)
    ]
    assert not problems, f"{name}: {problems}"


def nullable(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable: true` where JSON Schema says a list of types."""
    if isinstance(node, list):
        return [nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    mapped = {key: nullable(value) for key, value in node.items() if key not in ("example", "examples")}
    if mapped.get("nullable") is True and isinstance(mapped.get("type"), str):
        mapped["type"] = [mapped["type"], "null"]
        if "enum" in mapped:
            mapped["enum"] = [*mapped["enum"], None]
    return mapped
